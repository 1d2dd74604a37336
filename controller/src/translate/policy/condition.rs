//! Pure. Conditions (`when`): a key, and values that it has or has not.

use mesh::model::Match;
use objects::istio::authorization_policy::Condition;
use objects::raw::Path;

use super::notes::Notes;
use super::source::{Piece, Reader};
use super::value;
use crate::translate::rule::Rule;

/// Keys that only a waypoint knows the value of.
const L7_KEYS: &[&str] = &[
    "remote.ip",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "connection.sni",
];
/// Beginnings of such keys.
const L7_PREFIXES: &[&str] = &[
    "request.headers[",
    "request.auth.claims[",
    "experimental.envoy.filters.",
];

/// One condition, a clause of its own.
pub(super) fn translate(condition: &Condition, path: &Path, notes: &mut Notes<'_>) -> Piece {
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
