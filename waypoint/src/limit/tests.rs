//! Limits against requests in simulated time.

use http::Request as HttpRequest;
use mesh::model::attached::PolicyBody;
use mesh::model::http::{HttpMatch, PathMatch, TextMatch};
use mesh::names::{NamespacedHostname, NamespacedName};

use super::registry::Registry;
use super::*;

fn limit(by: Vec<LimitBy>, requests: u32) -> RateLimit {
    RateLimit {
        name: "l".into(),
        matches: vec![],
        principals: vec![],
        by,
        requests,
        per: Duration::from_secs(10),
        burst: 0,
    }
}

fn policy(limits: Vec<RateLimit>, target: Target) -> Arc<AttachedPolicy> {
    Arc::new(AttachedPolicy {
        origin: Origin::object("RateLimitPolicy", "shop", "p"),
        targets: vec![target],
        body: PolicyBody::RateLimit(limits),
    })
}

fn service() -> Target {
    Target::Service(NamespacedHostname::new("shop", "web"))
}

fn limits(limits: Vec<RateLimit>) -> Limits {
    let policy = policy(limits, service());
    Registry::default().limits([&policy]).unwrap()
}

fn asked(path: &str, user: &str) -> Asked {
    let request = HttpRequest::get(path)
        .header("host", "shop")
        .header("x-user", user);
    let parts = request.body(()).unwrap().into_parts().0;
    Asked::new(parts, Default::default(), || HeaderValue::from_static("id")).unwrap()
}

/// What one request of `x-user` at a second of time hears: the remaining requests, or the answer.
fn ask(
    limits: &Limits,
    path: &str,
    user: &str,
    rule: Option<&Origin>,
    at: u64,
) -> Result<Option<u32>, Box<Reply>> {
    let asked = asked(path, user);
    let claim = |path: &str| match path {
        "sub" => vec![user.to_owned()],
        _ => Vec::new(),
    };
    let request = Request {
        facts: facts_of(&asked, &claim),
        principal: "cluster.local/ns/shop/sa/web",
        source: "10.0.0.1".parse().unwrap(),
        rule,
    };
    let left = limits.take(&request, Duration::from_secs(at))?;
    Ok(left.map(|it| it.remaining))
}

fn count(limits: &Limits, user: &str, at: u64) -> usize {
    (0..100)
        .filter(|_| ask(limits, "/a?key=1", user, None, at).is_ok())
        .count()
}

#[test]
fn each_value_has_a_bucket_of_its_own() {
    for by in [
        LimitBy::Header("x-user".into()),
        LimitBy::Claim("sub".into()),
    ] {
        let limits = limits(vec![limit(vec![by], 5)]);
        assert_eq!(count(&limits, "alice", 100), 5);
        assert_eq!(count(&limits, "bob", 100), 5);
        assert_eq!(
            count(&limits, "alice", 102),
            1,
            "one comes in every two seconds"
        );
    }
    for by in [
        LimitBy::Principal,
        LimitBy::SourceIp,
        LimitBy::Query("key".into()),
    ] {
        let limits = limits(vec![limit(vec![by], 5)]);
        assert_eq!(count(&limits, "alice", 100) + count(&limits, "bob", 100), 5);
    }
    let together = limits(vec![limit(vec![], 5)]);
    assert_eq!(
        count(&together, "alice", 100) + count(&together, "bob", 100),
        5
    );
}

#[test]
fn only_requests_that_a_limit_is_about_count() {
    let matches = vec![HttpMatch {
        path: Some(PathMatch::Prefix("/api".into())),
        ..HttpMatch::default()
    }];
    let paths = limits(vec![RateLimit {
        matches,
        ..limit(vec![], 1)
    }]);
    assert_eq!(ask(&paths, "/other", "a", None, 100).unwrap(), None);
    assert_eq!(ask(&paths, "/api/x", "a", None, 100).unwrap(), Some(0));
    assert!(ask(&paths, "/api/x", "a", None, 100).is_err());
    let principals = vec![TextMatch::Prefix("cluster.local/ns/bank/".into())];
    let others = limits(vec![RateLimit {
        principals,
        ..limit(vec![], 1)
    }]);
    assert_eq!(ask(&others, "/api", "a", None, 100).unwrap(), None);
}

#[test]
fn a_limit_of_a_route_counts_its_rules_only() {
    let rule = |name: &str, rule: &str| Origin {
        rule: rule.into(),
        ..Origin::object("HTTPRoute", "shop", name.to_owned())
    };
    let whole = policy(vec![limit(vec![], 2)], Target::Route(rule("a", "")));
    let whole = Registry::default().limits([&whole]).unwrap();
    assert_eq!(
        ask(&whole, "/", "x", Some(&rule("a", "0")), 100).unwrap(),
        Some(1)
    );
    assert_eq!(
        ask(&whole, "/", "x", Some(&rule("a", "1")), 100).unwrap(),
        Some(0)
    );
    assert_eq!(
        ask(&whole, "/", "x", Some(&rule("b", "0")), 100).unwrap(),
        None
    );
    assert_eq!(ask(&whole, "/", "x", None, 100).unwrap(), None);
    let one = policy(vec![limit(vec![], 2)], Target::Route(rule("a", "1")));
    let one = Registry::default().limits([&one]).unwrap();
    assert_eq!(
        ask(&one, "/", "x", Some(&rule("a", "0")), 100).unwrap(),
        None
    );
    assert_eq!(
        ask(&one, "/", "x", Some(&rule("a", "1")), 100).unwrap(),
        Some(1)
    );
}

#[test]
fn the_client_hears_what_is_left_and_when_to_come_again() {
    let limits = limits(vec![limit(vec![], 2)]);
    let mut headers = HeaderMap::new();
    let left = Left {
        limit: 2,
        remaining: 1,
        reset: Duration::from_millis(4_100),
    };
    left.put(&mut headers);
    assert_eq!(headers["x-ratelimit-limit"], "2");
    assert_eq!(headers["x-ratelimit-remaining"], "1");
    assert_eq!(headers["x-ratelimit-reset"], "5");
    assert_eq!(count(&limits, "a", 100), 2);
    let reply = ask(&limits, "/", "a", None, 101).unwrap_err();
    assert_eq!(reply.status(), 429);
    assert_eq!(reply.ending.body(false), "local_rate_limited");
    assert_eq!(reply.headers["retry-after"], "4");
    assert_eq!(reply.headers["x-ratelimit-remaining"], "0");
    assert_eq!(reply.headers["x-ratelimit-reset"], "9");
    let details = reply.details.as_deref();
    assert_eq!(
        details,
        Some("local_rate_limited[RateLimitPolicy shop/p limit l]")
    );
}

#[test]
fn one_policy_has_the_same_buckets_wherever_it_holds_and_keeps_them_while_it_stays_the_same() {
    let gateway = Target::Gateway(NamespacedName::new("shop", "gate"));
    let same = policy(vec![limit(vec![], 5)], gateway.clone());
    let mut registry = Registry::default();
    let (one, two) = (
        registry.limits([&same]).unwrap(),
        registry.limits([&same]).unwrap(),
    );
    assert_eq!(count(&one, "a", 100) + count(&two, "a", 100), 5);
    let again = registry.limits([&Arc::new((*same).clone())]).unwrap();
    assert_eq!(count(&again, "a", 100), 0);
    let other = policy(vec![limit(vec![], 6)], gateway);
    assert_eq!(count(&registry.limits([&other]).unwrap(), "a", 100), 6);
}
