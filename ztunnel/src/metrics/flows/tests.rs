//! Labels of every kind of connection, and that rows stay bounded.

use std::sync::atomic::Ordering;

use mesh::flow::{Direction, Reason};
use mesh::identity::Identity;
use mesh::relay::Counters;
use mesh::telemetry::metrics::Registry;

use super::*;
use crate::drawn::{pod, service, serving, snapshot};
use crate::metrics::Metrics;
use crate::metrics::labels::{Named, Who};
use crate::record::Draft;

/// A page of metrics, without comments.
fn page(registry: &Registry, prefix: &str) -> Vec<String> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    let lines = text.lines().filter(|line| line.starts_with(prefix));
    lines.map(str::to_owned).collect()
}

fn identity(name: &str) -> Identity {
    Identity::parse(&format!("spiffe://cluster.local/ns/shop/sa/{name}")).unwrap()
}

/// A connection through one door between pods `one` and `two`, told as the paths tell it.
fn draft(metrics: &Metrics, direction: Direction, is_tunnel: bool) -> Box<Draft> {
    let web = service("web", &["10.9.0.1"], &[(80, 8080)]);
    let two = serving(pod("two", &["10.0.0.2"]), &web, &[(80, 8080)]);
    let snapshot = snapshot([pod("one", &["10.0.0.1"]), two], [web.clone()]);
    let find = |name| snapshot.find_workload("shop", name, name);
    let source = "10.0.0.1:4000".parse().unwrap();
    let mut draft = Draft::open(direction, source, metrics);
    let proven = |name| is_tunnel.then(|| identity(name));
    draft.source_is(source, find("one"), proven("one"));
    draft.destination_is("10.0.0.2:15008".parse().ok(), find("two"), proven("two"));
    draft.service_is(snapshot.service_by_name(&web.key).found());
    draft
}

const SOURCE: &str = r#"source_workload="one",source_canonical_service="one",source_canonical_revision="v1",source_workload_namespace="shop","#;
const REST: &str = r#"source_app="one",source_version="v1",source_cluster="Kubernetes",destination_service="web.shop.svc.cluster.local",destination_service_namespace="shop",destination_service_name="web",destination_workload="two",destination_canonical_service="two",destination_canonical_revision="v1",destination_workload_namespace="shop",destination_principal="spiffe://cluster.local/ns/shop/sa/two",destination_app="two",destination_version="v1",destination_cluster="Kubernetes",request_protocol="tcp","#;

/// The labels of [`draft`], in the contract's order.
fn labels(reporter: &str, is_tunnel: bool, flag: &str) -> String {
    let (principal, policy) = match is_tunnel {
        true => ("spiffe://cluster.local/ns/shop/sa/one", "mutual_tls"),
        false => ("unknown", "unknown"),
    };
    format!(
        "{{reporter=\"{reporter}\",{SOURCE}source_principal=\"{principal}\",{REST}\
         response_flags=\"{flag}\",connection_security_policy=\"{policy}\"}}"
    )
}

#[test]
fn every_kind_of_connection_has_its_labels() {
    for (direction, reporter) in [
        (Direction::Outbound, "source"),
        (Direction::Inbound, "destination"),
    ] {
        for is_tunnel in [true, false] {
            let mut registry = Registry::default();
            let metrics = Metrics::register(&mut registry);
            let mut open = draft(&metrics, direction, is_tunnel);
            let counters = Counters::default();
            open.opened(&counters);
            open.cut(Reason::PolicyChanged, None, (0, 0));
            draft(&metrics, direction, is_tunnel).refuse(Reason::PolicyDenied);
            draft(&metrics, direction, is_tunnel).refuse(Reason::ConnectRefused);
            let well = labels(reporter, is_tunnel, "-");
            let denied = labels(reporter, is_tunnel, "DENY");
            let failed = labels(reporter, is_tunnel, "CONNECT");
            let mut expected = vec![
                format!("istio_tcp_connections_opened_total{well} 1"),
                format!("istio_tcp_connections_closed_total{denied} 1"),
                format!("istio_tcp_sent_bytes_total{well} 0"),
                format!("istio_tcp_received_bytes_total{well} 0"),
                format!("istio_tcp_connections_failed_total{failed} 1"),
                format!("istio_tcp_connections_failed_total{denied} 1"),
                "istio_tcp_sockets_open{reporter=\"source\"} 0".to_owned(),
                "istio_tcp_sockets_open{reporter=\"destination\"} 0".to_owned(),
            ];
            let mut seen = page(&registry, "istio_tcp_");
            seen.sort();
            expected.sort();
            assert_eq!(seen, expected);
        }
    }
}

#[test]
fn what_nobody_knows_is_unknown() {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let source = "10.0.0.1:4000".parse().unwrap();
    Draft::open(Direction::Inbound, source, &metrics).refuse(Reason::NotTls);
    let line = page(&registry, "istio_tcp_connections_failed").remove(0);
    assert_eq!(line.matches("=\"unknown\"").count(), 20, "{line}");
    assert!(line.contains("response_flags=\"TLS_FAILURE\""), "{line}");
}

#[test]
fn a_passed_through_connection_knows_its_source_only() {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let snapshot = snapshot([pod("one", &["10.0.0.1"])], []);
    let source = "10.0.0.1:4000".parse().unwrap();
    let mut draft = Draft::open(Direction::Outbound, source, &metrics);
    draft.source_is(source, snapshot.find_workload("shop", "one", "one"), None);
    draft.destination_is("192.0.2.1:443".parse().ok(), None, None);
    draft.service_is(None);
    draft.opened(&Counters::default());
    draft.refuse(Reason::Complete);
    let line = page(&registry, "istio_tcp_connections_closed").remove(0);
    for part in [
        "source_workload=\"one\"",
        "source_principal=\"unknown\"",
        "destination_workload=\"unknown\"",
        "destination_principal=\"unknown\"",
        "destination_service=\"unknown\"",
        "response_flags=\"-\"",
    ] {
        assert!(line.contains(part), "{part} is missing in {line}");
    }
}

#[test]
fn bytes_are_there_while_they_flow_and_are_the_destinations_words() {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    for metrics in [metrics.for_worker(), metrics.for_worker()] {
        let mut open = draft(&metrics, Direction::Outbound, true);
        open.opened(&Counters::default());
        let counted = metrics.table.open(Labels::new(Direction::Inbound));
        let bytes = counted.bytes();
        bytes.sent.store(5, Ordering::Relaxed);
        bytes.received.store(7, Ordering::Relaxed);
        std::mem::forget((open, counted));
    }
    let sum = |name: &str| {
        let lines = page(&registry, name);
        let value = |line: &String| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
        lines.iter().map(value).sum::<u64>()
    };
    assert_eq!(sum("istio_tcp_received_bytes_total"), 10);
    assert_eq!(sum("istio_tcp_sent_bytes_total"), 14);
    assert_eq!(sum("istio_tcp_connections_opened_total"), 4);
    assert_eq!(
        page(&registry, "istio_tcp_connections_closed_total"),
        [""; 0]
    );
}

#[test]
fn churn_of_workloads_leaves_nothing_behind() {
    let flows = Flows::default();
    let (one, other) = (flows.table(), flows.table());
    let kept = snapshot([pod("stays", &["10.0.0.1"])], []);
    let of = |name: &str| Labels {
        source: Who {
            workload: "stays".into(),
            namespace: "shop".into(),
            ..Who::default()
        },
        destination: Who {
            workload: name.into(),
            namespace: "shop".into(),
            ..Who::default()
        },
        service: Named::default(),
        ..Labels::new(Direction::Outbound)
    };
    drop(other.open(of("stays")));
    for round in 0..2_000 {
        drop(one.open(of(&format!("gone-{round}"))));
        one.fail(of(&format!("gone-{round}")), "DENY");
    }
    let live = one.open(of("gone-but-connected"));
    // The same labels on another worker without a connection: the sum must not fall.
    drop(other.open(of("gone-but-connected")));
    assert_eq!(flows.rows(), 4_002);
    let long_ago = Instant::now().checked_sub(UNUSED).unwrap();
    flows.forget_the_dead(&kept, long_ago);
    assert_eq!(flows.rows(), 4_002, "used a moment ago");
    flows.forget_the_dead(&kept, Instant::now());
    assert_eq!(flows.rows(), 2);
    assert_eq!(locked(&other.rows).len(), 2);
    drop(live);
    flows.forget_the_dead(&kept, Instant::now());
    assert_eq!(flows.rows(), 1);
}

#[test]
fn a_full_table_drops_what_was_not_used_for_the_longest_time() {
    let flows = Flows::default();
    let table = flows.table();
    let of = |number: usize| Labels {
        destination: Who {
            workload: number.to_string().into(),
            ..Who::default()
        },
        ..Labels::new(Direction::Outbound)
    };
    let _live = table.open(of(0));
    for number in 1..3 * ROWS {
        drop(table.open(of(number)));
        assert!(locked(&table.rows).len() <= ROWS);
    }
    let rows = locked(&table.rows);
    assert!(rows.contains_key(&(Arc::new(of(0)), WELL)), "it is in use");
    assert!(rows.contains_key(&(Arc::new(of(3 * ROWS - 1)), WELL)));
    assert!(!rows.contains_key(&(Arc::new(of(1)), WELL)));
}

#[test]
fn open_sockets_are_counted_by_door() {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let socket = metrics.for_worker().table.socket(Direction::Inbound);
    let line = "istio_tcp_sockets_open{reporter=\"destination\"} 1";
    assert!(page(&registry, "istio_tcp_sockets").contains(&line.to_owned()));
    drop(socket);
    let line = "istio_tcp_sockets_open{reporter=\"destination\"} 0";
    assert!(page(&registry, "istio_tcp_sockets").contains(&line.to_owned()));
}
