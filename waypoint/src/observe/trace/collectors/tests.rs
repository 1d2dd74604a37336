//! Spans at a receiver that is built from OpenTelemetry's own definitions, and collectors that are away.

use std::sync::{Arc, Mutex};

use http::HeaderMap;
use mesh::telemetry::metrics::Registry;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use super::*;
use crate::observe::metrics::Metrics;
use crate::observe::trace::sampling::WHOLE;
use crate::observe::trace::tests::{retried, settings, tracer};

/// A collector that keeps what it is sent.
#[derive(Clone, Debug, Default)]
struct Receiver(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Every collector is at this address.
#[derive(Clone, Debug)]
struct At(Result<SocketAddr, String>);

impl Resolve for At {
    async fn resolve(&self, _: &ProviderAddress) -> Result<SocketAddr, String> {
        self.0.clone()
    }
}

async fn receiver() -> (Receiver, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let receiver = Receiver::default();
    let service = TraceServiceServer::new(receiver.clone());
    let serve = tonic::transport::Server::builder()
        .add_service(service)
        .serve_with_incoming(TcpListenerStream::new(listener));
    task::spawn("receiver", serve);
    (receiver, address)
}

fn events() -> Events {
    Metrics::register(&mut Registry::default()).events
}

fn own() -> Own {
    Own {
        canonical_service: "waypoint".into(),
        canonical_revision: "latest".into(),
        namespace: "shop".into(),
        cluster: "Kubernetes".into(),
        mesh: "cluster.local".into(),
        node: "waypoint~10.0.0.9~waypoint-1.shop~shop.svc.cluster.local".into(),
    }
}

fn attribute<'a>(span: &'a Span, name: &str) -> Option<&'a str> {
    let found = span.attributes.iter().find(|it| it.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// Name, kind, id, id of the parent.
fn shape(span: &Span) -> (&str, i32, &[u8], &[u8]) {
    (&span.name, span.kind, &span.span_id, &span.parent_span_id)
}

#[tokio::test]
async fn a_collector_receives_the_whole_trace() {
    let (receiver, address) = receiver().await;
    let events = events();
    let (spans, work) = channel(own(), At(Ok(address)), &events);
    let mut headers = HeaderMap::new();
    let finished = retried(&tracer(&settings(WHOLE)), &mut headers).unwrap();
    spans.push(finished);
    drop(spans);
    work.await;
    assert_eq!(
        (events.spans_sent.get(), events.spans_dropped.get()),
        (5, 0)
    );

    let requests = receiver.0.lock().unwrap();
    let [request] = &requests[..] else {
        panic!("{requests:#?}");
    };
    let [resource] = &request.resource_spans[..] else {
        panic!("{request:#?}");
    };
    let name = &resource.resource.as_ref().unwrap().attributes[0];
    assert_eq!(name.key, "service.name");
    let Some(Value::StringValue(service)) = &name.value.as_ref().unwrap().value else {
        panic!("{name:?}");
    };
    assert_eq!(service, "waypoint.shop");
    let spans: Vec<&Span> = resource
        .scope_spans
        .iter()
        .flat_map(|it| &it.spans)
        .collect();
    // Numbers are given out in turn: one for the decision, two for the trace, then the spans.
    let id = |number: u8| [0, 0, 0, 0, 0, 0, 0, number];
    let (server, policy, first, connect, second) = (id(4), id(5), id(6), id(7), id(8));
    let router = "router outbound|80||web.shop.svc.cluster.local egress";
    let (internal, serving, calling) = (1, 2, 3);
    let shapes: Vec<_> = spans.iter().map(|span| shape(span)).collect();
    assert_eq!(
        shapes,
        [
            (
                "web.shop.svc.cluster.local:80/*",
                serving,
                &server[..],
                &[][..]
            ),
            (router, calling, &first, &server),
            (router, calling, &second, &server),
            ("policy", internal, &policy, &server),
            ("connect", internal, &connect, &first),
        ]
    );
    for (name, value) in [
        ("component", "proxy"),
        ("http.method", "GET"),
        ("http.url", "http://web/a?b=c"),
        ("http.protocol", "HTTP/1.1"),
        ("http.status_code", "200"),
        ("response_flags", "-"),
        (
            "upstream_cluster",
            "outbound|80||web.shop.svc.cluster.local",
        ),
        (
            "node_id",
            "waypoint~10.0.0.9~waypoint-1.shop~shop.svc.cluster.local",
        ),
        ("istio.canonical_service", "waypoint"),
        ("istio.canonical_revision", "latest"),
        ("istio.mesh_id", "cluster.local"),
        ("istio.namespace", "shop"),
        ("istio.cluster_id", "Kubernetes"),
        ("istio.source_workload", "curl"),
        ("istio.source_namespace", "shop"),
        ("team", "blue"),
        ("user", "nobody"),
    ] {
        assert_eq!(attribute(spans[0], name), Some(value), "{name}");
    }
    assert_eq!(attribute(spans[1], "response_flags"), Some("UF"));
    assert_eq!(attribute(spans[1], "peer.address"), Some("10.0.0.2:8080"));
    let failed = opentelemetry_proto::tonic::trace::v1::status::StatusCode::Error;
    let status = |span: &Span| span.status.as_ref().map_or(0, |it| it.code);
    assert_eq!(status(spans[1]), failed as i32);
    assert_ne!(status(spans[0]), failed as i32);
    let begun = spans[0].start_time_unix_nano;
    assert_eq!(spans[0].end_time_unix_nano - begun, 30_000_000);
    assert_eq!(spans[2].start_time_unix_nano - begun, 10_000_000);
    // The trace's id reached the application with the id of the attempt that reached it.
    assert_eq!(
        headers["traceparent"],
        "00-00000000000000020000000000000003-0000000000000008-01"
    );
    assert_eq!(spans[0].trace_id[7], 2);
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_is_away_costs_its_spans_only() {
    let events = events();
    let nowhere = At(Err("no such host".to_owned()));
    let (spans, work) = channel(own(), nowhere, &events);
    for _ in 0..3 {
        let finished = retried(&tracer(&settings(WHOLE)), &mut HeaderMap::new());
        spans.push(finished.unwrap());
    }
    drop(spans);
    work.await;
    assert_eq!(
        (events.spans_sent.get(), events.spans_dropped.get()),
        (0, 15)
    );
}

#[tokio::test]
async fn a_full_queue_drops_and_counts() {
    let events = events();
    let (spans, work) = channel(own(), At(Err(String::new())), &events);
    for _ in 0..WAITING + 2 {
        let finished = retried(&tracer(&settings(WHOLE)), &mut HeaderMap::new());
        spans.push(finished.unwrap());
    }
    assert_eq!(events.spans_dropped.get(), 10);
    drop(work);
}
