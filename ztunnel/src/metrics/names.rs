//! `istio_on_demand_dns_total`: look-ups of workloads that have a host name only. Names: docs/compat.md#metrics.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use super::labels::{Who, source_pairs};

/// Rows that are kept; beyond, those that were not used for the longest time go, and start at zero
/// when they come back.
pub const ROWS: usize = 1024;

/// Who asked for which host.
type Key = (Who, Arc<str>);

/// How often each did; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    /// Times and the moment of the last one, in look-ups since start.
    counts: HashMap<Key, (u64, u64), foldhash::fast::RandomState>,
    now: u64,
}

impl Names {
    /// One look-up of `host` for a workload.
    pub fn asked(&self, who: Who, host: Arc<str>) {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.now += 1;
        let now = rows.now;
        if rows.counts.len() >= ROWS {
            rows.make_room();
        }
        let row = rows.counts.entry((who, host)).or_default();
        *row = (row.0 + 1, now);
    }
}

impl Rows {
    fn make_room(&mut self) {
        let mut used: Vec<u64> = self.counts.values().map(|(_, used)| *used).collect();
        used.sort_unstable();
        let until = used.get(used.len() / 2).copied().unwrap_or_default();
        self.counts.retain(|_, (_, used)| *used > until);
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
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for ((who, host), (count, _)) in &rows.counts {
            let mut labels = source_pairs(who).to_vec();
            labels.push(("hostname", (&**host).into()));
            ConstCounter::new(*count).encode(all.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::registry::Registry;

    #[test]
    fn rows_are_counted_and_bounded() {
        let names = Names::default();
        let who = Who {
            workload: "client".into(),
            ..Who::default()
        };
        for number in 0..5000 {
            names.asked(who.clone(), format!("{number}.example").into());
        }
        names.asked(who.clone(), "4999.example".into());
        let mut registry = Registry::default();
        registry.register_collector(Box::new(names));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let last = "istio_on_demand_dns_total{source_workload=\"client\",source_canonical_service=\"unknown\",\
                    source_canonical_revision=\"unknown\",source_workload_namespace=\"unknown\",\
                    source_principal=\"unknown\",source_app=\"unknown\",source_version=\"unknown\",\
                    source_cluster=\"unknown\",hostname=\"4999.example\"} 2";
        assert!(text.contains(last), "{text}");
        assert!(text.lines().count() < ROWS + 10);
    }
}
