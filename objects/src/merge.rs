//! Pure. How several writers' words about one object become one document.
//!
//! JSON merge (RFC 7396): maps are merged key by key, null removes, everything else replaces. Two additions, for lists
//! whose entries have each a writer of their own: under a key `conditions` entries are matched by `type`, under
//! `parents` and `ancestors` by what they are about and whose word they are.

use serde_json::{Map, Value};

/// Writes `patch` over `target`.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            target.shift_remove(key);
            continue;
        }
        let slot = target.entry(key.as_str()).or_insert(Value::Null);
        match (slot, value) {
            (Value::Array(target), Value::Array(patch)) => match identity(key) {
                Some(identity) => merge_entries(target, patch, identity),
                None => patch.clone_into(target),
            },
            (slot, value) => merge(slot, value),
        }
    }
}

/// The same document without entries that are null, which Kubernetes reads as absent.
pub fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// The fields that tell the entries of a list apart whose entries have writers of their own.
fn identity(list: &str) -> Option<&'static [&'static str]> {
    match list {
        "conditions" => Some(&["type"]),
        "parents" => Some(&["parentRef", "controllerName"]),
        "ancestors" => Some(&["ancestorRef", "controllerName"]),
        _ => None,
    }
}

fn merge_entries(target: &mut Vec<Value>, patch: &[Value], identity: &[&str]) {
    for entry in patch {
        let is_same = |one: &Value| {
            let mut fields = identity.iter();
            fields.all(|field| entry.get(field).is_some() && one.get(field) == entry.get(field))
        };
        match target.iter_mut().find(|one| is_same(one)) {
            Some(place) => merge(place, entry),
            None => target.push(entry.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{drop_nulls, merge};

    #[test]
    fn merges_maps_replaces_the_rest_and_removes_by_null() {
        for (target, patch, expected) in [
            (json!({"a": 1}), json!({"b": 2}), json!({"a": 1, "b": 2})),
            (
                json!({"a": {"x": 1, "y": 1}}),
                json!({"a": {"y": 2}}),
                json!({"a": {"x": 1, "y": 2}}),
            ),
            (json!({"a": [1, 2]}), json!({"a": [3]}), json!({"a": [3]})),
            (json!({"a": 1, "b": 2}), json!({"a": null}), json!({"b": 2})),
            (
                json!({"a": 1}),
                json!({"a": {"b": null, "c": 1}}),
                json!({"a": {"c": 1}}),
            ),
            (
                json!({"a": {"b": 1}}),
                json!({"a": "text"}),
                json!({"a": "text"}),
            ),
            (json!(null), json!({"a": {"b": 1}}), json!({"a": {"b": 1}})),
        ] {
            let mut merged = target.clone();
            merge(&mut merged, &patch);
            assert_eq!(merged, expected, "{target} + {patch}");
        }
    }

    #[test]
    fn conditions_are_matched_by_type() {
        let mut target = json!({"status": {"conditions": [
            {"type": "Ready", "status": "False", "reason": "Starting"},
            {"type": "Scheduled", "status": "True"},
        ]}});
        merge(
            &mut target,
            &json!({"status": {"conditions": [
                {"type": "Ready", "status": "True", "reason": null},
                {"type": "Enrolled", "status": "True"},
            ]}}),
        );
        assert_eq!(
            target,
            json!({"status": {"conditions": [
                {"type": "Ready", "status": "True"},
                {"type": "Scheduled", "status": "True"},
                {"type": "Enrolled", "status": "True"},
            ]}})
        );
    }

    #[test]
    fn entries_about_others_are_matched_by_whom_they_are_about_and_whose_they_are() {
        let entry = |parent: &str, by: &str, status: &str| {
            json!({"parentRef": {"name": parent}, "controllerName": by, "conditions": [
                {"type": "Accepted", "status": status},
            ]})
        };
        let mut target =
            json!({"status": {"parents": [entry("a", "x", "True"), entry("a", "y", "True")]}});
        let patch =
            json!({"status": {"parents": [entry("a", "y", "False"), entry("b", "y", "True")]}});
        merge(&mut target, &patch);
        let expected = [
            entry("a", "x", "True"),
            entry("a", "y", "False"),
            entry("b", "y", "True"),
        ];
        assert_eq!(target, json!({"status": {"parents": expected}}));
    }

    #[test]
    fn nulls_inside_maps_read_as_absent() {
        let mut value = json!({"a": null, "b": [{"c": null, "d": 1}], "e": [null]});
        drop_nulls(&mut value);
        assert_eq!(value, json!({"b": [{"d": 1}], "e": [null]}));
    }
}
