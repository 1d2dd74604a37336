//! Every metric of the agent, in one list.

use mesh::telemetry::metrics::Described;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What the reference page says of them: name, type, labels, meaning.
pub const METRICS: &[Described] = &[
    (
        "weft_cni_pods_enrolled",
        "gauge",
        "",
        "pods of the node that are in the mesh, wholly or in part",
    ),
    (
        "weft_cni_rules_restored_total",
        "counter",
        "of",
        "times that somebody else had changed rules, and they were put back; `pod` or `node`",
    ),
    (
        "weft_cni_ztunnels_connected",
        "gauge",
        "",
        "node proxies on the node socket",
    ),
];

/// Whose rules were put back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    of: &'static str,
}

/// The agent's metrics; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Pods that are enrolled, wholly or in part.
    pub enrolled: Gauge,
    /// Node proxies that are connected.
    pub ztunnels: Gauge,
    restored: Family<Of, Counter>,
}

impl Metrics {
    /// Makes them known to the metrics page.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "weft_cni_pods_enrolled",
            "Pods of the node that are in the mesh, wholly or in part",
            self.enrolled.clone(),
        );
        // On the page from the start, so that the first time shows as a step.
        for of in ["pod", "node"] {
            drop(self.restored.get_or_create(&Of { of }));
        }
        registry.register(
            "weft_cni_rules_restored",
            "Times that rules which somebody else had changed were put back",
            self.restored.clone(),
        );
        registry.register(
            "weft_cni_ztunnels_connected",
            "Node proxies on the node socket",
            self.ztunnels.clone(),
        );
    }

    /// A pod's rules were put back.
    pub fn count_pod_restored(&self) {
        self.restored.get_or_create(&Of { of: "pod" }).inc();
    }

    /// The node's rules were put back.
    pub fn count_node_restored(&self) {
        self.restored.get_or_create(&Of { of: "node" }).inc();
    }
}
