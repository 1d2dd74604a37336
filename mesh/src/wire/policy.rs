//! Authorization policy, both ways.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use proto::security as pb;

use super::field::{self, Subject};
use super::{Error, Problem};
use crate::model::{
    Action, Clause, IpRange, Match, Policy, PolicyScope, Reach, Rule, ServiceAccountMatch,
    StringMatch,
};
use crate::names::NamespacedName;

/// Type URL of these resources.
pub const TYPE_URL: &str = proto::type_urls::AUTHORIZATION;

/// Reads the bytes of one `istio.security.Authorization`.
///
/// Unlike other records nothing is guessed here: an unknown scope, action or pattern refuses the
/// policy, because a guess could admit what the policy forbids.
///
/// # Errors
/// Names policy, field and problem. Source: contract, docs/compat.md#authorization-record.
pub fn decode(bytes: &[u8]) -> Result<Policy, Error> {
    let nameless = Subject {
        kind: "policy",
        name: "",
    };
    let message = pb::Authorization::decode(bytes)
        .map_err(|error| nameless.error("bytes", Problem::Malformed(error)))?;
    let name = format!("{}/{}", message.namespace, message.name);
    let subject = Subject {
        kind: "policy",
        name: &name,
    };
    let key = NamespacedName::parse(&name)
        .ok_or_else(|| subject.error("name", Problem::Name(name.as_str().into())))?;
    let rules = message.rules.into_iter().map(|it| rule(subject, it));
    Ok(Policy {
        key,
        scope: match subject.known("scope", message.scope)? {
            pb::Scope::Global => PolicyScope::Global,
            pb::Scope::Namespace => PolicyScope::Namespace,
            pb::Scope::WorkloadSelector => PolicyScope::WorkloadSelector,
        },
        action: match subject.known("action", message.action)? {
            pb::Action::Allow => Action::Allow,
            pb::Action::Deny => Action::Deny,
        },
        rules: rules.collect::<Result<_, _>>()?,
        dry_run: message.dry_run,
        origin: field::origin(&message.extensions),
    })
}

/// Whom a policy may apply to that [`decode`] refuses, from its resource `name` and what can be read of its bytes.
///
/// Where its scope cannot be read, it is taken for its namespace's, and in `root`, the namespace whose policies may
/// be for the whole mesh, or without a namespace, for the mesh's.
pub fn reach(name: &str, bytes: &[u8], root: &str) -> Reach {
    let message = pb::Authorization::decode(bytes).ok();
    let namespace = NamespacedName::parse(name).map(|it| it.namespace);
    let is_sound = message.as_ref().is_some_and(|it| {
        namespace.as_deref() == Some(it.namespace.as_str()) && !it.name.is_empty()
    });
    let scope = message
        .filter(|_| is_sound)
        .and_then(|it| pb::Scope::try_from(it.scope).ok());
    match (scope, namespace) {
        (Some(pb::Scope::WorkloadSelector), Some(_)) => Reach::Named,
        (Some(pb::Scope::Namespace), Some(namespace)) => Reach::Namespace(namespace),
        (None, Some(namespace)) if *namespace != *root => Reach::Namespace(namespace),
        (Some(pb::Scope::Global) | None, _) | (_, None) => Reach::Mesh,
    }
}

/// Bytes of the Authorization resource of a policy; equal values give equal bytes.
pub fn encode(policy: &Policy) -> Bytes {
    let scope = match policy.scope {
        PolicyScope::Global => pb::Scope::Global,
        PolicyScope::Namespace => pb::Scope::Namespace,
        PolicyScope::WorkloadSelector => pb::Scope::WorkloadSelector,
    };
    let action = match policy.action {
        Action::Allow => pb::Action::Allow,
        Action::Deny => pb::Action::Deny,
    };
    let message = pb::Authorization {
        name: policy.key.name.to_string(),
        namespace: policy.key.namespace.to_string(),
        scope: scope.into(),
        action: action.into(),
        rules: policy.rules.iter().map(rule_message).collect(),
        dry_run: policy.dry_run,
        extensions: field::extensions(policy.origin.as_ref()),
    };
    message.encode_to_vec().into()
}

fn rule(subject: Subject<'_>, message: pb::Rule) -> Result<Rule, Error> {
    let clause = |message: pb::Clause| {
        let matches = message.matches.into_iter().map(|it| one_match(subject, it));
        Ok(Clause {
            matches: matches.collect::<Result<_, _>>()?,
        })
    };
    Ok(Rule {
        clauses: message
            .clauses
            .into_iter()
            .map(clause)
            .collect::<Result<_, _>>()?,
    })
}

fn rule_message(rule: &Rule) -> pb::Rule {
    let clause = |clause: &Clause| pb::Clause {
        matches: clause.matches.iter().map(match_message).collect(),
    };
    pb::Rule {
        clauses: rule.clauses.iter().map(clause).collect(),
    }
}

fn one_match(subject: Subject<'_>, message: pb::Match) -> Result<Match, Error> {
    Ok(Match {
        namespaces: strings(subject, "namespaces", message.namespaces)?,
        not_namespaces: strings(subject, "not_namespaces", message.not_namespaces)?,
        principals: strings(subject, "principals", message.principals)?,
        not_principals: strings(subject, "not_principals", message.not_principals)?,
        service_accounts: accounts(message.service_accounts),
        not_service_accounts: accounts(message.not_service_accounts),
        source_ips: ranges(subject, "source_ips", &message.source_ips)?,
        not_source_ips: ranges(subject, "not_source_ips", &message.not_source_ips)?,
        destination_ips: ranges(subject, "destination_ips", &message.destination_ips)?,
        not_destination_ips: ranges(subject, "not_destination_ips", &message.not_destination_ips)?,
        destination_ports: ports(subject, "destination_ports", &message.destination_ports)?,
        not_destination_ports: ports(
            subject,
            "not_destination_ports",
            &message.not_destination_ports,
        )?,
        // The public message knows connections only.
        request: None,
    })
}

fn match_message(m: &Match) -> pb::Match {
    pb::Match {
        namespaces: strings_message(&m.namespaces),
        not_namespaces: strings_message(&m.not_namespaces),
        principals: strings_message(&m.principals),
        not_principals: strings_message(&m.not_principals),
        source_ips: ranges_message(&m.source_ips),
        not_source_ips: ranges_message(&m.not_source_ips),
        destination_ips: ranges_message(&m.destination_ips),
        not_destination_ips: ranges_message(&m.not_destination_ips),
        destination_ports: ports_message(&m.destination_ports),
        not_destination_ports: ports_message(&m.not_destination_ports),
        service_accounts: accounts_message(&m.service_accounts),
        not_service_accounts: accounts_message(&m.not_service_accounts),
        extensions: Vec::new(),
    }
}

pub(super) fn strings(
    subject: Subject<'_>,
    field: &'static str,
    messages: Vec<pb::StringMatch>,
) -> Result<Vec<StringMatch>, Error> {
    let one = |message| string(subject, field, message);
    messages.into_iter().map(one).collect()
}

pub(super) fn string(
    subject: Subject<'_>,
    field: &'static str,
    message: pb::StringMatch,
) -> Result<StringMatch, Error> {
    use pb::string_match::MatchType;
    match message.match_type {
        Some(MatchType::Exact(text)) => Ok(StringMatch::Exact(text.into())),
        Some(MatchType::Prefix(text)) => Ok(StringMatch::Prefix(text.into())),
        Some(MatchType::Suffix(text)) => Ok(StringMatch::Suffix(text.into())),
        Some(MatchType::Presence(_)) => Ok(StringMatch::Presence),
        None => Err(subject.error(field, Problem::Missing)),
    }
}

pub(super) fn strings_message(patterns: &[StringMatch]) -> Vec<pb::StringMatch> {
    patterns.iter().map(string_message).collect()
}

pub(super) fn string_message(pattern: &StringMatch) -> pb::StringMatch {
    use pb::string_match::MatchType;
    let text = |text: &Arc<str>| text.to_string();
    let kind = match pattern {
        StringMatch::Exact(it) => MatchType::Exact(text(it)),
        StringMatch::Prefix(it) => MatchType::Prefix(text(it)),
        StringMatch::Suffix(it) => MatchType::Suffix(text(it)),
        StringMatch::Presence => MatchType::Presence(pb::Empty {}),
    };
    pb::StringMatch {
        match_type: Some(kind),
    }
}

pub(super) fn ranges(
    subject: Subject<'_>,
    field: &'static str,
    messages: &[pb::Address],
) -> Result<Vec<IpRange>, Error> {
    let one = |message: &pb::Address| {
        let (address, prefix) = subject.range(field, &message.address, message.length)?;
        Ok(IpRange { address, prefix })
    };
    messages.iter().map(one).collect()
}

pub(super) fn ranges_message(ranges: &[IpRange]) -> Vec<pb::Address> {
    let one = |range: &IpRange| pb::Address {
        address: field::address_bytes(range.address),
        length: range.prefix.into(),
    };
    ranges.iter().map(one).collect()
}

pub(super) fn ports(
    subject: Subject<'_>,
    field: &'static str,
    ports: &[u32],
) -> Result<Vec<u16>, Error> {
    ports
        .iter()
        .map(|port| subject.port(field, *port))
        .collect()
}

pub(super) fn ports_message(ports: &[u16]) -> Vec<u32> {
    ports.iter().copied().map(u32::from).collect()
}

pub(super) fn accounts(messages: Vec<pb::ServiceAccountMatch>) -> Vec<ServiceAccountMatch> {
    let one = |message: pb::ServiceAccountMatch| ServiceAccountMatch {
        namespace: message.namespace.into(),
        service_account: message.service_account.into(),
    };
    messages.into_iter().map(one).collect()
}

pub(super) fn accounts_message(accounts: &[ServiceAccountMatch]) -> Vec<pb::ServiceAccountMatch> {
    let one = |account: &ServiceAccountMatch| pb::ServiceAccountMatch {
        namespace: account.namespace.to_string(),
        service_account: account.service_account.to_string(),
    };
    accounts.iter().map(one).collect()
}
