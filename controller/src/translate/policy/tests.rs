//! What each row of docs/compat.md#authorization-policies makes of a document, and what its owner hears.

#![expect(clippy::too_many_lines, reason = "tables are long")]

mod attached;
mod l7;
mod rejected;

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use mesh::identity::TrustDomain;
use mesh::model::{Action, IpRange, Match, Policy, PolicyScope, ServiceAccountMatch, StringMatch};
use objects::object::{Object, Parts, identify};

use super::report::{Situation, report};
use super::{Mesh, Translated, translate};
use crate::translate::attachment::Place;

const ROOT: &str = "root";

fn read(namespace: &str, annotations: &str, spec: &str) -> Translated {
    let text = format!(
        "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: p, namespace: {namespace}, \
         annotations: {{{annotations}}}}}, spec: {{{spec}}}}}"
    );
    let document = objects::raw::parse(text.as_bytes()).unwrap().remove(0);
    let key = identify(&document).unwrap();
    let parts = Parts::new(Path::new("").into(), Arc::new(document.pack()));
    let object = Object::read(key, parts, 0).unwrap();
    let trust_domain = TrustDomain::parse("td").unwrap();
    let mesh = Mesh {
        root: ROOT,
        trust_domain: &trust_domain,
    };
    translate(
        mesh,
        object.authorization_policy().unwrap(),
        &object.unread(),
    )
}

/// Rules as text: clauses between `&`, alternatives between `|`, `never` for a match without any field.
fn shown(policy: Option<&Policy>) -> String {
    let Some(policy) = policy else {
        return "none".to_owned();
    };
    let clause = |matches: &Vec<Match>| {
        let matches: Vec<_> = matches.iter().map(shown_match).collect();
        format!("({})", matches.join(" | "))
    };
    let rules: Vec<_> = policy
        .rules
        .iter()
        .map(|rule| {
            let clauses: Vec<_> = rule.clauses.iter().map(|it| clause(&it.matches)).collect();
            if clauses.is_empty() {
                "all".to_owned()
            } else {
                clauses.join(" & ")
            }
        })
        .collect();
    let action = if policy.action == Action::Allow {
        "ALLOW"
    } else {
        "DENY"
    };
    let scope = match policy.scope {
        PolicyScope::Global => "mesh",
        PolicyScope::Namespace => "namespace",
        PolicyScope::WorkloadSelector => "selector",
    };
    let dry = if policy.dry_run { " dry" } else { "" };
    format!("{action} {scope}{dry}: {}", rules.join("; "))
}

fn shown_match(m: &Match) -> String {
    let text = |it: &StringMatch| match it {
        StringMatch::Exact(it) => format!("={it}"),
        StringMatch::Prefix(it) => format!("{it}.."),
        StringMatch::Suffix(it) => format!("..{it}"),
        StringMatch::Presence => "any".to_owned(),
    };
    let range = |it: &IpRange| format!("{}/{}", it.address, it.prefix);
    let account = |it: &ServiceAccountMatch| format!("{}/{}", it.namespace, it.service_account);
    fn all<T>(word: &str, values: &[T], show: impl Fn(&T) -> String) -> Option<String> {
        let shown: Vec<_> = values.iter().map(show).collect();
        (!shown.is_empty()).then(|| format!("{word} {}", shown.join(",")))
    }
    fn number(it: &impl Display) -> String {
        it.to_string()
    }
    let fields = [
        all("ns", &m.namespaces, text),
        all("!ns", &m.not_namespaces, text),
        all("id", &m.principals, text),
        all("!id", &m.not_principals, text),
        all("sa", &m.service_accounts, account),
        all("!sa", &m.not_service_accounts, account),
        all("src", &m.source_ips, range),
        all("!src", &m.not_source_ips, range),
        all("dst", &m.destination_ips, range),
        all("!dst", &m.not_destination_ips, range),
        all("port", &m.destination_ports, number),
        all("!port", &m.not_destination_ports, number),
    ];
    let fields: Vec<_> = fields.into_iter().flatten().collect();
    if fields.is_empty() {
        "never".to_owned()
    } else {
        fields.join(" ")
    }
}

fn found(translated: &Translated) -> Vec<String> {
    let findings = translated.findings.iter();
    findings
        .map(|it| format!("{} {}", it.rule.word(), it.path))
        .collect()
}

#[test]
fn selector_and_namespace_give_the_scope_and_only_allow_and_deny_are_for_node_proxies() {
    for (namespace, spec, expected) in [
        ("n", "", "ALLOW namespace: "),
        (ROOT, "", "ALLOW mesh: "),
        ("n", "selector: {matchLabels: {app: a}}", "ALLOW selector: "),
        (
            ROOT,
            "selector: {matchLabels: {app: a}}",
            "ALLOW selector: ",
        ),
        ("n", "selector: {}", "ALLOW namespace: "),
        ("n", "selector: {matchLabels: {}}", "ALLOW namespace: "),
        ("n", "action: ALLOW, rules: [{}]", "ALLOW namespace: all"),
        ("n", "action: DENY, rules: [{}]", "DENY namespace: all"),
        ("n", "action: AUDIT, rules: [{}]", "none"),
        ("n", "action: CUSTOM, rules: [{}]", "none"),
        (
            "n",
            "targetRefs: [{kind: Service, name: s}], rules: [{}]",
            "none",
        ),
        (
            "n",
            "targetRef: {kind: Gateway, group: gateway.networking.k8s.io, name: s}, rules: [{}]",
            "none",
        ),
    ] {
        let translated = read(namespace, "", spec);
        assert_eq!(
            shown(translated.policy.as_ref()),
            expected,
            "{namespace} {spec}"
        );
        let is_selecting = expected.contains("selector");
        assert_eq!(translated.selector.is_some(), is_selecting, "{spec}");
        if let Some(policy) = &translated.policy {
            assert_eq!(policy.key.to_string(), format!("{namespace}/p"));
            let origin = policy.origin.as_ref().unwrap().to_string();
            assert_eq!(origin, format!("AuthorizationPolicy {namespace}/p"));
        }
    }
}

#[test]
fn every_l4_field_and_every_form_of_its_values_is_translated() {
    for (rules, expected) in [
        (
            "[{from: [{source: {principals: ['*', '*x', 't*', 'td/ns/a*', td/ns/a/sa/b]}}]}]",
            "(id any,..x,t..,td/ns/a..,=td/ns/a/sa/b)",
        ),
        (
            "[{from: [{source: {notPrincipals: [td/ns/a/sa/b]}}]}]",
            "(!id =td/ns/a/sa/b)",
        ),
        (
            "[{from: [{source: {namespaces: [a, 'b*'], notNamespaces: ['*c']}}]}]",
            "(ns =a,b.. !ns ..c)",
        ),
        (
            "[{from: [{source: {serviceAccounts: [a, m/b]}}]}]",
            "(sa n/a,m/b)",
        ),
        (
            "[{from: [{source: {notServiceAccounts: [a]}}]}]",
            "(!sa n/a)",
        ),
        (
            "[{from: [{source: {ipBlocks: [10.0.0.1, 10.0.0.0/8, '::1', 'fd00::/8']}}]}]",
            "(src 10.0.0.1/32,10.0.0.0/8,::1/128,fd00::/8)",
        ),
        (
            "[{from: [{source: {notIpBlocks: ['::ffff:10.0.0.0/104']}}]}]",
            "(!src 10.0.0.0/8)",
        ),
        ("[{from: [{source: {trustDomains: [td]}}]}]", "(id td/..)"),
        ("[{from: [{source: {trustDomains: ['*']}}]}]", "(id any)"),
        ("[{from: [{source: {trustDomains: ['t*']}}]}]", "(id t..)"),
        (
            "[{from: [{source: {notPrincipals: [td/ns/a/sa/b], notTrustDomains: [td]}}]}]",
            "(!id =td/ns/a/sa/b,td/..)",
        ),
        (
            "[{from: [{source: {principals: [td/ns/a/sa/b, 'td/n*', 't*', '*'], trustDomains: [td]}}]}]",
            "(id =td/ns/a/sa/b,td/n..,td/..,td/..)",
        ),
        (
            "[{to: [{operation: {ports: ['80', '443']}}]}]",
            "(port 80,443)",
        ),
        ("[{to: [{operation: {notPorts: ['80']}}]}]", "(!port 80)"),
        (
            "[{when: [{key: source.ip, values: [10.0.0.1]}]}]",
            "(src 10.0.0.1/32)",
        ),
        (
            "[{when: [{key: source.ip, notValues: [10.0.0.1]}]}]",
            "(!src 10.0.0.1/32)",
        ),
        (
            "[{when: [{key: source.namespace, values: [a], notValues: ['*b']}]}]",
            "(ns =a !ns ..b)",
        ),
        (
            "[{when: [{key: source.principal, values: ['*'], notValues: [td/ns/a/sa/b]}]}]",
            "(id any !id =td/ns/a/sa/b)",
        ),
        (
            "[{when: [{key: destination.ip, values: [10.0.0.0/8], notValues: ['::1']}]}]",
            "(dst 10.0.0.0/8 !dst ::1/128)",
        ),
        (
            "[{when: [{key: destination.port, values: ['80'], notValues: ['81']}]}]",
            "(port 80 !port 81)",
        ),
        // Entries of a list are alternatives; `to`, `from` and every `when` must match; rules are alternatives.
        (
            "[{from: [{source: {namespaces: [a]}}, {source: {namespaces: [b]}}], to: [{operation: {ports: ['80']}}], \
             when: [{key: source.ip, values: [10.0.0.1]}, {key: destination.port, values: ['1']}]}, {}]",
            "(port 80) & (ns =a | ns =b) & (src 10.0.0.1/32) & (port 1); all",
        ),
    ] {
        for action in ["ALLOW", "DENY"] {
            let translated = read("n", "", &format!("action: {action}, rules: {rules}"));
            let expected = format!("{action} namespace: {expected}");
            assert_eq!(shown(translated.policy.as_ref()), expected, "{rules}");
            assert_eq!(found(&translated), Vec::<String>::new(), "{rules}");
        }
    }
}

#[test]
fn a_policy_that_only_reports_says_so_and_a_word_that_is_neither_is_rejected() {
    for (word, expected) in [("true", " dry"), ("1", " dry"), ("false", ""), ("0", "")] {
        let annotation = format!("istio.io/dry-run: {word:?}");
        let translated = read("n", &annotation, "rules: [{}]");
        assert_eq!(
            shown(translated.policy.as_ref()),
            format!("ALLOW namespace{expected}: all")
        );
        let (_, status) = report(&translated, &Situation::default());
        let is_said = status.conditions[0]
            .message
            .contains("reported, not enforced");
        assert_eq!(is_said, !expected.is_empty());
    }
    let unclear = read("n", "istio.io/dry-run: perhaps", "rules: [{}]");
    assert_eq!(
        found(&unclear),
        ["invalid-value metadata.annotations[\"istio.io/dry-run\"]"]
    );
    let unclear = read(
        "n",
        "weft.dev/l7-deny-at-l4: allow",
        "action: DENY, rules: [{}]",
    );
    assert_eq!(
        found(&unclear),
        ["not-honoured metadata.annotations[\"weft.dev/l7-deny-at-l4\"]"]
    );
}

#[test]
fn an_identity_that_nobody_in_the_mesh_has_is_pointed_out() {
    for text in [
        "x",
        "td/sa/a",
        "other/ns/a/sa/b",
        "'other/*'",
        "'td/n/*'",
        "td/ns/a/sa/b/c",
    ] {
        for field in ["principals", "notPrincipals"] {
            let translated = read(
                "n",
                "",
                &format!("rules: [{{from: [{{source: {{{field}: ['*', {text}]}}}}]}}]"),
            );
            let expected = format!("foreign-identity spec.rules[0].from[0].source.{field}[1]");
            assert_eq!(found(&translated), [expected], "{text}");
        }
    }
    let condition = read(
        "n",
        "",
        "rules: [{when: [{key: source.principal, notValues: [other/ns/a/sa/b]}]}]",
    );
    assert_eq!(
        found(&condition),
        ["foreign-identity spec.rules[0].when[0].notValues[0]"]
    );
}

#[test]
fn an_account_without_a_namespace_is_pointed_out_where_workloads_of_any_are_meant() {
    let spec = "rules: [{from: [{source: {serviceAccounts: [n/a, b], notServiceAccounts: [c]}}]}]";
    let expected = [
        "account-of-root-namespace spec.rules[0].from[0].source.serviceAccounts[1]",
        "account-of-root-namespace spec.rules[0].from[0].source.notServiceAccounts[0]",
    ];
    assert_eq!(found(&read(ROOT, "", spec)), expected);
    assert!(found(&read("n", "", spec)).is_empty());
}

#[test]
fn a_condition_that_contradicts_itself_never_matches_and_is_named() {
    let spec = "action: DENY, rules: [{from: [{source: {principals: [td/ns/x/sa/y], trustDomains: [tde]}}]}]";
    let translated = read("n", "", spec);
    assert_eq!(shown(translated.policy.as_ref()), "DENY namespace: (never)");
    assert_eq!(
        found(&translated),
        [
            "foreign-identity spec.rules[0].from[0].source.trustDomains[0]",
            "never-matches spec.rules[0].from[0].source.principals",
        ]
    );
    let idle = read("n", "", "action: DENY");
    assert_eq!(found(&idle), ["policy-without-effect spec"]);
}

/// Spec, situation, condition, and what is found beside the translation's own findings.
type StatusRow<'a> = (
    &'a str,
    Situation,
    (&'a str, bool, &'a str),
    &'a str,
    &'a [&'a str],
);

#[test]
fn the_status_says_what_is_in_force_and_why_not_more() {
    let selects = Situation {
        selects_any: true,
        ..Situation::default()
    };
    let targets = |places: &[bool]| Situation {
        places: places
            .iter()
            .map(|exists| match exists {
                true => Place::Unbound,
                false => Place::Missing,
            })
            .collect(),
        ..Situation::default()
    };
    let last_good = Situation {
        has_last_good: true,
        ..Situation::default()
    };
    let accepted = ("ZtunnelAccepted", true, "Accepted");
    let unsupported = ("ZtunnelAccepted", false, "UnsupportedValue");
    let bad = "rules: [{to: [{operation: {ports: [x]}}]}]";
    let rows: [StatusRow<'_>; 9] = [
        (
            "rules: [{}]",
            Situation::default(),
            accepted,
            "in force",
            &[],
        ),
        (
            "selector: {matchLabels: {a: b}}",
            selects,
            accepted,
            "in force",
            &[],
        ),
        (
            "selector: {matchLabels: {a: b}}",
            Situation::default(),
            accepted,
            "no workload carries these labels",
            &["selects-nothing spec.selector.matchLabels"],
        ),
        (
            "action: CUSTOM",
            Situation::default(),
            unsupported,
            "action CUSTOM is for waypoints",
            &["unsupported-action spec.action"],
        ),
        (
            bad,
            last_good,
            unsupported,
            "its last good version stays in force",
            &[],
        ),
        (
            bad,
            Situation::default(),
            unsupported,
            "there is no last good version",
            &[],
        ),
        (
            "targetRefs: [{kind: Service, name: s}]",
            targets(&[true]),
            ("WaypointAccepted", false, "AncestorNotBound"),
            "no waypoint serves Service s",
            &["policy-without-waypoint spec.targetRefs[0]"],
        ),
        (
            "targetRef: {kind: Service, name: s}, targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: g}]",
            targets(&[false, true]),
            ("WaypointAccepted", false, "TargetNotFound"),
            "there is no Service s",
            &[
                "policy-without-waypoint spec.targetRef",
                "policy-without-waypoint spec.targetRefs[0]",
            ],
        ),
        (
            "targetRefs: [{kind: Pod, name: s}]",
            targets(&[true]),
            ("WaypointAccepted", false, "Invalid"),
            "nothing that a policy can be attached to",
            &[],
        ),
    ];
    for (spec, situation, expected, message, further) in rows {
        let translated = read("n", "", spec);
        let (findings, status) = report(&translated, &situation);
        let [condition] = status.conditions.as_slice() else {
            panic!("{spec}: {status:?}");
        };
        assert_eq!(
            (condition.kind, condition.holds, condition.reason),
            expected,
            "{spec}"
        );
        assert!(
            condition.message.contains(message),
            "{spec}: {}",
            condition.message
        );
        let found: Vec<_> = findings
            .iter()
            .map(|it| format!("{} {}", it.rule.word(), it.path))
            .collect();
        for one in further {
            assert!(found.iter().any(|it| it == one), "{spec}: {found:?}");
        }
    }
}
