//! Policies with targetRefs: everything they say reaches waypoints, and what cannot be read never admits more.

use mesh::model::attached::{RequestAction, RequestAuthorization};
use mesh::model::{ClaimPatterns, NamedPatterns, PathPattern, RequestMatch};

use super::*;

const TO_SERVICE: &str = "targetRefs: [{kind: Service, name: s}]";

fn attached(spec: &str) -> (RequestAuthorization, Vec<String>) {
    let read = read("n", "", &format!("{TO_SERVICE}, {spec}"));
    assert_eq!(read.policy, None, "nothing for node proxies");
    let found = read.findings.iter();
    let found = found
        .map(|it| format!("{} {}", it.rule.word(), it.path))
        .collect();
    (read.attached.unwrap(), found)
}

/// The one match of the one clause of the one rule.
fn one_match(spec: &str) -> (Match, RequestMatch) {
    let (policy, found) = attached(spec);
    assert_eq!(found, [""; 0], "{spec}");
    let m = policy.rules[0].clauses[0].matches[0].clone();
    let request = m.request.as_deref().cloned().unwrap_or_default();
    (m, request)
}

fn exact(text: &str) -> Vec<StringMatch> {
    vec![StringMatch::Exact(text.into())]
}

#[test]
fn sources_and_operations_arrive_in_full() {
    let (m, request) = one_match(
        "rules: [{from: [{source: {principals: [td/ns/a/sa/b], requestPrincipals: ['i/s'], notRequestPrincipals: ['*'], \
         remoteIpBlocks: [192.0.2.0/24], trustDomains: ['*'], notTrustDomains: [other]}}]}]",
    );
    assert_eq!(m.principals, exact("td/ns/a/sa/b"));
    let range = IpRange {
        address: "192.0.2.0".parse().unwrap(),
        prefix: 24,
    };
    let expected = RequestMatch {
        request_principals: exact("i/s"),
        not_request_principals: vec![StringMatch::Presence],
        remote_ips: vec![range],
        trust_domains: vec![StringMatch::Presence],
        not_trust_domains: exact("other"),
        ..RequestMatch::default()
    };
    assert_eq!(request, expected);
    let (m, request) = one_match(
        "rules: [{to: [{operation: {ports: ['80'], hosts: ['*.x'], notHosts: [a], methods: [GET], notMethods: [PUT], \
         paths: ['/a/{*}/{**}', '/b*'], notPaths: [/c]}}]}]",
    );
    assert_eq!(m.destination_ports, [80]);
    let expected = RequestMatch {
        hosts: vec![StringMatch::Suffix(".x".into())],
        not_hosts: exact("a"),
        methods: exact("GET"),
        not_methods: exact("PUT"),
        paths: vec![
            PathPattern::Template("/a/{*}/{**}".into()),
            PathPattern::Text(StringMatch::Prefix("/b".into())),
        ],
        not_paths: vec![PathPattern::Text(StringMatch::Exact("/c".into()))],
        ..RequestMatch::default()
    };
    assert_eq!(request, expected);
}

#[test]
fn every_key_of_conditions_arrives() {
    let claim = |path: &[&str]| RequestMatch {
        claims: vec![ClaimPatterns {
            path: path.iter().map(|it| (*it).into()).collect(),
            values: exact("x"),
            not_values: exact("y"),
        }],
        ..RequestMatch::default()
    };
    for (key, expected) in [
        ("request.auth.audiences", claim(&["aud"])),
        ("request.auth.presenter", claim(&["azp"])),
        ("request.auth.claims[a][b]", claim(&["a", "b"])),
        (
            "request.headers[X-Team]",
            RequestMatch {
                headers: vec![NamedPatterns {
                    name: "x-team".into(),
                    values: exact("x"),
                    not_values: exact("y"),
                }],
                ..RequestMatch::default()
            },
        ),
        (
            "request.auth.principal",
            RequestMatch {
                request_principals: exact("x"),
                not_request_principals: exact("y"),
                ..RequestMatch::default()
            },
        ),
        (
            "connection.sni",
            RequestMatch {
                server_names: exact("x"),
                not_server_names: exact("y"),
                ..RequestMatch::default()
            },
        ),
        (
            "source.trustDomain",
            RequestMatch {
                trust_domains: exact("x"),
                not_trust_domains: exact("y"),
                ..RequestMatch::default()
            },
        ),
    ] {
        let spec = format!("rules: [{{when: [{{key: '{key}', values: [x], notValues: [y]}}]}}]");
        assert_eq!(one_match(&spec).1, expected, "{key}");
    }
    let (m, _) = one_match("rules: [{when: [{key: source.serviceAccount, values: [a/b]}]}]");
    assert_eq!(m.service_accounts.len(), 1);
    let (_, request) = one_match("rules: [{when: [{key: remote.ip, values: [192.0.2.1]}]}]");
    assert_eq!(request.remote_ips.len(), 1);
}

#[test]
fn what_cannot_be_read_never_admits_more() {
    for bad in [
        "to: [{operation: {paths: ['/{x}']}}]",
        "to: [{operation: {paths: ['/{**}/{*}']}}]",
        "when: [{key: 'request.headers[a b]', values: [x]}]",
        "when: [{key: 'request.headers', values: [x]}]",
        "when: [{key: 'request.auth.claims[]', values: [x]}]",
        "when: [{key: experimental.envoy.filters.x, values: [x]}]",
    ] {
        let (allow, found) = attached(&format!("rules: [{{{bad}}}]"));
        assert!(allow.rules.is_empty(), "{bad}: {found:?}");
        assert!(
            found.iter().any(|it| it.starts_with("invalid-value ")),
            "{bad}: {found:?}"
        );
        let (deny, _) = attached(&format!("action: DENY, rules: [{{{bad}}}]"));
        assert!(
            deny.rules[0].clauses.is_empty(),
            "{bad}: it refuses everything"
        );
    }
}

#[test]
fn actions_arrive_and_custom_ones_know_no_tokens() {
    for (spec, expected) in [
        ("rules: [{}]", RequestAction::Allow),
        ("action: DENY, rules: [{}]", RequestAction::Deny),
        ("action: AUDIT, rules: [{}]", RequestAction::Audit),
        (
            "action: CUSTOM, provider: {name: p}, rules: [{}]",
            RequestAction::Custom("p".into()),
        ),
    ] {
        let (policy, found) = attached(spec);
        assert_eq!((policy.action, found), (expected, vec![]), "{spec}");
    }
    let custom = "action: CUSTOM, provider: {name: p}, rules";
    for token in [
        "from: [{source: {requestPrincipals: ['*']}}]",
        "when: [{key: request.auth.principal, values: ['*']}]",
        "when: [{key: 'request.auth.claims[a]', notValues: [x]}]",
    ] {
        let (policy, found) = attached(&format!("{custom}: [{{{token}}}]"));
        assert!(
            policy.rules[0].clauses.is_empty(),
            "{token}: everything is asked about"
        );
        assert!(
            found.iter().any(|it| it.starts_with("invalid-value ")),
            "{token}"
        );
    }
    let (_, found) = attached("action: CUSTOM, rules: [{}]");
    assert_eq!(found, ["invalid-value spec.provider.name"]);
    let (_, found) = attached("provider: {name: p}, rules: [{}]");
    assert_eq!(found, ["invalid-value spec.provider"]);
}
