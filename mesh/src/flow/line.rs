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
    /// Bytes that the reporting side's end sent: the source's at the outbound door, the destination's
    /// at the inbound one.
    pub bytes_sent: u64,
    /// Bytes that it received.
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

/// Target of all lines. Source: docs/compat.md#access-log.
pub const ACCESS: &str = "access";

fn known<T: Display>(value: &Option<T>) -> Option<tracing::field::DisplayValue<&T>> {
    value.as_ref().map(tracing::field::display)
}

/// One line with the fields that every line about a tracked flow has, then `more`.
macro_rules! line {
    ($level:ident, $message:literal, $record:expr, { $($more:tt)* }) => {
        tracing::$level!(
            target: ACCESS,
            {
                src.addr = known(&$record.source.address),
                src.workload = $record.source.workload.as_deref(),
                src.namespace = $record.source.namespace.as_deref(),
                src.identity = known(&$record.source.identity),
                src.cluster = $record.source.cluster.as_deref(),
                dst.addr = known(&$record.destination.address),
                dst.hbone_addr = known(&$record.tunnel_authority),
                dst.service = $record.service.as_deref(),
                dst.workload = $record.destination.workload.as_deref(),
                dst.namespace = $record.destination.namespace.as_deref(),
                dst.identity = known(&$record.destination.identity),
                dst.cluster = $record.destination.cluster.as_deref(),
                direction = $record.direction.word(),
                $($more)*
            },
            $message
        )
    };
}

impl Record {
    /// Writes the line: success at info, failure at error, and what failed before anything was known
    /// of either end at warn. Costs nothing when the target is off.
    pub fn log(&self) {
        if self.reason.is_success() {
            line!(info, "connection complete", self, {
                bytes_sent = self.bytes_sent,
                bytes_recv = self.bytes_received,
                duration = %Milliseconds(self.duration),
            });
        } else if self.source.workload.is_none() && self.destination.workload.is_none() {
            tracing::warn!(
                target: ACCESS,
                {
                    src.addr = known(&self.source.address),
                    dst.addr = known(&self.destination.address),
                    direction = self.direction.word(),
                    error = self.error.as_deref(),
                    reason = self.reason.word(),
                    origin = known(&self.origin),
                },
                "connection failed"
            );
        } else {
            line!(error, "connection complete", self, {
                bytes_sent = self.bytes_sent,
                bytes_recv = self.bytes_received,
                duration = %Milliseconds(self.duration),
                error = self.error.as_deref(),
                reason = self.reason.word(),
                origin = known(&self.origin),
            });
        }
    }

    /// Writes at debug that the flow has begun.
    pub fn log_opened(&self) {
        line!(debug, "connection opened", self, {});
    }
}

/// Prints a duration as the access log does: whole milliseconds.
struct Milliseconds(Duration);

impl Display for Milliseconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}ms", self.0.as_millis())
    }
}

#[cfg(test)]
mod tests;
