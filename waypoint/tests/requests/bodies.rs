//! Bodies of requests that break, that wait to be asked for, and answers that nobody reads.

use std::time::Duration;

use mesh::model::AppProtocol;
use mesh::model::destination::Outlier;
use mesh::model::http::{Fraction, Mirror, Retry, RetryOn};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use waypoint::bytes::Peeked;

use crate::app::{App, Speaks};
use crate::client::{PATIENCE, get, post};
use crate::observed::{log_everything, logged};
use crate::plain::{Manner, Plain, requests};
use crate::world::{World, all, routes, run, to, vip};

/// `web` is this application: asked again whatever happens, left out after its first failure.
async fn strict(app: &App) -> World {
    let mut world = World::new().await;
    world.service("web", 80, AppProtocol::Http11, &[app]);
    let mut again = to(0);
    again.retry = Some(Retry {
        attempts: 1,
        on: RetryOn {
            any_5xx: true,
            reset: true,
            ..RetryOn::default()
        },
        backoff: Some(Duration::from_millis(1)),
        ..Retry::default()
    });
    let mut routes = routes(&[], vec![(all(), again)]);
    routes.destinations.first_mut().unwrap().policy.outlier = Some(Outlier {
        consecutive_5xx: 1,
        consecutive_gateway: 1,
        split_local: true,
        consecutive_local: 1,
        interval: Duration::from_secs(10),
        base_ejection: Duration::from_secs(30),
        max_ejection_percent: 100,
        min_health_percent: 0,
    });
    world.route(&routes);
    log_everything(&mut world);
    world
}

/// Reads until `end` has come, or until the end.
async fn hear(stream: &mut Peeked, end: &str) -> String {
    let mut heard = String::new();
    let mut piece = vec![0; 4096];
    while end.is_empty() || !heard.contains(end) {
        let reading = tokio::time::timeout(PATIENCE, stream.read(&mut piece)).await;
        match reading.unwrap_or_else(|_| panic!("no {end:?} in {heard:?}")) {
            Ok(length @ 1..) => {
                heard.push_str(&String::from_utf8_lossy(piece.get(..length).unwrap()))
            }
            _ => break,
        }
    }
    heard
}

const CHUNKED: &str = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";

#[test]
fn a_broken_body_is_the_clients_fault_whatever_of_it_was_sent_on() {
    run(|| async {
        for bytes in [
            "zz\r\n",
            "5\r\nhello\r\nzz\r\n",
            "5\r\nhelloo\r\n",
            "5\nhello\r\n",
            "fffffffffffffffff\r\n",
            "-5\r\nhello\r\n",
        ] {
            let plain = Plain::start(Manner::Waits).await;
            let world = strict(&plain.app).await;
            let heard = world
                .client
                .raw(&vip(80), format!("{CHUNKED}{bytes}").as_bytes())
                .await;
            assert!(heard.starts_with("HTTP/1.1 400 "), "{bytes:?}: {heard}");
            assert!(heard.contains("connection: close\r\n"), "{heard}");
            assert!(heard.ends_with("\r\n\r\nBad Request"), "{heard}");
            logged(&world, "POST / 400 DPE http1.codec_error").await;
            plain
                .until(|it| it.iter().all(|it| it.ends_with("<end>")))
                .await;
            let seen = plain.heard();
            assert!(seen.len() <= 1, "not tried again: {seen:?}");
            assert!(
                seen.iter().all(|it| !it.contains("\r\n0\r\n\r\n")),
                "the application must not take it for whole: {seen:?}"
            );
            // it would be left out had it counted
            assert_eq!(world.client.get(&vip(80), "/").await.status, 200);
        }
    });
}

#[test]
fn a_body_that_ends_too_early_is_not_the_endpoints_fault() {
    run(|| async {
        for body in [
            "content-length: 10\r\n\r\nhello",
            "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        ] {
            let plain = Plain::start(Manner::Waits).await;
            let world = strict(&plain.app).await;
            let mut stream = world.client.stream(&vip(80)).await.unwrap();
            let request = format!("POST / HTTP/1.1\r\nhost: a\r\n{body}");
            stream.write_all(request.as_bytes()).await.unwrap();
            plain
                .until(|it| it.iter().any(|it| it.contains("hello")))
                .await;
            stream.shutdown().await.unwrap();
            let heard = hear(&mut stream, "").await;
            assert!(heard.starts_with("HTTP/1.1 400 "), "{body:?}: {heard}");
            logged(&world, "POST / 400 DC downstream_remote_disconnect").await;
            plain.until(|it| it[0].ends_with("<end>")).await;
            assert!(!plain.heard()[0].contains("\r\n0\r\n\r\n"));
            assert_eq!(world.client.get(&vip(80), "/").await.status, 200);
        }
    });
}

#[test]
fn a_client_that_resets_its_stream_is_not_the_endpoints_fault() {
    run(|| async {
        let plain = Plain::start(Manner::Waits).await;
        let world = strict(&plain.app).await;
        let stream = world.client.stream(&vip(80)).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        mesh::lifecycle::task::spawn_local("client", connection);
        let mut sender = sender.ready().await.unwrap();
        let request = http::Request::post("http://web.shop/").body(()).unwrap();
        let (_answer, mut body) = sender.send_request(request, false).unwrap();
        body.send_data("hello".into(), false).unwrap();
        plain
            .until(|it| it.iter().any(|it| it.contains("hello")))
            .await;
        body.send_reset(h2::Reason::CANCEL);
        logged(&world, "POST / 0 DC downstream_remote_disconnect").await;
        plain.until(|it| it[0].ends_with("<end>")).await;
        assert!(!plain.heard()[0].contains("\r\n0\r\n\r\n"));
        assert_eq!(world.client.get(&vip(80), "/").await.status, 200);
    });
}

const EXPECTS: &str =
    "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";

#[test]
fn the_application_says_whether_a_client_that_asks_may_send_its_body() {
    run(|| async {
        let plain = Plain::start(Manner::Asks).await;
        let world = strict(&plain.app).await;
        let mut stream = world.client.stream(&vip(80)).await.unwrap();
        stream.write_all(EXPECTS.as_bytes()).await.unwrap();
        let heard = hear(&mut stream, "\r\n\r\n").await;
        assert_eq!(heard, "HTTP/1.1 100 Continue\r\n\r\n");
        let seen = &plain.heard()[0];
        assert!(seen.contains("expect: 100-continue\r\n"), "{seen}");
        assert!(seen.ends_with("\r\n\r\n"), "no body yet: {seen}");
        stream.write_all(b"body").await.unwrap();
        let heard = hear(&mut stream, "word").await;
        assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
        assert!(plain.heard()[0].ends_with("\r\n\r\nbody"));
        // and both connections go on
        stream.write_all(EXPECTS.as_bytes()).await.unwrap();
        assert!(
            hear(&mut stream, "\r\n\r\n")
                .await
                .starts_with("HTTP/1.1 100 ")
        );
        stream.write_all(b"body").await.unwrap();
        hear(&mut stream, "word").await;
        assert_eq!(plain.heard().len(), 1);
    });
}

#[test]
fn what_refuses_a_body_never_says_100() {
    run(|| async {
        let plain = Plain::start(Manner::Refuses).await;
        let mut world = strict(&plain.app).await;
        let heard = world.client.raw(&vip(80), EXPECTS.as_bytes()).await;
        assert!(heard.starts_with("HTTP/1.1 417 "), "{heard}");
        assert!(heard.contains("connection: close\r\n"), "{heard}");
        plain.until(|it| it[0].ends_with("<end>")).await;
        assert!(!plain.heard()[0].contains("body"));
        // what comes after an unread body is no request
        let smuggled = format!("{EXPECTS}GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n");
        let heard = world.client.raw(&vip(80), smuggled.as_bytes()).await;
        assert!(heard.starts_with("HTTP/1.1 417 "), "{heard}");
        assert_eq!(heard.matches("HTTP/1.1 ").count(), 1, "{heard}");
        let seen = plain.heard();
        assert!(seen.iter().all(|it| !it.contains("smuggled")), "{seen:?}");
        // nobody there
        world.route(&routes(&[], vec![(crate::world::below("/never"), to(0))]));
        let heard = world.client.raw(&vip(80), EXPECTS.as_bytes()).await;
        assert!(heard.starts_with("HTTP/1.1 404 "), "{heard}");
        assert_eq!(plain.heard().len(), seen.len());
    });
}

#[test]
fn an_application_that_does_not_know_100_gets_the_body_all_the_same() {
    run(|| async {
        let plain = Plain::start(Manner::Waits).await;
        let world = strict(&plain.app).await;
        let mut stream = world.client.stream(&vip(80)).await.unwrap();
        let request = format!("{EXPECTS}body");
        stream.write_all(request.as_bytes()).await.unwrap();
        let heard = hear(&mut stream, "word").await;
        assert!(heard.contains("HTTP/1.1 200 "), "{heard}");
        let other =
            "POST / HTTP/1.1\r\nhost: a\r\nexpect: wonders\r\ncontent-length: 4\r\n\r\nbody";
        stream.write_all(other.as_bytes()).await.unwrap();
        let heard = hear(&mut stream, "word").await;
        assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
        let seen = &plain.heard()[0];
        assert!(
            seen.contains("expect: wonders\r\n"),
            "the application's to judge: {seen}"
        );
    });
}

#[test]
fn answers_that_are_tried_again_or_only_copied_keep_their_connections() {
    run(|| async {
        let (busy, copied) = (
            Plain::start(Manner::Alternates).await,
            Plain::start(Manner::Waits).await,
        );
        let mut world = World::new().await;
        world.service("web", 80, AppProtocol::Http11, &[&busy.app]);
        world.service("copied", 80, AppProtocol::Http11, &[&copied.app]);
        let mut rule = to(0);
        rule.retry = Some(Retry {
            attempts: 1,
            on: RetryOn {
                any_5xx: true,
                ..RetryOn::default()
            },
            backoff: Some(Duration::from_millis(20)),
            ..Retry::default()
        });
        rule.mirrors = vec![Mirror {
            destination: 1,
            share: Fraction {
                numerator: 1,
                denominator: 1,
            },
        }];
        world.route(&routes(&["copied"], vec![(all(), rule)]));
        let mut client = world.client.http1(&vip(80)).await;
        for number in 1..=10 {
            assert_eq!(client.ask(post("/", "body")).await.status, 200);
            copied
                .until(|it| it.iter().map(|it| requests(it)).sum::<usize>() == number)
                .await;
        }
        let asked: usize = busy.heard().iter().map(|it| requests(it)).sum();
        assert_eq!(asked, 20, "each was tried again");
        assert!(busy.heard().len() <= 3, "{}", busy.heard().len());
        assert!(copied.heard().len() <= 3, "{}", copied.heard().len());
    });
}

#[test]
fn an_unread_answer_that_is_long_costs_its_connection_and_nothing_else() {
    run(|| async {
        let app = App::start("web", Speaks::Http1).await;
        let mut world = World::new().await;
        world.service("web", 80, AppProtocol::Http11, &[&app]);
        let mut rule = to(0);
        rule.retry = Some(Retry {
            attempts: 1,
            on: RetryOn {
                any_5xx: true,
                ..RetryOn::default()
            },
            backoff: Some(Duration::from_millis(1)),
            ..Retry::default()
        });
        world.route(&routes(&[], vec![(all(), rule)]));
        // the application says the body again, so that its answer is longer than what is read for nothing
        let long = "x".repeat(100_000);
        let mut client = world.client.http1(&vip(80)).await;
        let answer = client.ask(post("/fail/1", long.clone())).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.said()["body"], long);
        assert_eq!(client.ask(get("/")).await.status, 200);
    });
}
