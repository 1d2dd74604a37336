//! `istio_on_demand_dns_total`: look-ups of workloads that have a host name only. Names: docs/compat.md#metrics.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use super::bounded::Counts;
use super::labels::{Who, source_pairs};

/// How often who asked for which host; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Names(Counts<(Who, Arc<str>)>);

impl Names {
    /// One look-up of `host` for a workload.
    pub fn asked(&self, who: Who, host: Arc<str>) {
        self.0.add((who, host));
    }
}

impl Collector for Names {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut all = encoder.encode_descriptor(
            "istio_on_demand_dns",
            "Look-ups of workloads that have a host name only",
            None,
            MetricType::Counter,
        )?;
        for ((who, host), count) in self.0.all() {
            let mut labels = source_pairs(&who).to_vec();
            labels.push(("hostname", (&*host).into()));
            ConstCounter::new(count).encode(all.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::registry::Registry;

    #[test]
    fn a_row_has_the_labels_of_the_contract_in_order() {
        let names = Names::default();
        let who = Who {
            workload: "client".into(),
            ..Who::default()
        };
        names.asked(who.clone(), "db.example".into());
        names.asked(who, "db.example".into());
        let mut registry = Registry::default();
        registry.register_collector(Box::new(names));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let row = "istio_on_demand_dns_total{source_workload=\"client\",source_canonical_service=\"unknown\",\
                   source_canonical_revision=\"unknown\",source_workload_namespace=\"unknown\",\
                   source_principal=\"unknown\",source_app=\"unknown\",source_version=\"unknown\",\
                   source_cluster=\"unknown\",hostname=\"db.example\"} 2";
        assert!(text.contains(row), "{text}");
    }
}
