//! Counts what the comparison met, by kind, and says how often each kind must be met at least.

use std::collections::BTreeMap;

use mesh::model::{Match, PolicyScope};
use mesh::names::NamespacedName;

use crate::arbitrary::{CONNECTIONS, Connection, POLICIES, World};
use crate::arrival;
use crate::naive::{self, Ending, Outcome};

/// How often each thing happened.
pub(crate) type Tally = BTreeMap<&'static str, u64>;

fn count(tally: &mut Tally, what: &'static str, times: usize) {
    if times > 0 {
        *tally.entry(what).or_default() += times as u64;
    }
}

const LEAST: &[(&str, u64)] = &[
    ("connections", 1_000_000),
    ("policies", 1_000_000),
    ("ending: explicitly denied", 100_000),
    ("ending: allowed, no ALLOW policy applies", 30_000),
    ("ending: allowed by a policy", 100_000),
    ("ending: ALLOW policies, none allows", 100_000),
    ("dry run: DENY matches", 10_000),
    ("dry run: ALLOW matches", 10_000),
    ("dry run: ALLOW applies, does not match", 10_000),
    ("dry run would have decided otherwise", 10_000),
    ("several policies deny", 5_000),
    ("several policies allow", 5_000),
    ("applies: mesh", 100_000),
    ("applies: namespace", 100_000),
    ("applies: listed", 100_000),
    ("applies: listed, and by its scope as well", 5_000),
    ("applies not: another namespace's", 50_000),
    ("applies not: not listed", 50_000),
    ("listed and never sent", 5_000),
    ("shape: policy without rules", 10_000),
    ("shape: rule without clauses", 10_000),
    ("shape: clause without matches", 10_000),
    ("shape: match without fields", 10_000),
    ("peer without identity", 50_000),
];

/// Every field of a match: it was set in one that matched; it alone kept one from matching; unset it.
type Field = (&'static str, &'static str, fn(&mut Match));

macro_rules! fields {
    ($($field:ident),* $(,)?) => {
        [$((
            concat!("held: ", stringify!($field)),
            concat!("alone failed: ", stringify!($field)),
            |it| it.$field = Vec::new(),
        )),*]
    };
}

const FIELDS: [Field; 12] = fields![
    namespaces,
    not_namespaces,
    principals,
    not_principals,
    service_accounts,
    not_service_accounts,
    source_ips,
    not_source_ips,
    destination_ips,
    not_destination_ips,
    destination_ports,
    not_destination_ports,
];

/// Fails unless everything was met often enough.
pub(crate) fn assert_covers(tally: &Tally) {
    for (what, least) in LEAST {
        let times = tally.get(what).copied().unwrap_or_default();
        assert!(times >= *least, "{what}: {times} times, wanted {least}");
    }
    for field in FIELDS.iter().flat_map(|(held, failed, _)| [held, failed]) {
        let times = tally.get(field).copied().unwrap_or_default();
        assert!(times >= 500, "{field}: {times} times, wanted 500");
    }
}

pub(crate) fn count_world(tally: &mut Tally, world: &World) {
    count(tally, "connections", CONNECTIONS);
    count(tally, "policies", POLICIES);
    for policy in &world.policies {
        let is_listed = world.listed.contains(&policy.key);
        let by_scope = match policy.scope {
            PolicyScope::Global => Some("applies: mesh"),
            PolicyScope::Namespace if *policy.key.namespace == *world.namespace => {
                Some("applies: namespace")
            }
            PolicyScope::Namespace | PolicyScope::WorkloadSelector => None,
        };
        let what = match (by_scope, is_listed) {
            (Some(_), true) => "applies: listed, and by its scope as well",
            (Some(what), false) => what,
            (None, true) => "applies: listed",
            (None, false) if policy.scope == PolicyScope::Namespace => {
                "applies not: another namespace's"
            }
            (None, false) => "applies not: not listed",
        };
        count(tally, what, 1);
        let clauses = || policy.rules.iter().flat_map(|it| &it.clauses);
        let matches = || clauses().flat_map(|it| &it.matches);
        let no_rules = usize::from(policy.rules.is_empty());
        let no_clauses = policy.rules.iter().filter(|it| it.clauses.is_empty());
        let no_matches = clauses().filter(|it| it.matches.is_empty());
        let no_fields = matches().filter(|it| **it == Match::default());
        count(tally, "shape: policy without rules", no_rules);
        count(tally, "shape: rule without clauses", no_clauses.count());
        count(tally, "shape: clause without matches", no_matches.count());
        count(tally, "shape: match without fields", no_fields.count());
    }
    let is_sent = |key: &NamespacedName| world.policies.iter().any(|it| it.key == *key);
    let never_sent = world.listed.iter().filter(|it| !is_sent(it)).count();
    count(tally, "listed and never sent", never_sent);
}

pub(crate) fn count_outcome(tally: &mut Tally, connection: &Connection, outcome: &Outcome) {
    let no_identity = usize::from(connection.identity.is_none());
    count(tally, "peer without identity", no_identity);
    let (what, is_admitted) = match &outcome.ending {
        Ending::ExplicitlyDenied(by) => {
            count(tally, "several policies deny", usize::from(by.len() > 1));
            ("ending: explicitly denied", false)
        }
        Ending::NoAllowPolicies => ("ending: allowed, no ALLOW policy applies", true),
        Ending::AllowedBy(by) => {
            count(tally, "several policies allow", usize::from(by.len() > 1));
            ("ending: allowed by a policy", true)
        }
        Ending::NoneAllowed => ("ending: ALLOW policies, none allows", false),
    };
    count(tally, what, 1);
    let denies = !outcome.dry_run_denies.is_empty();
    let allows = !outcome.dry_run_allows.is_empty();
    let allows_not = outcome.dry_run_allow_applies && !allows;
    count(tally, "dry run: DENY matches", usize::from(denies));
    count(tally, "dry run: ALLOW matches", usize::from(allows));
    count(
        tally,
        "dry run: ALLOW applies, does not match",
        usize::from(allows_not),
    );
    let otherwise = is_admitted && (denies || allows_not);
    count(
        tally,
        "dry run would have decided otherwise",
        usize::from(otherwise),
    );
}

/// For every match with several fields: did it hold, and if not, which field alone was in the way?
pub(crate) fn look_closely(tally: &mut Tally, world: &World) {
    let rules = world.policies.iter().flat_map(|it| &it.rules);
    let matches: Vec<_> = rules
        .flat_map(|it| &it.clauses)
        .flat_map(|it| &it.matches)
        .collect();
    for it in matches {
        for connection in &world.connections {
            let holds = naive::match_matches(it, &arrival(connection));
            for (held, alone_failed, unset) in FIELDS {
                let mut without = it.clone();
                unset(&mut without);
                if without == *it {
                    continue;
                }
                if holds {
                    count(tally, held, 1);
                } else if naive::match_matches(&without, &arrival(connection)) {
                    count(tally, alone_failed, 1);
                }
            }
        }
    }
}
