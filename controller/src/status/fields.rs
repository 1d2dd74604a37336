//! Pure. The fields of a status patch: conditions with the time since when they hold.

use serde_json::{Map, Value, json};

use super::Wish;
use crate::translate::status::Condition;

/// The patch that makes the object say what is wished. A condition that held before keeps its time;
/// one that is new or has turned gets `now` (RFC 3339).
pub(super) fn patch(wish: &Wish, now: &str) -> Value {
    let mut status: Map<String, Value> = wish.status.fields.clone();
    if !wish.status.conditions.is_empty() {
        let conditions = wish.status.conditions.iter();
        let conditions = conditions.map(|it| condition(it, wish, now)).collect();
        status.insert("conditions".to_owned(), Value::Array(conditions));
    }
    json!({ "status": status })
}

fn condition(condition: &Condition, wish: &Wish, now: &str) -> Value {
    let status = if condition.holds { "True" } else { "False" };
    let says = |one: &&Value, key: &str, value: &str| one.get(key).is_some_and(|it| it == value);
    let before = wish
        .present
        .iter()
        .find(|one| says(one, "type", condition.kind));
    let since = before
        .filter(|one| says(one, "status", status))
        .and_then(|one| one.get("lastTransitionTime")?.as_str())
        .unwrap_or(now);
    let mut shown = Map::new();
    shown.insert("type".to_owned(), condition.kind.into());
    shown.insert("status".to_owned(), status.into());
    shown.insert("reason".to_owned(), condition.reason.into());
    shown.insert("message".to_owned(), condition.message.as_str().into());
    if wish.generation > 0 {
        shown.insert("observedGeneration".to_owned(), wish.generation.into());
    }
    shown.insert("lastTransitionTime".to_owned(), since.into());
    Value::Object(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::status::Status;
    use objects::kinds::{Key, Kind};

    fn wish(holds: bool, present: Vec<Value>) -> Wish {
        Wish {
            key: Key::new(Kind::Service, "shop", "web"),
            uid: "u".to_owned(),
            generation: 3,
            status: Status {
                conditions: vec![Condition {
                    kind: "istio.io/WaypointBound",
                    holds,
                    reason: "WaypointAccepted",
                    message: "bound to shop/w".to_owned(),
                }],
                fields: Map::new(),
            },
            present,
        }
    }

    #[test]
    fn a_condition_keeps_its_time_until_it_turns() {
        let old = json!({"type": "istio.io/WaypointBound", "status": "True", "lastTransitionTime": "then"});
        let time = |wish: &Wish| {
            let patch = patch(wish, "now");
            patch
                .pointer("/status/conditions/0/lastTransitionTime")
                .cloned()
        };
        assert_eq!(time(&wish(true, vec![old.clone()])), Some("then".into()));
        assert_eq!(time(&wish(false, vec![old])), Some("now".into()));
        assert_eq!(time(&wish(true, Vec::new())), Some("now".into()));
    }

    #[test]
    fn the_patch_says_which_generation_was_seen() {
        let patch = patch(&wish(true, Vec::new()), "now");
        let expected = json!({"status": {"conditions": [{
            "type": "istio.io/WaypointBound", "status": "True", "reason": "WaypointAccepted",
            "message": "bound to shop/w", "observedGeneration": 3, "lastTransitionTime": "now",
        }]}});
        assert_eq!(patch, expected);
    }
}
