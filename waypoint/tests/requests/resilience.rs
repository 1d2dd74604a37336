//! Time-outs, retries, limits, ejection, drain.

use std::time::{Duration, Instant};

use mesh::model::AppProtocol;
use mesh::model::destination::{Limits, Outlier, TrafficPolicy};
use mesh::model::http::{Retry, RetryOn};

use crate::app::{App, Speaks};
use crate::client::{get, post, with};
use crate::world::{World, all, bound, routes, run, to, vip};

fn retry(attempts: u32, on: RetryOn) -> Option<Retry> {
    Some(Retry {
        attempts,
        on,
        backoff: Some(Duration::from_millis(1)),
        ..Retry::default()
    })
}

const ANY: RetryOn = RetryOn {
    any_5xx: true,
    gateway_error: false,
    reset: false,
    reset_before_request: false,
    connect_failure: false,
    refused_stream: false,
    retriable_4xx: false,
    rate_limited: false,
    cancelled: false,
    deadline_exceeded: false,
    internal: false,
    resource_exhausted: false,
    unavailable: false,
};

#[test]
fn what_takes_too_long_is_504_in_the_callers_words() {
    run(|| async {
        let (mut world, _app) = World::web().await;
        let mut slow = to(0);
        slow.timeout = Some(Duration::from_millis(100));
        world.route(&routes(&[], vec![(all(), slow)]));
        let begun = Instant::now();
        let answer = world.client.get(&vip(80), "/delay/5000").await;
        assert_eq!(
            (answer.status.as_u16(), answer.text()),
            (504, "upstream request timeout")
        );
        assert!(begun.elapsed() < Duration::from_secs(4));
        let call = with("/delay/5000", &[("content-type", "application/grpc")]);
        let answer = world.client.ask(&vip(80), call).await;
        assert_eq!(answer.headers["grpc-status"], "14");
        let answer = world.client.get(&vip(80), "/").await;
        assert_eq!(
            answer.said()["headers"]["x-envoy-expected-rq-timeout-ms"],
            "100"
        );
    });
}

#[test]
fn a_retry_hides_an_answer_of_failure_and_sends_the_body_again() {
    run(|| async {
        let (mut world, app) = World::web().await;
        let mut again = to(0);
        again.retry = retry(2, ANY);
        world.route(&routes(&[], vec![(all(), again)]));
        let answer = world.client.ask(&vip(80), post("/fail/2", "body")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.said()["body"], "body");
        assert_eq!(app.requests(), 3);
        let answer = world
            .client
            .ask(&vip(80), post("/status/503", "body"))
            .await;
        assert_eq!(answer.status, 503, "the last answer is the client's");
        assert_eq!(app.requests(), 6);
    });
}

#[test]
fn without_a_rule_for_it_a_503_is_not_tried_again() {
    run(|| async {
        let (world, app) = World::web().await;
        assert_eq!(world.client.get(&vip(80), "/status/503").await.status, 503);
        assert_eq!(app.requests(), 1);
    });
}

#[test]
fn connections_that_end_before_the_answer_are_503() {
    run(|| async {
        let (world, _app) = World::web().await;
        let answer = world.client.get(&vip(80), "/break").await;
        let text = "upstream connect error or disconnect/reset before headers. reset reason: connection termination";
        assert_eq!((answer.status.as_u16(), answer.text()), (503, text));
    });
}

#[test]
fn nobody_there_and_nobody_listening_are_told_apart() {
    run(|| async {
        let mut world = World::new().await;
        world.service("web", 80, AppProtocol::Http11, &[]);
        world.route(&bound("web", 80));
        let answer = world.client.get(&vip(80), "/").await;
        assert_eq!(
            (answer.status.as_u16(), answer.text()),
            (503, "no healthy upstream")
        );
        let (world, gone) = {
            let mut world = World::new().await;
            let gone = App::start("gone", Speaks::Http1).await;
            let closed = std::net::TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap();
            let gone = App { at: closed, ..gone };
            world.service("web", 80, AppProtocol::Http11, &[&gone]);
            world.route(&bound("web", 80));
            (world, gone)
        };
        let answer = world.client.get(&vip(80), "/").await;
        let text = "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure";
        assert_eq!((answer.status.as_u16(), answer.text()), (503, text));
        assert_eq!(gone.requests(), 0);
    });
}

#[test]
fn more_than_a_destination_allows_is_503_at_once() {
    run(|| async {
        let mut world = World::new().await;
        let app = App::start("web", Speaks::Http1).await;
        world.service("web", 80, AppProtocol::Http11, &[&app]);
        let mut limited = bound("web", 80);
        limited.destinations[0].policy = TrafficPolicy {
            limits: Limits {
                requests: 1,
                ..Limits::default()
            },
            ..TrafficPolicy::default()
        };
        world.route(&limited);
        let mut first = world.client.http1(&vip(80)).await;
        let mut second = world.client.http1(&vip(80)).await;
        let slow = first.ask(get("/delay/1000"));
        let quick = async {
            while app.requests() < 1 {
                tokio::task::yield_now().await;
            }
            second.ask(get("/")).await
        };
        let (slow, quick) = tokio::join!(slow, quick);
        assert_eq!(slow.status, 200);
        assert_eq!(quick.status, 503);
        assert_eq!(quick.headers["x-envoy-overloaded"], "true");
        assert_eq!(second.ask(get("/")).await.status, 200);
    });
}

#[test]
fn an_endpoint_that_fails_is_left_out() {
    run(|| async {
        let mut world = World::new().await;
        let app = App::start("web", Speaks::Http1).await;
        world.service("web", 80, AppProtocol::Http11, &[&app]);
        let mut watched = bound("web", 80);
        watched.destinations[0].policy.outlier = Some(Outlier {
            consecutive_5xx: 3,
            consecutive_gateway: 0,
            split_local: false,
            consecutive_local: 5,
            interval: Duration::from_secs(10),
            base_ejection: Duration::from_secs(30),
            max_ejection_percent: 100,
            min_health_percent: 0,
        });
        world.route(&watched);
        for _ in 0..3 {
            assert_eq!(world.client.get(&vip(80), "/status/500").await.status, 500);
        }
        let answer = world.client.get(&vip(80), "/").await;
        assert_eq!(
            (answer.status.as_u16(), answer.text()),
            (503, "no healthy upstream")
        );
        assert_eq!(app.requests(), 3);
    });
}

#[test]
fn requests_under_way_finish_when_the_waypoint_ends() {
    run(|| async {
        let (mut world, app) = World::web().await;
        let mut client = world.client.http1(&vip(80)).await;
        let mut two = world.client.http2(&vip(80)).await;
        let asked = async {
            let (one, two) =
                tokio::join!(client.ask(get("/delay/500")), two.ask(get("/delay/500")));
            (one, two)
        };
        let stopping = async {
            while app.requests() < 2 {
                tokio::task::yield_now().await;
            }
            world.stop(Duration::from_secs(10)).await;
        };
        let ((one, two), ()) = tokio::join!(asked, stopping);
        assert_eq!((one.status.as_u16(), two.status.as_u16()), (200, 200));
        assert_eq!(one.headers["connection"], "close");
    });
}
