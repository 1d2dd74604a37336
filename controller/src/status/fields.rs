//! Pure. The fields of a status patch: conditions with the time since when they hold.

use serde_json::{Map, Value, json};

use super::Wish;
use crate::translate::status::{Condition, Listed};

/// The patch that makes the object say what is wished. A condition that held before keeps its time;
/// one that is new or has turned gets `now` (RFC 3339). Of lists that others write into too it has our entries alone:
/// merging leaves the others as they are.
pub(super) fn patch(wish: &Wish, now: &str) -> Value {
    let mut status: Map<String, Value> = wish.status.fields.clone();
    if !wish.status.conditions.is_empty() {
        let conditions = &wish.status.conditions;
        let conditions = list(conditions, &wish.present, wish.generation, now);
        status.insert("conditions".to_owned(), conditions);
    }
    if let Some(listed) = &wish.status.listed {
        status.insert(listed.list.to_owned(), entries(listed, wish, now));
    }
    json!({ "status": status })
}

fn entries(listed: &Listed, wish: &Wish, now: &str) -> Value {
    let entries = listed.entries.iter().map(|entry| {
        let is_same = |one: &&Value| {
            let by = one.get("controllerName").and_then(Value::as_str);
            by == listed.controller && one.get(listed.key) == Some(&entry.about)
        };
        let before = wish.present_entries.iter().find(is_same);
        let before = before.and_then(|it| it.get("conditions")?.as_array());
        let before = before.map_or(&[][..], Vec::as_slice);
        let mut shown = Map::new();
        shown.insert(listed.key.to_owned(), entry.about.clone());
        if let Some(controller) = listed.controller {
            shown.insert("controllerName".to_owned(), controller.into());
        }
        shown.extend(entry.fields.clone());
        let conditions = list(&entry.conditions, before, wish.generation, now);
        shown.insert("conditions".to_owned(), conditions);
        Value::Object(shown)
    });
    Value::Array(entries.collect())
}

fn list(conditions: &[Condition], present: &[Value], generation: i64, now: &str) -> Value {
    let conditions = conditions.iter();
    let conditions = conditions.map(|it| condition(it, present, generation, now));
    Value::Array(conditions.collect())
}

fn condition(condition: &Condition, present: &[Value], generation: i64, now: &str) -> Value {
    let status = if condition.holds { "True" } else { "False" };
    let says = |one: &&Value, key: &str, value: &str| one.get(key).is_some_and(|it| it == value);
    let before = present.iter().find(|one| says(one, "type", condition.kind));
    let since = before
        .filter(|one| says(one, "status", status))
        .and_then(|one| one.get("lastTransitionTime")?.as_str())
        .unwrap_or(now);
    let mut shown = Map::new();
    shown.insert("type".to_owned(), condition.kind.into());
    shown.insert("status".to_owned(), status.into());
    shown.insert("reason".to_owned(), condition.reason.into());
    shown.insert("message".to_owned(), condition.message.as_str().into());
    if generation > 0 {
        shown.insert("observedGeneration".to_owned(), generation.into());
    }
    shown.insert("lastTransitionTime".to_owned(), since.into());
    Value::Object(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::status::{Spoken, Status};
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
                ..Status::default()
            },
            present,
            present_entries: Vec::new(),
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

    #[test]
    fn of_a_list_it_writes_its_own_entries_which_keep_their_time() {
        let parent = json!({"group": "", "kind": "Service", "name": "web"});
        let entry = |by: &str, since: &str| {
            json!({"parentRef": parent, "controllerName": by, "conditions": [
                {"type": "Accepted", "status": "True", "lastTransitionTime": since},
            ]})
        };
        let accepted = Condition {
            kind: "Accepted",
            holds: true,
            reason: "Accepted",
            message: "yes".to_owned(),
        };
        let wish = Wish {
            status: Status {
                listed: Some(Listed::parents(vec![Spoken::new(
                    parent.clone(),
                    vec![accepted],
                )])),
                ..Status::default()
            },
            present_entries: vec![
                entry("example.com/other", "long ago"),
                entry("istio.io/gateway-controller", "then"),
            ],
            ..wish(true, Vec::new())
        };
        let expected = json!({"status": {"parents": [{
            "parentRef": parent, "controllerName": "istio.io/gateway-controller", "conditions": [{
                "type": "Accepted", "status": "True", "reason": "Accepted", "message": "yes",
                "observedGeneration": 3, "lastTransitionTime": "then",
            }],
        }]}});
        assert_eq!(patch(&wish, "now"), expected);
    }
}
