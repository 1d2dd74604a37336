//! Which endpoint a request goes to, and what clients are told to come back to it.

use std::time::Duration;

use mesh::model::AppProtocol;
use mesh::model::destination::{Balancing, HashKey, HashTable, Limits, TrafficPolicy};
use mesh::model::http::{HttpRule, Retry, RetryOn, SessionBy, SessionPersistence};

use crate::app::{App, Speaks};
use crate::client::{get, with};
use crate::world::{World, all, routes, run, to, vip};

/// `web` with three applications behind it, reached by `rule`.
async fn three(policy: TrafficPolicy, rule: HttpRule) -> (World, [App; 3]) {
    Box::pin(async move {
        let mut world = World::new().await;
        let apps = [
            App::start("a", Speaks::Http1).await,
            App::start("b", Speaks::Http1).await,
            App::start("c", Speaks::Http1).await,
        ];
        world.service("web", 80, AppProtocol::Http11, &apps.each_ref());
        let mut routes = routes(&[], vec![(all(), rule)]);
        for destination in &mut routes.destinations {
            destination.policy = policy.clone();
        }
        world.route(&routes);
        (world, apps)
    })
    .await
}

fn by(balancing: Balancing) -> TrafficPolicy {
    TrafficPolicy {
        balancing,
        ..TrafficPolicy::default()
    }
}

fn hash(key: HashKey) -> TrafficPolicy {
    by(Balancing::Hash {
        keys: vec![key],
        table: HashTable::Ring(1024),
    })
}

/// Who answers so many requests with these headers.
async fn answerers(world: &World, headers: &[(&str, &str)], requests: usize) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..requests {
        let answer = world.client.ask(&vip(80), with("/", headers)).await;
        assert_eq!(answer.status, 200);
        names.push(answer.app().to_owned());
    }
    names
}

#[test]
fn in_turn_everybody_gets_as_much() {
    run(|| async {
        let (world, apps) = three(by(Balancing::RoundRobin), to(0)).await;
        answerers(&world, &[], 9).await;
        assert_eq!(apps.each_ref().map(App::requests), [3, 3, 3]);
    });
}

#[test]
fn one_header_value_is_always_answered_by_the_same() {
    run(|| async {
        let (world, _apps) = three(hash(HashKey::Header("x-user".into())), to(0)).await;
        let mut seen = Vec::new();
        for user in ["ann", "bob", "cid", "dan", "eve", "flo", "gil", "hal"] {
            let names = answerers(&world, &[("x-user", user)], 4).await;
            assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
            seen.extend(names);
        }
        seen.sort();
        seen.dedup();
        assert!(seen.len() > 1, "eight users, one application");
    });
}

#[test]
fn a_client_without_the_cookie_is_given_one_and_comes_back() {
    run(|| async {
        let cookie = HashKey::Cookie {
            name: "user".into(),
            path: "/shop".into(),
            ttl: Some(Duration::from_secs(60)),
        };
        let (world, _apps) = three(hash(cookie), to(0)).await;
        let first = world.client.get(&vip(80), "/").await;
        let cookie = first.headers["set-cookie"].to_str().unwrap();
        let (pair, rest) = cookie.split_once(';').unwrap();
        assert!(pair.starts_with("user=\""), "{cookie}");
        assert_eq!(rest, " Max-Age=60; Path=/shop; HttpOnly");
        for _ in 0..6 {
            let request = with("/", &[("cookie", pair)]);
            let again = world.client.ask(&vip(80), request).await;
            assert_eq!(again.app(), first.app());
            assert!(!again.headers.contains_key("set-cookie"));
        }
    });
}

#[test]
fn a_session_stays_with_its_endpoint_and_nonsense_does_no_harm() {
    run(|| async {
        let mut rule = to(0);
        rule.session = Some(SessionPersistence {
            by: SessionBy::Header("x-session".into()),
            absolute_timeout: Some(Duration::from_secs(3600)),
        });
        let (world, _apps) = three(by(Balancing::RoundRobin), rule).await;
        let first = world.client.get(&vip(80), "/").await;
        let session = first.headers["x-session"].to_str().unwrap();
        let names = answerers(&world, &[("x-session", session)], 6).await;
        assert!(names.iter().all(|name| name == first.app()), "{names:?}");
        let request = with("/", &[("x-session", "nonsense")]);
        let answer = world.client.ask(&vip(80), request).await;
        assert_eq!(answer.status, 200);
        assert!(answer.headers.contains_key("x-session"));
    });
}

fn retrying(attempts: u32, on: RetryOn) -> HttpRule {
    let mut rule = to(0);
    rule.retry = Some(Retry {
        attempts,
        on,
        backoff: Some(Duration::from_millis(1)),
        ..Retry::default()
    });
    rule
}

#[test]
fn where_nobody_listens_another_endpoint_is_tried() {
    run(|| async {
        let mut world = World::new().await;
        let live = App::start("live", Speaks::Http1).await;
        let mut gone = App::start("gone", Speaks::Http1).await;
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        gone.at = closed.local_addr().unwrap();
        drop(closed);
        world.service("web", 80, AppProtocol::Http11, &[&gone, &live]);
        let on = RetryOn {
            connect_failure: true,
            ..RetryOn::default()
        };
        world.route(&routes(&[], vec![(all(), retrying(1, on))]));
        for _ in 0..20 {
            let answer = world.client.ask(&vip(80), get("/")).await;
            assert_eq!((answer.status.as_u16(), answer.app()), (200, "live"));
        }
    });
}

#[test]
fn where_no_retry_is_left_the_answer_is_the_clients() {
    run(|| async {
        let on = RetryOn {
            any_5xx: true,
            ..RetryOn::default()
        };
        let policy = TrafficPolicy {
            limits: Limits {
                retries: 0,
                ..Limits::default()
            },
            ..TrafficPolicy::default()
        };
        let (world, apps) = three(policy, retrying(5, on)).await;
        let answer = world.client.get(&vip(80), "/status/503").await;
        assert_eq!(answer.status, 503);
        assert_eq!(apps.iter().map(App::requests).sum::<usize>(), 1);
    });
}
