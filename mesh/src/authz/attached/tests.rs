//! One test for each row of the contract's semantics of requests.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};
use serde_json::json;

use super::*;
use crate::authz::{HttpFacts, RequestFacts, Token};
use crate::identity::Identity;
use crate::model::{
    ClaimPatterns, Clause, IpRange, Match, NamedPatterns, PathPattern, RequestMatch, StringMatch,
};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn pattern(text: &str) -> StringMatch {
    match (text, text.strip_prefix('*'), text.strip_suffix('*')) {
        ("*", ..) => StringMatch::Presence,
        (_, Some(rest), _) => StringMatch::Suffix(rest.into()),
        (_, _, Some(rest)) => StringMatch::Prefix(rest.into()),
        (text, ..) => StringMatch::Exact(text.into()),
    }
}

fn patterns(all: &[&str]) -> Vec<StringMatch> {
    all.iter().map(|it| pattern(it)).collect()
}

fn path(text: &str) -> PathPattern {
    match text.contains('{') {
        true => PathPattern::Template(text.into()),
        false => PathPattern::Text(pattern(text)),
    }
}

fn header(name: &str, values: &[&str], not_values: &[&str]) -> RequestMatch {
    RequestMatch {
        headers: vec![NamedPatterns {
            name: name.into(),
            values: patterns(values),
            not_values: patterns(not_values),
        }],
        ..RequestMatch::default()
    }
}

fn claim(path: &[&str], values: &[&str], not_values: &[&str]) -> RequestMatch {
    RequestMatch {
        claims: vec![ClaimPatterns {
            path: path.iter().map(|it| (*it).into()).collect(),
            values: patterns(values),
            not_values: patterns(not_values),
        }],
        ..RequestMatch::default()
    }
}

fn token() -> Token {
    let payload = json!({
        "iss": "https://issuer", "sub": "alice", "aud": ["shop", "bank"], "azp": "cli",
        "groups": ["admins", "staff"], "scope": "read write", "level": 3,
        "nested": {"role": "owner", "tags": ["x", "y"]},
    });
    Token::new(payload.as_object().unwrap().clone(), [])
}

/// What the tests ask about: a request of `shop/web` with a token, or parts of it missing.
#[derive(Clone, Copy, PartialEq)]
enum Sent {
    Request,
    WithoutToken,
    PlainText,
    Opaque,
}

fn with_facts<R>(sent: Sent, run: impl FnOnce(&Facts<'_>) -> R) -> R {
    let identity = Identity::parse("spiffe://cluster.local/ns/shop/sa/web").unwrap();
    let token = token();
    let mut headers = HeaderMap::new();
    headers.append("x-team", HeaderValue::from_static("red"));
    headers.append("x-team", HeaderValue::from_static("blue"));
    headers.append("x-empty", HeaderValue::from_static(""));
    let http = HttpFacts {
        method: "GET",
        host: "Books.Shop:8080",
        path: "/books/42",
        headers: &headers,
        token: (sent != Sent::WithoutToken).then_some(&token),
    };
    let request = RequestFacts {
        remote_ip: ip("203.0.113.9"),
        server_name: None,
        http: (sent != Sent::Opaque).then_some(http),
    };
    run(&Facts {
        source_identity: (sent != Sent::PlainText).then_some(&identity),
        source_ip: ip("10.0.0.1"),
        destination_ip: ip("10.0.0.2"),
        destination_port: 8080,
        request: Some(&request),
    })
}

fn rule(matches: Vec<Match>) -> Rule {
    Rule {
        clauses: vec![Clause { matches }],
    }
}

fn only(request: RequestMatch) -> Match {
    Match {
        request: Some(Box::new(request)),
        ..Match::default()
    }
}

fn policy(action: RequestAction, rules: Vec<Rule>) -> RequestAuthorization {
    RequestAuthorization {
        action,
        rules,
        dry_run: false,
    }
}

fn origin(name: &str) -> Origin {
    Origin::object("AuthorizationPolicy", "shop", name)
}

fn decided(sent: Sent, policies: &[(&str, RequestAuthorization)]) -> Verdict {
    let origins: Vec<_> = policies.iter().map(|(name, _)| origin(name)).collect();
    let attached = policies.iter().zip(&origins);
    let attached = attached.map(|((_, policy), origin)| Attached { origin, policy });
    with_facts(sent, |facts| decide_request(facts, attached))
}

fn is_denied(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Denied(_))
}

/// Whether one match alone makes a DENY policy fire; an ALLOW policy must agree where there is a request.
fn fires(sent: Sent, request: RequestMatch) -> bool {
    let rules = vec![rule(vec![only(request)])];
    let denied = is_denied(&decided(
        sent,
        &[("p", policy(RequestAction::Deny, rules.clone()))],
    ));
    let allowed = !is_denied(&decided(
        sent,
        &[("p", policy(RequestAction::Allow, rules))],
    ));
    if sent != Sent::Opaque {
        assert_eq!(denied, allowed);
    }
    denied
}

#[test]
fn conditions_on_a_request_hold_as_their_forms_say_and_negated_ones_when_not() {
    type Set = fn(&mut RequestMatch, Vec<StringMatch>);
    let host: [Set; 2] = [|m, it| m.hosts = it, |m, it| m.not_hosts = it];
    let method: [Set; 2] = [|m, it| m.methods = it, |m, it| m.not_methods = it];
    let principal: [Set; 2] = [
        |m, it| m.request_principals = it,
        |m, it| m.not_request_principals = it,
    ];
    let domain: [Set; 2] = [
        |m, it| m.trust_domains = it,
        |m, it| m.not_trust_domains = it,
    ];
    let name: [Set; 2] = [|m, it| m.server_names = it, |m, it| m.not_server_names = it];
    for ([positive, negative], values, expected) in [
        (host, &["books.shop:8080"][..], true),
        (host, &["BOOKS.*"], true),
        (host, &["*.SHOP:8080"], true),
        (host, &["books.shop"], false),
        (host, &["*"], true),
        (method, &["POST", "GET"], true),
        (method, &["get"], false),
        (principal, &["https://issuer/alice"], true),
        (principal, &["https://issuer/*"], true),
        (principal, &["*/alice"], true),
        (principal, &["*"], true),
        (principal, &["https://issuer/bob"], false),
        (domain, &["cluster.local"], true),
        (domain, &["*.local"], true),
        (domain, &["other.local"], false),
        (name, &["*"], false),
        (name, &["books.shop"], false),
    ] {
        let with = |set: Set| {
            let mut m = RequestMatch::default();
            set(&mut m, patterns(values));
            fires(Sent::Request, m)
        };
        assert_eq!(with(positive), expected, "{values:?}");
        assert_eq!(with(negative), !expected, "not {values:?}");
    }
}

#[test]
fn paths_match_as_text_or_by_template() {
    for (text, expected) in [
        ("/books/42", true),
        ("/books/*", true),
        ("*/42", true),
        ("/Books/42", false),
        ("/books", false),
        ("/books/{*}", true),
        ("/{**}", true),
        ("/books/42/{**}", false),
    ] {
        let paths = vec![path(text)];
        let positive = RequestMatch {
            paths: paths.clone(),
            ..RequestMatch::default()
        };
        let negative = RequestMatch {
            not_paths: paths,
            ..RequestMatch::default()
        };
        assert_eq!(fires(Sent::Request, positive), expected, "{text}");
        assert_eq!(fires(Sent::Request, negative), !expected, "not {text}");
    }
}

#[test]
fn the_lines_of_a_repeated_header_count_one_by_one() {
    for (m, expected) in [
        (header("x-team", &["blue"], &[]), true),
        (header("x-team", &["red,blue"], &[]), false),
        (header("x-team", &[], &["red"]), false),
        (header("x-team", &[], &["green"]), true),
        (header("x-team", &["*"], &["green"]), true),
        (header("x-empty", &["*"], &[]), false),
        (header("x-absent", &["*"], &[]), false),
        (header("x-absent", &[], &["*"]), true),
        (header(":method", &["GET"], &[]), true),
        (header(":authority", &["Books*"], &[]), true),
    ] {
        assert_eq!(fires(Sent::Request, m.clone()), expected, "{m:?}");
    }
}

#[test]
fn claims_match_by_nested_path_and_by_members_of_lists() {
    for (m, expected) in [
        (claim(&["groups"], &["staff"], &[]), true),
        (claim(&["groups"], &["nobody"], &[]), false),
        (claim(&["groups"], &[], &["staff"]), false),
        (claim(&["nested", "role"], &["own*"], &[]), true),
        (claim(&["nested", "tags"], &["y"], &[]), true),
        (claim(&["nested"], &["*"], &[]), false),
        (claim(&["scope"], &["write"], &[]), true),
        (claim(&["aud"], &["bank"], &[]), true),
        (claim(&["azp"], &["cli"], &[]), true),
        (claim(&["level"], &["3"], &[]), false),
        (claim(&["absent"], &[], &["x"]), true),
    ] {
        assert_eq!(fires(Sent::Request, m.clone()), expected, "{m:?}");
        if !m.claims[0].values.is_empty() {
            assert!(!fires(Sent::WithoutToken, m));
        } else {
            assert!(fires(Sent::WithoutToken, m), "negated, and no token at all");
        }
    }
}

#[test]
fn what_is_absent_matches_negated_conditions_only() {
    let any = || patterns(&["*"]);
    let principal = RequestMatch {
        request_principals: any(),
        ..RequestMatch::default()
    };
    let not_principal = RequestMatch {
        not_request_principals: any(),
        ..RequestMatch::default()
    };
    assert!(!fires(Sent::WithoutToken, principal));
    assert!(fires(Sent::WithoutToken, not_principal));
    let domain = RequestMatch {
        trust_domains: any(),
        ..RequestMatch::default()
    };
    let not_domain = RequestMatch {
        not_trust_domains: any(),
        ..RequestMatch::default()
    };
    assert!(!fires(Sent::PlainText, domain));
    assert!(fires(Sent::PlainText, not_domain));
}

#[test]
fn remote_addresses_are_what_proxies_in_front_say() {
    let range = |text: &str, prefix| {
        vec![IpRange {
            address: ip(text),
            prefix,
        }]
    };
    let of = |remote_ips| RequestMatch {
        remote_ips,
        ..RequestMatch::default()
    };
    assert!(fires(Sent::Request, of(range("203.0.113.0", 24))));
    assert!(!fires(Sent::Request, of(range("10.0.0.1", 32))));
}

#[test]
fn opaque_bytes_are_admitted_by_no_rule_about_requests_and_refused_by_every_one() {
    let get = RequestMatch {
        methods: patterns(&["GET"]),
        ..RequestMatch::default()
    };
    let rules = |port| {
        let m = Match {
            destination_ports: vec![port],
            ..only(get.clone())
        };
        vec![rule(vec![m])]
    };
    let allow = policy(RequestAction::Allow, rules(8080));
    assert!(is_denied(&decided(Sent::Opaque, &[("p", allow)])));
    let deny = policy(RequestAction::Deny, rules(8080));
    assert!(is_denied(&decided(Sent::Opaque, &[("p", deny)])));
    let elsewhere = policy(RequestAction::Deny, rules(9090));
    assert!(!is_denied(&decided(Sent::Opaque, &[("p", elsewhere)])));
}

#[test]
fn without_rules_allow_denies_all_and_deny_nothing_and_an_empty_rule_is_about_everything() {
    for (action, rules, expected) in [
        (RequestAction::Allow, vec![], true),
        (RequestAction::Deny, vec![], false),
        (RequestAction::Allow, vec![Rule::default()], false),
        (RequestAction::Deny, vec![Rule::default()], true),
    ] {
        let verdict = decided(Sent::Request, &[("p", policy(action.clone(), rules))]);
        assert_eq!(is_denied(&verdict), expected, "{action:?}");
    }
}

#[test]
fn a_match_with_an_empty_request_part_never_matches() {
    let rules = vec![rule(vec![only(RequestMatch::default())])];
    let deny = policy(RequestAction::Deny, rules);
    assert!(!is_denied(&decided(Sent::Request, &[("p", deny)])));
}

#[test]
fn a_refusal_names_policy_and_rule() {
    let nothing = rule(vec![only(header("x-absent", &["*"], &[]))]);
    let deny = policy(RequestAction::Deny, vec![nothing, Rule::default()]);
    let allow = policy(RequestAction::Allow, vec![Rule::default()]);
    let Verdict::Denied(denial) = decided(Sent::Request, &[("a", allow), ("d", deny)]) else {
        panic!("admitted");
    };
    let detail = "rbac_access_denied_matched_policy[ns[shop]-policy[d]-rule[1]]";
    assert_eq!(denial.code_detail(), detail);
    let behind = denial.rule_behind().unwrap().to_string();
    assert_eq!(behind, "AuthorizationPolicy shop/d rule 1");
    let nobody = policy(RequestAction::Allow, vec![]);
    let Verdict::Denied(denial) = decided(Sent::Request, &[("a", nobody)]) else {
        panic!("admitted");
    };
    assert_eq!(
        denial.code_detail(),
        "rbac_access_denied_matched_policy[none]"
    );
}

#[test]
fn report_only_and_audit_policies_never_count_and_are_reported() {
    let mut deny = policy(RequestAction::Deny, vec![Rule::default()]);
    deny.dry_run = true;
    let mut allow = policy(RequestAction::Allow, vec![]);
    allow.dry_run = true;
    let audit = policy(RequestAction::Audit, vec![Rule::default()]);
    let policies = [("d", deny), ("a", allow), ("m", audit)];
    assert_eq!(decided(Sent::Request, &policies), Verdict::Allowed(None));
    let origins: Vec<_> = policies.iter().map(|(name, _)| origin(name)).collect();
    let attached = || {
        let all = policies.iter().zip(&origins);
        all.map(|((_, policy), origin)| Attached { origin, policy })
    };
    let (marked, reported) = with_facts(Sent::Request, |facts| {
        let name = |it: Attached<'_>| it.origin.name.to_string();
        let marked: Vec<_> = audits(facts, attached())
            .map(|(it, n)| (name(it), n))
            .collect();
        let reported = dry_runs_of_requests(facts, attached());
        let reported: Vec<_> = reported.map(|(it, n)| (name(it), n)).collect();
        (marked, reported)
    });
    assert_eq!(marked, [("m".to_owned(), 0)]);
    assert_eq!(
        reported,
        [("d".to_owned(), Some(0)), ("a".to_owned(), None)]
    );
}

#[test]
fn custom_policies_choose_whom_to_ask_and_contradict_one_another_by_naming_two() {
    let about = |method: &str| {
        let m = RequestMatch {
            methods: patterns(&[method]),
            ..RequestMatch::default()
        };
        vec![rule(vec![only(m)])]
    };
    let custom =
        |name: &str, method: &str| policy(RequestAction::Custom(name.into()), about(method));
    let asked = |policies: &[RequestAuthorization]| {
        let origin = origin("c");
        let attached = policies.iter().map(|policy| Attached {
            origin: &origin,
            policy,
        });
        with_facts(Sent::Request, |facts| match question(facts, attached) {
            Question::Nobody => "nobody".to_owned(),
            Question::Ask { provider, .. } => provider.to_string(),
            Question::Contradiction(_) => "contradiction".to_owned(),
        })
    };
    assert_eq!(asked(&[]), "nobody");
    assert_eq!(asked(&[custom("one", "GET")]), "one");
    assert_eq!(asked(&[custom("one", "POST")]), "nobody");
    assert_eq!(asked(&[custom("one", "POST"), custom("one", "GET")]), "one");
    assert_eq!(
        asked(&[custom("one", "GET"), custom("two", "POST")]),
        "contradiction"
    );
    assert_eq!(
        asked(&[custom("one", "POST"), custom("two", "POST")]),
        "nobody"
    );
}
