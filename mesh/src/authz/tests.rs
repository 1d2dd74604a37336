//! One test for each row of the contract's semantics.

use std::net::IpAddr;

use super::{Denial, Facts, Verdict, decide, dry_runs};
use crate::flow::{EndsFlow as _, Reason};
use crate::identity::Identity;
use crate::model::{
    Action, Clause, IpRange, Match, Origin, Policy, PolicyScope, Rule, ServiceAccountMatch,
    StringMatch,
};
use crate::names::NamespacedName;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn caller() -> Identity {
    Identity::parse("spiffe://cluster.local/ns/shop/sa/web").unwrap()
}

fn facts(identity: Option<&Identity>) -> Facts<'_> {
    Facts {
        source_identity: identity,
        source_ip: ip("10.0.0.1"),
        destination_ip: ip("10.0.0.2"),
        destination_port: 8080,
        request: None,
    }
}

fn policy(name: &str, action: Action, rules: Vec<Rule>) -> Policy {
    Policy {
        key: NamespacedName::new("ns", name),
        scope: PolicyScope::Namespace,
        action,
        rules,
        dry_run: false,
        origin: None,
    }
}

fn rule(matches: Vec<Match>) -> Rule {
    Rule {
        clauses: vec![Clause { matches }],
    }
}

fn everything() -> Vec<Rule> {
    vec![Rule::default()]
}

fn port(port: u16) -> Match {
    Match {
        destination_ports: vec![port],
        ..Match::default()
    }
}

/// Whether one match alone makes a DENY policy fire.
fn fires(m: Match, identity: Option<&Identity>) -> bool {
    let policy = policy("p", Action::Deny, vec![rule(vec![m])]);
    matches!(decide(&facts(identity), [&policy]), Verdict::Denied(_))
}

fn exact(text: &str) -> Vec<StringMatch> {
    vec![StringMatch::Exact(text.into())]
}

fn range(text: &str, prefix: u8) -> Vec<IpRange> {
    vec![IpRange {
        address: ip(text),
        prefix,
    }]
}

fn account(namespace: &str, name: &str) -> Vec<ServiceAccountMatch> {
    vec![ServiceAccountMatch {
        namespace: namespace.into(),
        service_account: name.into(),
    }]
}

fn allowed_by(name: &str) -> Verdict {
    Verdict::Allowed(Some(NamespacedName::new("ns", name)))
}

fn nothing_allowed() -> Verdict {
    Verdict::Denied(Denial {
        policy: None,
        rule: None,
        origin: None,
    })
}

#[test]
fn admits_when_there_is_no_policy() {
    assert_eq!(decide(&facts(None), []), Verdict::Allowed(None));
}

#[test]
fn a_matching_deny_refuses_whatever_allows() {
    let allow = policy("allow", Action::Allow, everything());
    let mut deny = policy(
        "deny",
        Action::Deny,
        vec![rule(vec![port(1)]), rule(vec![port(8080)])],
    );
    deny.origin = Some(Origin::object("AuthorizationPolicy", "ns", "deny"));
    for order in [[&allow, &deny], [&deny, &allow]] {
        let expected = Denial {
            policy: Some(deny.key.clone()),
            rule: Some(1),
            origin: deny.origin.clone(),
        };
        assert_eq!(decide(&facts(None), order), Verdict::Denied(expected));
    }
}

#[test]
fn with_allow_policies_one_must_match() {
    let other = policy("other", Action::Allow, vec![rule(vec![port(1)])]);
    let this = policy("this", Action::Allow, vec![rule(vec![port(8080)])]);
    assert_eq!(decide(&facts(None), [&other]), nothing_allowed());
    assert_eq!(decide(&facts(None), [&other, &this]), allowed_by("this"));
}

#[test]
fn a_deny_that_does_not_match_leaves_the_default() {
    let deny = policy("deny", Action::Deny, vec![rule(vec![port(1)])]);
    assert_eq!(decide(&facts(None), [&deny]), Verdict::Allowed(None));
}

#[test]
fn a_policy_without_rules_never_matches() {
    let allow = policy("allow", Action::Allow, vec![]);
    let deny = policy("deny", Action::Deny, vec![]);
    assert_eq!(decide(&facts(None), [&allow]), nothing_allowed());
    assert_eq!(decide(&facts(None), [&deny]), Verdict::Allowed(None));
}

#[test]
fn a_rule_without_clauses_matches_everything() {
    let allow = policy("allow", Action::Allow, everything());
    assert_eq!(decide(&facts(None), [&allow]), allowed_by("allow"));
}

#[test]
fn a_clause_without_matches_is_true() {
    let rules = vec![Rule {
        clauses: vec![Clause::default(), Clause::default()],
    }];
    let allow = policy("allow", Action::Allow, rules);
    assert_eq!(decide(&facts(None), [&allow]), allowed_by("allow"));
}

#[test]
fn a_match_without_fields_never_matches() {
    assert!(!fires(Match::default(), Some(&caller())));
    let beside = policy(
        "p",
        Action::Deny,
        vec![rule(vec![Match::default(), port(8080)])],
    );
    assert_eq!(beside.rules.len(), 1);
    assert!(matches!(
        decide(&facts(None), [&beside]),
        Verdict::Denied(_)
    ));
}

#[test]
fn clauses_are_anded_and_matches_ored() {
    let clause = |ports: &[u16]| Clause {
        matches: ports.iter().map(|it| port(*it)).collect(),
    };
    for (clauses, expected) in [
        (vec![clause(&[8080]), clause(&[1, 8080])], true),
        (vec![clause(&[8080]), clause(&[1, 2])], false),
    ] {
        let deny = policy("p", Action::Deny, vec![Rule { clauses }]);
        assert_eq!(
            matches!(decide(&facts(None), [&deny]), Verdict::Denied(_)),
            expected
        );
    }
}

#[test]
fn fields_of_a_match_are_anded_and_values_ored() {
    let caller = caller();
    let base = Match {
        namespaces: exact("shop"),
        ..port(8080)
    };
    assert!(fires(base.clone(), Some(&caller)));
    assert!(!fires(
        Match {
            destination_ports: vec![1],
            ..base.clone()
        },
        Some(&caller)
    ));
    assert!(fires(
        Match {
            destination_ports: vec![1, 8080],
            ..base.clone()
        },
        Some(&caller)
    ));
    assert!(!fires(
        Match {
            not_destination_ports: vec![8080],
            ..base
        },
        Some(&caller)
    ));
}

#[test]
fn principals_are_compared_without_scheme() {
    let caller = caller();
    let text = "cluster.local/ns/shop/sa/web";
    for (pattern, expected) in [
        (StringMatch::Exact(text.into()), true),
        (StringMatch::Exact(format!("spiffe://{text}").into()), false),
        (StringMatch::Prefix("cluster.local/ns/shop/".into()), true),
        (StringMatch::Prefix("ns/shop/".into()), false),
        (StringMatch::Suffix("/sa/web".into()), true),
        (StringMatch::Suffix("/sa/".into()), false),
        (StringMatch::Presence, true),
    ] {
        let positive = Match {
            principals: vec![pattern.clone()],
            ..Match::default()
        };
        assert_eq!(fires(positive, Some(&caller)), expected, "{pattern:?}");
        let negative = Match {
            not_principals: vec![pattern.clone()],
            ..Match::default()
        };
        assert_eq!(fires(negative, Some(&caller)), !expected, "not {pattern:?}");
    }
}

#[test]
fn without_identity_no_positive_condition_on_it_holds_and_every_negative_one_does() {
    let any = || vec![StringMatch::Presence];
    for positive in [
        Match {
            principals: any(),
            ..Match::default()
        },
        Match {
            principals: vec![StringMatch::Prefix("".into())],
            ..Match::default()
        },
        Match {
            namespaces: any(),
            ..Match::default()
        },
        Match {
            namespaces: exact("shop"),
            ..Match::default()
        },
        Match {
            service_accounts: account("shop", "web"),
            ..Match::default()
        },
    ] {
        assert!(!fires(positive.clone(), None), "{positive:?}");
    }
    for negative in [
        // This is how STRICT refuses plain text.
        Match {
            not_principals: any(),
            ..Match::default()
        },
        Match {
            not_namespaces: exact("shop"),
            ..Match::default()
        },
        Match {
            not_service_accounts: account("shop", "web"),
            ..Match::default()
        },
    ] {
        assert!(fires(negative.clone(), None), "{negative:?}");
        assert!(!fires(negative.clone(), Some(&caller())), "{negative:?}");
    }
}

#[test]
fn namespaces_are_those_of_the_identity() {
    let caller = caller();
    let m = |pattern| Match {
        namespaces: vec![pattern],
        ..Match::default()
    };
    assert!(fires(m(StringMatch::Exact("shop".into())), Some(&caller)));
    assert!(fires(m(StringMatch::Prefix("sh".into())), Some(&caller)));
    assert!(fires(m(StringMatch::Suffix("op".into())), Some(&caller)));
    assert!(!fires(m(StringMatch::Exact("web".into())), Some(&caller)));
}

#[test]
fn service_accounts_need_namespace_and_name() {
    let caller = caller();
    for (namespace, name, expected) in [
        ("shop", "web", true),
        ("shop", "db", false),
        ("other", "web", false),
    ] {
        let m = Match {
            service_accounts: account(namespace, name),
            ..Match::default()
        };
        assert_eq!(fires(m, Some(&caller)), expected, "{namespace}/{name}");
    }
}

#[test]
fn addresses_are_matched_by_range() {
    for (address, prefix, expected) in [
        ("10.0.0.1", 32, true),
        ("10.0.0.2", 32, false),
        ("10.255.0.0", 8, true),
        ("0.0.0.0", 0, true),
        ("::", 0, false),
        ("10.0.0.1", 33, false),
    ] {
        let source = Match {
            source_ips: range(address, prefix),
            ..Match::default()
        };
        assert_eq!(fires(source, None), expected, "{address}/{prefix}");
        let not_source = Match {
            not_source_ips: range(address, prefix),
            ..Match::default()
        };
        assert_eq!(fires(not_source, None), !expected, "not {address}/{prefix}");
    }
    let to = Match {
        destination_ips: range("10.0.0.2", 32),
        ..Match::default()
    };
    assert!(fires(to, None));
    let not_to = Match {
        not_destination_ips: range("10.0.0.2", 32),
        ..Match::default()
    };
    assert!(!fires(not_to, None));
}

#[test]
fn an_ipv4_mapped_peer_is_its_ipv4_address() {
    let deny = policy(
        "p",
        Action::Deny,
        vec![rule(vec![Match {
            source_ips: range("10.0.0.0", 8),
            ..Match::default()
        }])],
    );
    let facts = Facts {
        source_ip: ip("::ffff:10.0.0.1"),
        ..facts(None)
    };
    assert!(matches!(decide(&facts, [&deny]), Verdict::Denied(_)));
}

#[test]
fn report_only_policies_never_count_and_are_reported() {
    let mut deny = policy("deny", Action::Deny, everything());
    let mut allow = policy("allow", Action::Allow, vec![rule(vec![port(1)])]);
    deny.dry_run = true;
    allow.dry_run = true;
    assert_eq!(
        decide(&facts(None), [&deny, &allow]),
        Verdict::Allowed(None)
    );

    let facts = facts(None);
    let reports: Vec<_> = dry_runs(&facts, [&deny, &allow])
        .map(|it| (it.policy.key.name.to_string(), it.rule))
        .collect();
    assert_eq!(
        reports,
        [("deny".to_owned(), Some(0)), ("allow".to_owned(), None)]
    );
}

#[test]
fn says_who_refused_in_the_contract_s_words() {
    let deny = policy("deny", Action::Deny, everything());
    let allow = policy("allow", Action::Allow, vec![]);
    let text = |policy: &Policy| match decide(&facts(None), [policy]) {
        Verdict::Denied(denial) => {
            assert_eq!(denial.reason(), Reason::PolicyDenied);
            denial.to_string()
        }
        Verdict::Allowed(_) => panic!("allowed"),
    };
    assert_eq!(text(&deny), "explicitly denied by: ns/deny");
    assert_eq!(text(&allow), "allow policies exist, but none allowed");
}

#[test]
fn a_refusal_names_the_rule_of_the_users_object_or_else_of_the_policy() {
    let rule_behind = |origin: Option<Origin>, rule| {
        let policy = Some(NamespacedName::new("ns", "p"));
        let denial = Denial {
            policy,
            rule,
            origin,
        };
        denial.rule_behind().map(|it| it.to_string())
    };
    let object = || Origin::object("PeerAuthentication", "ns", "strict");
    let named = Origin {
        rule: "port 80".into(),
        ..object()
    };
    let text = |it: &str| Some(it.to_owned());
    assert_eq!(rule_behind(None, Some(2)), text("policy ns/p rule 2"));
    let whole = rule_behind(Some(object()), Some(0));
    assert_eq!(whole, text("PeerAuthentication ns/strict rule 0"));
    let known = rule_behind(Some(named), Some(0));
    assert_eq!(known, text("PeerAuthentication ns/strict rule port 80"));
    let nobody = Denial {
        policy: None,
        rule: None,
        origin: None,
    };
    assert_eq!(nobody.rule_behind(), None);
}
