//! The same requests to Envoy and to a waypoint that are configured for the same work: what differs
//! must stand in docs/compat.md#differences-from-envoy, and what stands there must differ.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test through and through"
)]

use std::collections::BTreeSet;

use mesh::model::AppProtocol;
use tokio::net::{TcpListener, UnixStream};

use app::{App, Speaks};
use heard::Facts;
use script::Ask;
use world::{World, run, vip};

#[path = "../../../waypoint/tests/requests/app.rs"]
#[expect(dead_code, reason = "shared with the waypoint's own tests")]
mod app;
#[path = "../../../waypoint/tests/requests/client.rs"]
#[expect(dead_code, reason = "shared with the waypoint's own tests")]
mod client;
mod envoy;
mod heard;
mod known;
mod raw;
mod routes;
mod script;
#[path = "../../../waypoint/tests/requests/world.rs"]
#[expect(dead_code, reason = "shared with the waypoint's own tests")]
mod world;

use known::Difference;

#[test]
fn every_difference_from_envoy_is_known() {
    run(|| async {
        let found = Box::pin(differences()).await;
        let known = known::read();
        let mut complaints = Vec::new();
        for it in &found {
            let verdict = if known.iter().any(|row| row.covers(it)) {
                "known"
            } else {
                "NEW"
            };
            println!(
                "{verdict} | {} | {} | {} | {}",
                it.case, it.what, it.envoy, it.weft
            );
            if verdict == "NEW" {
                complaints.push(format!(
                    "not listed: {} | {} | {} | {}",
                    it.case, it.what, it.envoy, it.weft
                ));
            }
        }
        for row in &known {
            for case in &row.cases {
                if !found
                    .iter()
                    .any(|it| it.case == *case && it.what == row.what)
                {
                    complaints.push(format!("listed and gone: {case} | {}", row.what));
                }
            }
        }
        println!("{} differences", found.len());
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    });
}

async fn differences() -> Vec<Difference> {
    let app = App::start("app", Speaks::Http1).await;
    let grpc = App::start("grpc", Speaks::Http2).await;
    let raw = App {
        at: raw::start().await,
        requests: std::sync::Arc::default(),
    };
    // nobody listens there any more
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let refused = App {
        at: closed,
        requests: std::sync::Arc::default(),
    };
    let envoy = envoy::start([app.at, raw.at, refused.at, grpc.at]).await;
    let mut world = World::new().await;
    world.service("web", 80, AppProtocol::Http11, &[&app]);
    world.service("app", 80, AppProtocol::Http11, &[&app]);
    world.service("raw", 80, AppProtocol::Http11, &[&raw]);
    world.service("refused", 80, AppProtocol::Http11, &[&refused]);
    world.service("grpc", 80, AppProtocol::Grpc, &[&grpc]);
    world.service("none", 80, AppProtocol::Http11, &[]);
    world.route(&routes::drawn());

    let mut found = Vec::new();
    for case in script::all() {
        let one = UnixStream::connect(&envoy.door).await.unwrap();
        let two = world.client.stream(&vip(80)).await.unwrap();
        let (one, two) = match case.ask {
            Ask::Http1(bytes, more) => tokio::join!(
                heard::http1(one, &bytes, more.as_bytes()),
                heard::http1(two, &bytes, more.as_bytes())
            ),
            Ask::Http2(request) => {
                tokio::join!(
                    heard::http2(one, (*request).clone()),
                    heard::http2(two, *request)
                )
            }
        };
        found.extend(compare(&case.name, &one, &two));
    }
    found
}

fn compare(case: &str, envoy: &Facts, weft: &Facts) -> Vec<Difference> {
    let names: BTreeSet<_> = envoy.keys().chain(weft.keys()).collect();
    let value =
        |facts: &Facts, name: &str| facts.get(name).cloned().unwrap_or_else(|| "(none)".into());
    // another status is another answer: nothing else of it is comparable
    let is_other = envoy.get("status") != weft.get("status");
    names
        .into_iter()
        .filter(|name| !is_other || *name == "status")
        .filter(|name| envoy.get(*name) != weft.get(*name))
        .map(|name| Difference {
            case: case.to_owned(),
            what: name.clone(),
            envoy: value(envoy, name),
            weft: value(weft, name),
        })
        .collect()
}
