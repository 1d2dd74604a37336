//! What must hold of the parsers of what clients, issuers and authorization servers send, whatever the bytes. The
//! fuzz targets in `waypoint/fuzz` and the test below call the same functions; a finding is a panic.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must stop")]

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use mesh::model::AppProtocol;
use mesh::model::waypoint::PathNormalization;
use mesh::testing::fuzz::Target;

use crate::asked::Asked;
use crate::authenticate::key_set::KeySet;
use crate::authenticate::{token, verify};
use crate::authorize::external::{self, Decision};
use crate::balance::cookie;
use crate::http::attempt::deadline;
use crate::observe::trace::context::Incoming;
use crate::path;
use crate::tunnel::sniff::{self, Guess};

/// All of them but `request_path`, which `tests/requests/noise.rs` has: it needs a waypoint.
pub const TARGETS: [Target; 9] = [
    Target::new("path", uniform_path, || {
        texts(&["/a/../b/%2e%2E/c//d", "/a%2fb\\c%41", "/%252e%252e/x", "*"])
    }),
    Target::new("first_bytes", first_bytes, first_bytes_seeds),
    Target::new("request_head", request_head, || texts(&[HEAD, ODD_HEAD])),
    Target::new("token", signed_token, || texts(&[TOKEN])),
    Target::new("key_set", key_set, || texts(&[KEYS])),
    Target::new("trace_context", trace_context, || {
        texts(&[W3C, B3, B3_MULTI])
    }),
    Target::new("cookie", one_cookie, || {
        texts(&["a=b; session=\"c\"; d", "session=;session=x"])
    }),
    Target::new("grpc_timeout", grpc_timeout, || {
        texts(&["100m", "99999999H", "0n"])
    }),
    Target::new("authorizer_answer", authorizer_answer, authorizer_seeds),
];

const HEAD: &str = "POST /a/../b?c=d\nhost: shop\ncontent-type: application/grpc\nte: trailers\n\
                    connection: x-a, close\nx-a: 1\nexpect: 100-continue\ncookie: a=b\ncookie: c=d";
const ODD_HEAD: &str = "GET http://other:80/\nhost: shop\ntransfer-encoding: chunked\nupgrade: websocket\n\
                        connection: upgrade\nx-envoy-internal: 1\nx-forwarded-for: 1.1.1.1, ::1\nx-forwarded-proto: https";
const TOKEN: &str =
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJpIiwiZXhwIjoxLCJhdWQiOlsiYSJdfQ.c2ln";
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"k","use":"sig","alg":"ES256",
"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","key_ops":["verify"]}]}"#;
const W3C: &str =
    "traceparent: 00-0123456789abcdef0123456789abcdef-0123456789abcdef-01\ntracestate: a=b";
const B3: &str = "b3: 0123456789abcdef0123456789abcdef-0123456789abcdef-1-0123456789abcdef";
const B3_MULTI: &str =
    "x-b3-traceid: 0123456789abcdef\nx-b3-spanid: 0123456789abcdef\nx-b3-sampled: 1\nx-b3-flags: 1";

fn texts(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// A path: made uniform once it stays so, is absolute and holds nothing that goes up.
pub fn uniform_path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for how in [
        PathNormalization::None,
        PathNormalization::Base,
        PathNormalization::MergeSlashes,
        PathNormalization::DecodeAndMergeSlashes,
    ] {
        let Ok(once) = path::normalize(text, how) else {
            continue;
        };
        assert_eq!(
            path::normalize(&once, how).as_deref(),
            Ok(&*once),
            "{how:?}"
        );
        assert!(once.starts_with('/') || once == "*");
        if how != PathNormalization::None {
            let mut elements = once.split('/');
            assert!(!elements.any(|it| it == ".."), "{how:?}: {once}");
            assert!(!once.contains('\\'), "{how:?}: {once}");
        }
    }
}

/// The first bytes of a stream: what is sure of a beginning stays sure with more of it.
pub fn first_bytes(data: &[u8]) {
    for declared in [AppProtocol::Unknown, AppProtocol::Tls, AppProtocol::Http11] {
        let cuts = [1, 3, 5, 9, 24, 43, 100].into_iter();
        let mut before = None;
        for cut in cuts.filter(|it| *it < data.len()).chain([data.len()]) {
            let guess = sniff::guess(data.get(..cut).unwrap_or_default(), declared);
            if let Some(before) = before.replace(guess.clone())
                && before != Guess::More
            {
                assert_eq!(before, guess, "{declared:?} {cut}");
            }
        }
    }
}

fn first_bytes_seeds() -> Vec<Vec<u8>> {
    let mut name = b"\0\0\0\x0b\0\x09\0\0\x06a.test".to_vec();
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0x13, 1, 1, 0, 0, 15]);
    hello.append(&mut name);
    let mut record = vec![1, 0, 0, u8::try_from(hello.len()).unwrap()];
    record.append(&mut hello);
    let mut tls = vec![0x16, 3, 1, 0, u8::try_from(record.len()).unwrap()];
    tls.append(&mut record);
    vec![
        tls,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\n".to_vec(),
        b"SSH-2.0-x".to_vec(),
    ]
}

/// Lines of `name: value`; those that are no header are left out.
fn headers(lines: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|it| *it == b':') else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    headers
}

/// A method and target, then header lines: what goes on says nothing of its framing and of one hop.
pub fn request_head(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|it| *it == b'\n').collect();
    let Some((first, rest)) = lines.split_first() else {
        return;
    };
    let Some((method, target)) = std::str::from_utf8(first)
        .ok()
        .and_then(|it| it.split_once(' '))
    else {
        return;
    };
    let Ok(mut request) = Request::builder().method(method).uri(target).body(()) else {
        return;
    };
    *request.headers_mut() = headers(rest);
    let id = || HeaderValue::from_static("made");
    let (parts, ()) = request.into_parts();
    let Ok(asked) = Asked::new(parts, PathNormalization::Base, id) else {
        return;
    };
    for name in [
        "connection",
        "transfer-encoding",
        "upgrade",
        "host",
        "x-envoy-internal",
    ] {
        assert!(!asked.headers.contains_key(name), "{name}");
    }
    assert!(asked.headers.contains_key("x-request-id"));
    assert!(["http", "https"].contains(&asked.scheme()));
    assert!(asked.path.starts_with('/') || asked.path == "*");
}

/// A token: what is taken apart was there, and nobody has signed it.
pub fn signed_token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(unverified) = token::parse(text) else {
        return;
    };
    assert!(text.starts_with(unverified.signed) && text.ends_with(unverified.signature));
    let keys = KeySet::parse(KEYS.as_bytes()).unwrap();
    assert!(verify::signature(&keys, &unverified).is_err());
}

/// A key set of an issuer: none of its keys takes a token that nobody has signed.
pub fn key_set(data: &[u8]) {
    if let Ok(keys) = KeySet::parse(data) {
        let unverified = token::parse(TOKEN).ok().unwrap();
        assert!(verify::signature(&keys, &unverified).is_err());
    }
}

/// Headers of a trace: a parent is whole or none.
pub fn trace_context(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|it| *it == b'\n').collect();
    let headers = headers(&lines);
    for b3 in [false, true] {
        let read = Incoming::read(&headers, b3);
        if let Some(parent) = read.parent {
            assert!(parent.trace != 0 && parent.span != 0);
        }
    }
}

/// A cookie: its value is part of the line.
pub fn one_cookie(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else {
        return;
    };
    let headers = HeaderMap::from_iter([(COOKIE, value)]);
    if let Some(found) = cookie::read(&headers, "session") {
        assert!(String::from_utf8_lossy(data).contains(found));
        assert!(!found.contains(';'));
    }
}

/// A deadline of a gRPC client: at most 99999999 hours.
pub fn grpc_timeout(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(limit) = deadline::parse(text) {
        assert!(limit.as_secs() <= 99_999_999 * 3600);
        assert!(text.len() <= 9);
    }
}

/// The answer of an authorization server: what it adds to a request does not touch its framing and host.
pub fn authorizer_answer(data: &[u8]) {
    let Ok(Decision::Admitted(additions)) = external::decision_of(Bytes::copy_from_slice(data))
    else {
        return;
    };
    let mut headers = HeaderMap::new();
    additions.to_response(&mut headers);
    for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING] {
        assert!(!headers.contains_key(&name), "{name}");
    }
}

fn authorizer_seeds() -> Vec<Vec<u8>> {
    use prost::Message as _;
    use proto::external_auth as pb;
    let option = |key: &str| pb::HeaderValueOption {
        header: Some(pb::HeaderValue {
            key: key.to_owned(),
            value: "v".to_owned(),
            ..pb::HeaderValue::default()
        }),
        ..pb::HeaderValueOption::default()
    };
    let ok = pb::OkHttpResponse {
        headers: vec![option("x-user"), option("host")],
        response_headers_to_add: vec![option("x-told"), option("content-length")],
        headers_to_remove: vec!["cookie".to_owned()],
        ..pb::OkHttpResponse::default()
    };
    let response = pb::CheckResponse {
        http_response: Some(pb::check_response::HttpResponse::OkResponse(ok)),
        ..pb::CheckResponse::default()
    };
    let message = response.encode_to_vec();
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    vec![framed]
}

#[cfg(test)]
mod tests {
    use mesh::testing::fuzz::{drive, names, targets_in};

    use super::*;

    #[test]
    fn parsers_keep_their_promises_whatever_the_bytes() {
        for target in &TARGETS {
            drive(target);
        }
    }

    #[test]
    fn every_parser_has_a_fuzz_target_and_every_fuzz_target_a_parser() {
        let mut all = names(&TARGETS);
        all.push("request_path".to_owned());
        all.sort();
        assert_eq!(targets_in(env!("CARGO_MANIFEST_DIR")), all);
    }
}
