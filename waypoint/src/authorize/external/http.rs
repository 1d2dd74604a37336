//! Pure. The question as a plain HTTP request, and the answer to it: 200 admits.

use std::sync::Arc;

use ::bytes::Bytes;
use ::http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, LOCATION, WWW_AUTHENTICATE};
use ::http::{StatusCode, Version};
use http_body_util::Full;
use mesh::model::provider::AuthorizerProtocol;

use crate::asked::Asked;

use super::additions::How;
use super::names::{is_among, is_touchable};
use super::{Additions, Answer, Decision, Error, Request, Said, target};

/// Says whether the body in a question is only its beginning.
const PARTIAL_BODY: &str = "x-envoy-auth-partial-body";
/// In an answer: headers to take out of the request, separated by commas.
const TO_REMOVE: &str = "x-envoy-auth-headers-to-remove";

/// A request of the same method, host and path, with the headers that are to be sent along.
pub(super) fn question(
    protocol: &AuthorizerProtocol,
    path_prefix: &str,
    request: Request<'_>,
    asked: &Asked,
) -> Result<::http::Request<Full<Bytes>>, Error> {
    let (forwarded, added) = match protocol {
        AuthorizerProtocol::Http {
            forwarded, added, ..
        } => (&forwarded[..], &added[..]),
        AuthorizerProtocol::Grpc => (&[][..], &[][..]),
    };
    let mut question = ::http::Request::builder()
        .version(Version::HTTP_11)
        .method(asked.method.clone())
        .uri(format!("{path_prefix}{}", target(asked)))
        .header(HOST, asked.authority.clone());
    let sent = asked.headers.iter();
    for (name, value) in sent.filter(|(name, _)| is_touchable(name) && is_among(forwarded, name)) {
        question = question.header(name, value);
    }
    for (name, value) in added {
        question = question.header(&**name, &**value);
    }
    let body = match request.body {
        None => Bytes::new(),
        Some(part) => {
            question = question.header(PARTIAL_BODY, part.is_partial.to_string());
            part.bytes
        }
    };
    question = question.header(CONTENT_LENGTH, body.len());
    question.body(Full::new(body)).map_err(Error::Question)
}

/// What the answer says. One of 500 or more is no decision.
pub(super) fn decision(protocol: &AuthorizerProtocol, answer: Answer) -> Result<Decision, Error> {
    let (to_upstream, on_deny, on_allow) = match protocol {
        AuthorizerProtocol::Http {
            to_upstream,
            to_client_on_deny,
            to_client_on_allow,
            ..
        } => (
            &to_upstream[..],
            &to_client_on_deny[..],
            &to_client_on_allow[..],
        ),
        AuthorizerProtocol::Grpc => (&[][..], &[][..], &[][..]),
    };
    let status = answer.head.status;
    if status.is_server_error() || status.is_informational() {
        return Err(Error::Status(status));
    }
    let headers = &answer.head.headers;
    if status == StatusCode::OK {
        return Ok(Decision::Admitted(Additions {
            request: chosen(headers, to_upstream),
            removed: removed(headers),
            response: chosen(headers, on_allow),
            ..Additions::default()
        }));
    }
    let passes = |name: &HeaderName| {
        is_touchable(name)
            && (on_deny.is_empty()
                || is_among(on_deny, name)
                || [WWW_AUTHENTICATE, LOCATION].contains(name))
    };
    let mut kept = HeaderMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| passes(name)) {
        kept.append(name, value.clone());
    }
    Ok(Decision::Refused(Said {
        status,
        headers: kept,
        body: answer.body,
    }))
}

/// The first of a name replaces what is there, further ones are added to it.
fn chosen(
    headers: &HeaderMap,
    patterns: &[Arc<str>],
) -> Vec<(HeaderName, ::http::HeaderValue, How)> {
    let names = headers.keys().filter(|name| is_among(patterns, name));
    let lines = names.flat_map(|name| {
        let values = headers.get_all(name).iter().enumerate();
        values.map(move |(index, value)| {
            let how = if index == 0 { How::Set } else { How::Append };
            (name.clone(), value.clone(), how)
        })
    });
    lines.collect()
}

fn removed(headers: &HeaderMap) -> Vec<HeaderName> {
    let lists = headers.get_all(TO_REMOVE).iter();
    let lists = lists.filter_map(|it| it.to_str().ok());
    let names = lists.flat_map(|it| it.split(','));
    names.filter_map(|it| it.trim().parse().ok()).collect()
}
