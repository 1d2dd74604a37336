//! Pure. What a good token changes in the request's headers.

use ::http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mesh::model::attached::JwtRule;
use serde_json::{Map, Value};

use crate::asked::Asked;

use super::locate::{Found, Place};
use super::verify::Verified;

/// Takes away what only a verified token may say, so that no client can say it itself.
pub(super) fn forget(rule: &JwtRule, headers: &mut HeaderMap) {
    let claims = rule.claim_headers.iter().map(|(header, _)| header);
    let payload = Some(&rule.payload_header).filter(|it| !it.is_empty());
    for name in claims.chain(payload) {
        headers.remove(&**name);
    }
}

/// Adds what the rule wants from the token, and takes the token away where it is not to be sent on.
pub(super) fn apply(rule: &JwtRule, found: &Found, verified: &Verified, asked: &mut Asked) {
    for (header, claim) in &rule.claim_headers {
        let value = at(&verified.payload, claim).and_then(text);
        set(&mut asked.headers, header, value);
    }
    if !rule.payload_header.is_empty() {
        let payload = verified.payload_text.trim_end_matches('=').to_owned();
        set(&mut asked.headers, &rule.payload_header, Some(payload));
    }
    if rule.forward {
        return;
    }
    match &found.place {
        Place::Header(name, _) => {
            asked.headers.remove(&**name);
        }
        Place::Query(name) => strip_query(&mut asked.query, name),
        Place::Cookie(name) => strip_cookie(&mut asked.headers, name),
    }
}

/// The claim at a path with dots; one whose name has dots itself goes first.
fn at<'v>(claims: &'v Map<String, Value>, path: &str) -> Option<&'v Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    at(claims.get(first)?.as_object()?, rest)
}

/// A claim as the value of a header.
fn text(claim: &Value) -> Option<String> {
    match claim {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(claim.to_string()),
        Value::Array(_) | Value::Object(_) => Some(STANDARD.encode(claim.to_string())),
    }
}

/// What cannot be a header's value is left out.
fn set(headers: &mut HeaderMap, name: &str, value: Option<String>) {
    let name = HeaderName::try_from(name);
    let value = value.map(HeaderValue::try_from);
    if let (Ok(name), Some(Ok(value))) = (name, value) {
        headers.insert(name, value);
    }
}

fn strip_query(query: &mut Option<String>, name: &str) {
    let Some(text) = query else {
        return;
    };
    let is_other = |pair: &&str| pair.split('=').next() != Some(name);
    let kept: Vec<&str> = text.split('&').filter(is_other).collect();
    *query = (!kept.is_empty()).then(|| kept.join("&"));
}

fn strip_cookie(headers: &mut HeaderMap, name: &str) {
    let lines: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
    headers.remove(COOKIE);
    for line in lines {
        let Ok(text) = line.to_str() else {
            headers.append(COOKIE, line);
            continue;
        };
        let is_other = |pair: &&str| pair.split('=').next() != Some(name);
        let kept: Vec<&str> = text.split(';').map(str::trim).filter(is_other).collect();
        let kept = HeaderValue::try_from(kept.join("; "));
        if let Some(kept) = kept.ok().filter(|it| !it.is_empty()) {
            headers.append(COOKIE, kept);
        }
    }
}
