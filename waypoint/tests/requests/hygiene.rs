//! Requests that are malformed, too large, smuggled; upgrades.

use std::time::Duration;

use mesh::model::destination::Outlier;

use crate::client::with;
use crate::world::{World, bound, run, vip};

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn malformed_requests_are_refused_and_harm_nobody() {
    run(|| async {
        let (world, app) = World::web().await;
        let long = "x".repeat(70_000);
        let many: String = (0..120).map(|it| format!("x-{it}: 1\r\n")).collect();
        for (request, expected) in [
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400"),
            ("GET / HTTP/1.0\r\nhost: a\r\n\r\n".to_owned(), "426"),
            (
                "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_owned(),
                "400",
            ),
            ("GET /a%00 HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), "400"),
            (
                "GET / HTTP/1.1\r\nhost: a\r\n folded: b\r\n\r\n".to_owned(),
                "400",
            ),
            (
                "GET / HTTP/1.1\r\nhost: a\r\nbad name: b\r\n\r\n".to_owned(),
                "400",
            ),
            ("GET / HTTP/1.1\r\nhost : a\r\n\r\n".to_owned(), "400"),
            ("GET  / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), "400"),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd"
                    .to_owned(),
                "400",
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -3\r\n\r\n".to_owned(),
                "400",
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +3\r\n\r\nabc".to_owned(),
                "400",
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(),
                "400",
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
                    .to_owned(),
                "501",
            ),
            (
                format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}\r\n\r\n"),
                "431",
            ),
            (format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"), "431"),
            (
                "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n".to_owned(),
                "404",
            ),
        ] {
            // the last request of the connection, whatever becomes of it
            let heard = world.client.raw(&vip(80), request.as_bytes()).await;
            let head: String = request.chars().take(60).collect();
            let status = heard.split(' ').nth(1);
            assert_eq!(status, Some(expected), "{head:?}: {heard:?}");
        }
        assert_eq!(app.requests(), 0);
        assert_eq!(world.client.get(&vip(80), "/").await.status, 200);
    });
}

#[test]
fn a_body_that_is_none_is_the_client_s_fault_and_nobody_else_s() {
    run(|| async {
        let (mut world, _app) = World::web().await;
        let mut watched = bound("web", 80);
        watched.destinations[0].policy.outlier = Some(Outlier {
            consecutive_5xx: 1,
            consecutive_gateway: 1,
            split_local: false,
            consecutive_local: 1,
            interval: Duration::from_secs(10),
            base_ejection: Duration::from_secs(30),
            max_ejection_percent: 100,
            min_health_percent: 0,
        });
        world.route(&watched);
        let head = "POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        for body in ["x\r\n", "2\r\nabcd\r\n", "fffffffffffffffff\r\n"] {
            let request = format!("{head}{body}");
            let heard = world.client.raw(&vip(80), request.as_bytes()).await;
            assert!(heard.starts_with("HTTP/1.1 400 "), "{body:?}: {heard:?}");
            assert!(heard.contains("connection: close\r\n"), "{heard:?}");
            assert_eq!(heard.matches("HTTP/1.1 ").count(), 1, "{heard:?}");
            // Whoever was to have it is as good as before.
            assert_eq!(world.client.get(&vip(80), "/").await.status, 200);
        }
        let page = world.registry.encode().unwrap();
        let is_counted = |line: &str| {
            line.starts_with("istio_requests_total{")
                && line.contains("response_code=\"400\"")
                && line.contains("response_flags=\"DPE\"")
                && line.ends_with(" 3")
        };
        assert!(page.lines().any(is_counted), "{page}");
    });
}

#[test]
fn heads_are_limited_over_http2_too() {
    run(|| async {
        let (world, app) = World::web().await;
        let mut client = world.client.http2(&vip(80)).await;
        let names: Vec<_> = (0..120).map(|it| format!("x-{it}")).collect();
        let many: Vec<_> = names.iter().map(|it| (it.as_str(), "1")).collect();
        assert_eq!(client.ask(with("/", &many)).await.status, 431);
        let long = "x".repeat(70_000);
        assert_eq!(client.ask(with("/", &[("x", &long)])).await.status, 431);
        assert_eq!(app.requests(), 0);
        assert_eq!(client.ask(with("/", &[])).await.status, 200);
    });
}

#[test]
fn upgrades_that_are_not_offered_are_refused() {
    run(|| async {
        let (world, app) = World::web().await;
        let upgrade = |to| with("/", &[("connection", "upgrade"), ("upgrade", to)]);
        assert_eq!(
            world.client.ask(&vip(80), upgrade("other")).await.status,
            403
        );
        assert_eq!(app.requests(), 0);
        assert_eq!(world.client.ask(&vip(80), upgrade("h2c")).await.status, 200);
    });
}

#[test]
fn of_two_lengths_the_chunks_count_and_the_other_goes_no_further() {
    run(|| async {
        let (world, app) = World::web().await;
        for lengths in [
            "content-length: 3\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 3",
        ] {
            let request = format!(
                "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{lengths}\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            );
            let heard = world.client.raw(&vip(80), request.as_bytes()).await;
            assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
            assert!(heard.contains("\"body\":\"hello\""), "{heard}");
            assert!(
                heard.contains("\"transfer-encoding\":\"chunked\""),
                "{heard}"
            );
            assert!(!heard.contains("\"content-length\""), "{heard}");
        }
        assert_eq!(app.requests(), 2, "what follows is no request of its own");
    });
}
