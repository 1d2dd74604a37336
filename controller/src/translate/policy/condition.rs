//! Pure. Conditions (`when`): a key, and values that it has or has not.

use mesh::model::{Match, RequestMatch};
use objects::istio::authorization_policy::Condition;
use objects::raw::Path;

use super::notes::{Enforcer, Notes};
use super::request::{self, Subject};
use super::source::{BEFORE_TOKENS, Piece, Reader, boxed};
use super::value;
use crate::translate::rule::Rule;

/// Keys that only a waypoint knows the value of.
const L7_KEYS: &[&str] = &[
    "remote.ip",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "connection.sni",
    "source.serviceAccount",
    "source.trustDomain",
];
/// Beginnings of such keys.
const L7_PREFIXES: &[&str] = &[
    "request.headers[",
    "request.auth.claims[",
    "experimental.envoy.filters.",
];

/// One condition, a clause of its own; `namespace` is the policy's own.
pub(super) fn translate(
    namespace: &str,
    condition: &Condition,
    path: &Path,
    notes: &mut Notes<'_>,
) -> Piece {
    let key = condition.key.as_str();
    let mut found = Match::default();
    let mut reader = Reader::new(path, notes);
    let (values, not_values) = (&condition.values, &condition.not_values);
    match key {
        "source.ip" => {
            found.source_ips = reader.list("values", values, value::range);
            found.not_source_ips = reader.list("notValues", not_values, value::range);
        }
        "source.namespace" => {
            found.namespaces = reader.list("values", values, value::pattern);
            found.not_namespaces = reader.list("notValues", not_values, value::pattern);
        }
        "source.principal" => {
            found.principals = reader.identities("values", values, value::principal);
            found.not_principals = reader.identities("notValues", not_values, value::principal);
        }
        "destination.ip" => {
            found.destination_ips = reader.list("values", values, value::range);
            found.not_destination_ips = reader.list("notValues", not_values, value::range);
        }
        "destination.port" => {
            found.destination_ports = reader.list("values", values, value::port);
            found.not_destination_ports = reader.list("notValues", not_values, value::port);
        }
        "source.serviceAccount" if reader.notes.knows_requests() => {
            let account = |text: &str| value::account(namespace, text);
            found.service_accounts = reader.list("values", values, account);
            found.not_service_accounts = reader.list("notValues", not_values, account);
        }
        _ if reader.notes.knows_requests() => {
            found.request = at_waypoint(condition, &mut reader);
        }
        _ => {
            let is_l7 = L7_KEYS.contains(&key) || L7_PREFIXES.iter().any(|it| key.starts_with(it));
            let at = path.clone().key("key");
            if is_l7 {
                let reason = format!("{key} cannot be enforced at L4");
                reader.notes.add(Rule::L7AtL4, at, reason);
            } else {
                reader
                    .notes
                    .invalid(at, format!("{key:?} is not a key of conditions"));
            }
            reader.is_partial = true;
            reader.is_written = values.is_some() || not_values.is_some();
        }
    }
    reader.piece(found)
}

/// A condition on what only a waypoint knows; `None` when it cannot be enforced, and the reader says so.
fn at_waypoint(condition: &Condition, reader: &mut Reader<'_, '_>) -> Option<Box<RequestMatch>> {
    let Condition {
        key,
        values,
        not_values,
    } = condition;
    let subject = match request::subject(key) {
        Ok(Some(subject)) => Ok(subject),
        Ok(None) => Err(format!("{key:?} is not a key of conditions")),
        Err(complaint) => Err(complaint),
    };
    let is_early = reader.notes.enforcer() == Enforcer::WaypointBeforeTokens;
    let subject = match subject {
        Ok(subject) if is_early && subject.is_of_token() => Err(BEFORE_TOKENS.to_owned()),
        other => other,
    };
    let mut found = RequestMatch::default();
    match subject {
        Ok(Subject::RemoteIp) => {
            found.remote_ips = reader.list("values", values, value::range);
            found.not_remote_ips = reader.list("notValues", not_values, value::range);
        }
        Ok(subject) => {
            let read = match subject {
                Subject::TrustDomain => request::trust_domain,
                _ => value::pattern,
            };
            let values = reader.list("values", values, read);
            let not_values = reader.list("notValues", not_values, read);
            if !(values.is_empty() && not_values.is_empty()) {
                subject.put(values, not_values, &mut found);
            }
        }
        Err(complaint) => {
            let at = reader.path.clone().key("key");
            reader.notes.invalid(at, complaint);
            reader.is_partial = true;
            reader.is_written = values.is_some() || not_values.is_some();
        }
    }
    boxed(found)
}
