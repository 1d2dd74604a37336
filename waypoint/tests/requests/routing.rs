//! Which rule, which backend, and what a rule does to request and response.

use std::time::{Duration, Instant};

use mesh::model::AppProtocol;
use mesh::model::http::{
    Abort, Cors, Fault, Fraction, HeaderChanges, HttpAction, Mirror, OriginMatch, PathRewrite,
    PortRoutes, Redirect, Rewrite,
};

use crate::app::{App, Speaks};
use crate::client::{PATIENCE, get, post, with};
use crate::world::{World, all, below, routes, rule, run, split, to, vip};

/// `web`, and `v1`, `v2` as destinations 1 and 2.
async fn two_versions() -> (World, App, App) {
    let mut world = World::new().await;
    let [web, v1, v2] = ["web", "v1", "v2"];
    let app = App::start(web, Speaks::Http1).await;
    let one = App::start(v1, Speaks::Http1).await;
    let two = App::start(v2, Speaks::Http1).await;
    world.service("web", 80, AppProtocol::Http11, &[&app]);
    world.service("v1", 80, AppProtocol::Http11, &[&one]);
    world.service("v2", 80, AppProtocol::Http11, &[&two]);
    (world, one, two)
}

const BOTH: &[&str] = &["v1", "v2"];

#[test]
fn the_first_rule_that_matches_answers_and_others_are_404() {
    run(|| async {
        let (mut world, _one, _two) = two_versions().await;
        world.route(&routes(
            BOTH,
            vec![(below("/one"), to(1)), (below("/two"), to(2))],
        ));
        assert_eq!(world.client.get(&vip(80), "/one/x").await.app(), "v1");
        assert_eq!(world.client.get(&vip(80), "/two").await.app(), "v2");
        let answer = world.client.get(&vip(80), "/twofold").await;
        assert_eq!((answer.status.as_u16(), answer.text()), (404, ""));
        // what policies and routes see is what the application gets
        let answer = world.client.get(&vip(80), "/x/../%74wo/./a").await;
        assert_eq!(answer.said()["path"], "/two/a");
    });
}

#[test]
fn weights_are_per_request_and_missing_backends_are_500_of_their_share() {
    run(|| async {
        let (mut world, one, two) = two_versions().await;
        let shares = [(Some(1), 90), (Some(2), 10), (None, 0)];
        world.route(&routes(BOTH, vec![(all(), split(&shares))]));
        let mut client = world.client.http1(&vip(80)).await;
        for _ in 0..1000 {
            assert_eq!(client.ask(get("/")).await.status, 200);
        }
        assert_eq!(one.requests() + two.requests(), 1000);
        // five standard deviations of a tenth
        assert!((53..=147).contains(&two.requests()), "{}", two.requests());
        world.route(&routes(BOTH, vec![(all(), split(&[(None, 1)]))]));
        assert_eq!(client.ask(get("/")).await.status, 500);
        world.route(&routes(BOTH, vec![(all(), split(&[(Some(1), 0)]))]));
        assert_eq!(client.ask(get("/")).await.status, 500);
    });
}

#[test]
fn consumer_routes_are_for_clients_of_their_namespace() {
    run(|| async {
        let (mut world, _one, _two) = two_versions().await;
        let mut both = routes(BOTH, vec![(all(), to(1))]);
        let consumer = routes(BOTH, vec![(all(), to(2))]).ports.remove(0);
        both.ports.push(PortRoutes {
            client_namespace: "office".into(),
            ..consumer
        });
        world.route(&both);
        assert_eq!(world.client.get(&vip(80), "/").await.app(), "v1");
        let office = world.client_of("office", "clerk");
        assert_eq!(office.get(&vip(80), "/").await.app(), "v2");
    });
}

#[test]
fn hosts_paths_and_headers_are_changed_and_the_old_ones_told() {
    run(|| async {
        let (mut world, _one, _two) = two_versions().await;
        let pair = |name: &str, value: &str| (name.into(), value.into());
        let mut changing = to(1);
        changing.rewrite = Rewrite {
            host: "inside.shop".into(),
            path: Some(PathRewrite::Elements {
                prefix: "/old".into(),
                replacement: "/new".into(),
            }),
        };
        changing.request_headers = HeaderChanges {
            set: vec![pair("x-set", "set")],
            add: vec![pair("x-add", "b")],
            remove: vec!["x-remove".into()],
        };
        changing.response_headers.set = vec![pair("x-response", "yes")];
        if let HttpAction::Forward(backends) = &mut changing.action {
            backends[0].request_headers.set = vec![pair("x-backend", "1")];
        }
        world.route(&routes(BOTH, vec![(below("/old"), changing)]));
        let headers = [("x-remove", "1"), ("x-add", "a"), ("X-Set", "no")];
        let answer = world
            .client
            .ask(&vip(80), with("/old/x?q=1", &headers))
            .await;
        let said = answer.said();
        assert_eq!(said["path"], "/new/x?q=1");
        let seen = &said["headers"];
        for (name, value) in [
            ("host", "inside.shop"),
            ("x-envoy-original-path", "/old/x?q=1"),
            ("x-envoy-original-host", "web.shop"),
            ("x-set", "set"),
            ("x-add", "a,b"),
            ("x-backend", "1"),
        ] {
            assert_eq!(seen[name], value, "{name}");
        }
        assert!(seen.get("x-remove").is_none());
        assert_eq!(answer.headers["x-response"], "yes");
    });
}

#[test]
fn redirects_and_direct_replies_are_answered_here() {
    run(|| async {
        let (mut world, _one, _two) = two_versions().await;
        let redirect = rule(HttpAction::Redirect(Redirect {
            host: Some("example.org".into()),
            status: 302,
            ..Redirect::default()
        }));
        let reply = rule(HttpAction::Reply {
            status: 418,
            body: "teapot".into(),
        });
        world.route(&routes(
            BOTH,
            vec![(below("/away"), redirect), (below("/tea"), reply)],
        ));
        let answer = world.client.get(&vip(80), "/away?q=1").await;
        assert_eq!(answer.status, 302);
        assert_eq!(answer.headers["location"], "http://example.org/away?q=1");
        let answer = world.client.get(&vip(80), "/tea").await;
        assert_eq!((answer.status.as_u16(), answer.text()), (418, "teapot"));
    });
}

#[test]
fn copies_go_to_mirrors_and_nobody_waits_for_them() {
    run(|| async {
        let (mut world, one, two) = two_versions().await;
        let mut mirrored = to(1);
        mirrored.mirrors = vec![Mirror {
            destination: 2,
            share: Fraction {
                numerator: 1,
                denominator: 1,
            },
        }];
        world.route(&routes(BOTH, vec![(all(), mirrored)]));
        let begun = Instant::now();
        let answer = world.client.ask(&vip(80), post("/delay/0", "body")).await;
        assert_eq!(answer.app(), "v1");
        while two.requests() < 1 {
            assert!(begun.elapsed() < PATIENCE, "no copy came");
            tokio::task::yield_now().await;
        }
        assert_eq!(one.requests(), 1);
    });
}

#[test]
fn faults_delay_and_abort_their_share() {
    run(|| async {
        let (mut world, one, _two) = two_versions().await;
        let always = Fraction {
            numerator: 100,
            denominator: 100,
        };
        let mut broken = to(1);
        broken.fault = Fault {
            delay: Some((Duration::from_millis(200), always)),
            abort: Some((Abort::Http(555), always)),
        };
        let mut fine = to(1);
        fine.fault = Fault {
            delay: Some((
                Duration::from_secs(100),
                Fraction {
                    numerator: 0,
                    denominator: 100,
                },
            )),
            abort: Some((
                Abort::Http(555),
                Fraction {
                    numerator: 0,
                    denominator: 100,
                },
            )),
        };
        let mut grpc = to(1);
        grpc.fault.abort = Some((Abort::Grpc(8), always));
        let rules = vec![
            (below("/broken"), broken),
            (below("/grpc"), grpc),
            (all(), fine),
        ];
        world.route(&routes(BOTH, rules));
        let begun = Instant::now();
        let answer = world.client.get(&vip(80), "/broken").await;
        assert_eq!(
            (answer.status.as_u16(), answer.text()),
            (555, "fault filter abort")
        );
        assert!(begun.elapsed() >= Duration::from_millis(200));
        assert_eq!(world.client.get(&vip(80), "/grpc").await.status, 429);
        let call = with("/grpc", &[("content-type", "application/grpc")]);
        let answer = world.client.ask(&vip(80), call).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["grpc-status"]),
            (200, &"8".parse().unwrap())
        );
        assert_eq!(one.requests(), 0);
        assert_eq!(world.client.get(&vip(80), "/").await.status, 200);
    });
}

#[test]
fn preflights_are_answered_here_and_responses_say_who_may_read() {
    run(|| async {
        let (mut world, one, _two) = two_versions().await;
        let mut open = to(1);
        open.cors = Some(Cors {
            origins: vec![OriginMatch::Wildcard("https://*.shop.org".into())],
            methods: vec!["PUT".into()],
            ..Cors::default()
        });
        world.route(&routes(BOTH, vec![(all(), open)]));
        let mut preflight = with(
            "/",
            &[
                ("origin", "https://a.shop.org"),
                ("access-control-request-method", "PUT"),
            ],
        );
        *preflight.method_mut() = http::Method::OPTIONS;
        let answer = world.client.ask(&vip(80), preflight).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["access-control-allow-methods"], "PUT");
        assert_eq!(one.requests(), 0);
        let answer = world
            .client
            .ask(&vip(80), with("/", &[("origin", "https://a.shop.org")]))
            .await;
        assert_eq!(answer.app(), "v1");
        assert_eq!(
            answer.headers["access-control-allow-origin"],
            "https://a.shop.org"
        );
    });
}
