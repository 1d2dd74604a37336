//! Names and order of the fields of every kind of line.

use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::subscriber::with_default;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

use super::*;
use crate::flow::Direction;

/// Keeps level, scope, and names and values of events.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Line>>>);

/// Level and scope, then the fields.
type Line = (String, Fields);
type Fields = Vec<(String, String)>;

struct Names<'a>(&'a mut Fields);

impl Visit for Names<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push((field.name().to_owned(), format!("{value:?}")));
    }
}

impl Layer<Registry> for Kept {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, Registry>) {
        let mut names = Vec::new();
        event.record(&mut Names(&mut names));
        let head = format!("{} {}", event.metadata().level(), event.metadata().target());
        self.0.lock().unwrap().push((head, names));
    }
}

/// Head and field names of the one line that is written.
fn line(log: impl FnOnce()) -> Line {
    let kept = Kept::default();
    with_default(tracing_subscriber::registry().with(kept.clone()), log);
    let mut lines = std::mem::take(&mut *kept.0.lock().unwrap());
    assert_eq!(lines.len(), 1);
    lines.remove(0)
}

fn record(reason: Reason) -> Record {
    let party = |name: &str| Party {
        address: Some("10.0.0.1:80".parse().unwrap()),
        workload: Some(name.into()),
        namespace: Some("shop".into()),
        identity: Identity::parse(&format!("spiffe://cluster.local/ns/shop/sa/{name}")).ok(),
        cluster: Some("Kubernetes".into()),
    };
    Record {
        source: party("a"),
        destination: party("b"),
        tunnel_authority: Some("10.0.0.1:80".into()),
        service: Some("b.shop".into()),
        direction: Direction::Inbound,
        bytes_sent: 1,
        bytes_received: 2,
        duration: Duration::from_micros(3999),
        reason,
        error: Some("why".into()),
        origin: Some(Origin::object("Pod", "shop", "b")),
    }
}

fn names(fields: &[(String, String)]) -> String {
    let names = fields.iter().map(|(name, _)| name.as_str());
    names
        .filter(|it| *it != "message")
        .collect::<Vec<_>>()
        .join(" ")
}

const ENDS: &str = "src.addr src.workload src.namespace src.identity src.cluster dst.addr \
    dst.hbone_addr dst.service dst.workload dst.namespace dst.identity dst.cluster direction";

#[test]
fn a_success_has_the_fields_of_the_contract_in_order() {
    let (head, fields) = line(|| record(Reason::Complete).log());
    assert_eq!(head, "INFO access");
    assert_eq!(
        names(&fields),
        format!("{ENDS} bytes_sent bytes_recv duration")
    );
    assert!(
        fields.contains(&("duration".into(), "3ms".into())),
        "{fields:?}"
    );
}

#[test]
fn a_failure_adds_error_reason_and_origin() {
    let (head, fields) = line(|| record(Reason::PolicyDenied).log());
    assert_eq!(head, "ERROR access");
    let end = "bytes_sent bytes_recv duration error reason origin";
    assert_eq!(names(&fields), format!("{ENDS} {end}"));
}

#[test]
fn an_early_failure_is_a_warning_with_few_fields() {
    let early = Record {
        source: Party {
            address: Some("10.0.0.1:80".parse().unwrap()),
            ..Party::default()
        },
        destination: Party::default(),
        ..record(Reason::NotTls)
    };
    let (head, fields) = line(|| early.log());
    assert_eq!(head, "WARN access");
    assert_eq!(names(&fields), "src.addr direction error reason origin");
    assert!(fields.contains(&("message".into(), "connection failed".into())));
}

#[test]
fn an_opened_flow_is_told_at_debug() {
    let (head, fields) = line(|| record(Reason::Complete).log_opened());
    assert_eq!(head, "DEBUG access");
    assert_eq!(names(&fields), ENDS);
}
