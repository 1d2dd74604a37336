//! A request as it came, checked and cleaned: what cannot be trusted is refused or removed here, once.
//! Source: docs/compat.md#http-hygiene.

use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST, HeaderName, HeaderValue, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, Method, Version};
use mesh::model::waypoint::PathNormalization;

use crate::ending::Ending;
use crate::path;

/// A request that may go on.
#[derive(Debug)]
pub struct Asked {
    /// Method.
    pub method: Method,
    /// Path without query, made uniform.
    pub path: String,
    /// Query without question mark.
    pub query: Option<String>,
    /// Host header or `:authority`.
    pub authority: HeaderValue,
    /// Headers without those that are for one hop.
    pub headers: HeaderMap,
    /// What the client speaks.
    pub version: Version,
    /// Whether it is a gRPC call, and answers of ours are to be in its words.
    pub is_grpc: bool,
    /// The protocol that the client wants to switch to.
    pub upgrade: Option<HeaderValue>,
}

/// Headers that are for one hop (RFC 9110, 7.6.1).
static HOP: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TRANSFER_ENCODING,
    UPGRADE,
    TE,
    TRAILER,
];

/// Headers by which clients could steer the proxy; never believed.
static STEERING: [HeaderName; 16] = [
    HeaderName::from_static("x-envoy-internal"),
    HeaderName::from_static("x-envoy-force-trace"),
    HeaderName::from_static("x-envoy-expected-rq-timeout-ms"),
    HeaderName::from_static("x-envoy-retry-on"),
    HeaderName::from_static("x-envoy-retry-grpc-on"),
    HeaderName::from_static("x-envoy-max-retries"),
    HeaderName::from_static("x-envoy-upstream-rq-timeout-ms"),
    HeaderName::from_static("x-envoy-upstream-rq-per-try-timeout-ms"),
    HeaderName::from_static("x-envoy-retriable-status-codes"),
    HeaderName::from_static("x-envoy-retriable-header-names"),
    HeaderName::from_static("x-envoy-hedge-on-per-try-timeout"),
    HeaderName::from_static("x-envoy-original-path"),
    HeaderName::from_static("x-envoy-original-host"),
    HeaderName::from_static("x-envoy-ip-tags"),
    HeaderName::from_static("x-envoy-decorator-operation"),
    HeaderName::from_static("x-forwarded-client-cert"),
];

/// The header of a request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

impl Asked {
    /// Checks and cleans a request. `id` makes an id for one that has none.
    ///
    /// # Errors
    /// How it ends at once.
    pub fn new(
        parts: Parts,
        how: PathNormalization,
        id: impl FnOnce() -> HeaderValue,
    ) -> Result<Self, Ending> {
        let Parts {
            method,
            uri,
            version,
            mut headers,
            ..
        } = parts;
        if version < Version::HTTP_11 {
            return Err(Ending::OldVersion);
        }
        if method == Method::CONNECT {
            return Err(Ending::Connect);
        }
        if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
            return Err(Ending::TwoLengths);
        }
        if !codings_are_spoken(&headers) {
            return Err(Ending::UnknownCoding);
        }
        let authority = authority(&uri, &headers)?;
        let uniform = path::normalize(uri.path(), how).map_err(|path::BadPath| Ending::BadPath)?;
        let upgrade = upgrade(&headers, version);
        let wants_trailers = headers
            .get_all(TE)
            .iter()
            .filter_map(|it| it.to_str().ok())
            .any(|it| {
                it.split(',')
                    .any(|it| it.trim().eq_ignore_ascii_case("trailers"))
            });
        remove_hop(&mut headers);
        if wants_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        for name in &STEERING {
            headers.remove(name);
        }
        if version == Version::HTTP_2 {
            join_cookies(&mut headers);
        }
        headers.remove(HOST);
        headers.entry(REQUEST_ID).or_insert_with(id);
        headers
            .entry(FORWARDED_PROTO)
            .or_insert(HeaderValue::from_static("http"));
        Ok(Self {
            path: uniform.into_owned(),
            query: uri.query().map(str::to_owned),
            is_grpc: is_grpc_call(&headers),
            method,
            authority,
            headers,
            version,
            upgrade,
        })
    }

    /// The authority as text.
    pub fn host(&self) -> &str {
        self.authority.to_str().unwrap_or_default()
    }

    /// `http` or `https`, as the client or a proxy before said.
    pub fn scheme(&self) -> &str {
        let said = self.headers.get(FORWARDED_PROTO);
        match said.map(HeaderValue::as_bytes) {
            Some(b"https") => "https",
            _ => "http",
        }
    }

    /// Whether the client waits for a word before it sends its body.
    pub fn expects_continue(&self) -> bool {
        let expect = self.headers.get(EXPECT);
        expect.is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    }
}

/// Whether the body is `chunked` and nothing else: of another coding the next hop would never hear.
fn codings_are_spoken(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    codings.all(|it| it.as_bytes().eq_ignore_ascii_case(b"chunked"))
}

/// Removes what is for one hop, and what `connection` names.
pub fn remove_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','))
        .filter_map(|it| it.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP) {
        headers.remove(name);
    }
}

/// Absolute form and `:authority` before the header; two hosts are none.
fn authority(uri: &http::Uri, headers: &HeaderMap) -> Result<HeaderValue, Ending> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Ending::NoHost);
    }
    match uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).map_err(|_| Ending::NoHost),
        None => host.cloned().ok_or(Ending::NoHost),
    }
}

/// The protocol of a proper upgrade. Others, and `h2c`, are as if they were not there.
fn upgrade(headers: &HeaderMap, version: Version) -> Option<HeaderValue> {
    let wanted = headers.get(UPGRADE)?;
    let is_named = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','))
        .any(|it| it.trim().eq_ignore_ascii_case("upgrade"));
    let is_h2c = wanted.as_bytes().eq_ignore_ascii_case(b"h2c");
    (is_named && !is_h2c && version == Version::HTTP_11).then(|| wanted.clone())
}

/// Whether headers are those of a gRPC call.
pub fn is_grpc_call(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(is_grpc)
}

/// `application/grpc`, alone or with a suffix or parameters; not gRPC-Web.
fn is_grpc(content_type: &HeaderValue) -> bool {
    let rest = content_type.as_bytes().strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// HTTP/2 may split the cookie header; HTTP/1 may not (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<_> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests;
