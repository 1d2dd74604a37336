//! Pure. How several writers' words about one object become one document.
//!
//! JSON merge (RFC 7396): maps are merged key by key, null removes, everything else replaces. One addition:
//! lists under a key `conditions` are merged entry by entry, matched by `type`, because every condition
//! has its own writer.

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
            (Value::Array(target), Value::Array(patch)) if key == "conditions" => {
                merge_conditions(target, patch);
            }
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

fn merge_conditions(target: &mut Vec<Value>, patch: &[Value]) {
    for condition in patch {
        let wanted = condition.get("type");
        let place = target
            .iter_mut()
            .find(|one| wanted.is_some() && one.get("type") == wanted);
        match place {
            Some(place) => merge(place, condition),
            None => target.push(condition.clone()),
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
    fn nulls_inside_maps_read_as_absent() {
        let mut value = json!({"a": null, "b": [{"c": null, "d": 1}], "e": [null]});
        drop_nulls(&mut value);
        assert_eq!(value, json!({"b": [{"d": 1}], "e": [null]}));
    }
}
