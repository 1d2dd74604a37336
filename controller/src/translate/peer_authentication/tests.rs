//! What each row of docs/compat.md#peer-authentication makes of documents.

#![expect(clippy::too_many_lines, reason = "tables are long")]

use mesh::model::{Action, Policy, PolicyScope, StringMatch};
use objects::istio::PeerAuthentication;
use objects::labels::Labels;

use super::{Situation, read, report, strict};
use crate::translate::policies::{Policies, policies_of};

const ROOT: &str = "root";

fn object(text: &str) -> PeerAuthentication {
    let document = objects::raw::parse(text.as_bytes()).unwrap().remove(0);
    serde_json::from_value(document.value().clone()).unwrap()
}

/// A PeerAuthentication of a namespace, a name and a specification.
fn written(namespace: &str, name: &str, spec: &str) -> PeerAuthentication {
    object(&format!(
        "{{metadata: {{namespace: {namespace}, name: {name}}}, spec: {{{spec}}}}}"
    ))
}

fn world(objects: &[PeerAuthentication]) -> Policies {
    let mut policies = Policies::new(ROOT.into());
    for it in objects {
        policies.put_peer(
            &it.metadata.namespace,
            &it.metadata.name,
            Some(read(it, &[]).0),
        );
    }
    policies
}

/// What a workload `app: a` of namespace `n` names.
fn named(objects: &[PeerAuthentication]) -> Vec<String> {
    let labels = Labels::from_iter([("app", "a")]);
    let named = policies_of(&labels, "n", &world(objects));
    named.iter().map(ToString::to_string).collect()
}

/// Each rule as the ports it is about (`!` for all but these), all of them for plain text.
fn shown(policy: &Policy) -> Vec<String> {
    assert_eq!(
        (policy.action, policy.scope, policy.dry_run),
        (Action::Deny, PolicyScope::WorkloadSelector, false)
    );
    let rule = |rule: &mesh::model::Rule| {
        let [clause] = rule.clauses.as_slice() else {
            panic!("{rule:?}")
        };
        let [found] = clause.matches.as_slice() else {
            panic!("{rule:?}")
        };
        assert_eq!(found.not_principals, [StringMatch::Presence]);
        match (
            found.destination_ports.as_slice(),
            found.not_destination_ports.as_slice(),
        ) {
            ([], []) => "all".to_owned(),
            (ports, []) => format!("{ports:?}"),
            ([], ports) => format!("!{ports:?}"),
            both => panic!("{both:?}"),
        }
    };
    policy.rules.iter().map(rule).collect()
}

const STATIC: &[&str] = &["root/istio_converted_static_strict"];
const OWN: &[&str] = &["n/converted_peer_authentication_w"];

#[test]
fn the_nearest_level_that_says_something_decides() {
    let modes = |mesh: &str, namespace: &str, workload: &str| {
        let one = |place: &str, name: &str, mode: &str, selector: &str| {
            (!mode.is_empty())
                .then(|| written(place, name, &format!("mtls: {{mode: {mode}}}{selector}")))
        };
        let selector = ", selector: {matchLabels: {app: a}}";
        let all = [
            one(ROOT, "m", mesh, ""),
            one("n", "n", namespace, ""),
            one("n", "w", workload, selector),
        ];
        named(&all.into_iter().flatten().collect::<Vec<_>>())
    };
    for (mesh, namespace, workload, is_strict) in [
        ("", "", "", false),
        ("STRICT", "", "", true),
        ("PERMISSIVE", "", "", false),
        ("DISABLE", "", "", false),
        ("UNSET", "", "", false),
        ("STRICT", "UNSET", "", true),
        ("STRICT", "PERMISSIVE", "", false),
        ("STRICT", "DISABLE", "", false),
        ("PERMISSIVE", "STRICT", "", true),
        ("STRICT", "", "UNSET", true),
        ("STRICT", "UNSET", "UNSET", true),
        ("STRICT", "STRICT", "PERMISSIVE", false),
        ("STRICT", "STRICT", "DISABLE", false),
        ("", "", "STRICT", true),
        ("PERMISSIVE", "DISABLE", "STRICT", true),
        ("", "PERMISSIVE", "UNSET", false),
    ] {
        let expected: &[&str] = if is_strict { STATIC } else { &[] };
        assert_eq!(
            modes(mesh, namespace, workload),
            expected,
            "{mesh} {namespace} {workload}"
        );
    }
    assert_eq!(shown(&strict(ROOT)), ["all"]);
}

/// Mode of the namespace, mode and ports of the workload, what it names, the rules of its own policy.
type PortRow<'a> = (
    &'a str,
    &'a str,
    &'a str,
    &'a [&'a str],
    Option<&'a [&'a str]>,
);

#[test]
fn ports_that_differ_from_the_rest_make_a_policy_of_their_own() {
    let rows: [PortRow<'_>; 10] = [
        (
            "PERMISSIVE",
            "PERMISSIVE",
            "80: {mode: STRICT}, 81: {mode: STRICT}",
            OWN,
            Some(&["[80]", "[81]"]),
        ),
        (
            "PERMISSIVE",
            "DISABLE",
            "80: {mode: STRICT}, 81: {mode: DISABLE}",
            OWN,
            Some(&["[80]"]),
        ),
        (
            "PERMISSIVE",
            "UNSET",
            "80: {mode: STRICT}",
            OWN,
            Some(&["[80]"]),
        ),
        ("STRICT", "UNSET", "80: {mode: STRICT}", STATIC, None),
        (
            "STRICT",
            "UNSET",
            "80: {mode: PERMISSIVE}",
            OWN,
            Some(&["![80]"]),
        ),
        (
            "STRICT",
            "STRICT",
            "80: {mode: PERMISSIVE}, 81: {mode: DISABLE}, 82: {mode: STRICT}",
            OWN,
            Some(&["![80, 81]"]),
        ),
        (
            "PERMISSIVE",
            "STRICT",
            "80: {mode: DISABLE}",
            OWN,
            Some(&["![80]"]),
        ),
        ("PERMISSIVE", "STRICT", "80: {mode: STRICT}", STATIC, None),
        ("STRICT", "PERMISSIVE", "80: {mode: PERMISSIVE}", &[], None),
        ("STRICT", "STRICT", "80: {mode: UNSET}", STATIC, None),
    ];
    for (namespace, mode, ports, expected, rules) in rows {
        let spec = format!(
            "selector: {{matchLabels: {{app: a}}}}, mtls: {{mode: {mode}}}, portLevelMtls: {{{ports}}}"
        );
        let objects = [
            written("n", "n", &format!("mtls: {{mode: {namespace}}}")),
            written("n", "w", &spec),
        ];
        assert_eq!(named(&objects), expected, "{namespace} {mode} {ports}");
        let policies = world(&objects);
        let made = policies
            .peer("n", "w")
            .unwrap()
            .converted("n", policies.is_strict("n"));
        assert_eq!(
            made.as_ref().map(shown).as_deref(),
            rules
                .map(|it| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>())
                .as_deref()
        );
        if let Some(made) = made {
            assert_eq!(made.key.to_string(), "n/converted_peer_authentication_w");
            assert_eq!(made.origin.unwrap().to_string(), "PeerAuthentication n/w");
        }
    }
}

#[test]
fn the_oldest_of_a_level_counts_alone() {
    let dated = |name: &str, at: &str, mode: &str, selector: &str| {
        object(&format!(
            "{{metadata: {{namespace: n, name: {name}, creationTimestamp: '{at}'}}, spec: {{mtls: {{mode: {mode}}}{selector}}}}}"
        ))
    };
    let (old, new) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let selector = ", selector: {matchLabels: {app: a}}";
    for selector in ["", selector] {
        assert_eq!(
            named(&[
                dated("z", old, "STRICT", selector),
                dated("a", new, "PERMISSIVE", selector)
            ]),
            STATIC
        );
        assert!(
            named(&[
                dated("z", old, "PERMISSIVE", selector),
                dated("a", new, "STRICT", selector)
            ])
            .is_empty()
        );
        // An older one without a word on it still takes the place of the younger one.
        assert!(
            named(&[
                dated("z", old, "UNSET", selector),
                dated("a", new, "STRICT", selector)
            ])
            .is_empty()
        );
    }
}

#[test]
fn one_of_the_root_namespace_with_a_selector_counts_for_nobody() {
    let spec = "selector: {matchLabels: {app: a}}, mtls: {mode: STRICT}, portLevelMtls: {80: {mode: PERMISSIVE}}";
    assert!(named(&[written(ROOT, "w", spec)]).is_empty());
    let policies = world(&[written(ROOT, "w", spec)]);
    assert!(policies_of(&Labels::from_iter([("app", "a")]), ROOT, &policies).is_empty());
}

#[test]
fn a_selector_that_says_more_than_is_read_is_rejected() {
    let path = objects::raw::Path::of_keys(&["spec", "selector", "matchExpressions"]);
    let unread = [objects::object::Unread { path, line: 1 }];
    let (_, findings) = read(&written("n", "w", "selector: {}"), &unread);
    let [finding] = findings.as_slice() else {
        panic!("{findings:?}")
    };
    assert_eq!(
        (finding.rule.word(), finding.path.to_string().as_str()),
        ("invalid-value", "spec.selector.matchExpressions")
    );
}

/// Name and specification, whether it is in the root namespace and selects something, and what is found.
type FoundRow<'a> = (&'a str, bool, bool, &'a [&'a str], bool);

#[test]
fn what_has_no_effect_is_said() {
    let older = [
        read(&written("n", "whole", "mtls: {mode: STRICT}"), &[]).0,
        read(
            &written("n", "some", "selector: {matchLabels: {app: a}}"),
            &[],
        )
        .0,
    ];
    let rows: [FoundRow<'_>; 11] = [
        (
            "selector: {matchLabels: {app: b}}, mtls: {mode: STRICT}",
            false,
            true,
            &[],
            true,
        ),
        (
            "selector: {matchLabels: {app: b}}",
            false,
            false,
            &["selects-nothing spec.selector.matchLabels"],
            true,
        ),
        (
            "mtls: {mode: STRICT}",
            false,
            true,
            &["duplicate-peer-authentication spec"],
            false,
        ),
        (
            "selector: {matchLabels: {app: a, tier: x}}",
            false,
            true,
            &["duplicate-peer-authentication spec.selector"],
            false,
        ),
        ("selector: {matchLabels: {tier: x}}", false, true, &[], true),
        (
            "selector: {matchLabels: {app: b}}",
            true,
            false,
            &["peer-authentication-ignored spec.selector"],
            false,
        ),
        (
            "selector: {matchLabels: {app: b}}, mtls: {mode: DISABLE}",
            false,
            true,
            &["disable-is-permissive spec.mtls.mode"],
            true,
        ),
        (
            "selector: {matchLabels: {app: b}}, portLevelMtls: {80: {mode: DISABLE}}",
            false,
            true,
            &["disable-is-permissive spec.portLevelMtls.80.mode"],
            true,
        ),
        (
            "selector: {matchLabels: {app: b}}, portLevelMtls: {http: {mode: STRICT}}",
            false,
            true,
            &["invalid-value spec.portLevelMtls.http"],
            false,
        ),
        (
            "selector: {matchLabels: {app: b}}, portLevelMtls: {0: {}, 65536: {}}",
            false,
            true,
            &[
                "invalid-value spec.portLevelMtls.0",
                "invalid-value spec.portLevelMtls.65536",
            ],
            false,
        ),
        (
            "portLevelMtls: {80: {mode: STRICT}}",
            false,
            true,
            &[
                "peer-authentication-ignored spec.portLevelMtls",
                "duplicate-peer-authentication spec",
            ],
            false,
        ),
    ];
    for (spec, is_root, selects_any, expected, holds) in rows {
        let situation = Situation {
            is_root,
            older: older.iter().collect(),
            selects_any,
            has_last_good: false,
        };
        let (findings, status) = report(&written("n", "w", spec), &[], &situation);
        let found: Vec<_> = findings
            .iter()
            .map(|it| format!("{} {}", it.rule.word(), it.path))
            .collect();
        assert_eq!(found, expected, "{spec}");
        let condition = &status.conditions[0];
        let reason = if holds {
            "Accepted"
        } else {
            "UnsupportedValue"
        };
        assert_eq!(
            (condition.kind, condition.holds, condition.reason),
            ("ZtunnelAccepted", holds, reason),
            "{spec}"
        );
    }
}
