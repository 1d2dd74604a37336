//! The source and a server that behaves.

use e2e::api_server::{ApiServer, Settings};
use objects::kinds::Kind;
use objects::watch::api_server::Watched;
use serde_json::json;

use crate::follower::{Follower, namespace, pod};

const PODS: usize = 1203;

#[tokio::test]
async fn the_first_batch_is_everything_whether_lists_are_streamed_or_paged() {
    for streaming_lists in [true, false] {
        let settings = Settings {
            streaming_lists,
            ..Settings::default()
        };
        let server = ApiServer::start(settings).await.unwrap();
        for number in 0..PODS {
            server.put(pod(&format!("p{number}"), "a")).unwrap();
        }
        server.put(namespace("shop")).unwrap();
        let watched = vec![
            Watched::whole(Kind::Pod),
            Watched::metadata(Kind::Namespace),
            Watched::whole(Kind::HTTPRoute),
        ];
        let mut follower = Follower::new(&server, watched).await;
        let batch = follower.next().await;
        assert_eq!(batch.changes.len(), PODS + 1);
        follower.agree(&server, &["pods", "namespaces"]).await;
        let pages = server.asked("GET", "/api/v1/pods?limit=500");
        assert_eq!(pages, if streaming_lists { 0 } else { 3 });

        server.put(pod("p7", "b")).unwrap();
        server.remove("pods", "shop", "p8");
        server.put(pod("late", "a")).unwrap();
        let route = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": "r", "namespace": "shop"}, "spec": {}});
        server.put(route).unwrap();
        let resources = ["pods", "namespaces", "httproutes.gateway.networking.k8s.io"];
        follower.agree(&server, &resources).await;
        assert_eq!(follower.changes, PODS + 1 + 4, "nothing is said twice");
    }
}

#[tokio::test]
async fn whoever_asks_for_one_node_hears_of_its_pods_alone() {
    let on = |name: &str, node: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"nodeName": node}})
    };
    for streaming_lists in [true, false] {
        let settings = Settings {
            streaming_lists,
            ..Settings::default()
        };
        let server = ApiServer::start(settings).await.unwrap();
        server.put(on("ours", "n1")).unwrap();
        server.put(on("theirs", "n2")).unwrap();
        let mut follower = Follower::new(&server, vec![Watched::pods_of("n1")]).await;
        let names = |batch: objects::change::Batch| -> Vec<String> {
            batch.changes.into_iter().map(|it| it.key.name).collect()
        };
        assert_eq!(names(follower.next().await), ["ours"]);
        server.put(on("theirs-2", "n2")).unwrap();
        server.put(on("ours-2", "n1")).unwrap();
        assert_eq!(names(follower.next().await), ["ours-2"]);
        server.remove("pods", "shop", "theirs");
        server.remove("pods", "shop", "ours");
        assert_eq!(names(follower.next().await), ["ours"]);
        assert_eq!(follower.known.len(), 1);
    }
}

#[tokio::test]
async fn a_server_with_tls_is_reached_through_its_own_ca() {
    let settings = Settings {
        tls: true,
        ..Settings::default()
    };
    let server = ApiServer::start(settings).await.unwrap();
    server.put(pod("a", "a")).unwrap();
    let mut follower = Follower::new(&server, vec![Watched::whole(Kind::Pod)]).await;
    follower.agree(&server, &["pods"]).await;
    assert_eq!(follower.known.len(), 1);
}

#[tokio::test]
async fn a_custom_resource_may_be_absent_and_is_read_in_the_version_that_is_served() {
    let server = ApiServer::start(Settings::default()).await.unwrap();
    server.serve_resource("telemetries.telemetry.istio.io", false);
    let watched = vec![Watched::whole(Kind::Telemetry), Watched::whole(Kind::Pod)];
    server.put(pod("a", "a")).unwrap();
    let mut follower = Follower::new(&server, watched).await;
    follower.next().await;
    assert_eq!(
        follower.known.len(),
        1,
        "nobody waits for what is not there"
    );
    let asked = server.asked("GET", "/apis/telemetry.istio.io/v1");
    assert_eq!(asked, 2, "once per version, and not again soon");
}

#[tokio::test]
async fn a_broken_object_keeps_its_last_good_version_and_is_a_problem_that_names_it() {
    let server = ApiServer::start(Settings::default()).await.unwrap();
    let service = |port: serde_json::Value| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"ports": [{"port": port}]}})
    };
    server.put(service(json!(80))).unwrap();
    let mut follower = Follower::new(&server, vec![Watched::whole(Kind::Service)]).await;
    follower.next().await;
    server.put(service(json!("eighty"))).unwrap();
    let batch = follower.next().await;
    assert!(batch.changes.is_empty());
    let shown = follower.problems[0].to_string();
    assert!(
        shown.starts_with("Service shop/web: spec.ports[0].port: "),
        "{shown}"
    );
    server.put(service(json!(81))).unwrap();
    follower.agree(&server, &["services"]).await;
    assert!(follower.problems.is_empty());
}
