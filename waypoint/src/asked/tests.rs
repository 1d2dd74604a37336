//! Tables of what is refused, removed and kept of a request.

use http::Request;

use super::*;

fn asked(request: http::request::Builder) -> Result<Asked, Ending> {
    let (parts, ()) = request.body(()).unwrap().into_parts();
    Asked::new(parts, PathNormalization::Base, || {
        HeaderValue::from_static("made")
    })
}

fn get(uri: &str) -> http::request::Builder {
    Request::get(uri).header("host", "shop")
}

#[test]
fn what_cannot_be_trusted_is_refused() {
    let with = |name: &str, value: &str| get("/").header(name, value);
    for (request, ending) in [
        (get("/").version(Version::HTTP_10), Ending::OldVersion),
        (Request::get("/"), Ending::NoHost),
        (with("host", "other"), Ending::NoHost),
        (get("/a%00b"), Ending::BadPath),
        (Request::connect("shop:80"), Ending::Connect),
        (
            with("transfer-encoding", "chunked").header("content-length", "3"),
            Ending::TwoLengths,
        ),
        (
            with("transfer-encoding", "gzip, chunked"),
            Ending::UnknownCoding,
        ),
        (
            with("transfer-encoding", "gzip").header("transfer-encoding", "chunked"),
            Ending::UnknownCoding,
        ),
    ] {
        let text = format!("{request:?}");
        assert_eq!(asked(request).unwrap_err(), ending, "{text}");
    }
}

#[test]
fn hop_by_hop_and_steering_headers_go_no_further() {
    let request = get("/a/../b?q=1")
        .header("connection", "close, X-Mine")
        .header("x-mine", "1")
        .header("keep-alive", "5")
        .header("te", "gzip, trailers")
        .header("x-envoy-retry-on", "5xx")
        .header("x-forwarded-client-cert", "By=me")
        .header("x-kept", "1");
    let asked = asked(request).unwrap();
    let mut names: Vec<_> = asked.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["te", "x-forwarded-proto", "x-kept", "x-request-id"]);
    assert_eq!(asked.headers["te"], "trailers");
    assert_eq!(asked.headers["x-request-id"], "made");
    assert_eq!(
        (asked.path.as_str(), asked.query.as_deref()),
        ("/b", Some("q=1"))
    );
    assert_eq!(asked.host(), "shop");
}

#[test]
fn ids_and_protocols_of_the_client_stay() {
    let request = get("/")
        .header("x-request-id", "mine")
        .header("x-forwarded-proto", "https");
    let asked = asked(request).unwrap();
    assert_eq!(asked.headers["x-request-id"], "mine");
    assert_eq!(asked.scheme(), "https");
}

#[test]
fn the_target_names_the_host_before_the_header_does() {
    assert_eq!(
        asked(get("http://target:81/x")).unwrap().host(),
        "target:81"
    );
}

#[test]
fn only_named_upgrades_count() {
    let upgrade = |connection: &str, to: &str| {
        let request = get("/")
            .header("connection", connection)
            .header("upgrade", to);
        asked(request).unwrap().upgrade
    };
    assert_eq!(upgrade("Upgrade", "websocket").unwrap(), "websocket");
    assert_eq!(upgrade("keep-alive", "websocket"), None);
    assert_eq!(upgrade("upgrade", "h2c"), None);
}

#[test]
fn grpc_is_told_by_its_type() {
    for (content_type, expected) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("application/grpc; charset=x", true),
        ("application/grpc-web", false),
        ("application/json", false),
    ] {
        let asked = asked(get("/").header("content-type", content_type)).unwrap();
        assert_eq!(asked.is_grpc, expected, "{content_type}");
    }
}

#[test]
fn crumbs_of_cookies_are_put_together() {
    let request = get("/")
        .version(Version::HTTP_2)
        .header("cookie", "a=1")
        .header("cookie", "b=2");
    assert_eq!(asked(request).unwrap().headers["cookie"], "a=1; b=2");
}
