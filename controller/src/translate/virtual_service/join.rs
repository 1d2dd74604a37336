//! Pure. A root's route and a delegate's become one: both must match, and the delegate's fields come first.

use std::collections::BTreeMap;

use objects::istio::StringMatch;
use objects::istio::virtual_service::http_action::HeaderOperations;
use objects::istio::virtual_service::{Destination, Headers, HttpMatch, HttpRoute};

use super::scope::is_for_mesh;
use crate::translate::host;

/// The joint route; `None` when no request can match both. `(namespace, domain)` is what the root's short names are of.
pub(super) fn routes(
    root: &HttpRoute,
    leaf: &HttpRoute,
    (namespace, domain): (&str, &str),
) -> Option<HttpRoute> {
    let full = |it: &Destination| Destination {
        host: host::full_name(&it.host, namespace, domain).into_owned(),
        ..it.clone()
    };
    let mut route = leaf.clone();
    route.r#match = alternatives(&root.r#match, &leaf.r#match)?;
    route.rewrite = leaf.rewrite.clone().or_else(|| root.rewrite.clone());
    route.timeout = leaf.timeout.or(root.timeout);
    route.retries = leaf.retries.clone().or_else(|| root.retries.clone());
    route.fault = leaf.fault.clone().or_else(|| root.fault.clone());
    route.cors_policy = leaf
        .cors_policy
        .clone()
        .or_else(|| root.cors_policy.clone());
    if leaf.mirror.is_none() && leaf.mirrors.is_empty() {
        route.mirror = root.mirror.as_ref().map(full);
        route.mirror_percentage = root.mirror_percentage;
        route.mirrors.clone_from(&root.mirrors);
        for mirror in &mut route.mirrors {
            mirror.destination = mirror.destination.as_ref().map(full);
        }
    }
    route.headers = headers(root.headers.as_ref(), leaf.headers.as_ref());
    if route.redirect.is_some() || route.direct_response.is_some() {
        // They stand alone: what the root has for requests that are sent on is not meant.
        (route.rewrite, route.fault) = (leaf.rewrite.clone(), leaf.fault.clone());
    }
    Some(route)
}

/// Every alternative of one with every one of the other; `None` when none is left.
fn alternatives(root: &[HttpMatch], leaf: &[HttpMatch]) -> Option<Vec<HttpMatch>> {
    match (root, leaf) {
        ([], leaf) => return Some(leaf.to_vec()),
        (root, []) => return Some(root.to_vec()),
        _ => {}
    }
    let pairs = root
        .iter()
        .flat_map(|root| leaf.iter().map(move |leaf| (root, leaf)));
    let all: Vec<HttpMatch> = pairs
        .filter_map(|(root, leaf)| conditions(root, leaf))
        .collect();
    (!all.is_empty()).then_some(all)
}

fn conditions(root: &HttpMatch, leaf: &HttpMatch) -> Option<HttpMatch> {
    let both_paths = root.uri.is_some() && leaf.uri.is_some();
    if both_paths && root.ignore_uri_case != leaf.ignore_uri_case {
        return None;
    }
    let ports = [root.port, leaf.port];
    let port = match ports {
        [0, port] | [port, 0] => port,
        [one, other] if one == other => one,
        _ => return None,
    };
    let namespaces = [&root.source_namespace, &leaf.source_namespace];
    let source_namespace = match namespaces.map(String::as_str) {
        ["", one] | [one, ""] => one,
        [one, other] if one == other => one,
        _ => return None,
    };
    if !is_for_mesh(&root.gateways) || !is_for_mesh(&leaf.gateways) {
        return None;
    }
    let labels = root.source_labels.iter().chain(leaf.source_labels.iter());
    Some(HttpMatch {
        name: leaf.name.clone(),
        uri: texts(root.uri.as_ref(), leaf.uri.as_ref())?,
        scheme: texts(root.scheme.as_ref(), leaf.scheme.as_ref())?,
        method: texts(root.method.as_ref(), leaf.method.as_ref())?,
        authority: texts(root.authority.as_ref(), leaf.authority.as_ref())?,
        headers: maps(&root.headers, &leaf.headers, text)?,
        port,
        source_labels: labels.collect(),
        gateways: Vec::new(),
        query_params: maps(&root.query_params, &leaf.query_params, text)?,
        ignore_uri_case: match leaf.uri {
            Some(_) => leaf.ignore_uri_case,
            None => root.ignore_uri_case,
        },
        without_headers: maps(
            &root.without_headers,
            &leaf.without_headers,
            |one, other| (one == other).then(|| one.clone()),
        )?,
        source_namespace: source_namespace.to_owned(),
    })
}

#[expect(clippy::option_option, reason = "no condition, and no possible one")]
fn texts(root: Option<&StringMatch>, leaf: Option<&StringMatch>) -> Option<Option<StringMatch>> {
    match (root, leaf) {
        (Some(root), Some(leaf)) => text(root, leaf).map(Some),
        (one, other) => Some(one.or(other).cloned()),
    }
}

type Texts = BTreeMap<String, StringMatch>;

fn maps(
    root: &Texts,
    leaf: &Texts,
    join: impl Fn(&StringMatch, &StringMatch) -> Option<StringMatch>,
) -> Option<Texts> {
    let mut all = root.clone();
    for (key, leaf) in leaf {
        let joint = match root.get(key) {
            Some(root) => join(root, leaf)?,
            None => leaf.clone(),
        };
        all.insert(key.clone(), joint);
    }
    Some(all)
}

/// What matches both; `None` when nothing does, or when expressions would have to be joined.
fn text(root: &StringMatch, leaf: &StringMatch) -> Option<StringMatch> {
    let exact = |it: &StringMatch| it.exact.clone();
    let prefix = |it: &StringMatch| it.prefix.clone();
    if root == leaf || *leaf == StringMatch::default() {
        return Some(root.clone());
    }
    if *root == StringMatch::default() {
        return Some(leaf.clone());
    }
    let fits = match (exact(root), prefix(root), exact(leaf), prefix(leaf)) {
        (_, Some(prefix), Some(text), _) | (_, Some(prefix), _, Some(text)) => {
            text.starts_with(&prefix)
        }
        _ => false,
    };
    fits.then(|| leaf.clone())
}

fn headers(root: Option<&Headers>, leaf: Option<&Headers>) -> Option<Headers> {
    let (Some(root), Some(leaf)) = (root, leaf) else {
        return root.or(leaf).cloned();
    };
    Some(Headers {
        request: operations(&root.request, &leaf.request),
        response: operations(&root.response, &leaf.response),
    })
}

fn operations(root: &HeaderOperations, leaf: &HeaderOperations) -> HeaderOperations {
    let mut all = root.clone();
    all.set.extend(leaf.set.clone());
    all.add.extend(leaf.add.clone());
    all.remove.extend(leaf.remove.clone());
    all
}
