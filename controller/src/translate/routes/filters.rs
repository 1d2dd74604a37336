//! Pure. The filters of a rule.

mod cors;
mod mirror;
mod redirect;

use std::collections::BTreeSet;
use std::sync::Arc;

use mesh::model::http::{Cors, HeaderChanges, Mirror, PathRewrite, Redirect, Rewrite};
use objects::gateway_api::filter::{Filter, PathModifier};
use objects::raw::Path;

use super::destinations::Destinations;
use super::headers;
use super::notes::Notes;
use super::parts::Parts;
use crate::translate::pattern;

/// What the filters of a rule come to.
#[derive(Debug, Default)]
pub(super) struct Filters {
    pub(super) request_headers: HeaderChanges,
    pub(super) response_headers: HeaderChanges,
    pub(super) rewrite: Rewrite,
    pub(super) redirect: Option<Redirect>,
    pub(super) mirrors: Vec<Mirror>,
    pub(super) cors: Option<Cors>,
}

/// The filters; `None` when one of them cannot be honoured, which is then noted.
pub(super) fn read(
    parts: &Parts<'_>,
    to: &mut Destinations<'_>,
    notes: &mut Notes,
) -> Option<Filters> {
    let (mut filters, mut seen) = (Filters::default(), BTreeSet::new());
    let mut is_whole = true;
    for (index, filter) in parts.filters.iter().enumerate() {
        let path = parts.path.clone().key("filters").at(index);
        let word = filter.r#type.as_str();
        if !seen.insert(word) && word != "RequestMirror" {
            notes.are_incompatible = true;
            let reason = format!("a filter of type {word} is there twice");
            notes.refuse(parts.index, path, &reason);
            is_whole = false;
            continue;
        }
        if let Err((path, reason)) = one(filter, &path, parts, to, &mut filters, notes) {
            notes.refuse(parts.index, path, &reason);
            is_whole = false;
        }
    }
    if seen.contains("RequestRedirect") && seen.contains("URLRewrite") {
        notes.are_incompatible = true;
        let path = parts.path.clone().key("filters");
        notes.refuse(parts.index, path, "a redirect cannot be rewritten");
        is_whole = false;
    }
    host_of_headers(&mut filters);
    is_whole.then_some(filters)
}

fn one(
    filter: &Filter,
    path: &Path,
    parts: &Parts<'_>,
    to: &mut Destinations<'_>,
    filters: &mut Filters,
    notes: &mut Notes,
) -> Result<(), (Path, String)> {
    let at = |key: &str| path.clone().key(key);
    match filter.r#type.as_str() {
        "RequestHeaderModifier" => {
            let (modifier, path) = (&filter.request_header_modifier, at("requestHeaderModifier"));
            filters.request_headers = headers::read(modifier.as_ref(), &path)?;
        }
        "ResponseHeaderModifier" => {
            let (modifier, path) = (
                &filter.response_header_modifier,
                at("responseHeaderModifier"),
            );
            filters.response_headers = headers::read(modifier.as_ref(), &path)?;
        }
        "RequestMirror" => {
            let path = at("requestMirror");
            let mirror = filter.request_mirror.as_deref();
            let mirror = mirror.ok_or_else(|| nothing(&path))?;
            let made = mirror::read(mirror, parts.namespace, &path, to, notes)?;
            filters.mirrors.extend(made);
        }
        "RequestRedirect" if !parts.is_grpc => {
            let path = at("requestRedirect");
            let redirect = filter.request_redirect.as_ref();
            let redirect = redirect.ok_or_else(|| nothing(&path))?;
            filters.redirect = Some(redirect::read(redirect, parts.prefix, &path)?);
        }
        "URLRewrite" if !parts.is_grpc => {
            let path = at("urlRewrite");
            let rewrite = filter.url_rewrite.as_ref();
            let rewrite = rewrite.ok_or_else(|| nothing(&path))?;
            filters.rewrite = Rewrite {
                host: host(rewrite.hostname.as_deref(), &path)?.unwrap_or_default(),
                path: new_path(rewrite.path.as_ref(), parts.prefix, &path)?,
            };
        }
        "CORS" if !parts.is_grpc => {
            let path = at("cors");
            let cors = filter.cors.as_ref();
            let cors = cors.ok_or_else(|| nothing(&path))?;
            filters.cors = Some(cors::read(cors, &path)?);
        }
        "ExtensionRef" => {
            let (kind, name) = match &filter.extension_ref {
                Some(it) => (it.kind.as_str(), it.name.as_str()),
                None => ("", ""),
            };
            let reason = format!("no filter of kind {kind:?} is known, and so not {name:?}");
            notes.unresolved.push(("InvalidFilter", reason.clone()));
            return Err((at("extensionRef"), reason));
        }
        word => {
            let reason = format!("a filter of type {word:?} cannot be honoured");
            return Err((at("type"), reason));
        }
    }
    Ok(())
}

fn nothing(path: &Path) -> (Path, String) {
    (path.clone(), "the filter has nothing to do".to_owned())
}

/// A host that is set as a header is a new host.
fn host_of_headers(filters: &mut Filters) {
    let set = &mut filters.request_headers.set;
    if let Some(at) = set.iter().position(|(name, _)| **name == *"host") {
        let (_, host) = set.remove(at);
        if filters.rewrite.host.is_empty() {
            filters.rewrite.host = host;
        }
    }
}

/// A host that requests can be sent with.
fn host(text: Option<&str>, path: &Path) -> Result<Option<Arc<str>>, (Path, String)> {
    match text {
        None => Ok(None),
        Some(text) if !text.is_empty() && pattern::is_header_value(text) => Ok(Some(text.into())),
        Some(text) => {
            let reason = format!("{text:?} is no host name");
            Err((path.clone().key("hostname"), reason))
        }
    }
}

/// A new path, in a rule whose requests all have `prefix`.
fn new_path(
    modifier: Option<&PathModifier>,
    prefix: Option<&str>,
    path: &Path,
) -> Result<Option<PathRewrite>, (Path, String)> {
    let Some(modifier) = modifier else {
        return Ok(None);
    };
    let path = path.clone().key("path");
    let plain = |text: &str, key: &str| match pattern::is_header_value(text) {
        true => Ok(Arc::from(text)),
        false => Err((path.clone().key(key), format!("{text:?} is no path"))),
    };
    match modifier.r#type.as_str() {
        "ReplaceFullPath" => {
            let text = modifier.replace_full_path.as_deref().unwrap_or_default();
            let full = plain(text, "replaceFullPath")?;
            Ok(Some(PathRewrite::Full(full)))
        }
        "ReplacePrefixMatch" => {
            let Some(prefix) = prefix else {
                let reason = "a prefix is replaced only where the rule has one match, of a prefix";
                return Err((path.key("type"), reason.to_owned()));
            };
            let text = modifier.replace_prefix_match.as_deref().unwrap_or_default();
            Ok(Some(PathRewrite::Elements {
                prefix: prefix.into(),
                replacement: plain(text, "replacePrefixMatch")?,
            }))
        }
        word => Err((
            path.key("type"),
            format!("{word:?} is no way to change a path that is known"),
        )),
    }
}
