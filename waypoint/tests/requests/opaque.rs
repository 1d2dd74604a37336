//! Connections that are not read as requests: who may have them, where they go, what is counted; and workloads
//! that are called by their own address.

use std::net::SocketAddr;
use std::time::Instant;

use http::StatusCode;
use mesh::model::attached::{
    AttachedPolicy, PolicyBody, RequestAction, RequestAuthorization, Target,
};
use mesh::model::observe::{AccessLog, Telemetry};
use mesh::model::waypoint::{Waypoint, WaypointFor};
use mesh::model::{
    AppProtocol, Clause, Destination, GatewayAddress, Match, Origin, PortPair, RequestMatch, Rule,
    ServiceEndpoint, StringMatch,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use waypoint::bytes::Peeked;

use crate::app::{App, Speaks};
use crate::client::{Client, PATIENCE};
use crate::world::{World, bound, key, pod, run, settings, vip};

/// A service of opaque bytes, whose application says everything twice.
async fn world(declared: AppProtocol) -> (World, App) {
    let mut world = World::new().await;
    let app = App::echo().await;
    world.service("web", 80, declared, &[&app]);
    world.route(&bound("web", 80));
    let format = "%REQ(:METHOD)% %PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% \
                  %CONNECTION_TERMINATION_DETAILS% %BYTES_RECEIVED% %BYTES_SENT% %REQUESTED_SERVER_NAME%\n";
    let telemetry = Telemetry {
        access_log: Some(AccessLog {
            format: format.into(),
            ..AccessLog::default()
        }),
        ..Telemetry::default()
    };
    world.writer.set_waypoint(Waypoint {
        telemetry,
        ..settings(world.follow.node.key())
    });
    world.writer.publish();
    (world, app)
}

/// Puts a policy about the service in force.
fn enforce(world: &mut World, action: RequestAction, matches: Match) {
    let rule = Rule {
        clauses: vec![Clause {
            matches: vec![matches],
        }],
    };
    let policy = AttachedPolicy {
        origin: Origin::object("AuthorizationPolicy", "shop", "who"),
        targets: vec![Target::Service(key("web"))],
        body: PolicyBody::Authorization(RequestAuthorization {
            action,
            rules: vec![rule],
            dry_run: false,
        }),
    };
    world.writer.set_policy("who", Some(policy));
    world.writer.publish();
}

fn caller(name: &str) -> Match {
    let principal = format!("cluster.local/ns/shop/sa/{name}");
    Match {
        principals: vec![StringMatch::Exact(principal.as_str().into())],
        ..Match::default()
    }
}

fn request(request: RequestMatch) -> Match {
    Match {
        request: Some(Box::new(request)),
        ..Match::default()
    }
}

/// Says something; what comes back, empty when the connection was closed instead.
async fn say(stream: &mut Peeked, text: &[u8]) -> Vec<u8> {
    let mut heard = vec![0; text.len() * 2];
    let exchange = async {
        stream.write_all(text).await?;
        stream.read_exact(&mut heard).await
    };
    let outcome = tokio::time::timeout(PATIENCE, exchange).await;
    match outcome.expect("an answer or an end") {
        Ok(_) => heard,
        Err(_) => Vec::new(),
    }
}

/// What comes back for a greeting.
async fn call(client: &Client) -> Vec<u8> {
    greet(client, b"hi").await
}

/// What comes back for these first bytes.
async fn greet(client: &Client, text: &[u8]) -> Vec<u8> {
    // One that is refused may be gone before it can say anything.
    match client.opened(&vip(80)).await {
        Ok(mut stream) => say(&mut stream, text).await,
        Err(_) => Vec::new(),
    }
}

/// The first bytes of a TLS connection to `name`.
fn hello(name: &'static str) -> Vec<u8> {
    let config = mesh::tls::foreign::https(b"").unwrap();
    let name = rustls::pki_types::ServerName::try_from(name).unwrap();
    let mut connection = rustls::ClientConnection::new(config, name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

/// Waits until a line of the log, or of the metrics page, is as wanted.
async fn told(what: impl Fn() -> String, is_wanted: impl Fn(&str) -> bool) {
    let begun = Instant::now();
    while !what().lines().any(&is_wanted) {
        assert!(begun.elapsed() < PATIENCE, "{}", what());
        tokio::task::yield_now().await;
    }
}

#[test]
fn who_a_policy_refuses_hears_nothing_of_the_application() {
    run(|| async {
        let (mut world, app) = world(AppProtocol::Tcp).await;
        let enemy = world.client_of("shop", "enemy");
        assert_eq!(call(&enemy).await, b"hihi");
        enforce(&mut world, RequestAction::Deny, caller("enemy"));
        assert_eq!(call(&enemy).await, b"");
        assert_eq!(call(&world.client).await, b"hihi");
        enforce(&mut world, RequestAction::Allow, caller("friend"));
        assert_eq!(call(&world.client).await, b"", "nobody admits it");
        assert_eq!(call(&world.client_of("other", "friend")).await, b"");
        assert_eq!(call(&world.client_of("shop", "friend")).await, b"hihi");
        let seen = app.requests.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(seen, 3, "connections of those who were refused");
        let written = || world.written.text();
        let refused =
            "- - 0 - - rbac_access_denied_matched_policy[ns[shop]-policy[who]-rule[0]] 0 0 -";
        told(written, |line| line == refused).await;
        let nobody = "- - 0 - - rbac_access_denied_matched_policy[none] 0 0 -";
        told(written, |line| line == nobody).await;
        told(written, |line| line == "- - 0 - - - 2 4 -").await;
    });
}

#[test]
fn a_condition_about_requests_admits_nobody_and_refuses_everybody() {
    run(|| async {
        let (mut world, _app) = world(AppProtocol::Tcp).await;
        let get = || {
            request(RequestMatch {
                methods: vec![StringMatch::Exact("GET".into())],
                ..RequestMatch::default()
            })
        };
        for action in [RequestAction::Allow, RequestAction::Deny] {
            enforce(&mut world, action, get());
            assert_eq!(call(&world.client).await, b"");
        }
        enforce(&mut world, RequestAction::Custom("nobody".into()), get());
        assert_eq!(call(&world.client).await, b"", "whom to ask is not known");
        enforce(&mut world, RequestAction::Audit, get());
        assert_eq!(call(&world.client).await, b"hihi");
    });
}

#[test]
fn the_server_name_of_tls_is_judged_and_told() {
    run(|| async {
        let (mut world, _app) = world(AppProtocol::Tls).await;
        let secret = request(RequestMatch {
            server_names: vec![StringMatch::Exact("secret.shop".into())],
            ..RequestMatch::default()
        });
        enforce(&mut world, RequestAction::Deny, secret);
        for (name, is_admitted) in [("open.shop", true), ("secret.shop", false)] {
            let heard = greet(&world.client, &hello(name)).await;
            assert_eq!(!heard.is_empty(), is_admitted, "{name}");
        }
        let written = || world.written.text();
        told(written, |line| line.ends_with(" secret.shop")).await;
        told(written, |line| line.ends_with(" open.shop")).await;
    });
}

#[test]
fn a_policy_that_comes_later_ends_what_it_does_not_admit_and_nothing_else() {
    run(|| async {
        let (mut world, _app) = world(AppProtocol::Tcp).await;
        let enemy = world.client_of("shop", "enemy");
        let mut theirs = enemy.stream(&vip(80)).await.unwrap();
        let mut ours = world.client.stream(&vip(80)).await.unwrap();
        assert_eq!(say(&mut theirs, b"hi").await, b"hihi");
        assert_eq!(say(&mut ours, b"hi").await, b"hihi");
        enforce(&mut world, RequestAction::Deny, caller("enemy"));
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, theirs.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "still open");
        assert!(rest.is_empty());
        assert_eq!(say(&mut ours, b"ho").await, b"hoho");
    });
}

#[test]
fn connections_and_bytes_are_counted_while_they_last() {
    run(|| async {
        let (world, _app) = world(AppProtocol::Tcp).await;
        let mut stream = world.client.stream(&vip(80)).await.unwrap();
        assert_eq!(say(&mut stream, b"hello").await, b"hellohello");
        let page = || world.registry.encode().unwrap();
        let counts = |name: &'static str, flags: &'static str, value: u64| {
            move |line: &str| {
                line.starts_with(&format!("istio_tcp_{name}_total{{"))
                    && line.contains("reporter=\"waypoint\"")
                    && line.contains("request_protocol=\"tcp\"")
                    && line.contains(&format!("response_flags=\"{flags}\""))
                    && line
                        .contains("source_principal=\"spiffe://cluster.local/ns/shop/sa/client\"")
                    && line.contains("destination_service=\"web.shop.svc.cluster.local\"")
                    && line.ends_with(&format!(" {value}"))
            }
        };
        told(page, counts("connections_opened", "-", 1)).await;
        told(page, counts("received_bytes", "-", 5)).await;
        told(page, counts("sent_bytes", "-", 10)).await;
        told(page, counts("connections_closed", "-", 0)).await;
        stream.shutdown().await.unwrap();
        told(page, counts("connections_closed", "-", 1)).await;
        let mut stream = world.client.stream(&vip(80)).await.unwrap();
        assert_eq!(say(&mut stream, b"x").await, b"xx");
        told(page, counts("connections_opened", "-", 2)).await;
    });
}

/// A waypoint for workloads with a pod of its own, and a pod behind it or not.
async fn in_front(serves: WaypointFor, behind: bool, app: &App) -> World {
    let own = "10.9.9.9".parse().unwrap();
    let mut world = World::with(|config| config.node.instance_ip = Some(own)).await;
    world.writer.set_waypoint(Waypoint {
        serves,
        ..settings(world.follow.node.key())
    });
    world.writer.publish();
    let ports = vec![PortPair {
        service_port: 15008,
        target_port: 15008,
    }];
    let mut ours = pod(90, &key("waypoint"), 15008, SocketAddr::new(own, 15008));
    ours.services = vec![ServiceEndpoint {
        service: key("waypoint"),
        ports,
    }];
    let mut target = pod(91, &key("web"), 80, app.at);
    target.services = Vec::new();
    target.waypoint = behind.then(|| GatewayAddress {
        destination: Destination::Hostname(key("waypoint")),
        hbone_port: 15008,
    });
    world.pods([ours, target]);
    world
}

#[test]
fn a_workload_behind_this_waypoint_is_reached_by_its_own_address() {
    run(|| async {
        let app = App::start("web", Speaks::Http1).await;
        let world = in_front(WaypointFor::Workload, true, &app).await;
        let answer = world.client.get(&app.at.to_string(), "/a").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.app(), "web");
        let page = || world.registry.encode().unwrap();
        told(page, |line| {
            line.starts_with("istio_requests_total{")
                && line.contains("destination_workload=\"pod-91\"")
                && line.contains("destination_service=\"unknown\"")
                && line.ends_with(" 1")
        })
        .await;
        let echo = App::echo().await;
        let world = in_front(WaypointFor::All, true, &echo).await;
        let mut stream = world.client.stream(&echo.at.to_string()).await.unwrap();
        assert_eq!(say(&mut stream, b"hi").await, b"hihi");
    });
}

#[test]
fn a_workload_that_is_not_behind_this_waypoint_is_not_reached_through_it() {
    run(|| async {
        let app = App::start("web", Speaks::Http1).await;
        for (serves, behind) in [(WaypointFor::Workload, false), (WaypointFor::Service, true)] {
            let world = in_front(serves, behind, &app).await;
            let refused = world.client.stream(&app.at.to_string()).await.err();
            assert_eq!(refused, Some(StatusCode::NOT_FOUND), "{serves:?} {behind}");
        }
        assert_eq!(app.requests.load(std::sync::atomic::Ordering::Relaxed), 0);
    });
}

#[test]
fn messages_of_grpc_are_counted() {
    run(|| async {
        let (world, _app) = World::web().await;
        let mut body = Vec::new();
        for message in [&b"one"[..], b"two", b""] {
            body.push(0);
            body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
            body.extend_from_slice(message);
        }
        let mut call = crate::client::post("/echo", body);
        let kind = http::HeaderValue::from_static("application/grpc");
        call.headers_mut().insert("content-type", kind);
        world.client.ask(&vip(80), call).await;
        let page = || world.registry.encode().unwrap();
        told(page, |line| {
            line.starts_with("istio_request_messages_total{") && line.ends_with(" 3")
        })
        .await;
    });
}
