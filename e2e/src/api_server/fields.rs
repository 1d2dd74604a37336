//! Pure. Who owns which fields, and what server-side apply does with that. Source: Kubernetes documentation,
//! "Server-Side Apply".
//!
//! A field is a path of segments as in `FieldsV1`: `f:NAME`, or `k:{"type":"…"}` for an entry of `conditions`, the one
//! list that is merged by key here; every other list is owned as a whole.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Fields, each a path of segments.
pub(super) type Fields = BTreeSet<Vec<String>>;

/// Who has written: manager, operation and subresource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Writer<'a> {
    pub(super) manager: &'a str,
    pub(super) operation: &'static str,
    pub(super) subresource: Option<&'a str>,
}

/// The fields of a document.
pub(super) fn fields(value: &Value) -> Fields {
    let mut found = Fields::new();
    collect(value, "", &mut Vec::new(), &mut found);
    found
}

fn collect(value: &Value, name: &str, at: &mut Vec<String>, found: &mut Fields) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                at.push(format!("f:{key}"));
                collect(value, key, at, found);
                at.pop();
            }
        }
        Value::Array(items) if name == "conditions" && items.iter().all(|it| key(it).is_some()) => {
            for item in items {
                at.push(key(item).unwrap_or_default());
                collect(item, "", at, found);
                at.pop();
            }
        }
        _ => drop(found.insert(at.clone())),
    }
}

/// The segment of an entry of `conditions`.
fn key(entry: &Value) -> Option<String> {
    let kind = entry.get("type")?.as_str()?;
    Some(format!("k:{}", json!({"type": kind})))
}

/// The value at a field.
fn value<'a>(document: &'a Value, field: &[String]) -> Option<&'a Value> {
    field.iter().try_fold(document, |value, segment| {
        match segment.strip_prefix("f:") {
            Some(name) => value.get(name),
            None => {
                let mut entries = value.as_array()?.iter();
                entries.find(|it| key(it).as_ref() == Some(segment))
            }
        }
    })
}

fn remove(document: &mut Value, field: &[String]) {
    let Some((segment, rest)) = field.split_first() else {
        return;
    };
    match (document, segment.strip_prefix("f:")) {
        (Value::Object(map), Some(name)) => {
            if let Some(inner) = map.get_mut(name) {
                remove(inner, rest);
                let is_hollow = match inner {
                    Value::Object(map) => map.is_empty(),
                    Value::Array(items) => items.is_empty(),
                    _ => false,
                };
                if rest.is_empty() || is_hollow {
                    map.shift_remove(name);
                }
            }
        }
        (Value::Array(items), None) => {
            if let Some(at) = items
                .iter()
                .position(|it| key(it).as_ref() == Some(segment))
                && let Some(item) = items.get_mut(at)
            {
                remove(item, rest);
                // An entry is gone with the field that names it.
                if rest.is_empty() || key(item).is_none() {
                    items.remove(at);
                }
            }
        }
        _ => {}
    }
}

/// The entries of `managedFields`, as far as fields go.
fn managed(object: &Value) -> Vec<Value> {
    let found = object
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    found.cloned().unwrap_or_default()
}

fn is_of(entry: &Value, writer: &Writer<'_>) -> bool {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    text("manager") == Some(writer.manager)
        && text("operation") == Some(writer.operation)
        && text("subresource") == writer.subresource
}

fn from_entry(entry: &Value) -> Fields {
    let mut found = Fields::new();
    if let Some(tree) = entry.get("fieldsV1") {
        unfold(tree, &mut Vec::new(), &mut found);
    }
    found
}

fn unfold(tree: &Value, at: &mut Vec<String>, found: &mut Fields) {
    match tree.as_object().filter(|it| !it.is_empty()) {
        None => drop(found.insert(at.clone())),
        Some(map) => {
            for (segment, inner) in map {
                at.push(segment.clone());
                unfold(inner, at, found);
                at.pop();
            }
        }
    }
}

fn fold(fields: &Fields) -> Value {
    let mut tree = Map::new();
    for field in fields {
        let mut at = &mut tree;
        for segment in field {
            let inner = at.entry(segment.clone()).or_insert_with(|| json!({}));
            match inner {
                Value::Object(map) => at = map,
                _ => break,
            }
        }
    }
    Value::Object(tree)
}

fn entry(writer: &Writer<'_>, api_version: &str, fields: &Fields) -> Value {
    let mut entry = json!({"manager": writer.manager, "operation": writer.operation, "apiVersion": api_version,
        "fieldsType": "FieldsV1", "fieldsV1": fold(fields)});
    if let Some(subresource) = writer.subresource {
        super::store::set(&mut entry, "subresource", subresource.into());
    }
    entry
}

/// Writes ownership back: `writer` has exactly `mine`, and nobody else has what is in `lost`.
fn own(object: &mut Value, writer: &Writer<'_>, mine: &Fields, lost: &Fields) {
    let version = object.get("apiVersion").and_then(Value::as_str);
    let version = version.unwrap_or_default().to_owned();
    let mut entries = Vec::new();
    for one in managed(object) {
        if is_of(&one, writer) {
            continue;
        }
        let left: Fields = from_entry(&one).difference(lost).cloned().collect();
        if !left.is_empty() {
            let mut one = one;
            super::store::set(&mut one, "fieldsV1", fold(&left));
            entries.push(one);
        }
    }
    if !mine.is_empty() {
        entries.push(entry(writer, &version, mine));
    }
    if let Some(metadata) = object.get_mut("metadata") {
        super::store::set(metadata, "managedFields", Value::Array(entries));
    }
}

/// Says who has changed what between two forms of an object.
pub(super) fn updated(before: &Value, after: &mut Value, writer: &Writer<'_>) {
    let (old, new) = (plain(before), plain(after));
    let changed: Fields = fields(&new)
        .into_iter()
        .filter(|it| value(&old, it) != value(&new, it))
        .collect();
    let gone: Fields = fields(&old).difference(&fields(&new)).cloned().collect();
    let entries = managed(after);
    let had = entries.iter().find(|it| is_of(it, writer)).map(from_entry);
    let had = had.unwrap_or_default();
    let mine: Fields = had
        .union(&changed)
        .filter(|it| !gone.contains(*it))
        .cloned()
        .collect();
    let lost: Fields = changed.union(&gone).cloned().collect();
    own(after, writer, &mine, &lost);
}

/// A document without what nobody owns.
fn plain(object: &Value) -> Value {
    let mut plain = object.clone();
    if let Value::Object(map) = &mut plain {
        map.shift_remove("apiVersion");
        map.shift_remove("kind");
        if let Some(Value::Object(metadata)) = map.get_mut("metadata") {
            metadata.retain(|key, _| {
                matches!(
                    key.as_str(),
                    "labels" | "annotations" | "ownerReferences" | "finalizers"
                )
            });
            if metadata.is_empty() {
                map.shift_remove("metadata");
            }
        }
    }
    plain
}

/// Applies a document over the live object: fields that the writer applied before and does not any more go away, unless
/// others have them too.
///
/// # Errors
/// The managers of fields that others have with other values, unless they are taken by force.
pub(super) fn apply(
    live: &Value,
    applied: &Value,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Value, Vec<String>> {
    let applied = plain(applied);
    let mine = fields(&applied);
    let mut result = live.clone();
    let mut conflicts = Vec::new();
    let (mut had, mut others, mut lost) = (Fields::new(), Fields::new(), Fields::new());
    for one in managed(live) {
        let theirs = from_entry(&one);
        if is_of(&one, writer) {
            had = theirs;
            continue;
        }
        let taken = theirs
            .intersection(&mine)
            .filter(|it| value(live, it) != value(&applied, it));
        let taken: Vec<_> = taken.cloned().collect();
        if !taken.is_empty() {
            conflicts.push(
                one.get("manager")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
            );
            lost.extend(taken);
        }
        others.extend(theirs);
    }
    if !conflicts.is_empty() && !force {
        return Err(conflicts);
    }
    for field in had
        .iter()
        .filter(|it| !mine.contains(*it) && !others.contains(*it))
    {
        remove(&mut result, field);
    }
    objects::merge::merge(&mut result, &applied);
    own(&mut result, writer, &mine, &lost);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Writer, apply, updated};

    const A: Writer<'_> = Writer {
        manager: "a",
        operation: "Apply",
        subresource: None,
    };
    const B: Writer<'_> = Writer {
        manager: "b",
        operation: "Apply",
        subresource: None,
    };

    fn bare(mut object: Value) -> Value {
        if let Some(map) = object.as_object_mut() {
            map.shift_remove("metadata");
            map.shift_remove("apiVersion");
        }
        object
    }

    #[test]
    fn a_manager_takes_back_only_what_is_its_own() {
        let live = json!({"apiVersion": "v1", "metadata": {}});
        let live = apply(&live, &json!({"spec": {"x": 1, "y": 1}}), &A, false).unwrap();
        let live = apply(&live, &json!({"spec": {"y": 1, "z": 1}}), &B, false).unwrap();
        let live = apply(&live, &json!({}), &A, false).unwrap();
        assert_eq!(bare(live.clone()), json!({"spec": {"y": 1, "z": 1}}));
        let live = apply(&live, &json!({"spec": {"w": 2}}), &B, false).unwrap();
        assert_eq!(bare(live), json!({"spec": {"w": 2}}));
    }

    #[test]
    fn what_another_has_with_another_value_is_taken_by_force_alone() {
        let live = json!({"apiVersion": "v1", "metadata": {}});
        let live = apply(&live, &json!({"spec": {"x": 1}}), &A, false).unwrap();
        assert_eq!(
            apply(&live, &json!({"spec": {"x": 2}}), &B, false),
            Err(vec!["a".to_owned()])
        );
        let live = apply(&live, &json!({"spec": {"x": 2}}), &B, true).unwrap();
        let live = apply(&live, &json!({}), &A, false).unwrap();
        assert_eq!(bare(live), json!({"spec": {"x": 2}}));
    }

    #[test]
    fn conditions_belong_to_whom_they_are_from() {
        let live = json!({"apiVersion": "v1", "metadata": {}});
        let one = json!({"status": {"conditions": [{"type": "One", "status": "True"}]}});
        let two = json!({"status": {"conditions": [{"type": "Two", "status": "True"}]}});
        let live = apply(&live, &one, &A, false).unwrap();
        let live = apply(&live, &two, &B, false).unwrap();
        let live = apply(&live, &json!({}), &A, false).unwrap();
        assert_eq!(bare(live), two);
    }

    #[test]
    fn an_update_is_noted_as_the_managers() {
        let before = json!({"apiVersion": "v1", "metadata": {}, "status": {"a": 1}});
        let mut after = json!({"apiVersion": "v1", "metadata": {}, "status": {"a": 1, "b": 2}});
        let writer = Writer {
            manager: "c",
            operation: "Update",
            subresource: Some("status"),
        };
        updated(&before, &mut after, &writer);
        let noted = after.pointer("/metadata/managedFields/0/fieldsV1").unwrap();
        assert_eq!(*noted, json!({"f:status": {"f:b": {}}}));
    }
}
