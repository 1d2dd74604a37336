//! The real xDS client against the real server, over TLS on loopback.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod harness;
mod raw;

use std::time::Duration;

use controller::publish::Settings;
use controller::publish::session::PageSize;
use controller::resources::{Audience, Links, Upsert};
use harness::{Follower, World, one, pairs, until};
use mesh::xds::{Mode, Root};
use proto::type_urls::{ADDRESS, AUTHORIZATION};

fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("w{n:04}"))
}

#[tokio::test]
async fn one_change_among_two_thousand_sends_one_resource() {
    let world = World::new();
    let server = world.serve();
    server
        .resources
        .update(ADDRESS, pairs(names(2_000), "1"), vec![]);
    server
        .resources
        .update(AUTHORIZATION, one("ns/p", "1"), vec![]);
    server.resources.complete();
    let client = world.client();
    client.ready().await;
    assert_eq!(client.len(), 2_001);
    let counters = server.resources.update(ADDRESS, one("w0700", "2"), vec![]);
    assert_eq!((counters.recomputed, counters.changed), (1, 1));
    until("the change arrives", || {
        client.holds(ADDRESS, "w0700").is_some_and(|b| b == "2")
    })
    .await;
    assert_eq!(server.sent(ADDRESS), 2_001);
    assert_eq!(client.received(), 2_001);
    until("the last push is acknowledged", || {
        let counters = server.counters(ADDRESS);
        counters.acks == counters.pushes
    })
    .await;
}

#[tokio::test]
async fn large_meshes_come_in_pages_and_readiness_waits_for_the_last() {
    let world = World::new();
    let page = PageSize {
        entries: 100,
        bytes: 1 << 20,
    };
    let server = world.serve_with(Settings {
        page,
        ..Settings::default()
    });
    server
        .resources
        .update(ADDRESS, pairs(names(2_000), "1"), vec![]);
    server.resources.complete();
    let client = world.client();
    client.ready().await;
    assert_eq!(client.len(), 2_000);
    assert!(server.counters(ADDRESS).pushes >= 20);
}

#[tokio::test]
async fn a_restarted_server_with_the_same_content_resends_nothing() {
    let world = World::new();
    let server = world.serve();
    server
        .resources
        .update(ADDRESS, pairs(names(500), "1"), vec![]);
    server
        .resources
        .update(AUTHORIZATION, one("ns/p", "1"), vec![]);
    server.resources.complete();
    let client = world.client();
    client.ready().await;
    drop(server);

    let server = world.serve();
    // Published in another order and in two steps; the content is what counts.
    let mut all = pairs(names(500), "1");
    all.reverse();
    server
        .resources
        .update(AUTHORIZATION, one("ns/p", "1"), vec![]);
    server.resources.update(ADDRESS, all, vec![]);
    server.resources.complete();
    until("the client is back", || server.counters(ADDRESS).acks > 0).await;
    assert_eq!(server.sent(ADDRESS) + server.sent(AUTHORIZATION), 0);
    assert_eq!(client.received(), 500);
    assert_eq!(client.len(), 501);
    assert!(client.handle.counters().terminations.total() >= 1);
}

#[tokio::test]
async fn what_happened_while_away_is_made_up_for() {
    let world = World::new();
    let server = world.serve();
    server
        .resources
        .update(ADDRESS, pairs(names(10), "1"), vec![]);
    server.resources.complete();
    let client = world.client();
    client.ready().await;
    drop(server);

    let server = world.serve();
    let rest = names(10).filter(|name| name != "w0003");
    server.resources.update(ADDRESS, pairs(rest, "1"), vec![]);
    server.resources.update(ADDRESS, one("w0004", "2"), vec![]);
    assert_eq!(
        client.len(),
        10,
        "the last state stays while the server is away"
    );
    server.resources.complete();
    until("the removal arrives", || {
        client.holds(ADDRESS, "w0003").is_none()
    })
    .await;
    assert_eq!(client.holds(ADDRESS, "w0004").unwrap(), "2");
    assert_eq!(server.sent(ADDRESS), 1);
    assert_eq!(server.counters(ADDRESS).removed, 1);
}

#[tokio::test]
async fn a_server_that_starts_up_takes_nothing_away() {
    let world = World::new();
    let server = world.serve();
    server
        .resources
        .update(ADDRESS, pairs(names(10), "1"), vec![]);
    server.resources.complete();
    let client = world.client();
    client.ready().await;
    drop(server);

    let server = world.serve();
    until("the client is back", || server.service.counters().open == 1).await;
    server
        .resources
        .update(ADDRESS, pairs(names(10), "1"), vec![]);
    server.resources.complete();
    until("it is answered", || server.counters(ADDRESS).acks > 0).await;
    assert_eq!(client.counters().removed, 0);
    assert_eq!(client.len(), 10);
}

#[tokio::test]
async fn good_resources_are_taken_beside_a_refused_one() {
    let world = World::new();
    let server = world.serve();
    server.resources.update(ADDRESS, one("a", "1"), vec![]);
    server.resources.update(ADDRESS, one("b", "1"), vec![]);
    server.resources.complete();
    let client = world.client();
    client.ready().await;
    let both = [one("a", "bad"), one("b", "2")].concat();
    server.resources.update(ADDRESS, both, vec![]);
    until("the refusal arrives", || {
        server.counters(ADDRESS).nacks == 1
    })
    .await;
    assert_eq!(
        client.holds(ADDRESS, "a").unwrap(),
        "1",
        "the last good one"
    );
    assert_eq!(client.holds(ADDRESS, "b").unwrap(), "2");
    assert_eq!(client.counters().rejects, 1);
    // Not sent again by itself; the next version is.
    server.resources.update(ADDRESS, one("a", "3"), vec![]);
    until("the next version arrives", || {
        client.holds(ADDRESS, "a").is_some_and(|b| b == "3")
    })
    .await;
    assert_eq!(server.sent(ADDRESS), 2 + 2 + 1);
}

#[tokio::test]
async fn asks_for_names_on_demand() {
    let world = World::new();
    let server = world.serve();
    let upsert = |name: &str, alias: &str, service: Option<&str>| Upsert {
        name: name.into(),
        bytes: "1".into(),
        links: Links {
            aliases: vec![alias.into()],
            services: service.into_iter().map(str::to_owned).collect(),
            node: None,
            is_scoped: false,
        },
        audience: Audience::everyone(),
    };
    let all = vec![
        upsert("ns/s", "/10.96.0.1", None),
        upsert("w1", "/10.0.0.1", Some("ns/s")),
        upsert("w2", "/10.0.0.2", None),
    ];
    server.resources.update(ADDRESS, all, vec![]);
    server.resources.complete();
    let client = Follower::start(world.config(), Mode::OnDemand);
    client.ready().await;
    assert_eq!(client.len(), 0);
    let demand = client.handle.demand().clone();
    let long = Duration::from_secs(20);
    demand.fetch(ADDRESS, "/10.96.0.1", long).await.unwrap();
    assert!(client.holds(ADDRESS, "ns/s").is_some() && client.holds(ADDRESS, "w1").is_some());
    assert_eq!(client.len(), 2);
    demand.fetch(ADDRESS, "/10.0.0.9", long).await.unwrap();
    let sent = server.counters(ADDRESS).pushes;
    demand.fetch(ADDRESS, "/10.0.0.9", long).await.unwrap();
    assert_eq!(server.counters(ADDRESS).pushes, sent, "known not to exist");
    server
        .resources
        .update(ADDRESS, vec![upsert("w9", "/10.0.0.9", None)], vec![]);
    until("it exists now", || client.holds(ADDRESS, "w9").is_some()).await;
    drop(server);
    let short = Duration::from_millis(50);
    let error = demand
        .fetch(ADDRESS, "/10.0.0.77", short)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("/10.0.0.77"), "{error}");
}

#[tokio::test]
async fn a_drained_server_ends_its_streams_and_the_client_comes_back() {
    let world = World::new();
    let mut server = world.serve();
    server.resources.complete();
    let client = world.client();
    client.ready().await;
    server.drain();
    until("the stream ended in the ordinary way", || {
        client.handle.counters().terminations.reconnect >= 1
    })
    .await;
}

#[tokio::test]
async fn reads_token_and_root_again_for_every_stream() {
    let world = World::new();
    let server = world.serve();
    server.resources.complete();
    let root = std::fs::read(world.root_file()).unwrap();
    std::fs::write(world.token_file(), "stale").unwrap();
    std::fs::write(world.root_file(), "no certificate").unwrap();
    let client = world.client();
    until("the root is of no use", || {
        client.handle.counters().terminations.connection_error > 0
    })
    .await;
    std::fs::write(world.root_file(), root).unwrap();
    until("the token is refused", || {
        server.service.counters().refused.contains_key("no_token")
    })
    .await;
    std::fs::write(world.token_file(), "good").unwrap();
    client.ready().await;
}

#[tokio::test]
async fn believes_only_a_server_with_an_expected_name() {
    let world = World::named("weft-controller.weft-system.svc");
    let server = world.serve();
    server.resources.complete();
    let client = world.client();
    until("the name is wrong", || {
        client.handle.counters().terminations.connection_error > 1
    })
    .await;
    assert!(!client.handle.is_ready());
    let mut config = world.config();
    config.alt_hostname = Some("weft-controller.weft-system.svc".into());
    config.root = Root::Inline(std::fs::read(world.root_file()).unwrap());
    Follower::start(config, Mode::Wildcard).ready().await;
}

#[tokio::test]
async fn a_client_that_does_not_answer_holds_nobody_back() {
    let world = World::new();
    let server = world.serve();
    server
        .resources
        .update(ADDRESS, pairs(names(10), "0"), vec![]);
    server.resources.complete();
    let mut slow = raw::Stream::open(&world, "good").await.unwrap();
    slow.subscribe(AUTHORIZATION).await;
    let policies = slow.next().await.unwrap();
    slow.ack(&policies).await;
    slow.subscribe(ADDRESS).await;
    let first = slow.next().await.unwrap();
    assert_eq!(first.resources.len(), 10);
    let quick = world.client();
    quick.ready().await;
    for round in 1..=20 {
        let content = round.to_string();
        server
            .resources
            .update(ADDRESS, one("w0001", &content), vec![]);
        until("the quick one has it", || {
            quick.holds(ADDRESS, "w0001").is_some_and(|b| b == content)
        })
        .await;
    }
    server
        .resources
        .update(ADDRESS, one("w0002", "x"), vec!["w0003".into()]);
    slow.ack(&first).await;
    let second = slow.next().await.unwrap();
    let sent: Vec<&str> = second.resources.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(sent, ["w0001", "w0002"], "twenty changes became one");
    assert_eq!(second.removed_resources, ["w0003"]);
}

#[tokio::test]
async fn refuses_whom_it_does_not_know_and_what_is_not_true() {
    let world = World::new();
    let server = world.serve();
    server.resources.complete();
    for token in ["", "wrong"] {
        let status = raw::Stream::open(&world, token).await.err().unwrap();
        assert_eq!(status.code(), tonic::Code::Unauthenticated);
        assert_eq!(
            status.message(),
            "authentication failed",
            "says no more than that"
        );
    }
    let id = "ztunnel~1.1.1.1~z.weft-system~weft-system.svc.cluster.local";
    for (id, metadata, code) in [
        (
            "",
            [("NAMESPACE", "weft-system")],
            tonic::Code::InvalidArgument,
        ),
        (
            "sidecar~1.1.1.1~a.b~c",
            [("NAMESPACE", "weft-system")],
            tonic::Code::InvalidArgument,
        ),
        (
            id,
            [("NAMESPACE", "default")],
            tonic::Code::PermissionDenied,
        ),
        (
            id,
            [("SERVICE_ACCOUNT", "default")],
            tonic::Code::PermissionDenied,
        ),
    ] {
        let mut stream = raw::Stream::open(&world, "good").await.unwrap();
        stream.subscribe_as(ADDRESS, id, &metadata).await;
        let status = stream.next().await.unwrap_err();
        assert_eq!(
            status.code(),
            code,
            "{id} {metadata:?}: {}",
            status.message()
        );
    }
    let refused = server.service.counters().refused;
    let words: Vec<&str> = refused.keys().copied().collect();
    assert_eq!(
        words,
        ["identity_mismatch", "no_node", "no_token", "node_type"]
    );
}

#[tokio::test]
async fn garbage_ends_its_own_connection_only() {
    let world = World::new();
    let server = world.serve();
    server.resources.update(ADDRESS, one("a", "1"), vec![]);
    server.resources.complete();
    let client = world.client();
    client.ready().await;
    raw::send_plain(&world, b"GET / HTTP/1.1\r\n\r\n").await;
    raw::send_plain(&world, &[0xff; 100_000]).await;
    for bytes in [&[0xff; 64][..], b"\x0a\xff\xff\xff\xff\x0f"] {
        let status = Box::pin(raw::send_message(&world, bytes)).await;
        assert_ne!(status.code(), tonic::Code::Ok);
    }
    server.resources.update(ADDRESS, one("a", "2"), vec![]);
    until("the other client is still served", || {
        client.holds(ADDRESS, "a").is_some_and(|b| b == "2")
    })
    .await;
    assert_eq!(client.handle.counters().streams, 1);
}

#[tokio::test]
async fn refuses_streams_beyond_the_bound() {
    let world = World::new();
    let server = world.serve_with(Settings {
        streams: 1,
        ..Settings::default()
    });
    server.resources.complete();
    let first = raw::Stream::open(&world, "good").await.unwrap();
    let status = raw::Stream::open(&world, "good").await.err().unwrap();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    drop(first);
    until("the place is free", || server.service.counters().open == 0).await;
    raw::Stream::open(&world, "good").await.unwrap();
}
