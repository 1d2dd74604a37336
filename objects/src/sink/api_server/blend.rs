//! Pure. Our words in a status beside those of others.

use serde_json::{Map, Value};

use super::Ours;
use crate::kinds::Kind;

/// Lists whose entries have each a writer of their own, and the field that says what an entry is about.
const LISTS: [(&str, &str); 4] = [
    ("conditions", "type"),
    ("parents", "parentRef"),
    ("ancestors", "ancestorRef"),
    ("listeners", "name"),
];

/// The fields of the status to be merged in (RFC 7396), so that it says our `words` and what others say stays; `None` when
/// it is so already. Of what we said before and do not say now nothing stays, as far as `ours` tells it from others' words
/// and the object's book-keeping says that `manager` wrote into its status at all.
pub(super) fn status(
    kind: Kind,
    live: &Value,
    manager: &str,
    ours: Option<&Ours>,
    words: Option<&Value>,
) -> Option<Value> {
    let nothing = Map::new();
    let now = live.get("status").and_then(Value::as_object);
    let (now, words) = (
        now.unwrap_or(&nothing),
        words.and_then(Value::as_object).unwrap_or(&nothing),
    );
    let ours = ours.filter(|_| has_written_status(live, manager));
    let mut patch = Map::new();
    for (list, about) in LISTS {
        let entries = |of: &Map<String, Value>| of.get(list).and_then(Value::as_array).cloned();
        let (Some(before), said) = (
            entries(now).or_else(|| entries(words).map(|_| Vec::new())),
            entries(words),
        ) else {
            continue;
        };
        let after = blended(&before, &said.unwrap_or_default(), about, ours);
        if after != before || !now.contains_key(list) {
            patch.insert(list.to_owned(), Value::Array(after));
        }
    }
    let is_list = |key: &str| LISTS.iter().any(|(list, _)| *list == key);
    for (key, value) in words.iter().filter(|(key, _)| !is_list(key)) {
        if now.get(key) != Some(value) {
            patch.insert(key.clone(), value.clone());
        }
    }
    let fields = ours.map_or(&[][..], |it| it.fields).iter();
    for (_, field) in fields.filter(|(of, _)| *of == kind) {
        if now.contains_key(*field) && !words.contains_key(*field) {
            patch.insert((*field).to_owned(), Value::Null);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

fn blended(before: &[Value], said: &[Value], about: &str, ours: Option<&Ours>) -> Vec<Value> {
    let is_same = |one: &Value, two: &Value| {
        one.get(about) == two.get(about) && one.get("controllerName") == two.get("controllerName")
    };
    let is_ours = |entry: &Value| {
        let Some(ours) = ours else {
            return false;
        };
        let is_in = |key: &str, list: &[&str]| {
            let text = entry.get(key).and_then(Value::as_str);
            text.is_some_and(|it| list.contains(&it))
        };
        match about {
            "type" => is_in("type", ours.conditions),
            // Listeners of a Gateway have one writer: whose Gateway it is.
            "name" => true,
            _ => is_in("controllerName", ours.controllers),
        }
    };
    let mut after = Vec::new();
    for entry in before {
        match said.iter().find(|it| is_same(it, entry)) {
            Some(said) => after.push(in_time(said, entry)),
            None if is_ours(entry) => {}
            None => after.push(entry.clone()),
        }
    }
    let new = said
        .iter()
        .filter(|it| !before.iter().any(|one| is_same(it, one)));
    after.extend(new.cloned());
    after
}

/// A condition that holds as before keeps its time; so do those inside an entry.
fn in_time(said: &Value, before: &Value) -> Value {
    let mut said = said.clone();
    if said.get("status") == before.get("status")
        && let (Some(time), Some(since)) = (
            said.get_mut("lastTransitionTime"),
            before.get("lastTransitionTime"),
        )
    {
        time.clone_from(since);
    }
    let inner = before.get("conditions").and_then(Value::as_array);
    if let (Some(Value::Array(conditions)), Some(inner)) = (said.get_mut("conditions"), inner) {
        for condition in conditions {
            let before = inner
                .iter()
                .find(|it| it.get("type") == condition.get("type"));
            if let Some(before) = before {
                *condition = in_time(condition, before);
            }
        }
    }
    said
}

/// Whether a manager has written into the object's status. Source: Kubernetes documentation, "Field management".
fn has_written_status(object: &Value, manager: &str) -> bool {
    managed(object, manager).any(|it| it.pointer("/fieldsV1/f:status").is_some())
}

/// Whether a manager has applied the object itself.
pub(super) fn has_applied(object: &Value, manager: &str) -> bool {
    let is = |entry: &Value, key: &str, value: &str| entry.get(key).is_some_and(|it| it == value);
    managed(object, manager)
        .any(|it| is(it, "operation", "Apply") && it.get("subresource").is_none_or(|sub| sub == ""))
}

fn managed<'a>(object: &'a Value, manager: &str) -> impl Iterator<Item = &'a Value> {
    let entries = object
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    let entries = entries.into_iter().flatten();
    entries.filter(move |it| it.get("manager").is_some_and(|of| of == manager))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Ours, has_applied, status};
    use crate::kinds::Kind;

    const OURS: Ours = Ours {
        manager: "weft",
        conditions: &["Bound"],
        controllers: &["weft.dev/c"],
        fields: &[(Kind::ServiceEntry, "addresses")],
    };

    /// An object whose status `by` have written into.
    fn live(status: &Value, by: &[&str]) -> Value {
        let fields = by
            .iter()
            .map(|it| json!({"manager": it, "operation": "Update", "fieldsV1": {"f:status": {}}}));
        json!({"metadata": {"managedFields": fields.collect::<Vec<_>>()}, "status": status})
    }

    fn blend(live: &Value, words: &Value) -> Value {
        let words = Some(words).filter(|it| !it.is_null());
        status(Kind::ServiceEntry, live, "weft", Some(&OURS), words).unwrap_or_default()
    }

    fn bound(status: &str, since: &str) -> Value {
        json!({"type": "Bound", "status": status, "lastTransitionTime": since})
    }

    #[test]
    fn what_is_said_already_is_not_written() {
        let theirs = json!({"type": "Theirs", "status": "True"});
        let live = live(
            &json!({"conditions": [theirs, bound("True", "then")]}),
            &["weft"],
        );
        assert_eq!(
            blend(&live, &json!({"conditions": [bound("True", "now")]})),
            Value::Null
        );
        let turned = blend(&live, &json!({"conditions": [bound("False", "now")]}));
        assert_eq!(
            turned,
            json!({"conditions": [theirs, bound("False", "now")]})
        );
    }

    #[test]
    fn others_entries_stay_and_ours_that_are_not_said_any_more_go() {
        let entry = |by: &str, parent: &str| json!({"parentRef": {"name": parent}, "controllerName": by, "conditions": []});
        let (theirs, ours) = (entry("x/y", "a"), entry("weft.dev/c", "a"));
        let live = live(&json!({"parents": [ours, theirs]}), &["weft"]);
        let new = entry("weft.dev/c", "b");
        assert_eq!(
            blend(&live, &json!({"parents": [new]})),
            json!({"parents": [theirs, new]})
        );
        assert_eq!(blend(&live, &Value::Null), json!({"parents": [theirs]}));
    }

    #[test]
    fn where_we_never_wrote_nothing_is_ours() {
        let status = json!({"conditions": [bound("True", "then")], "addresses": ["a"]});
        assert_eq!(blend(&live(&status, &["other"]), &Value::Null), Value::Null);
        let taken_back = json!({"conditions": [], "addresses": null});
        assert_eq!(
            blend(&live(&status, &["other", "weft"]), &Value::Null),
            taken_back
        );
    }

    #[test]
    fn conditions_inside_an_entry_keep_their_time() {
        let entry = |status: &str, since: &str| json!({"parentRef": {"name": "a"}, "controllerName": "weft.dev/c", "conditions": [bound(status, since)]});
        let live = live(&json!({"parents": [entry("True", "then")]}), &["weft"]);
        assert_eq!(
            blend(&live, &json!({"parents": [entry("True", "now")]})),
            Value::Null
        );
        let turned = json!({"parents": [entry("False", "now")]});
        assert_eq!(blend(&live, &turned), turned);
    }

    #[test]
    fn only_what_was_applied_is_an_object_of_ours() {
        let object = |operation: &str, sub: &str| json!({"metadata": {"managedFields": [{"manager": "weft", "operation": operation, "subresource": sub}]}});
        assert!(has_applied(&object("Apply", ""), "weft"));
        assert!(!has_applied(&object("Apply", ""), "other"));
        assert!(!has_applied(&object("Apply", "status"), "weft"));
        assert!(!has_applied(&object("Update", ""), "weft"));
    }
}
