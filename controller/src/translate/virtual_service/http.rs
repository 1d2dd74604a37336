//! Pure. One route of requests: alternatives, and the rule behind each.

use std::time::Duration;

use mesh::model::http::{HttpAction, HttpEntry, HttpMatch, HttpRule, PathMatch, Rewrite};
use objects::istio::virtual_service::{HttpMatch as Written, HttpRoute};
use objects::raw::Path;

use super::expand::One;
use super::scope::Alternatives;
use super::{
    Reader, Routes, answer, condition, cors, fault, forward, headers, mirror, retry, rewrite,
};

/// Adds the alternatives of a route. Alternatives share their rule as long as it is the same for them.
pub(super) fn add(
    one: &One<'_>,
    alternatives: &Alternatives<'_, Written>,
    routes: &mut Routes,
    reader: &mut Reader<'_>,
) {
    let mut add = |matches: HttpMatch, reader: &mut Reader<'_>| {
        let rule = rule(one, matches.path.as_ref(), reader);
        if routes.rules.last() != Some(&rule) {
            routes.rules.push(rule);
        }
        let last = routes.rules.len().saturating_sub(1);
        routes.http.push(HttpEntry {
            matches,
            rule: u32::try_from(last).unwrap_or(u32::MAX),
        });
    };
    let Some(alternatives) = alternatives else {
        add(HttpMatch::default(), reader);
        return;
    };
    for (index, written) in alternatives {
        let path = one.path.clone().key("match").at(*index);
        let matches = condition::read(written, &path, reader);
        add(matches, reader);
    }
}

/// What becomes of a request whose path was matched so.
fn rule(one: &One<'_>, matched: Option<&PathMatch>, reader: &mut Reader<'_>) -> HttpRule {
    let (route, path) = (&*one.route, &one.path);
    let at = |key: &str| path.clone().key(key);
    let action = action(one, reader);
    let changes = route.headers.clone().unwrap_or_default();
    let headers = at("headers");
    let mut request_headers =
        headers::read(&changes.request, &headers.clone().key("request"), reader);
    let response_headers = headers::read(&changes.response, &headers.key("response"), reader);
    let written = route.rewrite.as_ref();
    let rewrite = written.map(|it| rewrite::read(it, matched, &at("rewrite"), reader));
    let mut rewrite = rewrite.unwrap_or_default();
    if let Some(host) = headers::take_host(&mut request_headers)
        && rewrite.host.is_empty()
    {
        rewrite.host = host;
    }
    let is_sent_on = matches!(action, HttpAction::Forward(_));
    HttpRule {
        origin: one.origin.clone(),
        action,
        request_headers,
        response_headers,
        rewrite: if is_sent_on {
            rewrite
        } else {
            Rewrite::default()
        },
        mirrors: mirror::read(route, one.namespace, path, reader),
        cors: route
            .cors_policy
            .as_ref()
            .map(|it| cors::read(it, &at("corsPolicy"), reader)),
        fault: route
            .fault
            .as_ref()
            .map(|it| fault::read(it, &at("fault"), reader))
            .unwrap_or_default(),
        timeout: timeout(route, path, reader),
        // Without any it is what the waypoint was told.
        retry: route
            .retries
            .as_ref()
            .map(|it| retry::read(it, &at("retries"), &mut reader.remarks)),
        session: None,
    }
}

fn action(one: &One<'_>, reader: &mut Reader<'_>) -> HttpAction {
    let (route, path) = (&*one.route, &one.path);
    if let Some(redirect) = &route.redirect {
        return answer::redirect(redirect, &path.clone().key("redirect"), reader);
    }
    if let Some(response) = &route.direct_response {
        return answer::reply(response, &path.clone().key("directResponse"), reader);
    }
    let at = path.clone().key("route");
    HttpAction::Forward(forward::http(&route.route, one.namespace, &at, reader))
}

fn timeout(route: &HttpRoute, path: &Path, reader: &mut Reader<'_>) -> Option<Duration> {
    let timeout = route.timeout.map(|it| it.0).filter(|it| !it.is_zero())?;
    if timeout < Duration::from_millis(1) {
        let path = path.clone().key("timeout");
        reader.invalid(path, "at least 1ms, or 0s for none");
    }
    Some(timeout)
}
