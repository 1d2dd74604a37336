//! Tables of answers, and what they prove.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;

fn good() -> Value {
    json!({"status": {"authenticated": true, "audiences": ["istio-ca"], "user": {
        "username": "system:serviceaccount:shop:web",
        "extra": {POD_NAME: ["web-1"], POD_UID: ["u1"], NODE_NAME: ["a"], "other": ["x", "y"]},
    }}})
}

fn read(edit: impl FnOnce(&mut Value)) -> Result<Proven, &'static str> {
    let mut review = good();
    edit(&mut review);
    Proven::read(&review, &["istio-ca".to_owned()]).map_err(|error| error.word())
}

#[test]
fn a_good_answer_names_account_pod_and_node() {
    let proven = read(|_| {}).unwrap();
    let caller = proven.caller(TrustDomain::default()).unwrap();
    assert_eq!(
        caller.identity.to_string(),
        "spiffe://cluster.local/ns/shop/sa/web"
    );
    let pod = caller.pod.unwrap();
    assert_eq!((&*pod.name, &*pod.uid), ("web-1", "u1"));
    assert_eq!(caller.node.as_deref(), Some("a"));
}

#[test]
fn a_token_that_is_bound_to_no_pod_proves_an_account_alone() {
    let proven = read(|it| it["status"]["user"]["extra"] = json!({})).unwrap();
    assert_eq!((proven.pod, proven.node), (None, None));
}

#[test]
fn every_other_answer_proves_nobody() {
    let set = |pointer: &'static str, value: Value| {
        read(move |it| *it.pointer_mut(pointer).unwrap() = value)
    };
    for (pointer, value, word) in [
        ("/status", json!({}), "refused"),
        ("/status/authenticated", json!(false), "refused"),
        ("/status/authenticated", json!("true"), "refused"),
        // An API server that does not know audiences says none.
        ("/status/audiences", json!([]), "audience"),
        (
            "/status/audiences",
            json!(["https://kubernetes.default.svc"]),
            "audience",
        ),
        ("/status/user/username", json!("system:node:a"), "claim"),
        (
            "/status/user/username",
            json!("system:serviceaccount:shop"),
            "claim",
        ),
        ("/status/user/extra", json!({POD_NAME: ["web-1"]}), "claim"),
        ("/status/user/extra", json!({POD_UID: ["u1"]}), "claim"),
        (
            "/status/user/extra",
            json!({POD_NAME: ["a", "b"], POD_UID: ["u1"]}),
            "claim",
        ),
        (
            "/status/user/extra",
            json!({POD_NAME: [""], POD_UID: ["u1"]}),
            "claim",
        ),
        (
            "/status/user/extra",
            json!({NODE_NAME: ["a", "b"]}),
            "claim",
        ),
    ] {
        assert_eq!(set(pointer, value.clone()), Err(word), "{pointer}: {value}");
    }
    let proven = set(
        "/status/user/username",
        json!("system:serviceaccount:shop:we/b"),
    )
    .unwrap();
    assert!(proven.caller(TrustDomain::default()).is_err());
}

#[test]
fn what_is_no_token_is_not_asked_about() {
    for (bearer, is_fine) in [
        ("aa.bb.cc", true),
        ("a-_9.b.c", true),
        ("", false),
        ("aa.bb", false),
        ("aa.bb.cc.dd", false),
        ("aa..cc", false),
        ("aa.b b.cc", false),
    ] {
        assert_eq!(check_shape(bearer).is_ok(), is_fine, "{bearer}");
    }
    assert!(check_shape(&format!("a.{}.c", "b".repeat(LENGTH_LIMIT))).is_err());
}

#[test]
fn answers_are_remembered_for_a_while_and_within_bounds() {
    let (mut memory, now) = (Memory::default(), Instant::now());
    let proven = read(|_| {}).unwrap();
    for number in 0..MEMORY + 10 {
        memory.keep(&number.to_string(), proven.clone(), now);
    }
    assert_eq!(memory.answers.len(), MEMORY);
    assert_eq!(memory.find("7", now), Some(proven.clone()));
    let later = now + REMEMBERED;
    assert_eq!(memory.find("7", later), None);
    memory.keep("new", proven, later + Duration::from_secs(1));
    assert_eq!(memory.answers.len(), 1, "the old ones made room");
}
