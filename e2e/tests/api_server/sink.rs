//! Writing to a server that is not alone with us, and that refuses at times.

use std::time::Duration;

use e2e::api_server::{ApiServer, Refuse, Settings};
use objects::kinds::{Key, Kind};
use objects::sink::Sink;
use objects::sink::api_server::{ApiServerSink, Ours};
use serde_json::{Value, json};

use crate::follower::api;

const MANAGER: &str = "weft-test";
const OURS: Ours = Ours {
    manager: MANAGER,
    conditions: &["Bound", "Other"],
    controllers: &["weft.dev/c"],
    fields: &[],
};

fn service() -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"}, "spec": {},
        "status": {"conditions": [{"type": "Theirs", "status": "True"}]}})
}

fn key() -> Key {
    Key::new(Kind::Service, "shop", "web")
}

fn says(conditions: &[&str]) -> Value {
    let one = |kind: &&str| json!({"type": kind, "status": "True"});
    json!({"status": {"conditions": conditions.iter().map(one).collect::<Vec<_>>()}})
}

fn types(server: &ApiServer) -> Vec<String> {
    let live = server.get("services", "shop", "web").unwrap();
    let conditions = live.pointer("/status/conditions").and_then(Value::as_array);
    let conditions = conditions.into_iter().flatten();
    conditions
        .filter_map(|it| it.get("type")?.as_str().map(str::to_owned))
        .collect()
}

async fn both() -> (ApiServer, ApiServerSink) {
    let server = ApiServer::start(Settings::default()).await.unwrap();
    server.put(service()).unwrap();
    let sink = ApiServerSink::new(api(&server).await, OURS);
    (server, sink)
}

#[tokio::test]
async fn conditions_of_others_stay_and_nothing_is_written_twice() {
    let (server, sink) = both().await;
    sink.patch(MANAGER, &key(), None, says(&["Bound", "Other"]))
        .await
        .unwrap();
    assert_eq!(types(&server), ["Theirs", "Bound", "Other"]);
    let patches = server.asked("PATCH", "");
    sink.patch(MANAGER, &key(), None, says(&["Bound", "Other"]))
        .await
        .unwrap();
    assert_eq!(server.asked("PATCH", ""), patches, "it says so already");
    // Another sink, as after a restart, knows what was ours.
    let sink = ApiServerSink::new(api(&server).await, OURS);
    sink.patch(MANAGER, &key(), None, says(&["Bound"]))
        .await
        .unwrap();
    assert_eq!(types(&server), ["Theirs", "Bound"]);
    sink.remove(MANAGER, &key()).await.unwrap();
    assert_eq!(types(&server), ["Theirs"]);
}

#[tokio::test]
async fn what_another_wrote_meanwhile_is_not_lost_and_refusals_are_outlived() {
    let (server, sink) = both().await;
    let refuse = |code, reason| Refuse {
        method: "PATCH",
        part: "services/web/status".to_owned(),
        times: 1,
        code,
        reason,
        retry_after: 0,
    };
    server.misbehave(|it| {
        it.refuse.push(refuse(429, "TooManyRequests"));
        it.refuse.push(refuse(500, "InternalError"));
        it.refuse.push(refuse(409, "Conflict"));
    });
    let begun = std::time::Instant::now();
    let others = async {
        // Between the read and the write of some try.
        e2e::expect::wait(Duration::from_secs(5), || server.asked("PATCH", "") >= 1).await;
        let mut live = server.get("services", "shop", "web").unwrap();
        if let Some(Value::Array(list)) = live.pointer_mut("/status/conditions") {
            list.push(json!({"type": "Late", "status": "True"}));
        }
        server.put(live).unwrap();
    };
    let key = key();
    let (written, ()) = tokio::join!(sink.patch(MANAGER, &key, None, says(&["Bound"])), others);
    written.unwrap();
    assert_eq!(types(&server), ["Theirs", "Late", "Bound"]);
    assert!(server.asked("PATCH", "") >= 4 && begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_later_object_of_the_same_name_and_one_that_is_gone_are_left_alone() {
    let (server, sink) = both().await;
    sink.patch(MANAGER, &key(), Some("another"), says(&["Bound"]))
        .await
        .unwrap();
    assert_eq!(types(&server), ["Theirs"]);
    server.remove("services", "shop", "web");
    sink.patch(MANAGER, &key(), None, says(&["Bound"]))
        .await
        .unwrap();
    sink.remove(MANAGER, &key()).await.unwrap();
    assert!(server.get("services", "shop", "web").is_none());
}

#[tokio::test]
async fn what_the_server_calls_invalid_is_not_tried_again() {
    let (server, sink) = both().await;
    server.misbehave(|it| {
        it.refuse.push(Refuse {
            method: "PATCH",
            part: String::new(),
            times: 100,
            code: 422,
            reason: "Invalid",
            retry_after: 0,
        });
    });
    let error = sink
        .patch(MANAGER, &key(), None, says(&["Bound"]))
        .await
        .unwrap_err();
    assert!(error.is_final());
    assert_eq!(server.asked("PATCH", ""), 1);
}

#[tokio::test]
async fn an_applied_object_is_ours_until_it_is_removed() {
    let (server, sink) = both().await;
    let map = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "root", "namespace": "shop"}, "data": data});
    sink.apply(MANAGER, map(json!({"a": "1", "b": "1"})))
        .await
        .unwrap();
    let first = server.get("configmaps", "shop", "root").unwrap();
    sink.apply(MANAGER, map(json!({"a": "1", "b": "1"})))
        .await
        .unwrap();
    assert_eq!(
        server.get("configmaps", "shop", "root").unwrap(),
        first,
        "no new version"
    );
    sink.apply(MANAGER, map(json!({"b": "2"}))).await.unwrap();
    let second = server.get("configmaps", "shop", "root").unwrap();
    assert_eq!(second.get("data"), Some(&json!({"b": "2"})));
    let key = Key::new(Kind::ConfigMap, "shop", "root");
    sink.remove("somebody", &key).await.unwrap();
    assert!(server.get("configmaps", "shop", "root").is_some());
    sink.remove(MANAGER, &key).await.unwrap();
    assert!(server.get("configmaps", "shop", "root").is_none());
}

#[tokio::test]
async fn a_pod_s_mark_comes_and_goes_and_other_annotations_stay() {
    use cni::agent::mark::{Marker, Redirection};
    let server = ApiServer::start(Settings::default()).await.unwrap();
    let mut pod = crate::follower::pod("web", "a");
    pod["metadata"]["annotations"] = serde_json::json!({"note": "x"});
    server.put(pod).unwrap();
    let ours = Ours {
        manager: "cni",
        conditions: &[],
        controllers: &[],
        fields: &[],
    };
    let sink = ApiServerSink::new(api(&server).await, ours);
    let marker = Marker::new(std::sync::Arc::new(sink));
    let key = Key::new(Kind::Pod, "shop", "web");
    let annotations = || {
        let pod = server.get("pods", "shop", "web").unwrap();
        pod["metadata"]["annotations"].clone()
    };
    let pod = server.get("pods", "shop", "web").unwrap();
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    marker.mark(&key, uid, Redirection::Enabled).await.unwrap();
    let marked = serde_json::json!({"note": "x", "ambient.istio.io/redirection": "enabled"});
    assert_eq!(annotations(), marked);
    marker.unmark(&key).await.unwrap();
    assert_eq!(annotations(), serde_json::json!({"note": "x"}));
}
