//! Two replicas: both serve, one writes, and a graceful end hands over at once.

use std::time::Duration;

use e2e::api_server::{ApiServer, Settings};
use e2e::expect;
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{self, Program};

fn holder(server: &ApiServer) -> String {
    let lease = server.get(
        "leases.coordination.k8s.io",
        "weft-system",
        "weft-controller",
    );
    let holder = lease
        .as_ref()
        .and_then(|it| it.pointer("/spec/holderIdentity"));
    holder
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

async fn replica(folder: &TempDir, config: &str, name: &str) -> Program {
    let settings = [
        ("WEFT_SOURCE", "kubeconfig"),
        ("KUBECONFIG", config),
        ("POD_NAME", name),
    ];
    let state = folder.path().join(name);
    program::start(&state, &settings).await
}

fn policy(name: &str) -> Value {
    serde_json::json!({"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": {"name": name, "namespace": "shop"}, "spec": {"rules": [{}]}})
}

/// The managers that have written into an object's status.
fn speaks(server: &ApiServer, name: &str) -> bool {
    let live = server.get("authorizationpolicies.security.istio.io", "shop", name);
    let conditions = live
        .as_ref()
        .and_then(|it| it.pointer("/status/conditions"));
    conditions
        .and_then(Value::as_array)
        .is_some_and(|it| !it.is_empty())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_replicas_writes_and_the_other_takes_over_as_soon_as_it_ends() {
    let server = ApiServer::start(Settings::default()).await.unwrap();
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("config");
    server.kubeconfig(&config).unwrap();
    let config = config.to_str().unwrap();
    let wait = Duration::from_secs(10);
    let first = replica(&folder, config, "c-1").await;
    expect::wait(wait, || holder(&server).starts_with("c-1_")).await;
    let second = replica(&folder, config, "c-2").await;

    server.put(policy("one")).unwrap();
    expect::wait(wait, || speaks(&server, "one")).await;
    let lost = "leases/weft-controller?fieldManager";
    let renewed = server.asked("PUT", lost);
    expect::wait(wait, || server.asked("PUT", lost) > renewed).await;
    assert!(holder(&server).starts_with("c-1_"), "it keeps the lease");
    assert_eq!(
        server.asked("PATCH", "authorizationpolicies"),
        1,
        "one writes"
    );

    let begun = std::time::Instant::now();
    first.stop().await;
    server.put(policy("two")).unwrap();
    expect::wait(wait, || speaks(&server, "two")).await;
    assert!(holder(&server).starts_with("c-2_"));
    // Sooner than a lease runs out.
    assert!(begun.elapsed() < controller::lead::DURATION);
    assert_eq!(
        server.asked("PATCH", "authorizationpolicies"),
        2,
        "what stands there is not written again"
    );
    second.stop().await;
    assert_eq!(holder(&server), "");
}
