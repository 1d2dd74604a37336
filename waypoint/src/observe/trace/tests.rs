//! Contexts through a request, and the spans it leaves, without a collector.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mesh::model::provider::{ProviderAddress, ProviderHost};
use opentelemetry::trace::{SpanId, SpanKind};

use super::*;
use crate::observe::record::{Flag, Party, Served};

pub(super) fn settings(share: u32) -> Tracing {
    Tracing {
        provider: "otel".into(),
        collector: ProviderAddress {
            host: ProviderHost::Name("collector".into()),
            port: 4317,
        },
        b3: false,
        sampling: share,
        reports: true,
        propagates: true,
        istio_tags: true,
        tags: vec![
            ("team".into(), TagValue::Literal("blue".into())),
            (
                "user".into(),
                TagValue::Header("x-user".into(), "nobody".into()),
            ),
            (
                "zone".into(),
                TagValue::Environment("ZONE".into(), "none".into()),
            ),
        ],
    }
}

pub(super) fn tracer(settings: &Tracing) -> Arc<Tracer> {
    Tracer::compile(settings, |name| (name == "ZONE").then(|| "z1".to_owned()))
}

/// Numbers that can be told: 1, 2, 3, ...
pub(super) fn counted() -> impl FnMut() -> u64 {
    let mut number = 0;
    move || {
        number += 1;
        number
    }
}

pub(super) fn record() -> Record {
    let source = Party {
        workload: "curl".into(),
        namespace: "shop".into(),
        ..Party::default()
    };
    let service = Served {
        hostname: "web.shop.svc.cluster.local".into(),
        namespace: "shop".into(),
        name: "web".into(),
    };
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    let mut record = Record::new(start, Instant::now(), source.into(), service.into());
    record.duration = Duration::from_millis(30);
    record.asked.path = Some("/a?b=c".parse().unwrap());
    record.asked.authority = Some(HeaderValue::from_static("web"));
    record.answered.status = 200;
    record.sent.cluster = "outbound|80||web.shop.svc.cluster.local".into();
    record.local_address = "10.9.0.1:80".parse().ok();
    record
}

fn outcome(status: u16) -> Outcome {
    Outcome {
        cluster: "outbound|80||web.shop.svc.cluster.local".into(),
        host: "10.0.0.2:8080".parse().ok(),
        status,
        flags: match status {
            0 => Flag::UpstreamFailure.into(),
            _ => Flags::NONE,
        },
        reason: if status == 0 { "connect_refused" } else { "" },
        ..Outcome::default()
    }
}

/// A request whose first attempt failed; what is reported of it.
pub(super) fn retried(tracer: &Arc<Tracer>, headers: &mut HeaderMap) -> Option<Box<Finished>> {
    let random = &mut counted();
    let mut record = record();
    let began = record.began;
    let at = |milliseconds| began + Duration::from_millis(milliseconds);
    let mut trace = tracer.begin(headers, random);
    trace.step("policy", at(1), at(3), "", random);
    trace.attempt(at(4), random);
    trace.step("connect", at(4), at(5), "connect_refused", random);
    trace.attempted(at(5), || outcome(0));
    trace.attempt(at(10), random);
    trace.write(headers);
    trace.attempted(at(25), || outcome(200));
    record.trace = Some(trace.id());
    trace.finish(&record)
}

fn values(span: &opentelemetry_sdk::trace::SpanData, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|it| it.key.as_str() == name);
    found.map(|it| it.value.as_str().into_owned())
}

#[test]
fn a_retried_request_is_a_server_span_with_a_client_span_per_attempt() {
    let mut headers = HeaderMap::new();
    headers.insert("x-user", HeaderValue::from_static("ann"));
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    headers.insert("traceparent", HeaderValue::from_static(parent));
    let finished = retried(&tracer(&settings(0)), &mut headers).unwrap();
    let spans = finished.spans(&Own::default());
    let [server, first, second, policy, connect] = &spans[..] else {
        panic!("{spans:#?}");
    };
    let id = |span: &opentelemetry_sdk::trace::SpanData| span.span_context.span_id();
    assert_eq!(server.span_kind, SpanKind::Server);
    assert_eq!(server.name, "web.shop.svc.cluster.local:80/*");
    assert_eq!(server.parent_span_id, SpanId::from(0x00f0_67aa_0ba9_02b7));
    assert!(server.parent_span_is_remote);
    for (span, status) in [(first, "0"), (second, "200")] {
        assert_eq!(span.span_kind, SpanKind::Client);
        assert_eq!(span.parent_span_id, id(server));
        assert_eq!(
            span.name,
            "router outbound|80||web.shop.svc.cluster.local egress"
        );
        assert_eq!(values(span, "http.status_code").as_deref(), Some(status));
    }
    assert_eq!(values(first, "response_flags").as_deref(), Some("UF"));
    assert_eq!(
        values(first, "weft.reason").as_deref(),
        Some("connect_refused")
    );
    assert_eq!(values(first, "error").as_deref(), Some("true"));
    assert_eq!(values(second, "error"), None);
    assert_eq!(
        (policy.parent_span_id, connect.parent_span_id),
        (id(server), id(first))
    );
    assert_eq!((&*policy.name, &*connect.name), ("policy", "connect"));
    for span in &spans {
        let trace = span.span_context.trace_id();
        assert_eq!(trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(span.start_time <= span.end_time && server.start_time <= span.start_time);
    }
    for (name, value) in [
        ("http.url", "http://web/a?b=c"),
        ("http.method", "GET"),
        ("istio.source_workload", "curl"),
        ("istio.source_workload_type", "deployment"),
        ("team", "blue"),
        ("user", "ann"),
        ("zone", "z1"),
    ] {
        assert_eq!(values(server, name).as_deref(), Some(value), "{name}");
    }
    // The application's span is the child of the attempt that reached it.
    let expected = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", id(second));
    assert_eq!(headers["traceparent"], expected.as_str());
}

#[test]
fn what_is_not_sampled_leaves_no_span_and_passes_its_context() {
    for (share, context, reports, propagates, passed) in [
        (0, None, true, true, Some("-00")),
        (WHOLE, Some("00"), true, true, Some("-00")),
        (WHOLE, None, false, true, Some("-01")),
        (0, None, true, false, None),
    ] {
        let settings = Tracing {
            reports,
            propagates,
            ..settings(share)
        };
        let mut headers = HeaderMap::new();
        if let Some(flags) = context {
            let value = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            headers.insert("traceparent", value.parse().unwrap());
        }
        assert!(retried(&tracer(&settings), &mut headers).is_none());
        let written = headers.get("traceparent").map(|it| it.to_str().unwrap());
        let end = written.map(|it| &it[it.len() - 3..]);
        assert_eq!(end, passed);
    }
}

#[test]
fn the_request_id_remembers_the_decision() {
    let mut headers = HeaderMap::new();
    let id = HeaderValue::from_static("00000000-0000-4000-8000-000000000000");
    headers.insert("x-request-id", id);
    assert!(retried(&tracer(&settings(1)), &mut headers).is_some());
    assert_eq!(
        headers["x-request-id"],
        "00000000-0000-9000-8000-000000000000"
    );
}

#[test]
fn spans_of_one_request_are_bounded() {
    let random = &mut counted();
    let record = record();
    let mut trace = tracer(&settings(WHOLE)).begin(&mut HeaderMap::new(), random);
    for _ in 0..1000 {
        trace.attempt(record.began, random);
        trace.step("connect", record.began, record.began, "", random);
        trace.attempted(record.began, || outcome(0));
    }
    assert_eq!(trace.finish(&record).unwrap().len(), 1 + SPANS as u64);
}
