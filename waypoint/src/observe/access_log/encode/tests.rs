//! Lines of requests that ended well and badly, and of clients that try to forge some.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderValue};
use mesh::model::{Origin, observe};

use super::*;
use crate::observe::record::{Flag, Protocol, Served, Size};

fn log(json: bool, format: &str) -> AccessLog {
    let settings = observe::AccessLog {
        json,
        format: format.into(),
        filter: Arc::default(),
    };
    let environment = |name: &str| Some(format!("<{name}>"));
    AccessLog::compile(&settings, environment).unwrap()
}

fn record() -> Record {
    let start = SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_000_000_123);
    let source = Party {
        workload: "curl".into(),
        namespace: "shop".into(),
        principal: "spiffe://cluster.local/ns/shop/sa/curl".into(),
        ..Party::default()
    };
    let mut record = Record::new(
        start,
        Instant::now(),
        source.into(),
        Arc::<Served>::default(),
    );
    record.duration = Duration::from_millis(12);
    record.asked.path = Some("/a?b=c".parse().unwrap());
    record.asked.authority = Some(HeaderValue::from_static("web"));
    record.asked.protocol = Protocol::Http2;
    record.asked.size = Size {
        head: 90,
        body: 3,
        messages: 0,
    };
    record.answered.status = 200;
    record.answered.details = "via_upstream".into();
    record.answered.size.body = 5;
    record.sent.host = "10.0.0.2:8080".parse().ok();
    record.sent.local = "10.0.0.9:41000".parse().ok();
    record.sent.cluster = "outbound|80||web.shop.svc.cluster.local".into();
    record.sent.attempts = 1;
    record.source_address = "10.0.0.1:4000".parse().ok();
    record.local_address = "10.9.0.1:80".parse().ok();
    record.route = Some(Arc::new(Origin::object("HTTPRoute", "shop", "web")));
    record
}

fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| {
        (
            name.parse().unwrap(),
            HeaderValue::from_bytes(value).unwrap(),
        )
    });
    pairs.collect()
}

fn line(log: &AccessLog, record: &Record) -> String {
    let mut line = Vec::new();
    log.encode(record, &mut line);
    String::from_utf8(line).unwrap()
}

#[test]
fn the_standard_line_is_that_of_istio() {
    let log = log(false, "");
    let mut record = record();
    let request = [
        ("user-agent", &b"curl/8"[..]),
        ("x-request-id", b"id-1"),
        ("x-forwarded-for", b"10.0.0.1"),
    ];
    record.asked.captured = log.capture_request(&headers(&request));
    record.answered.captured =
        log.capture_response(&headers(&[("x-envoy-upstream-service-time", b"11")]));
    assert_eq!(
        line(&log, &record),
        "[2026-09-21T14:13:20.123Z] \"GET /a?b=c HTTP/2\" 200 - via_upstream - \"-\" 3 5 12 11 \"10.0.0.1\" \"curl/8\" \
         \"id-1\" \"web\" \"10.0.0.2:8080\" outbound|80||web.shop.svc.cluster.local 10.0.0.9:41000 10.9.0.1:80 \
         10.0.0.1:4000 - HTTPRoute shop/web\n"
    );
}

#[test]
fn the_standard_object_has_numbers_and_nulls() {
    let log = log(true, "");
    let line = line(&log, &record());
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(object["response_code"], 200);
    assert_eq!(object["bytes_sent"], 5);
    assert_eq!(object["user_agent"], serde_json::Value::Null);
    assert_eq!(object["response_flags"], "-");
    assert_eq!(object["start_time"], "2026-09-21T14:13:20.123Z");
    assert_eq!(object.as_object().unwrap().len(), 24);
}

#[test]
fn own_formats_are_followed() {
    let mut failed = record();
    failed.answered.status = 503;
    failed.answered.flags = Flag::UpstreamFailure.into();
    failed.answered.reason = "connect_refused";
    failed.answered.grpc_status = Some(14);
    failed.asked.is_grpc = true;
    failed.trace = Some(0xab);
    failed.policies = vec!["shop/a".into(), "shop/b".into()];
    for (format, expected) in [
        (
            "%RESPONSE_CODE% %RESPONSE_FLAGS% %WEFT_REASON%",
            "503 UF connect_refused",
        ),
        ("%GRPC_STATUS% %GRPC_STATUS_NUMBER%", "Unavailable 14"),
        ("%REQ(x-no?:PATH):3%", "/a?"),
        ("%REQ_WITHOUT_QUERY(:path)% 100%%", "/a 100%"),
        ("%TRACE_ID%", "000000000000000000000000000000ab"),
        ("%WEFT_POLICIES%", "shop/a,shop/b"),
        (
            "%WEFT_SOURCE_WORKLOAD% %WEFT_DESTINATION_WORKLOAD%",
            "shop/curl -",
        ),
        ("%START_TIME(%s %6f)%", "1790000000 123000"),
        ("%ENVIRONMENT(X)% %HOSTNAME%", "<X> <HOSTNAME>"),
        (
            "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT%",
            "10.0.0.1 80",
        ),
        (
            "%DOWNSTREAM_PEER_URI_SAN%",
            "spiffe://cluster.local/ns/shop/sa/curl",
        ),
    ] {
        let line = line(&log(false, format), &failed);
        assert_eq!(line, format!("{expected}\n"), "{format}");
    }
}

#[test]
fn every_operator_can_be_written() {
    for value in mesh::access_log::Value::ALL {
        let format = format!("{{\"x\":\"%{}%\"}}", value.word());
        let line = line(&log(true, &format), &record());
        assert!(
            serde_json::from_str::<serde_json::Value>(&line).is_ok(),
            "{line}"
        );
    }
}

#[test]
fn no_client_can_forge_a_line() {
    let forged = b"x\" 200 \t\xff\xc2\x85 ok \\";
    let request = headers(&[("user-agent", forged), ("x-request-id", forged)]);
    for json in [false, true] {
        let log = log(json, "");
        let mut record = record();
        record.asked.captured = log.capture_request(&request);
        record.asked.authority = HeaderValue::from_bytes(forged).ok();
        record.sent.failure = "line\r\nbreak".into();
        let line = line(&log, &record);
        let (body, end) = line.split_at(line.len() - 1);
        assert_eq!(end, "\n");
        assert!(!body.contains(char::is_control), "{body:?}");
        if json {
            let object: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(object["response_code"], 200);
        } else {
            assert!(
                body.contains("\"x\\\" 200 \\t\\xff\\u0085 ok \\\\\""),
                "{body}"
            );
        }
    }
}

#[test]
fn a_filter_sees_the_request() {
    let mut failed = record();
    failed.answered.status = 503;
    for (filter, ended_well, has_failed) in [
        ("response.code >= 400", false, true),
        ("request.headers['x-debug'] == 'on'", true, true),
        ("connection.mtls && request.url_path == '/a'", true, true),
        ("destination.port == 443", false, false),
        ("request.duration >= duration('12ms')", true, true),
    ] {
        let settings = observe::AccessLog {
            filter: filter.into(),
            ..observe::AccessLog::default()
        };
        let log = AccessLog::compile(&settings, |_| None).unwrap();
        let captured = log.capture_request(&headers(&[("x-debug", b"on")]));
        for (mut record, expected) in [(record(), ended_well), (failed.clone(), has_failed)] {
            record.asked.captured = captured.clone();
            assert_eq!(log.wants(&record), expected, "{filter}");
        }
    }
}
