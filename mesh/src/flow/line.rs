//! The access log line of one flow: field names and their order.
//! Source: docs/compat.md#access-log.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Reason;
use crate::identity::Identity;
use crate::model::Origin;

/// Which door of a pod a flow went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Towards the pod.
    Inbound,
    /// From the pod.
    Outbound,
}

impl Direction {
    /// `inbound` or `outbound`.
    pub const fn word(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        }
    }
}

/// One end of a flow as far as it is known; unknown parts are not logged.
#[derive(Clone, Debug, Default)]
pub struct Party {
    /// Its address.
    pub address: Option<SocketAddr>,
    /// Workload name.
    pub workload: Option<Arc<str>>,
    /// Namespace.
    pub namespace: Option<Arc<str>>,
    /// Identity proved by its certificate; `None` without mutual TLS.
    pub identity: Option<Identity>,
    /// Cluster.
    pub cluster: Option<Arc<str>>,
}

/// One finished (or failed) flow.
#[derive(Clone, Debug)]
pub struct Record {
    /// Who opened it.
    pub source: Party,
    /// Whom it went to.
    pub destination: Party,
    /// Authority of the tunnel, when there was one.
    pub tunnel_authority: Option<Arc<str>>,
    /// Service it was addressed to or is guessed to belong to.
    pub service: Option<Arc<str>>,
    /// Which door.
    pub direction: Direction,
    /// Bytes towards the destination.
    pub bytes_sent: u64,
    /// Bytes towards the source.
    pub bytes_received: u64,
    /// From accept to end.
    pub duration: Duration,
    /// How it ended.
    pub reason: Reason,
    /// The whole story of a failure, for the log only.
    pub error: Option<String>,
    /// The rule that decided, when one did.
    pub origin: Option<Origin>,
}

fn known<T: Display>(value: &Option<T>) -> Option<tracing::field::DisplayValue<&T>> {
    value.as_ref().map(tracing::field::display)
}

impl Record {
    /// Writes the line to the log target `access`: success at info, failure at error. Costs nothing
    /// when that target is off.
    pub fn log(&self) {
        if self.reason.is_success() {
            tracing::info!(
                target: "access",
                {
                src.addr = known(&self.source.address),
                src.workload = self.source.workload.as_deref(),
                src.namespace = self.source.namespace.as_deref(),
                src.identity = known(&self.source.identity),
                src.cluster = self.source.cluster.as_deref(),
                dst.addr = known(&self.destination.address),
                dst.hbone_addr = self.tunnel_authority.as_deref(),
                dst.service = self.service.as_deref(),
                dst.workload = self.destination.workload.as_deref(),
                dst.namespace = self.destination.namespace.as_deref(),
                dst.identity = known(&self.destination.identity),
                dst.cluster = self.destination.cluster.as_deref(),
                direction = self.direction.word(),
                bytes_sent = self.bytes_sent,
                bytes_recv = self.bytes_received,
                duration = %Milliseconds(self.duration),
                },
                "connection complete"
            );
        } else {
            tracing::error!(
                target: "access",
                {
                src.addr = known(&self.source.address),
                src.workload = self.source.workload.as_deref(),
                src.namespace = self.source.namespace.as_deref(),
                src.identity = known(&self.source.identity),
                src.cluster = self.source.cluster.as_deref(),
                dst.addr = known(&self.destination.address),
                dst.hbone_addr = self.tunnel_authority.as_deref(),
                dst.service = self.service.as_deref(),
                dst.workload = self.destination.workload.as_deref(),
                dst.namespace = self.destination.namespace.as_deref(),
                dst.identity = known(&self.destination.identity),
                dst.cluster = self.destination.cluster.as_deref(),
                direction = self.direction.word(),
                bytes_sent = self.bytes_sent,
                bytes_recv = self.bytes_received,
                duration = %Milliseconds(self.duration),
                error = self.error.as_deref(),
                reason = self.reason.word(),
                origin = known(&self.origin),
                },
                "connection complete"
            );
        }
    }
}

/// Prints a duration as the access log does: whole milliseconds.
struct Milliseconds(Duration);

impl Display for Milliseconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}ms", self.0.as_millis())
    }
}
