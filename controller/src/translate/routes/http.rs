//! Pure. HTTPRoute: its matches, and what its rules do.

mod matches;

use objects::gateway_api::HttpRoute;
use objects::gateway_api::http_route::{HttpMatch, HttpRule};
use objects::raw::Path;

use super::destinations::Destinations;
use super::entry::{Entry, Http, origin, path_of};
use super::notes::Notes;
use super::parts::Parts;
use super::rule::rule;
use super::{Written, limits};
use crate::translate::rule::Rule;

pub(super) use matches::headers;

pub(super) fn read(route: &HttpRoute, to: &mut Destinations<'_>, notes: &mut Notes) -> Http {
    hostnames(&route.spec.hostnames, notes);
    let default = [HttpRule::default()];
    let rules = match route.spec.rules.as_slice() {
        [] => &default[..],
        rules => rules,
    };
    let mut read = Http::default();
    for (index, written) in rules.iter().enumerate() {
        let path = path_of(index);
        entries(written, index, &path, &mut read.entries, notes);
        let prefix = sole_prefix(&written.matches);
        let parts = Parts {
            origin: origin(Written::Http(route), index, written.name.as_deref()),
            namespace: &route.metadata.namespace,
            index,
            path: &path,
            filters: &written.filters,
            backends: &written.backend_refs,
            prefix: prefix.as_deref(),
            is_grpc: false,
        };
        let mut made = rule(&parts, to, notes);
        if !limits::read(written, &path, &mut made, notes, index) {
            made = parts.refused();
        }
        read.rules.push(made);
    }
    read
}

/// Hosts of requests do not count inside of a mesh.
pub(super) fn hostnames(hostnames: &[String], notes: &mut Notes) {
    if !hostnames.is_empty() {
        let reason =
            "hosts count at gateways only: inside of a mesh the service that was called decides";
        let path = Path::of_keys(&["spec", "hostnames"]);
        notes.say(Rule::NotHonoured, path, reason);
    }
}

fn entries(
    rule: &HttpRule,
    index: usize,
    path: &Path,
    entries: &mut Vec<Entry>,
    notes: &mut Notes,
) {
    let any = [HttpMatch::default()];
    let list = match rule.matches.as_slice() {
        [] => &any[..],
        list => list,
    };
    for (number, one) in list.iter().enumerate() {
        let path = path.clone().key("matches").at(number);
        match matches::read(one, &path) {
            Ok((rank, matches)) => entries.push(Entry {
                rank,
                matches,
                rule: index,
            }),
            Err((path, reason)) => notes.leave_out(index, path, &reason),
        }
    }
}

/// The prefix that a rule matches, when it matches nothing else; without slash at its end.
fn sole_prefix(list: &[HttpMatch]) -> Option<String> {
    match list {
        [] => Some(String::new()),
        [one] => matches::prefix(one),
        _ => None,
    }
}
