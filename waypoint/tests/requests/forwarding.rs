//! Requests that go through: versions, bodies, connections, whom a tunnel is for.

use bytes::Bytes;
use http::StatusCode;
use mesh::model::AppProtocol;

use crate::app::{App, Speaks};
use crate::client::{get, post, with};
use crate::world::{World, bound, run, vip};

#[test]
fn a_bound_service_without_routes_is_reached() {
    run(|| async {
        let (world, _app) = World::web().await;
        let answer = world.client.get(&vip(80), "/a/b?c=d").await;
        assert_eq!(answer.status, 200);
        let said = answer.said();
        assert_eq!(said["app"], "web");
        assert_eq!(said["path"], "/a/b?c=d");
        assert_eq!(said["headers"]["host"], "web.shop");
        assert_eq!(said["headers"]["x-forwarded-proto"], "http");
        assert_eq!(said["headers"]["x-request-id"].as_str().unwrap().len(), 36);
        assert_eq!(answer.headers["server"], "istio-envoy");
        assert!(answer.headers.contains_key("x-envoy-upstream-service-time"));
        assert!(answer.headers.contains_key("date"));
    });
}

#[test]
fn every_version_reaches_every_version() {
    run(|| async {
        let mut world = World::new().await;
        let one = App::start("one", Speaks::Http1).await;
        let two = App::start("two", Speaks::Http2).await;
        world.service("web", 80, AppProtocol::Http11, &[&one]);
        world.service("grpc", 81, AppProtocol::Grpc, &[&two]);
        for (name, port, version) in [("web", 80, "HTTP/1.1"), ("grpc", 81, "HTTP/2.0")] {
            world.route(&bound(name, port));
            let authority = format!("{name}.shop.svc.cluster.local:{port}");
            let mut client = world.client.http1(&authority).await;
            let answer = client.ask(post("/x", "body")).await;
            assert_eq!(answer.said()["version"], version);
            assert_eq!(answer.said()["body"], "body");
            let mut client = world.client.http2(&authority).await;
            let answer = client.ask(post("/x", "body")).await;
            assert_eq!(answer.said()["version"], version);
            assert_eq!(answer.said()["body"], "body");
        }
    });
}

#[test]
fn connections_are_kept_on_both_sides() {
    run(|| async {
        let (world, app) = World::web().await;
        let mut client = world.client.http1(&vip(80)).await;
        for number in 1..=50 {
            let body = "x".repeat(number * 100);
            let answer = client.ask(post("/", body.clone())).await;
            assert_eq!(answer.said()["body"], body);
            assert_eq!(app.requests(), number);
        }
    });
}

#[test]
fn a_large_body_goes_through_whole() {
    run(|| async {
        let (world, _app) = World::web().await;
        let body: Bytes = vec![b'y'; 8 << 20].into();
        let mut client = world.client.http1(&vip(80)).await;
        let answer = client.ask(post("/", body.clone())).await;
        assert_eq!(answer.said()["body"].as_str().unwrap().len(), body.len());
        let mut client = world.client.http2(&vip(80)).await;
        let answer = client.ask(post("/", body.clone())).await;
        assert_eq!(answer.said()["body"].as_str().unwrap().len(), body.len());
    });
}

#[test]
fn what_is_not_served_here_is_refused_by_the_tunnel() {
    run(|| async {
        let (world, _app) = World::web().await;
        for (authority, status) in [
            ("10.9.9.9:80", StatusCode::NOT_FOUND),
            ("10.0.0.1:81", StatusCode::NOT_FOUND),
            ("other.shop.svc.cluster.local:80", StatusCode::NOT_FOUND),
        ] {
            let refused = world.client.stream(authority).await.err();
            assert_eq!(refused, Some(status), "{authority}");
        }
    });
}

#[test]
fn routes_that_cannot_be_used_and_have_no_earlier_version_refuse() {
    run(|| async {
        let (mut world, _app) = World::web().await;
        let mut bad = bound("web", 80);
        bad.own = vec![(80, 7)];
        assert!(world.writer.set_routes(&bad).is_err());
        world.writer.publish();
        assert_eq!(
            world.client.get(&vip(80), "/").await.status,
            200,
            "the last good version stays"
        );
        world.writer.remove_routes(&bad.key);
        assert!(world.writer.set_routes(&bad).is_err());
        world.writer.publish();
        let answer = world.client.get(&vip(80), "/").await;
        assert_eq!(answer.status, 503);
    });
}

#[test]
fn a_client_that_says_te_trailers_keeps_it() {
    run(|| async {
        let (world, _app) = World::web().await;
        let answer = world
            .client
            .ask(&vip(80), with("/", &[("te", "trailers")]))
            .await;
        assert_eq!(answer.said()["headers"]["te"], "trailers");
        let answer = world.client.ask(&vip(80), get("/")).await;
        assert!(answer.said()["headers"].get("te").is_none());
    });
}
