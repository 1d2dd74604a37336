//! Pure. Does a rule match: rules to clauses to matches to single conditions.

mod request;
mod text;

use std::cell::OnceCell;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Facts;
use crate::model::{Action, Clause, IpRange, Match, Rule, ServiceAccountMatch, StringMatch};
use text::matches_text;

/// What becomes of conditions on a request where there is none: opaque bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// They do not hold: nobody is admitted by them.
    Fails,
    /// They are left out: more is refused.
    Holds,
}

impl Unreadable {
    /// What is safe for policies of this action.
    pub(super) fn of(action: Action) -> Self {
        match action {
            Action::Allow => Self::Fails,
            Action::Deny => Self::Holds,
        }
    }
}

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

    /// The first rule that matches. Without rules nothing does; a rule without clauses matches
    /// everything.
    pub(super) fn matching_rule(&self, rules: &[Rule], unreadable: Unreadable) -> Option<usize> {
        let matches = |rule: &Rule| {
            let mut clauses = rule.clauses.iter();
            clauses.all(|clause| self.clause(clause, unreadable))
        };
        rules.iter().position(matches)
    }

    /// A clause without matches is true.
    fn clause(&self, clause: &Clause, unreadable: Unreadable) -> bool {
        let mut matches = clause.matches.iter();
        clause.matches.is_empty() || matches.any(|it| self.one_match(it, unreadable))
    }

    /// A match without any field never matches.
    fn one_match(&self, m: &Match, unreadable: Unreadable) -> bool {
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
            request,
        } = m;
        if m.is_empty() {
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
        let request = request.as_deref();
        admits(namespaces, not_namespaces, namespace)
            && admits(principals, not_principals, principal)
            && admits(service_accounts, not_service_accounts, account)
            && admits(source_ips, not_source_ips, source)
            && admits(destination_ips, not_destination_ips, destination)
            && admits(destination_ports, not_destination_ports, port)
            && request.is_none_or(|it| request::matches(&self.facts, it, unreadable))
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

fn contains(range: IpRange, address: IpAddr) -> bool {
    IpNet::new(range.address, range.prefix).is_ok_and(|net| net.contains(&address))
}
