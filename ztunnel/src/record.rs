//! Turns what was learnt of a connection on its way into one `mesh::flow` record at its end, however
//! it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mesh::flow::{ACCESS, Direction, EndsFlow, Party, Reason, Record};
use mesh::hbone::Baggage;
use mesh::identity::Identity;
use mesh::model::Origin;
use mesh::relay::{Counters, End, Outcome, Side};
use mesh::state::{ServiceView, WorkloadView};
use mesh::telemetry::report;

use crate::metrics::Metrics;
use crate::metrics::flows::Counted;
use crate::metrics::labels::{Labels, Named, Who};

/// A record in the making; every stage adds what it has learnt. One that is let go unwritten is
/// written as cut by this proxy, so that every connection leaves exactly one line.
#[derive(Debug)]
pub struct Draft {
    since: Instant,
    metrics: Metrics,
    is_written: bool,
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
    told: Told,
}

/// How far metrics know of the connection.
#[derive(Debug)]
enum Told {
    /// Its labels are being gathered.
    Nothing(Box<Labels>),
    /// It was opened.
    Open(Counted),
}

impl Draft {
    /// A connection was accepted from `source`. Boxed, because it is handed along a lot.
    pub fn open(direction: Direction, source: SocketAddr, metrics: &Metrics) -> Box<Self> {
        metrics.flows_open.inc();
        Box::new(Self {
            since: Instant::now(),
            metrics: metrics.clone(),
            is_written: false,
            direction,
            source: Party {
                address: Some(source),
                ..Party::default()
            },
            destination: Party::default(),
            tunnel_authority: None,
            service: None,
            origin: None,
            told: Told::Nothing(Box::new(Labels::new(direction))),
        })
    }

    /// What the mesh knows of the caller, and what its certificate proved.
    pub fn source_is(
        &mut self,
        address: SocketAddr,
        workload: Option<WorkloadView<'_>>,
        proven: Option<Identity>,
    ) {
        if let Told::Nothing(labels) = &mut self.told {
            labels.source = workload.map_or_else(Who::default, |it| Who::of(it, None));
        }
        self.source = party(Some(address), workload, proven);
    }

    /// What the mesh knows of the destination, and what its certificate proved.
    pub fn destination_is(
        &mut self,
        address: Option<SocketAddr>,
        workload: Option<WorkloadView<'_>>,
        proven: Option<Identity>,
    ) {
        if let Told::Nothing(labels) = &mut self.told {
            let recorded = workload.map(|it| Who::of(it, Some(it.identity().clone())));
            labels.destination = recorded.unwrap_or_default();
        }
        self.destination = party(address, workload, proven);
    }

    /// The service it was addressed to or is guessed to belong to.
    pub fn service_is(&mut self, service: Option<ServiceView<'_>>) {
        if let Told::Nothing(labels) = &mut self.told {
            labels.service = service.map(Named::of).unwrap_or_default();
        }
        self.service = service.map(|it| Arc::clone(&it.key().hostname));
    }

    /// It has reached its destination, and its bytes will be counted here.
    pub fn opened(&mut self, counters: &Counters) {
        let labels = self.labels();
        let counted = self.metrics.table.open(labels);
        counters.count_into(counted.bytes());
        self.told = Told::Open(counted);
        if tracing::enabled!(target: ACCESS, tracing::Level::DEBUG) {
            self.record(Reason::Complete, (0, 0), None).log_opened();
        }
    }

    /// The labels as far as they are known now. Who proved what comes from the record: only TLS says it.
    fn labels(&mut self) -> Labels {
        let mut labels = match &mut self.told {
            Told::Nothing(labels) => std::mem::replace(&mut **labels, Labels::new(self.direction)),
            Told::Open(_) => Labels::new(self.direction),
        };
        labels.is_mutual_tls = self.source.identity.is_some();
        labels.source.principal.clone_from(&self.source.identity);
        if let Some(proven) = &self.destination.identity {
            labels.destination.principal = Some(proven.clone());
        }
        labels
    }

    /// It never carried a byte, because of this.
    pub fn fail(mut self, error: &(impl EndsFlow + 'static)) {
        let text = report(error);
        self.write(error.reason(), (0, 0), Some(text));
    }

    /// It never carried a byte, for a reason that says everything.
    pub fn refuse(mut self, reason: Reason) {
        self.write(reason, (0, 0), None);
    }

    /// Both streams are done, or one of them failed.
    pub fn finish(mut self, outcome: &Outcome) {
        let (reason, error) = match &outcome.ended {
            Ok(()) => (Reason::Complete, None),
            Err((side, end)) => (reason_of(*side, end), Some(report(end))),
        };
        self.write(reason, (outcome.sent, outcome.received), error);
    }

    /// It was closed from here while it carried bytes; by a rule, when a policy decided.
    pub fn cut(mut self, reason: Reason, origin: Option<Origin>, bytes: (u64, u64)) {
        self.origin = origin;
        self.write(reason, bytes, None);
    }

    fn write(&mut self, reason: Reason, (sent, received): (u64, u64), error: Option<String>) {
        self.is_written = true;
        self.metrics.flows_open.dec();
        self.metrics
            .flow_ended(self.direction, reason, sent + received);
        let flag = reason.istio_flag();
        match &mut self.told {
            Told::Open(counted) => counted.close(flag),
            Told::Nothing(_) => {
                let labels = self.labels();
                self.metrics.table.fail(labels, flag);
            }
        }
        let error = match error {
            None if !reason.is_success() => Some(reason.word().replace('_', " ")),
            error => error,
        };
        self.record(reason, (sent, received), error).log();
    }

    /// The line of the log; there, sent and received are this side's words.
    fn record(&self, reason: Reason, bytes: (u64, u64), error: Option<String>) -> Record {
        let (sent, received) = match self.direction {
            Direction::Outbound => bytes,
            Direction::Inbound => (bytes.1, bytes.0),
        };
        Record {
            source: self.source.clone(),
            destination: self.destination.clone(),
            tunnel_authority: self.tunnel_authority.clone(),
            service: self.service.clone(),
            direction: self.direction,
            bytes_sent: sent,
            bytes_received: received,
            duration: self.since.elapsed(),
            reason,
            error,
            origin: self.origin.clone(),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_written {
            self.write(Reason::Drained, (0, 0), None);
        }
    }
}

/// What the mesh knows of one end, for the record.
fn party(
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
