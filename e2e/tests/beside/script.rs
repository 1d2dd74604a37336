//! The requests, each with a name by which docs/compat.md#differences-from-envoy speaks of it.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;

/// One request.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) ask: Ask,
}

pub(crate) enum Ask {
    /// Bytes of HTTP/1, and what follows an interim or switching answer.
    Http1(Vec<u8>, &'static str),
    Http2(Box<Request<Full<Bytes>>>),
}

/// All.
#[expect(clippy::too_many_lines, reason = "a list")]
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, line, headers) in GETS {
        cases.push(raw(
            name,
            &format!("{line} HTTP/1.1\r\nhost: web.shop\r\n{headers}\r\n"),
        ));
    }
    cases.extend(malformed());
    for case in RAW {
        cases.push(raw(
            &format!("answer {case}"),
            &format!("GET /raw/{case} HTTP/1.1\r\nhost: web.shop\r\n\r\n"),
        ));
    }
    for (name, path, headers) in UPGRADES {
        let bytes = format!("GET {path} HTTP/1.1\r\nhost: web.shop\r\n{headers}\r\n");
        cases.push(Case {
            name: name.to_owned(),
            ask: Ask::Http1(bytes.into_bytes(), "ping"),
        });
    }
    let grpc = "content-type: application/grpc\r\nte: trailers\r\n";
    for path in [
        "/echo",
        "/nothing",
        "/none",
        "/refused",
        "/direct",
        "/fault/http",
        "/fault/grpc",
        "/delay/5000",
        "/nobody",
        "/redirect/host",
        "/raw/close",
        "/raw/garbage",
    ] {
        cases.push(raw(
            &format!("gRPC HTTP/1 {path}"),
            &format!("POST {path} HTTP/1.1\r\nhost: web.shop\r\n{grpc}content-length: 0\r\n\r\n"),
        ));
        cases.push(two(
            &format!("gRPC {path}"),
            Method::POST,
            path,
            &[
                ("content-type", "application/grpc+proto"),
                ("te", "trailers"),
            ],
        ));
    }
    for (name, path, headers) in TWOS {
        cases.push(two(name, Method::GET, path, headers));
    }
    let long = "x".repeat(70_000);
    cases.push(two(
        "HTTP/2 large head",
        Method::GET,
        "/echo",
        &[("x", &long)],
    ));
    let many: Vec<_> = (0..120).map(|it| format!("x-{it}")).collect();
    let many: Vec<_> = many.iter().map(|it| (it.as_str(), "1")).collect();
    cases.push(two("HTTP/2 many headers", Method::GET, "/echo", &many));
    cases
}

fn raw(name: &str, bytes: &str) -> Case {
    Case {
        name: name.to_owned(),
        ask: Ask::Http1(bytes.as_bytes().to_vec(), "body"),
    }
}

fn two(name: &str, method: Method, path: &str, headers: &[(&str, &str)]) -> Case {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://web.shop{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Case {
        name: name.to_owned(),
        ask: Ask::Http2(Box::new(request.body(Full::default()).unwrap())),
    }
}

/// Name, first line without version, headers.
const GETS: [(&str, &str, &str); 73] = [
    ("exact", "GET /exact", ""),
    ("exact with query", "GET /exact?a=1", ""),
    ("exact and more", "GET /exact/", ""),
    ("elements", "GET /echo/a", ""),
    ("elements with slash", "GET /echo/", ""),
    ("elements cut", "GET /echoes", ""),
    ("letters", "GET /lettersoup", ""),
    ("regex", "GET /re/12?x", ""),
    ("regex in part", "GET /re/12a", ""),
    ("header match", "GET /header", "x-pick: one\r\n"),
    (
        "header of two lines",
        "GET /header",
        "x-pick: two\r\nx-pick: one\r\n",
    ),
    ("header with comma", "GET /header", "x-pick: one,two\r\n"),
    ("header case", "GET /header", "x-pick: One\r\n"),
    ("header mismatch", "GET /header", ""),
    ("query match", "GET /query?a=2&b=1", ""),
    ("query twice", "GET /query?b=2&b=1", ""),
    ("query encoded", "GET /query?b=%31", ""),
    ("method match", "POST /post", "content-length: 0\r\n"),
    ("method mismatch", "GET /post", ""),
    ("no route", "GET /nothing", ""),
    ("redirect host", "GET /redirect/host/a?q=1", ""),
    ("redirect https", "GET /redirect/https/a?q=1", ""),
    ("redirect path", "GET /redirect/path/a?q=1", ""),
    ("redirect prefix", "GET /redirect/prefix/a?q=1", ""),
    ("redirect prefix alone", "GET /redirect/prefix", ""),
    (
        "redirect of HEAD",
        "HEAD /redirect/host",
        "connection: close\r\n",
    ),
    ("rewrite prefix", "GET /rewrite/prefix/a?q=1", ""),
    ("rewrite prefix alone", "GET /rewrite/prefix", ""),
    ("rewrite regex", "GET /rewrite/regex/a?q=1", ""),
    (
        "header changes",
        "GET /headers",
        "x-remove: 1\r\nX-Set: no\r\nx-add: a\r\n",
    ),
    ("header changes, none before", "GET /headers", ""),
    ("weighted", "GET /weighted", ""),
    ("no backend", "GET /nobody", ""),
    ("direct", "GET /direct", ""),
    (
        "direct with body",
        "POST /direct",
        "content-length: 4\r\n\r\nbody",
    ),
    ("fault", "GET /fault/http", ""),
    ("fault of gRPC", "GET /fault/grpc", ""),
    (
        "preflight",
        "OPTIONS /cors",
        "origin: https://a.shop.org\r\naccess-control-request-method: PUT\r\n",
    ),
    (
        "preflight of a stranger",
        "OPTIONS /cors",
        "origin: https://b.shop.org\r\naccess-control-request-method: PUT\r\n",
    ),
    ("options", "OPTIONS /cors", "origin: https://a.shop.org\r\n"),
    (
        "cross-origin",
        "GET /cors",
        "origin: https://a.shop.org\r\n",
    ),
    (
        "cross-origin of a stranger",
        "GET /cors",
        "origin: https://b.shop.org\r\n",
    ),
    ("timeout", "GET /delay/5000", ""),
    ("in time", "GET /delay/1", ""),
    ("retried status", "GET /status/503", ""),
    ("not retried status", "GET /status/404", ""),
    ("no endpoint", "GET /none", ""),
    ("refused", "GET /refused", ""),
    ("refused often", "GET /refused/often", ""),
    ("dots", "GET /echo/a/../b/./c", ""),
    ("encoded dots", "GET /echo/a/%2e%2E/b", ""),
    ("backslash", "GET /echo\\a", ""),
    ("unreserved", "GET /echo/%41%7e%2d", ""),
    ("reserved", "GET /echo/a%2fb%5cc%20", ""),
    ("slashes", "GET /echo//a", ""),
    ("dots beyond root", "GET /../echo", ""),
    ("absolute form", "GET http://other.shop/echo", ""),
    ("star form", "OPTIONS *", ""),
    ("TRACE", "TRACE /echo", ""),
    ("HEAD", "HEAD /exact", "connection: close\r\n"),
    (
        "hop by hop",
        "GET /echo",
        "connection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nproxy-connection: keep-alive\r\n",
    ),
    ("TE", "GET /echo", "te: trailers, deflate\r\n"),
    ("TE without trailers", "GET /echo", "te: deflate\r\n"),
    (
        "steering",
        "GET /echo",
        "x-envoy-internal: true\r\nx-envoy-force-trace: 1\r\nx-envoy-retry-on: 5xx\r\nx-envoy-max-retries: 3\r\nx-envoy-upstream-rq-timeout-ms: 1\r\nx-envoy-expected-rq-timeout-ms: 1\r\nx-envoy-original-path: /a\r\nx-envoy-decorator-operation: a\r\n",
    ),
    (
        "certificate header",
        "GET /echo",
        "x-forwarded-client-cert: By=a\r\n",
    ),
    (
        "forwarded",
        "GET /echo",
        "x-forwarded-for: 1.2.3.4\r\nx-forwarded-proto: https\r\nforwarded: for=a\r\n",
    ),
    (
        "forwarded proto that is none",
        "GET /echo",
        "x-forwarded-proto: gopher\r\n",
    ),
    ("request id", "GET /echo", "x-request-id: mine\r\n"),
    ("underscore", "GET /echo", "x_under: 1\r\nX-Mixed: 1\r\n"),
    ("obs-text", "GET /echo", "x-a: \u{e4}\r\n"),
    ("connection close", "GET /echo", "connection: close\r\n"),
    (
        "chunked",
        "POST /echo",
        "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-after: 1\r\n",
    ),
    ("length", "POST /echo", "content-length: 3\r\n\r\nabc"),
];

/// Whole requests that are not as they should be.
#[expect(clippy::too_many_lines, reason = "a list")]
fn malformed() -> Vec<Case> {
    let long = "x".repeat(70_000);
    let many: String = (0..120).map(|it| format!("x-{it}: 1\r\n")).collect();
    let with = |headers: &str| format!("GET /echo HTTP/1.1\r\nhost: web.shop\r\n{headers}\r\n");
    let posted = |rest: &str| format!("POST /echo HTTP/1.1\r\nhost: web.shop\r\n{rest}");
    let at = |target: &str| format!("GET {target} HTTP/1.1\r\nhost: web.shop\r\n\r\n");
    [
        ("no host", "GET /echo HTTP/1.1\r\n\r\n".to_owned()),
        (
            "empty host",
            "GET /echo HTTP/1.1\r\nhost: \r\n\r\n".to_owned(),
        ),
        ("two hosts", with("host: b\r\n")),
        (
            "HTTP/1.0",
            "GET /echo HTTP/1.0\r\nhost: web.shop\r\n\r\n".to_owned(),
        ),
        (
            "HTTP/1.2",
            "GET /echo HTTP/1.2\r\nhost: web.shop\r\n\r\n".to_owned(),
        ),
        (
            "HTTP/3.0",
            "GET /echo HTTP/3.0\r\nhost: web.shop\r\n\r\n".to_owned(),
        ),
        ("zero in path", at("/echo/%00")),
        ("bad escape", at("/echo/%zz")),
        ("fragment", at("/echo#a")),
        (
            "unknown method",
            "BREW /echo HTTP/1.1\r\nhost: web.shop\r\n\r\n".to_owned(),
        ),
        (
            "two blanks",
            "GET  /echo HTTP/1.1\r\nhost: web.shop\r\n\r\n".to_owned(),
        ),
        ("folded line", with("x: a\r\n b\r\n")),
        ("blank in name", with("bad name: b\r\n")),
        ("blank before colon", with("x-a : b\r\n")),
        ("zero in value", with("x-a: a\0b\r\n")),
        (
            "bare line feeds",
            "GET /echo HTTP/1.1\nhost: web.shop\n\n".to_owned(),
        ),
        ("no colon", with("nothing\r\n")),
        ("garbage", "\u{1}\u{2}\u{3}\u{4}\r\n\r\n".to_owned()),
        (
            "length and chunked",
            posted("content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "two lengths",
            posted("content-length: 3\r\ncontent-length: 4\r\n\r\nabcd"),
        ),
        (
            "one length twice",
            posted("content-length: 3\r\ncontent-length: 3\r\n\r\nabc"),
        ),
        ("negative length", posted("content-length: -3\r\n\r\n")),
        ("signed length", posted("content-length: +3\r\n\r\nabc")),
        (
            "coding identity",
            posted("transfer-encoding: identity\r\n\r\n"),
        ),
        ("coding gzip", posted("transfer-encoding: gzip\r\n\r\n")),
        (
            "coding gzip, chunked",
            posted("transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "bad chunk",
            posted("transfer-encoding: chunked\r\n\r\nzz\r\n"),
        ),
        ("large head", with(&format!("x: {long}\r\n"))),
        ("large path", at(&format!("/echo/{long}"))),
        ("many headers", with(&many)),
        (
            "CONNECT",
            "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n".to_owned(),
        ),
    ]
    .iter()
    .map(|(name, bytes)| raw(name, bytes))
    .collect()
}

/// Answers of the raw application.
const RAW: [&str; 19] = [
    "close",
    "garbage",
    "large",
    "largish",
    "many",
    "cut",
    "lengths",
    "both",
    "hop",
    "server",
    "steering",
    "chunked",
    "until-close",
    "empty",
    "unchanged",
    "hints",
    "old",
    "odd-status",
    "cookies",
];

const WEBSOCKET: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: a\r\n";

/// What changes protocols, or waits.
const UPGRADES: [(&str, &str, &str); 6] = [
    ("websocket", "/raw/websocket", WEBSOCKET),
    ("websocket refused", "/raw/no-websocket", WEBSOCKET),
    ("websocket, not switched", "/echo", WEBSOCKET),
    (
        "upgrade to other",
        "/echo",
        "connection: upgrade\r\nupgrade: other\r\n",
    ),
    (
        "upgrade to h2c",
        "/echo",
        "connection: upgrade\r\nupgrade: h2c\r\n",
    ),
    (
        "expect continue",
        "/raw/continue",
        "expect: 100-continue\r\ncontent-length: 4\r\n",
    ),
];

type Headers = &'static [(&'static str, &'static str)];

/// Over HTTP/2.
const TWOS: [(&str, &str, Headers); 12] = [
    ("HTTP/2", "/echo?a=1", &[]),
    ("HTTP/2 no route", "/nothing", &[]),
    ("HTTP/2 refused", "/refused", &[]),
    ("HTTP/2 timeout", "/delay/5000", &[]),
    ("HTTP/2 redirect", "/redirect/host", &[]),
    ("HTTP/2 direct", "/direct", &[]),
    (
        "HTTP/2 cookies",
        "/echo",
        &[("cookie", "a=1"), ("cookie", "b=2")],
    ),
    ("HTTP/2 zero in path", "/echo/%00", &[]),
    ("HTTP/2 dots", "/echo/../exact", &[]),
    ("HTTP/2 cut", "/raw/cut", &[]),
    ("HTTP/2 chunked", "/raw/chunked", &[]),
    (
        "HTTP/2 to HTTP/2",
        "/shop.Basket/Add",
        &[("content-type", "application/grpc"), ("te", "trailers")],
    ),
];
