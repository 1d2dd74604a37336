//! What each field of a RequestAuthentication becomes, and what its owner hears.

use serde_json::{Value, json};

use super::*;

fn translated(spec: Value) -> Translated {
    let object = json!({"metadata": {"name": "jwt", "namespace": "shop"}, "spec": spec});
    translate("root", &serde_json::from_value(object).unwrap())
}

fn with_rule(rule: Value) -> Translated {
    let target = json!({"kind": "Service", "name": "web"});
    translated(json!({"targetRefs": [target], "jwtRules": [rule]}))
}

fn found(translated: &Translated) -> Vec<String> {
    let shown = translated.findings.iter();
    shown
        .map(|it| format!("{} {}", it.rule.word(), it.path))
        .collect()
}

#[test]
fn every_field_arrives() {
    let made = with_rule(json!({
        "issuer": "https://issuer", "audiences": ["a"], "jwksUri": "https://issuer/keys",
        "fromHeaders": [{"name": "X-Token", "prefix": "Weft "}], "fromParams": ["t"], "fromCookies": ["c"],
        "outputPayloadToHeader": "X-Payload", "outputClaimToHeaders": [{"header": "X-Sub", "claim": "sub"}],
        "forwardOriginalToken": true, "timeout": "2s", "spaceDelimitedClaims": ["roles"],
    }));
    let expected = JwtRule {
        issuer: "https://issuer".into(),
        audiences: vec!["a".into()],
        keys: JwtKeys::Url("https://issuer/keys".into()),
        headers: vec![("x-token".into(), "Weft ".into())],
        params: vec!["t".into()],
        cookies: vec!["c".into()],
        payload_header: "x-payload".into(),
        claim_headers: vec![("x-sub".into(), "sub".into())],
        forward: true,
        fetch_timeout: Duration::from_secs(2),
        space_delimited: vec!["roles".into()],
    };
    assert_eq!(made.rules, [expected]);
    assert_eq!(found(&made), [""; 0]);
}

#[test]
fn tokens_are_bearers_or_access_tokens_unless_a_place_is_named() {
    let made = with_rule(json!({"issuer": "https://issuer"}));
    let rule = &made.rules[0];
    assert_eq!(rule.keys, JwtKeys::Discovery);
    assert_eq!(rule.headers, [("authorization".into(), "Bearer ".into())]);
    assert_eq!(rule.params, ["access_token".into()]);
    assert_eq!(rule.fetch_timeout, Duration::from_secs(5));
    let only_cookie = with_rule(json!({"issuer": "https://issuer", "fromCookies": ["c"]}));
    assert!(only_cookie.rules[0].headers.is_empty() && only_cookie.rules[0].params.is_empty());
}

#[test]
fn a_rule_that_cannot_be_read_is_left_out_and_named() {
    for (rule, expected) in [
        (json!({}), "issuer"),
        (json!({"issuer": "me"}), "issuer"),
        (json!({"issuer": "me", "jwks": "no json"}), "jwks"),
        (json!({"issuer": "me", "jwksUri": "ftp://x"}), "jwksUri"),
        (
            json!({"issuer": "me", "jwksUri": "https://x", "jwks": "{}"}),
            "jwksUri",
        ),
        (
            json!({"issuer": "me", "jwks": "{}", "fromHeaders": [{"name": "a b"}]}),
            "fromHeaders[0].name",
        ),
        (
            json!({"issuer": "me", "jwks": "{}", "outputPayloadToHeader": "a b"}),
            "outputPayloadToHeader",
        ),
        (
            json!({"issuer": "me", "jwks": "{}", "outputClaimToHeaders": [{"header": "x"}]}),
            "outputClaimToHeaders[0].claim",
        ),
    ] {
        let made = with_rule(rule.clone());
        assert!(made.rules.is_empty() && made.is_rejected, "{rule}");
        let field = format!("invalid-value spec.jwtRules[0].{expected}");
        assert!(found(&made).contains(&field), "{rule}: {:?}", found(&made));
    }
}

#[test]
fn without_target_refs_nobody_reads_tokens() {
    let made = translated(json!({"jwtRules": [{"issuer": "https://issuer"}]}));
    assert_eq!(found(&made), ["policy-without-waypoint spec"]);
    let both = json!({"kind": "Service", "name": "web"});
    let made = translated(json!({"selector": {"matchLabels": {"a": "b"}}, "targetRefs": [both]}));
    assert_eq!(found(&made), ["invalid-value spec.selector"]);
}
