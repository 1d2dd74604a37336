//! Pure. Does a rule match a connection: rules to clauses to matches to single conditions.

use std::cell::OnceCell;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Facts;
use crate::model::{Clause, IpRange, Match, Policy, ServiceAccountMatch, StringMatch};

/// The connection, with its identity as text (made once, when first needed).
pub(super) struct Subject<'a> {
    facts: Facts<'a>,
    principal: OnceCell<String>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(facts: &Facts<'a>) -> Self {
        let facts = Facts {
            source_ip: facts.source_ip.to_canonical(),
            destination_ip: facts.destination_ip.to_canonical(),
            ..*facts
        };
        Self {
            facts,
            principal: OnceCell::new(),
        }
    }

    /// The first rule that matches. A policy without rules matches nothing; a rule without clauses
    /// matches everything.
    pub(super) fn matching_rule(&self, policy: &Policy) -> Option<usize> {
        policy
            .rules
            .iter()
            .position(|rule| rule.clauses.iter().all(|clause| self.clause(clause)))
    }

    /// A clause without matches is true.
    fn clause(&self, clause: &Clause) -> bool {
        clause.matches.is_empty() || clause.matches.iter().any(|it| self.one_match(it))
    }

    /// A match without any field never matches.
    fn one_match(&self, m: &Match) -> bool {
        // Named one by one, so that a new field cannot be forgotten here.
        let Match {
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
        } = m;
        if *m == Match::default() {
            return false;
        }
        let identity = self.facts.source_identity;
        let namespace = identity.map_or("", |it| &*it.namespace);
        let namespace = |pattern: &StringMatch| matches_text(pattern, namespace);
        let principal = |pattern: &StringMatch| self.matches_principal(pattern);
        let account = |wanted: &ServiceAccountMatch| self.matches_account(wanted);
        let source = |range: &IpRange| contains(*range, self.facts.source_ip);
        let destination = |range: &IpRange| contains(*range, self.facts.destination_ip);
        let port = |port: &u16| *port == self.facts.destination_port;
        admits(namespaces, not_namespaces, namespace)
            && admits(principals, not_principals, principal)
            && admits(service_accounts, not_service_accounts, account)
            && admits(source_ips, not_source_ips, source)
            && admits(destination_ips, not_destination_ips, destination)
            && admits(destination_ports, not_destination_ports, port)
    }

    /// Without an identity no pattern matches, not even one that takes anything.
    fn matches_principal(&self, pattern: &StringMatch) -> bool {
        let Some(identity) = self.facts.source_identity else {
            return false;
        };
        let text = self.principal.get_or_init(|| {
            let text = identity.to_string();
            text.strip_prefix("spiffe://")
                .map(str::to_owned)
                .unwrap_or(text)
        });
        matches_text(pattern, text)
    }

    fn matches_account(&self, wanted: &ServiceAccountMatch) -> bool {
        self.facts.source_identity.is_some_and(|it| {
            it.namespace == wanted.namespace && it.service_account == wanted.service_account
        })
    }
}

/// Some of the positive values, when there are any, and none of the negative ones.
fn admits<T>(positive: &[T], negative: &[T], matches: impl Fn(&T) -> bool) -> bool {
    (positive.is_empty() || positive.iter().any(&matches)) && !negative.iter().any(&matches)
}

fn matches_text(pattern: &StringMatch, text: &str) -> bool {
    match pattern {
        StringMatch::Exact(it) => text == &**it,
        StringMatch::Prefix(it) => text.starts_with(&**it),
        StringMatch::Suffix(it) => text.ends_with(&**it),
        StringMatch::Presence => !text.is_empty(),
    }
}

fn contains(range: IpRange, address: IpAddr) -> bool {
    IpNet::new(range.address, range.prefix).is_ok_and(|net| net.contains(&address))
}
