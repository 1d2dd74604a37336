//! Pure. A second authorization evaluator, written from the contract's tables alone: one function per table row,
//! no sharing, no early decision, no thought for speed.
//!
//! Source: docs/compat.md#authorization-record. It is meant to be read beside those tables
//! and to be wrong in other ways than the engine of `mesh::authz`; so it uses nothing of it.

use std::net::IpAddr;

use mesh::identity::Identity;
use mesh::model::{
    Action, Clause, IpRange, Match, Policy, PolicyScope, Rule, ServiceAccountMatch, StringMatch,
};
use mesh::names::NamespacedName;

/// What is known of a connection that arrives at a workload.
pub(crate) struct Arrival<'a> {
    pub(crate) identity: Option<&'a Identity>,
    pub(crate) source_ip: IpAddr,
    pub(crate) destination_ip: IpAddr,
    pub(crate) destination_port: u16,
}

/// What the tables say about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) ending: Ending,
    /// Dry-run DENY policies that match: logged only.
    pub(crate) dry_run_denies: Vec<NamespacedName>,
    /// Dry-run ALLOW policies that match: logged only.
    pub(crate) dry_run_allows: Vec<NamespacedName>,
    /// Whether a dry-run ALLOW policy applies at all, matching or not.
    pub(crate) dry_run_allow_applies: bool,
}

/// The last column of the order of evaluation, each with every policy that may rightly be named for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Row 3.
    ExplicitlyDenied(Vec<NamespacedName>),
    /// Row 5.
    NoAllowPolicies,
    /// Row 6.
    AllowedBy(Vec<NamespacedName>),
    /// Row 7.
    NoneAllowed,
}

/// Row 1: the namespace's, the global ones, and those the workload lists.
pub(crate) fn applicable<'a>(
    all: &'a [Policy],
    workload_namespace: &str,
    listed: &[NamespacedName],
) -> Vec<&'a Policy> {
    let mut set = Vec::new();
    for policy in all {
        let of_namespace = policy.scope == PolicyScope::Namespace
            && policy.key.namespace.as_ref() == workload_namespace;
        let global = policy.scope == PolicyScope::Global;
        let by_name = listed.contains(&policy.key);
        if of_namespace || global || by_name {
            set.push(policy);
        }
    }
    set
}

/// Rows 2 to 7.
pub(crate) fn evaluate(set: &[&Policy], arrival: &Arrival<'_>) -> Outcome {
    let matching = |action: Action, dry_run: bool| -> Vec<NamespacedName> {
        let mut names = Vec::new();
        for policy in set {
            if policy.action == action
                && policy.dry_run == dry_run
                && policy_matches(policy, arrival)
            {
                names.push(policy.key.clone());
            }
        }
        names
    };
    let any = |action: Action, dry_run: bool| {
        set.iter()
            .any(|policy| policy.action == action && policy.dry_run == dry_run)
    };
    let denying = matching(Action::Deny, false);
    let allowing = matching(Action::Allow, false);
    let ending = if !denying.is_empty() {
        Ending::ExplicitlyDenied(denying)
    } else if !any(Action::Allow, false) {
        Ending::NoAllowPolicies
    } else if !allowing.is_empty() {
        Ending::AllowedBy(allowing)
    } else {
        Ending::NoneAllowed
    };
    Outcome {
        ending,
        dry_run_denies: matching(Action::Deny, true),
        dry_run_allows: matching(Action::Allow, true),
        dry_run_allow_applies: any(Action::Allow, true),
    }
}

/// "Policy with no rules: never matches."
fn policy_matches(policy: &Policy, arrival: &Arrival<'_>) -> bool {
    let mut matched = false;
    for rule in &policy.rules {
        if rule_matches(rule, arrival) {
            matched = true;
        }
    }
    matched
}

/// "Rule with no clauses: matches everything." Clauses are AND-ed.
pub(crate) fn rule_matches(rule: &Rule, arrival: &Arrival<'_>) -> bool {
    let mut matched = true;
    for clause in &rule.clauses {
        if !clause_matches(clause, arrival) {
            matched = false;
        }
    }
    matched
}

/// "Clause with no matches: matches." Matches are OR-ed.
fn clause_matches(clause: &Clause, arrival: &Arrival<'_>) -> bool {
    if clause.matches.is_empty() {
        return true;
    }
    let mut matched = false;
    for one in &clause.matches {
        if match_matches(one, arrival) {
            matched = true;
        }
    }
    matched
}

/// "Match with no fields set: never matches." Fields AND, values OR, positive must and negative must not.
pub(crate) fn match_matches(one: &Match, arrival: &Arrival<'_>) -> bool {
    let set = one.namespaces.len()
        + one.not_namespaces.len()
        + one.principals.len()
        + one.not_principals.len()
        + one.service_accounts.len()
        + one.not_service_accounts.len()
        + one.source_ips.len()
        + one.not_source_ips.len()
        + one.destination_ips.len()
        + one.not_destination_ips.len()
        + one.destination_ports.len()
        + one.not_destination_ports.len();
    if set == 0 {
        return false;
    }
    let namespace = |pattern: &StringMatch| namespace_is(pattern, arrival.identity);
    let principal = |pattern: &StringMatch| principal_is(pattern, arrival.identity);
    let account = |wanted: &ServiceAccountMatch| account_is(wanted, arrival.identity);
    let source = |range: &IpRange| in_range(*range, arrival.source_ip);
    let destination = |range: &IpRange| in_range(*range, arrival.destination_ip);
    let port = |port: &u16| *port == arrival.destination_port;
    wanted(&one.namespaces, namespace)
        && unwanted(&one.not_namespaces, namespace)
        && wanted(&one.principals, principal)
        && unwanted(&one.not_principals, principal)
        && wanted(&one.service_accounts, account)
        && unwanted(&one.not_service_accounts, account)
        && wanted(&one.source_ips, source)
        && unwanted(&one.not_source_ips, source)
        && wanted(&one.destination_ips, destination)
        && unwanted(&one.not_destination_ips, destination)
        && wanted(&one.destination_ports, port)
        && unwanted(&one.not_destination_ports, port)
}

fn wanted<T>(values: &[T], holds: impl Fn(&T) -> bool) -> bool {
    if values.is_empty() {
        return true;
    }
    values.iter().any(holds)
}

fn unwanted<T>(values: &[T], holds: impl Fn(&T) -> bool) -> bool {
    for value in values {
        if holds(value) {
            return false;
        }
    }
    true
}

/// "Compared to identity namespace, empty if none."
fn namespace_is(pattern: &StringMatch, identity: Option<&Identity>) -> bool {
    let namespace = match identity {
        Some(identity) => identity.namespace.to_string(),
        None => String::new(),
    };
    text_is(pattern, &namespace)
}

/// "Compared without `spiffe://`; a connection without identity never satisfies a positive."
fn principal_is(pattern: &StringMatch, identity: Option<&Identity>) -> bool {
    let Some(identity) = identity else {
        return false;
    };
    let principal = format!(
        "{}/ns/{}/sa/{}",
        identity.trust_domain.as_str(),
        identity.namespace,
        identity.service_account
    );
    text_is(pattern, &principal)
}

/// "Identity ns + sa equality."
fn account_is(wanted: &ServiceAccountMatch, identity: Option<&Identity>) -> bool {
    let Some(identity) = identity else {
        return false;
    };
    wanted.namespace == identity.namespace && wanted.service_account == identity.service_account
}

fn text_is(pattern: &StringMatch, text: &str) -> bool {
    match pattern {
        StringMatch::Exact(wanted) => text == wanted.as_ref(),
        StringMatch::Prefix(start) => {
            text.len() >= start.len() && text.as_bytes()[..start.len()] == *start.as_bytes()
        }
        StringMatch::Suffix(end) => {
            text.len() >= end.len() && text.as_bytes()[text.len() - end.len()..] == *end.as_bytes()
        }
        StringMatch::Presence => !text.is_empty(),
    }
}

/// Compares the leading bits one by one; the families are worlds apart.
fn in_range(range: IpRange, address: IpAddr) -> bool {
    let (wanted, actual) = match (range.address, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.octets().to_vec(), b.octets().to_vec()),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.octets().to_vec(), b.octets().to_vec()),
        _ => return false,
    };
    for bit in 0..usize::from(range.prefix) {
        let (byte, shift) = (bit / 8, 7 - bit % 8);
        if (wanted[byte] >> shift) & 1 != (actual[byte] >> shift) & 1 {
            return false;
        }
    }
    true
}
