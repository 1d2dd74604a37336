//! Labels and numbers of requests and connections, and that series stay bounded.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mesh::model::observe::MetricOverride;
use mesh::telemetry::metrics::Registry;

use super::labels::Flags;
use super::series::{FORGOTTEN, ROWS, UNUSED};
use super::*;
use crate::observe::record::{Flag, Party, Served};

fn page(registry: &Registry, prefix: &str) -> Vec<String> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    let lines = text.lines().filter(|line| line.starts_with(prefix));
    lines.map(str::to_owned).collect()
}

fn party(name: &str) -> Arc<Party> {
    Arc::new(Party {
        workload: name.into(),
        namespace: "shop".into(),
        canonical_service: name.into(),
        canonical_revision: "v1".into(),
        app: format!("{name}-app").into(),
        version: "v1".into(),
        cluster: "Kubernetes".into(),
        principal: format!("spiffe://cluster.local/ns/shop/sa/{name}").into(),
        ..Party::default()
    })
}

fn web() -> Arc<Served> {
    Arc::new(Served {
        hostname: "web.shop.svc.cluster.local".into(),
        namespace: "shop".into(),
        name: "web".into(),
    })
}

fn record(source: &Arc<Party>, status: u16) -> Record {
    let mut record = Record::new(SystemTime::now(), Instant::now(), Arc::clone(source), web());
    record.destination = party("two");
    record.answered.status = status;
    record.duration = Duration::from_micros(7500);
    record.asked.size.head = 100;
    record.answered.size.body = 2000;
    record
}

const LABELS: &str = r#"{reporter="waypoint",source_workload="one",source_canonical_service="one",source_canonical_revision="v1",source_workload_namespace="shop",source_principal="spiffe://cluster.local/ns/shop/sa/one",source_app="one-app",source_version="v1",source_cluster="Kubernetes",destination_workload="two",destination_workload_namespace="shop",destination_principal="spiffe://cluster.local/ns/shop/sa/two",destination_app="two-app",destination_version="v1",destination_service="web.shop.svc.cluster.local",destination_canonical_service="two",destination_canonical_revision="v1",destination_service_name="web",destination_service_namespace="shop",destination_cluster="Kubernetes","#;

#[test]
fn a_request_is_counted_with_the_labels_of_the_contract() {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let (first, second) = (metrics.recorder(), metrics.recorder());
    let one = party("one");
    for recorder in [&first, &first, &second] {
        recorder.request(&record(&one, 200), &None);
    }
    let rest = r#"request_protocol="http",response_code="200",grpc_response_status="",response_flags="-",connection_security_policy="mutual_tls"}"#;
    let expected = format!("istio_requests_total{LABELS}{rest} 3");
    assert_eq!(page(&registry, "istio_requests_total"), [expected]);
    let sums = [
        ("istio_request_duration_milliseconds_sum", "22.5"),
        ("istio_request_bytes_sum", "300.0"),
        ("istio_response_bytes_sum", "6000.0"),
    ];
    for (name, value) in sums {
        let line = page(&registry, name);
        assert!(line[0].ends_with(&format!(" {value}")), "{line:?}");
    }
    let buckets = page(&registry, "istio_request_duration_milliseconds_bucket");
    assert_eq!(buckets.len(), 20);
    assert!(buckets[2].contains("le=\"5.0\"") && buckets[2].ends_with(" 0"));
    assert!(buckets[3].contains("le=\"10.0\"") && buckets[3].ends_with(" 3"));
    assert!(page(&registry, "istio_request_messages_total").is_empty());
}

#[test]
fn grpc_and_failures_have_labels_of_their_own() {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let recorder = metrics.recorder();
    let mut failed = record(&Arc::default(), 200);
    failed.asked.is_grpc = true;
    failed.asked.size.messages = 2;
    failed.answered.size.messages = 5;
    failed.answered.grpc_status = Some(14);
    failed.answered.flags = Flag::NoHealthyUpstream.into();
    failed.answered.reason = "no_healthy_endpoint";
    recorder.request(&failed, &None);
    failed.answered.grpc_status = Some(99);
    recorder.request(&failed, &None);
    let lines = page(&registry, "istio_requests_total");
    for part in [
        "source_workload=\"unknown\"",
        "request_protocol=\"grpc\"",
        "grpc_response_status=\"14\"",
        "response_flags=\"UH\"",
        "connection_security_policy=\"none\"",
    ] {
        assert!(lines[0].contains(part), "{part} is missing in {lines:?}");
    }
    assert!(lines[1].contains("grpc_response_status=\"unknown\""));
    assert!(page(&registry, "istio_request_messages_total")[0].ends_with(" 2"));
    assert!(page(&registry, "istio_response_messages_total")[0].ends_with(" 5"));
    let own = page(&registry, "weft_waypoint_requests_failed_total");
    assert_eq!(
        own,
        ["weft_waypoint_requests_failed_total{reason=\"no_healthy_endpoint\"} 2"]
    );
}

#[test]
fn users_change_labels_and_leave_metrics_out() {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let recorder = metrics.recorder();
    let change = |metric: &str, disabled, labels: &[(&str, Option<&str>)]| MetricOverride {
        metric: metric.into(),
        disabled,
        labels: labels
            .iter()
            .map(|(name, value)| ((*name).into(), value.map(Into::into)))
            .collect(),
    };
    let rules = MetricRules::compile(&[
        change(
            "requests_total",
            false,
            &[("response_code", None), ("mesh", Some("m"))],
        ),
        change("request_bytes", true, &[]),
    ]);
    let one = party("one");
    recorder.request(&record(&one, 200), &rules);
    recorder.request(&record(&one, 201), &rules);
    let lines = page(&registry, "istio_requests_total");
    // Without the label that told them apart the two are one series.
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].ends_with("mesh=\"m\"} 2") && !lines[0].contains("response_code"));
    assert!(page(&registry, "istio_request_bytes").is_empty());
    assert_eq!(page(&registry, "istio_response_bytes_sum").len(), 2);
}

#[test]
fn a_connection_is_counted_when_it_opens_flows_and_ends() {
    use std::sync::atomic::Ordering;
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let recorder = metrics.recorder();
    let labels = || Labels {
        source: party("one"),
        destination: party("two"),
        service: web(),
        rules: None,
    };
    let mut broken = recorder.open(labels());
    let well = recorder.open(labels());
    broken.bytes().sent.fetch_add(7, Ordering::Relaxed);
    broken.bytes().received.fetch_add(9, Ordering::Relaxed);
    broken.close(Flag::UpstreamClosed.into());
    broken.close(Flags::NONE);
    drop(well);
    let rest = |flag: &str| {
        format!(
            "{LABELS}request_protocol=\"tcp\",response_flags=\"{flag}\",connection_security_policy=\"mutual_tls\"}}"
        )
    };
    let of = |name: &str| {
        page(&registry, name)
            .into_iter()
            .filter(|line| !line.ends_with(" 0"))
    };
    let opened: Vec<_> = of("istio_tcp_connections_opened_total").collect();
    assert_eq!(
        opened,
        [format!("istio_tcp_connections_opened_total{} 2", rest("-"))]
    );
    let closed: Vec<_> = of("istio_tcp_connections_closed_total").collect();
    assert_eq!(closed.len(), 2);
    assert_eq!(
        closed[1],
        format!("istio_tcp_connections_closed_total{} 1", rest("UC"))
    );
    // The client's stream is the first: what it sends is received by the destination.
    assert!(
        of("istio_tcp_received_bytes_total")
            .next()
            .unwrap()
            .ends_with(" 7")
    );
    assert!(
        of("istio_tcp_sent_bytes_total")
            .next()
            .unwrap()
            .ends_with(" 9")
    );
}

#[test]
fn series_of_many_clients_stay_bounded() {
    let metrics = Metrics::register(&mut Registry::default());
    let recorder = metrics.recorder();
    for number in 0..ROWS + 100 {
        let mut one = record(&party("one"), 200);
        one.source = party(&format!("client-{number}"));
        recorder.request(&one, &None);
    }
    assert!(metrics.series().0 <= ROWS, "{:?}", metrics.series());
    // A row that made room is found anew, not counted into the void.
    let one = party("one");
    recorder.request(&record(&one, 200), &None);
    let before = metrics.series().0;
    recorder.request(&record(&one, 200), &None);
    assert_eq!(metrics.series().0, before);
}

#[test]
fn series_of_the_dead_go_after_a_while() {
    let metrics = Metrics::register(&mut Registry::default());
    let recorder = metrics.recorder();
    let one = party("one");
    recorder.request(&record(&one, 200), &None);
    let empty = mesh::state::Store::new(mesh::state::Settings::default())
        .1
        .snapshot();
    let forget = |after: Duration| {
        metrics
            .requests
            .forget_the_dead(&empty, Instant::now() + after);
        metrics.series().0
    };
    assert_eq!(forget(UNUSED / 2), 1);
    assert_eq!(forget(UNUSED * 2), 0);
    // The cached way to the row notices that it is gone.
    recorder.request(&record(&one, 200), &None);
    assert_eq!(metrics.series().0, 1);
    // Where nobody answered, it is the client's row, and kept longer.
    let mut unanswered = record(&one, 503);
    unanswered.destination = Arc::default();
    recorder.request(&unanswered, &None);
    assert_eq!(forget(UNUSED * 2), 1);
    assert_eq!(forget(FORGOTTEN * 2), 0);
}
