//! Conditions on requests, both ways.

use std::sync::Arc;

use proto::waypoint as pb;

use super::field::{Subject, all};
use super::{Error, Problem};
use crate::model::http::{HttpMatch, NamedMatch, PathMatch, TextMatch};

pub(super) fn http(subject: Subject<'_>, message: pb::HttpMatch) -> Result<HttpMatch, Error> {
    let text = |field, message: Option<pb::TextMatch>| {
        message.map(|it| self::text(subject, field, it)).transpose()
    };
    let named =
        |field, messages: Vec<pb::NamedMatch>| all(messages, |it| self::named(subject, field, it));
    Ok(HttpMatch {
        path: message.path.map(|it| path(subject, it)).transpose()?,
        ignore_path_case: message.ignore_path_case,
        method: text("matches.method", message.method)?,
        scheme: text("matches.scheme", message.scheme)?,
        authority: text("matches.authority", message.authority)?,
        headers: named("matches.headers", message.headers)?,
        query: named("matches.query", message.query)?,
        claims: named("matches.claims", message.claims)?,
    })
}

pub(super) fn http_message(matches: &HttpMatch) -> pb::HttpMatch {
    let HttpMatch {
        path,
        ignore_path_case,
        method,
        scheme,
        authority,
        headers,
        query,
        claims,
    } = matches;
    let named = |list: &[NamedMatch]| list.iter().map(named_message).collect();
    pb::HttpMatch {
        path: path.as_ref().map(path_message),
        ignore_path_case: *ignore_path_case,
        method: method.as_ref().map(text_message),
        scheme: scheme.as_ref().map(text_message),
        authority: authority.as_ref().map(text_message),
        headers: named(headers),
        query: named(query),
        claims: named(claims),
    }
}

fn path(subject: Subject<'_>, message: pb::PathMatch) -> Result<PathMatch, Error> {
    use pb::path_match::Kind;
    match message.kind {
        Some(Kind::Exact(text)) => Ok(PathMatch::Exact(text.into())),
        Some(Kind::Elements(text)) => Ok(PathMatch::Elements(text.into())),
        Some(Kind::Prefix(text)) => Ok(PathMatch::Prefix(text.into())),
        Some(Kind::Regex(text)) => Ok(PathMatch::Regex(text.into())),
        None => Err(subject.error("matches.path", Problem::Missing)),
    }
}

fn path_message(path: &PathMatch) -> pb::PathMatch {
    use pb::path_match::Kind;
    let kind = match path {
        PathMatch::Exact(text) => Kind::Exact(text.to_string()),
        PathMatch::Elements(text) => Kind::Elements(text.to_string()),
        PathMatch::Prefix(text) => Kind::Prefix(text.to_string()),
        PathMatch::Regex(text) => Kind::Regex(text.to_string()),
    };
    pb::PathMatch { kind: Some(kind) }
}

pub(super) fn text(
    subject: Subject<'_>,
    field: &'static str,
    message: pb::TextMatch,
) -> Result<TextMatch, Error> {
    use pb::text_match::Kind;
    match message.kind {
        Some(Kind::Exact(text)) => Ok(TextMatch::Exact(text.into())),
        Some(Kind::Prefix(text)) => Ok(TextMatch::Prefix(text.into())),
        Some(Kind::Regex(text)) => Ok(TextMatch::Regex(text.into())),
        Some(Kind::Present(pb::Present {})) => Ok(TextMatch::Present),
        None => Err(subject.error(field, Problem::Missing)),
    }
}

pub(super) fn text_message(text: &TextMatch) -> pb::TextMatch {
    use pb::text_match::Kind;
    let own = |text: &Arc<str>| text.to_string();
    let kind = match text {
        TextMatch::Exact(text) => Kind::Exact(own(text)),
        TextMatch::Prefix(text) => Kind::Prefix(own(text)),
        TextMatch::Regex(text) => Kind::Regex(own(text)),
        TextMatch::Present => Kind::Present(pb::Present {}),
    };
    pb::TextMatch { kind: Some(kind) }
}

fn named(
    subject: Subject<'_>,
    field: &'static str,
    message: pb::NamedMatch,
) -> Result<NamedMatch, Error> {
    Ok(NamedMatch {
        name: message.name.into(),
        value: text(subject, field, subject.required(field, message.value)?)?,
        negated: message.negated,
    })
}

fn named_message(named: &NamedMatch) -> pb::NamedMatch {
    pb::NamedMatch {
        name: named.name.to_string(),
        value: Some(text_message(&named.value)),
        negated: named.negated,
    }
}
