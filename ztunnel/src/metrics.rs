//! Every metric the node proxy exports, in one list.

use std::sync::Arc;

use mesh::telemetry::metrics::Registry;
use mesh::telemetry::process;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use mesh::flow::{Direction, Reason};

pub mod collected;
pub mod handshakes;
pub mod runtimes;
pub mod flows;
pub mod names;
pub mod decisions;
pub mod bounded;
pub mod labels;
pub mod reference;

/// Handles to every metric; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Connections and bytes by who talks to whom, of all workers.
    pub flows: flows::Flows,
    /// This worker's part of them.
    pub table: Arc<flows::Table>,
    /// Handshakes and tunnels.
    pub handshakes: handshakes::Handshakes,
    /// Look-ups of host names.
    pub names: names::Names,
    /// The threads.
    pub runtimes: runtimes::Runtimes,
    /// What policies decided.
    pub decisions: decisions::Decisions,
    /// Pods served. Names: docs/compat.md#admin-endpoints.
    pub pods: PodMetrics,
    /// Flows that ended, by door and Weft's own reason.
    pub flows_ended: Family<EndLabels, Counter>,
    /// Flows that are open now.
    pub flows_open: Gauge,
    /// Bytes carried, both directions together, counted when a flow ends.
    pub bytes: Counter,
}

/// `workload_manager_*`: the pods this proxy serves.
#[derive(Clone, Debug, Default)]
pub struct PodMetrics {
    /// Pods whose doors are open.
    pub active: Gauge,
    /// Pods that wait for their doors.
    pub pending: Gauge,
    /// Doors opened since start.
    pub started: Counter,
    /// Doors closed since start.
    pub stopped: Counter,
}

/// How and where a flow ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EndLabels {
    direction: Word,
    reason: Word,
}

/// A label value that is one of a fixed set of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Word(&'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.0, encoder)
    }
}

impl Metrics {
    /// Makes all metrics and lists them in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let flows = flows::Flows::default();
        let all = Self {
            table: flows.table(),
            handshakes: handshakes::Handshakes::register(registry),
            names: names::Names::default(),
            runtimes: runtimes::Runtimes::default(),
            decisions: decisions::Decisions::default(),
            pods: PodMetrics::default(),
            flows_ended: Family::default(),
            flows_open: Gauge::default(),
            bytes: Counter::default(),
            flows,
        };
        registry.register_collector(Box::new(collected::Connections(all.flows.clone())));
        registry.register_collector(Box::new(all.names.clone()));
        registry.register_collector(Box::new(all.decisions.clone()));
        registry.register_collector(Box::new(all.runtimes.clone()));
        let pods = &all.pods;
        registry.register(
            "workload_manager_active_proxy_count",
            "Pods whose doors are open",
            pods.active.clone(),
        );
        registry.register(
            "workload_manager_pending_proxy_count",
            "Pods that wait for their doors",
            pods.pending.clone(),
        );
        registry.register(
            "workload_manager_proxies_started",
            "Pods whose doors were opened",
            pods.started.clone(),
        );
        registry.register(
            "workload_manager_proxies_stopped",
            "Pods whose doors were closed",
            pods.stopped.clone(),
        );
        registry.register(
            "weft_ztunnel_flows_ended",
            "Connections that ended, by door and reason",
            all.flows_ended.clone(),
        );
        registry.register(
            "weft_ztunnel_flows_open",
            "Open connections",
            all.flows_open.clone(),
        );
        registry.register(
            "weft_ztunnel_bytes",
            "Application bytes of connections that ended, both directions",
            all.bytes.clone(),
        );
        process::register(registry, "ztunnel");
        all
    }

    /// The same with a table of its own for connections: for one more worker.
    pub fn for_worker(&self) -> Self {
        Self {
            table: self.flows.table(),
            ..self.clone()
        }
    }

    /// Counts the end of a flow.
    pub fn flow_ended(&self, direction: Direction, reason: Reason, bytes: u64) {
        let labels = EndLabels {
            direction: Word(direction.word()),
            reason: Word(reason.word()),
        };
        self.flows_ended.get_or_create(&labels).inc();
        self.bytes.inc_by(bytes);
    }

    /// How many flows ended that way.
    pub fn ended(&self, direction: Direction, reason: Reason) -> u64 {
        let labels = EndLabels {
            direction: Word(direction.word()),
            reason: Word(reason.word()),
        };
        self.flows_ended.get_or_create(&labels).get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_promised_name_is_there() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        metrics.flow_ended(Direction::Inbound, Reason::PolicyDenied, 7);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "istio_build{component=\"ztunnel\"",
            "workload_manager_active_proxy_count 0",
            "workload_manager_proxies_started_total 0",
            "process_open_fds ",
            "process_max_fds ",
            "process_resident_memory_bytes ",
            "weft_ztunnel_flows_ended_total{direction=\"inbound\",reason=\"policy_denied\"} 1",
            "weft_ztunnel_bytes_total 7",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
