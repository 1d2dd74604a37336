//! Turns what was learnt of a connection on its way into one `mesh::flow` record at its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mesh::flow::{Direction, EndsFlow, Party, Reason, Record};
use mesh::hbone::Baggage;
use mesh::identity::Identity;
use mesh::model::Origin;
use mesh::relay::{End, Outcome, Side};
use mesh::state::WorkloadView;
use mesh::telemetry::report;

use crate::metrics::Metrics;

/// A record in the making; every stage adds what it has learnt.
#[derive(Debug)]
pub struct Draft {
    since: Instant,
    metrics: Metrics,
    /// Which door.
    pub direction: Direction,
    /// Who opened it.
    pub source: Party,
    /// Whom it goes to.
    pub destination: Party,
    /// Authority of the tunnel.
    pub tunnel_authority: Option<Arc<str>>,
    /// Service it was addressed to or is guessed to belong to.
    pub service: Option<Arc<str>>,
    /// The rule that decided.
    pub origin: Option<Origin>,
}

impl Draft {
    /// A connection was accepted from `source`. Boxed, because it is handed along a lot.
    pub fn open(direction: Direction, source: SocketAddr, metrics: &Metrics) -> Box<Self> {
        metrics.flows_open.inc();
        Box::new(Self {
            since: Instant::now(),
            metrics: metrics.clone(),
            direction,
            source: Party {
                address: Some(source),
                ..Party::default()
            },
            destination: Party::default(),
            tunnel_authority: None,
            service: None,
            origin: None,
        })
    }

    /// It never carried a byte, because of this.
    pub fn fail(self, error: &(impl EndsFlow + 'static)) {
        let text = report(error);
        self.write(error.reason(), (0, 0), Some(text));
    }

    /// It never carried a byte, for a reason that says everything.
    pub fn refuse(self, reason: Reason) {
        self.write(reason, (0, 0), None);
    }

    /// Both streams are done, or one of them failed.
    pub fn finish(self, outcome: &Outcome) {
        let (reason, error) = match &outcome.ended {
            Ok(()) => (Reason::Complete, None),
            Err((side, end)) => (reason_of(*side, end), Some(report(end))),
        };
        self.write(reason, (outcome.sent, outcome.received), error);
    }

    /// It was closed from here while it carried bytes.
    pub fn cut(self, reason: Reason, bytes: (u64, u64)) {
        self.write(reason, bytes, None);
    }

    fn write(self, reason: Reason, (sent, received): (u64, u64), error: Option<String>) {
        self.metrics.flows_open.dec();
        self.metrics
            .flow_ended(self.direction, reason, sent + received);
        let error = match error {
            None if !reason.is_success() => Some(reason.word().replace('_', " ")),
            error => error,
        };
        let record = Record {
            source: self.source,
            destination: self.destination,
            tunnel_authority: self.tunnel_authority,
            service: self.service,
            direction: self.direction,
            bytes_sent: sent,
            bytes_received: received,
            duration: self.since.elapsed(),
            reason,
            error,
            origin: self.origin,
        };
        record.log();
    }
}

/// What the mesh knows of one end, for the record.
pub fn party(
    address: Option<SocketAddr>,
    workload: Option<WorkloadView<'_>>,
    identity: Option<Identity>,
) -> Party {
    Party {
        address,
        workload: workload.map(|w| w.name().into()),
        namespace: workload.map(|w| Arc::clone(w.namespace())),
        cluster: workload.map(|w| Arc::clone(w.cluster())),
        identity,
    }
}

/// What a workload says about itself to the other end, for telemetry.
/// Source: docs/compat.md#hbone-connect.
pub fn baggage(workload: WorkloadView<'_>) -> Baggage {
    let text = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Into::into);
    Baggage {
        cluster: text(workload.cluster()),
        namespace: text(workload.namespace()),
        workload: text(workload.workload_name()).map(|name| (workload.workload_kind(), name)),
        service_name: text(workload.canonical_name()),
        service_version: text(workload.canonical_revision()),
        region: text(&workload.locality().region),
        zone: text(&workload.locality().zone),
    }
}

/// Which row of the table a stream's end is; the first stream is the client's.
fn reason_of(side: Side, end: &End) -> Reason {
    match (side, end) {
        (_, End::TunnelLost(_)) => Reason::TunnelLost,
        (Side::First, End::Reset) => Reason::ClientReset,
        (Side::Second, End::Reset) => Reason::DestinationReset,
        (_, End::Declined) => Reason::Complete,
        (_, End::TimedOut | End::Io(_)) => Reason::IoFailed,
    }
}
