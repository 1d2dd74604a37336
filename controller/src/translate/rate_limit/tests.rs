//! What each field of a RateLimitPolicy becomes, and what its owner hears.

use serde_json::{Value, json};

use super::*;

fn with_limit(limit: Value) -> Translated {
    let target = json!({"kind": "Service", "name": "web"});
    let object = json!({
        "metadata": {"name": "p", "namespace": "shop"},
        "spec": {"targetRefs": [target], "limits": [limit]},
    });
    translate(&serde_json::from_value(object).unwrap())
}

fn found(translated: &Translated) -> Vec<String> {
    let shown = translated.findings.iter();
    shown
        .map(|it| format!("{} {}", it.rule.word(), it.path))
        .collect()
}

#[test]
fn every_field_arrives() {
    let made = with_limit(json!({
        "name": "api",
        "matches": [{
            "path": {"value": "/api/"}, "method": "GET",
            "headers": [{"name": "X-A", "value": "1"}], "queryParams": [{"name": "q", "type": "RegularExpression", "value": "a+"}],
        }],
        "principals": ["td/ns/a/*", "td/ns/b/sa/c"],
        "by": [{"header": "X-User"}, {"queryParam": "k"}, {"claim": "a.b"}, {"source": "Principal"}, {"source": "Address"}],
        "requests": 10, "per": "1m", "burst": 3,
    }));
    assert_eq!(found(&made), [""; 0]);
    let named = |name: &str, value| NamedMatch {
        name: name.into(),
        value,
        negated: false,
    };
    let expected = RateLimit {
        name: "api".into(),
        matches: vec![HttpMatch {
            path: Some(PathMatch::Elements("/api".into())),
            method: Some(TextMatch::Exact("GET".into())),
            headers: vec![named("x-a", TextMatch::Exact("1".into()))],
            query: vec![named("q", TextMatch::Regex("a+".into()))],
            ..HttpMatch::default()
        }],
        principals: vec![
            TextMatch::Prefix("td/ns/a/".into()),
            TextMatch::Exact("td/ns/b/sa/c".into()),
        ],
        by: vec![
            LimitBy::Header("x-user".into()),
            LimitBy::Query("k".into()),
            LimitBy::Claim("a\u{1f}b".into()),
            LimitBy::Principal,
            LimitBy::SourceIp,
        ],
        requests: 10,
        per: Duration::from_secs(60),
        burst: 3,
    };
    assert_eq!(made.limits, [expected]);
}

#[test]
fn values_that_cannot_be_reject_the_whole_policy() {
    for (limit, field) in [
        (json!({"requests": 1, "per": "0s"}), "per"),
        (json!({"requests": 1, "burst": 0}), "burst"),
        (json!({"requests": 1, "by": [{}]}), "by[0]"),
        (
            json!({"requests": 1, "by": [{"header": "a", "claim": "b"}]}),
            "by[0]",
        ),
        (json!({"requests": 1, "by": [{"source": "Moon"}]}), "by[0]"),
        (
            json!({"requests": 1, "principals": ["spiffe://td/x"]}),
            "principals[0]",
        ),
        (
            json!({"requests": 1, "principals": ["*/x"]}),
            "principals[0]",
        ),
        (
            json!({"requests": 1, "matches": [{"path": {"type": "Glob"}}]}),
            "matches[0].path.type",
        ),
        (
            json!({"requests": 1, "matches": [{"headers": [{"name": "a", "type": "Glob"}]}]}),
            "matches[0].headers[0].type",
        ),
    ] {
        let made = with_limit(limit.clone());
        assert_eq!(
            found(&made),
            [format!("invalid-value spec.limits[0].{field}")],
            "{limit}"
        );
        assert!(made.limits.is_empty() && made.is_rejected);
    }
}
