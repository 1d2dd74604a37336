//! Pure. `match[]` of a route of requests.

use std::collections::BTreeMap;

use mesh::model::http::{HttpMatch, NamedMatch, PathMatch, TextMatch};
use objects::istio::StringMatch;
use objects::istio::virtual_service::HttpMatch as Written;
use objects::raw::Path;

use super::{Reader, claim, headers, scope, text};
use crate::translate::rule::Rule;

/// Keys of `headers` that are no headers.
const NO_HEADERS: [&str; 4] = ["uri", "scheme", "method", "authority"];

pub(super) fn read(written: &Written, path: &Path, reader: &mut Reader<'_>) -> HttpMatch {
    let at = |key: &str| path.clone().key(key);
    let mut read = HttpMatch {
        path: text::path(written.uri.as_ref(), &at("uri"), reader),
        ignore_path_case: written.ignore_uri_case,
        method: text::always(written.method.as_ref(), &at("method"), reader),
        scheme: text::always(written.scheme.as_ref(), &at("scheme"), reader),
        authority: text::always(written.authority.as_ref(), &at("authority"), reader),
        ..HttpMatch::default()
    };
    if written.ignore_uri_case && matches!(read.path, None | Some(PathMatch::Regex(_))) {
        let reason = "it is about exact paths and prefixes only";
        reader
            .remarks
            .add(Rule::WithoutEffect, at("ignoreUriCase"), reason);
        read.ignore_path_case = false;
    }
    named(&written.headers, false, &at("headers"), &mut read, reader);
    named(
        &written.without_headers,
        true,
        &at("withoutHeaders"),
        &mut read,
        reader,
    );
    for (name, value) in &written.query_params {
        let path = at("queryParams").key(name);
        if name.is_empty() {
            reader.invalid(path.clone(), "a query parameter has a name");
        }
        read.query.push(NamedMatch {
            name: name.as_str().into(),
            value: text::read(value, &path, reader),
            negated: false,
        });
    }
    read
}

fn named(
    written: &BTreeMap<String, StringMatch>,
    negated: bool,
    path: &Path,
    read: &mut HttpMatch,
    reader: &mut Reader<'_>,
) {
    for (name, value) in written {
        let path = path.clone().key(name);
        if NO_HEADERS.contains(&name.as_str()) {
            let reason = format!("`{name}` is no header here: use the field {name} of the match");
            reader.remarks.add(Rule::WithoutEffect, path, reason);
            continue;
        }
        let value: TextMatch = text::read(value, &path, reader);
        let add = |to: &mut Vec<NamedMatch>, name: &str| {
            to.push(NamedMatch {
                name: name.into(),
                value: value.clone(),
                negated,
            });
        };
        match claim::path(name) {
            Some(Ok(claim)) => add(&mut read.claims, &claim),
            Some(Err(complaint)) => reader.invalid(path, complaint),
            None if headers::is_name(name) => add(&mut read.headers, &name.to_ascii_lowercase()),
            None => reader.invalid(path, format!("`{name}` is no name of a header")),
        }
    }
}

/// Says what of an alternative counts at sidecars and gateways only.
pub(super) fn look(written: &Written, path: &Path, reader: &mut Reader<'_>) {
    let at = |key: &str| path.clone().key(key);
    if written.port > 65_535 {
        reader.invalid(at("port"), "a port is a number from 1 to 65535");
    }
    limits(
        (!written.source_labels.is_empty(), &written.gateways),
        path,
        reader,
    );
}

/// Labels of clients, and gateways, as any kind of route may name them.
pub(super) fn limits(
    (has_labels, gateways): (bool, &[String]),
    path: &Path,
    reader: &mut Reader<'_>,
) {
    if has_labels {
        let reason = "a waypoint does not know the labels of clients: it leaves this match out";
        let path = path.clone().key("sourceLabels");
        reader.remarks.add(Rule::NotAtWaypoint, path, reason);
    }
    if !scope::is_for_mesh(gateways) {
        let reason = "`mesh` is not among them: waypoints leave this match out";
        let path = path.clone().key("gateways");
        reader.remarks.add(Rule::NotAtWaypoint, path, reason);
    }
}
