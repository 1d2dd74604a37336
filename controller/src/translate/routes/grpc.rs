//! Pure. GRPCRoute: what is called becomes a path, `/service/method`.

use std::cmp::Reverse;

use mesh::model::http::{HttpMatch, PathMatch};
use objects::gateway_api::GrpcRoute;
use objects::gateway_api::grpc_route::{GrpcMatch, GrpcRule, MethodMatch};
use objects::raw::Path;

use super::destinations::Destinations;
use super::entry::{Entry, Http, is_default, origin, path_of};
use super::http::{headers, hostnames};
use super::notes::Notes;
use super::parts::Parts;
use super::precedence::{PathRank, Rank};
use super::rule::rule;
use super::{Written, limits};
use crate::translate::pattern;

/// What stands for any service or method.
const ANY: &str = "[^/]+";

pub(super) fn read(route: &GrpcRoute, to: &mut Destinations<'_>, notes: &mut Notes) -> Http {
    hostnames(&route.spec.hostnames, notes);
    let default = [GrpcRule::default()];
    let rules = match route.spec.rules.as_slice() {
        [] => &default[..],
        rules => rules,
    };
    let mut read = Http::default();
    for (index, written) in rules.iter().enumerate() {
        let path = path_of(index);
        entries(written, index, &path, &mut read.entries, notes);
        let parts = Parts {
            origin: origin(Written::Grpc(route), index, written.name.as_deref()),
            namespace: &route.metadata.namespace,
            index,
            path: &path,
            filters: &written.filters,
            backends: &written.backend_refs,
            prefix: None,
            is_grpc: true,
        };
        let mut made = rule(&parts, to, notes);
        let session = written.session_persistence.as_ref();
        if !limits::session(session, &path, &mut made, notes, index) {
            made = parts.refused();
        }
        read.rules.push(made);
    }
    read
}

fn entries(
    rule: &GrpcRule,
    index: usize,
    path: &Path,
    entries: &mut Vec<Entry>,
    notes: &mut Notes,
) {
    let any = [GrpcMatch::default()];
    let list = match rule.matches.as_slice() {
        [] => &any[..],
        list => list,
    };
    for (number, one) in list.iter().enumerate() {
        let path = path.clone().key("matches").at(number);
        match one_match(one, &path) {
            Ok((rank, matches)) => entries.push(Entry {
                rank,
                matches,
                rule: index,
            }),
            Err((path, reason)) => notes.leave_out(index, path, &reason),
        }
    }
}

fn one_match(one: &GrpcMatch, path: &Path) -> Result<(Rank, HttpMatch), (Path, String)> {
    let headers = headers(&one.headers, &path.clone().key("headers"))?;
    let condition = match &one.method {
        None => None,
        Some(method) => called(method, &path.clone().key("method"))?,
    };
    let is_regex = one
        .method
        .as_ref()
        .is_some_and(|it| !is_default(it.r#type.as_deref(), "Exact"));
    let length = |part: fn(&MethodMatch) -> Option<&String>| {
        let text = one.method.as_ref().and_then(part);
        Reverse(text.map_or(0, String::len))
    };
    let rank = Rank {
        path: match (&condition, is_regex) {
            (None, _) => PathRank::Any,
            (Some(_), true) => PathRank::Regex,
            (Some(_), false) => PathRank::Exact,
        },
        length: length(|it| it.service.as_ref()),
        method_length: length(|it| it.method.as_ref()),
        has_method: Reverse(false),
        headers: Reverse(headers.len()),
        query: Reverse(0),
    };
    let matches = HttpMatch {
        path: condition,
        headers,
        ..HttpMatch::default()
    };
    Ok((rank, matches))
}

/// The path of what is called.
fn called(method: &MethodMatch, path: &Path) -> Result<Option<PathMatch>, (Path, String)> {
    let part = |text: &Option<String>| text.clone().filter(|it| !it.is_empty());
    let (service, name) = (part(&method.service), part(&method.method));
    match method.r#type.as_deref() {
        None | Some("Exact") => {
            let plain = |text: &Option<String>, key: &str| match text {
                Some(text) if text.contains('/') => {
                    let reason = format!("{text:?} has a slash in it, which no name has");
                    Err((path.clone().key(key), reason))
                }
                _ => Ok(()),
            };
            plain(&service, "service")?;
            plain(&name, "method")?;
            Ok(match (service, name) {
                (None, None) => None,
                (Some(service), Some(name)) => {
                    Some(PathMatch::Exact(format!("/{service}/{name}").into()))
                }
                (Some(service), None) => Some(PathMatch::Elements(format!("/{service}").into())),
                (None, Some(name)) => {
                    let name = pattern::escape(&name);
                    Some(PathMatch::Regex(format!("/{ANY}/{name}").into()))
                }
            })
        }
        Some("RegularExpression") => {
            let expression = |text: Option<String>, key: &str| match text {
                None => Ok(ANY.to_owned()),
                Some(text) => match pattern::complaint(&text) {
                    None => Ok(format!("(?:{text})")),
                    Some(complaint) => Err((path.clone().key(key), complaint)),
                },
            };
            if service.is_none() && name.is_none() {
                return Ok(None);
            }
            let (service, name) = (expression(service, "service")?, expression(name, "method")?);
            let whole = format!("/{service}/{name}");
            match pattern::complaint(&whole) {
                None => Ok(Some(PathMatch::Regex(whole.into()))),
                Some(complaint) => Err((path.clone(), complaint)),
            }
        }
        Some(word) => {
            let reason = format!("{word:?} is no type of match that is known");
            Err((path.clone().key("type"), reason))
        }
    }
}
