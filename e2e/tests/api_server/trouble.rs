//! The source and a server that misbehaves: in the end what is known is what there is, and nothing false was said.

use std::time::Duration;

use e2e::api_server::{ApiServer, Blow, Refuse, Settings};
use e2e::expect;
use objects::kinds::Kind;
use objects::watch::api_server::Watched;

use crate::follower::{Follower, namespace, pod};

const RESOURCES: [&str; 2] = ["pods", "namespaces"];

async fn both(settings: Settings) -> (ApiServer, Follower) {
    let server = ApiServer::start(settings).await.unwrap();
    for number in 0..50 {
        server.put(pod(&format!("p{number}"), "a")).unwrap();
    }
    server.put(namespace("shop")).unwrap();
    let watched = vec![
        Watched::whole(Kind::Pod),
        Watched::metadata(Kind::Namespace),
    ];
    let follower = Follower::new(&server, watched).await;
    (server, follower)
}

fn refuse(part: &str, times: usize, code: u16, reason: &'static str) -> Refuse {
    Refuse {
        method: "GET",
        part: part.to_owned(),
        times,
        code,
        reason,
        retry_after: 0,
    }
}

/// Something new, something changed and something gone, all told apart by `turn`.
fn stir(server: &ApiServer, turn: usize) {
    server.put(pod(&format!("new-{turn}"), "a")).unwrap();
    server.put(pod("p1", &format!("b{turn}"))).unwrap();
    server.remove("pods", "shop", &format!("p{}", 10 + turn));
}

#[tokio::test]
async fn watches_that_break_end_or_expire_lose_nothing_and_repeat_nothing() {
    for streaming_lists in [true, false] {
        let settings = Settings {
            streaming_lists,
            ..Settings::default()
        };
        let (server, mut follower) = both(settings).await;
        follower.agree(&server, &RESOURCES).await;
        let mut said = follower.changes;
        for (turn, blow) in [Blow::Drop, Blow::End, Blow::Expire, Blow::Cut]
            .into_iter()
            .enumerate()
        {
            // While nobody listens.
            expect::wait(Duration::from_secs(10), || server.strike(blow) > 0).await;
            stir(&server, turn);
            follower.agree(&server, &RESOURCES).await;
            said += 3;
            assert_eq!(
                follower.changes, said,
                "{blow:?}, streams {streaming_lists}"
            );
        }
    }
}

#[tokio::test]
async fn what_went_away_while_the_server_forgot_its_history_is_said_to_be_gone() {
    let (server, mut follower) = both(Settings::default()).await;
    follower.agree(&server, &RESOURCES).await;
    // Nothing but refusals, while things change and history is forgotten.
    server.misbehave(|it| it.refuse.push(refuse("watch=1", 4, 500, "InternalError")));
    server.strike(Blow::Drop);
    stir(&server, 0);
    server.compact();
    follower.agree(&server, &RESOURCES).await;
    assert!(!follower.known.keys().any(|key| key.name == "p10"));
}

#[tokio::test]
async fn events_that_come_twice_or_late_change_nothing() {
    let (server, mut follower) = both(Settings::default()).await;
    server.misbehave(|it| (it.twice, it.late) = (true, true));
    follower.agree(&server, &RESOURCES).await;
    let said = follower.changes;
    for turn in 0..5 {
        stir(&server, turn);
        follower.agree(&server, &RESOURCES).await;
    }
    // The follower itself fails on a version that goes back and on what goes twice.
    assert!(follower.changes <= said + 15);
}

#[tokio::test]
async fn a_watch_that_says_only_bookmarks_goes_on_where_it_was() {
    let (server, mut follower) = both(Settings::default()).await;
    follower.agree(&server, &RESOURCES).await;
    let lists = server.asked("GET", "sendInitialEvents=true");
    server.misbehave(|it| it.only_bookmarks = true);
    stir(&server, 0);
    server.strike(Blow::End);
    let again = || server.asked("GET", "pods?watch=1") >= 2;
    expect::wait(Duration::from_secs(10), again).await;
    server.misbehave(|it| it.only_bookmarks = false);
    follower.agree(&server, &RESOURCES).await;
    assert_eq!(
        server.asked("GET", "sendInitialEvents=true"),
        lists,
        "no list was needed"
    );
}

#[tokio::test]
async fn refusals_are_outlived_and_the_wish_to_be_left_alone_is_honoured() {
    let server = ApiServer::start(Settings::default()).await.unwrap();
    server.put(pod("a", "a")).unwrap();
    server.misbehave(|it| {
        it.refuse.push(Refuse {
            retry_after: 1,
            ..refuse("pods", 1, 429, "TooManyRequests")
        });
        it.refuse.push(refuse("pods", 2, 503, ""));
        it.refuse.push(refuse("pods", 1, 403, "Forbidden"));
    });
    let begun = std::time::Instant::now();
    let mut follower = Follower::new(&server, vec![Watched::whole(Kind::Pod)]).await;
    follower.agree(&server, &["pods"]).await;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.asked("GET", "pods"), 5, "four refusals and no more");
}

#[tokio::test]
async fn a_list_whose_pages_expire_begins_anew_and_is_whole() {
    let settings = Settings {
        streaming_lists: false,
        ..Settings::default()
    };
    let server = ApiServer::start(settings).await.unwrap();
    for number in 0..1100 {
        server.put(pod(&format!("p{number}"), "a")).unwrap();
    }
    server.misbehave(|it| {
        it.refuse.push(refuse("continue=", 1, 410, "Expired"));
        it.slow_lists = Duration::from_millis(20);
    });
    let mut follower = Follower::new(&server, vec![Watched::whole(Kind::Pod)]).await;
    follower.agree(&server, &["pods"]).await;
    assert_eq!(follower.known.len(), 1100);
    assert_eq!(follower.changes, 1100);
}

#[tokio::test]
async fn objects_of_a_custom_resource_outlive_a_server_that_does_not_know_it_for_a_moment() {
    let server = ApiServer::start(Settings::default()).await.unwrap();
    let policy = |name: &str| {
        serde_json::json!({"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": name, "namespace": "shop"}, "spec": {}})
    };
    server.put(policy("a")).unwrap();
    let mut follower =
        Follower::new(&server, vec![Watched::whole(Kind::AuthorizationPolicy)]).await;
    follower.next().await;
    // A watch that is not served any more, and two rounds of discovery that find neither version.
    server.misbehave(|it| it.refuse.push(refuse("security.istio.io", 5, 404, "")));
    server.strike(Blow::Drop);
    let asked = || server.asked("GET", "/apis/security.istio.io/v1") >= 8;
    expect::wait(Duration::from_secs(10), asked).await;
    server.put(policy("b")).unwrap();
    follower
        .agree(&server, &["authorizationpolicies.security.istio.io"])
        .await;
    assert_eq!(follower.changes, 2, "nothing was said to be gone");

    server.serve_resource("authorizationpolicies.security.istio.io", false);
    server.strike(Blow::Drop);
    follower
        .agree(&server, &["authorizationpolicies.security.istio.io"])
        .await;
    assert!(follower.known.is_empty(), "it is gone for good");
}
