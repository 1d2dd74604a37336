//! What only L7 can enforce. Source: docs/compat.md#authorization-policies.

use super::super::report::{Situation, report};
use super::{found, read, shown};

/// Rules, then what they come to in ALLOW, in DENY, and in DENY as Istio reads it, then the L7 fields.
type L7Row<'a> = (&'a str, &'a str, &'a str, &'a str, &'a [&'a str]);

const L7: &[L7Row<'_>] = &[
    (
        "[{from: [{source: {namespaces: [a]}}], to: [{operation: {methods: [GET]}}]}]",
        "",
        "(ns =a)",
        "(never) & (ns =a)",
        &["spec.rules[0].to[0].operation.methods"],
    ),
    (
        "[{to: [{operation: {ports: ['80'], paths: [/x], notPaths: [/y]}}]}]",
        "",
        "(port 80)",
        "(port 80)",
        &[
            "spec.rules[0].to[0].operation.paths",
            "spec.rules[0].to[0].operation.notPaths",
        ],
    ),
    (
        "[{to: [{operation: {ports: ['80']}}, {operation: {hosts: [h], notHosts: [i]}}]}]",
        "",
        "all",
        "(port 80 | never)",
        &[
            "spec.rules[0].to[1].operation.hosts",
            "spec.rules[0].to[1].operation.notHosts",
        ],
    ),
    (
        "[{to: [{operation: {notMethods: [GET]}}]}, {to: [{operation: {ports: ['80']}}]}]",
        "(port 80)",
        "all; (port 80)",
        "(never); (port 80)",
        &["spec.rules[0].to[0].operation.notMethods"],
    ),
    (
        "[{from: [{source: {requestPrincipals: [x], notRequestPrincipals: [y], namespaces: [a]}}]}]",
        "",
        "(ns =a)",
        "(ns =a)",
        &[
            "spec.rules[0].from[0].source.requestPrincipals",
            "spec.rules[0].from[0].source.notRequestPrincipals",
        ],
    ),
    (
        "[{from: [{source: {remoteIpBlocks: [10.0.0.1], notRemoteIpBlocks: [10.0.0.2]}}]}]",
        "",
        "all",
        "(never)",
        &[
            "spec.rules[0].from[0].source.remoteIpBlocks",
            "spec.rules[0].from[0].source.notRemoteIpBlocks",
        ],
    ),
    (
        "[{when: [{key: 'request.headers[x]', values: [y]}, {key: source.ip, values: [10.0.0.1]}]}]",
        "",
        "(src 10.0.0.1/32)",
        "(never) & (src 10.0.0.1/32)",
        &["spec.rules[0].when[0].key"],
    ),
    (
        "[{when: [{key: connection.sni, notValues: [y]}]}]",
        "",
        "all",
        "(never)",
        &["spec.rules[0].when[0].key"],
    ),
    (
        "[{when: [{key: 'request.auth.claims[iss]', values: [y]}]}]",
        "",
        "all",
        "(never)",
        &["spec.rules[0].when[0].key"],
    ),
    (
        "[{when: [{key: remote.ip, values: [10.0.0.1]}]}]",
        "",
        "all",
        "(never)",
        &["spec.rules[0].when[0].key"],
    ),
];

#[test]
fn what_only_l7_can_enforce_admits_nobody_and_refuses_more_and_is_named() {
    for (rules, allow, deny, like_istio, fields) in L7 {
        for (action, annotations, expected) in [
            ("ALLOW", "", allow),
            ("DENY", "", deny),
            ("DENY", "weft.dev/l7-deny-at-l4: ignore", like_istio),
            ("ALLOW", "weft.dev/l7-deny-at-l4: ignore", allow),
        ] {
            let translated = read(
                "n",
                annotations,
                &format!("action: {action}, rules: {rules}"),
            );
            let expected = format!("{action} namespace: {expected}");
            assert_eq!(shown(translated.policy.as_ref()), expected, "{rules}");
            assert!(!translated.is_rejected, "{rules}");
            let findings = found(&translated);
            let named: Vec<_> = findings
                .iter()
                .filter_map(|it| it.strip_prefix("l7-at-l4 "))
                .collect();
            assert_eq!(&named, fields, "{rules}");
            let says = |rule: &str| findings.iter().any(|it| it.starts_with(rule));
            let lost = |text: &str| text.split("; ").any(|rule| rule == "all");
            assert_eq!(says("allow-rule-left-out"), action == "ALLOW", "{rules}");
            let is_idle = action == "ALLOW" && !annotations.is_empty();
            assert_eq!(says("not-honoured"), is_idle, "{rules}");
            assert_eq!(
                says("policy-admits-nobody"),
                action == "ALLOW" && allow.is_empty(),
                "{rules}"
            );
            assert_eq!(
                says("deny-refuses-all"),
                lost(&expected.replace("DENY namespace: ", "")),
                "{rules}"
            );
            assert_eq!(
                says("never-matches"),
                like_istio.contains("(never)") && expected.contains("(never)"),
                "{rules}"
            );
            let (_, status) = report(&translated, &Situation::default());
            let condition = &status.conditions[0];
            assert_eq!(
                (condition.kind, condition.holds, condition.reason),
                ("ZtunnelAccepted", false, "UnsupportedValue")
            );
            assert!(
                condition.message.contains(fields[0]),
                "{}",
                condition.message
            );
        }
    }
}
