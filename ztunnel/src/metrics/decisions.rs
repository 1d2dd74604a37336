//! `weft_ztunnel_policy_*`: which policies refuse connections, and what those that only report would
//! have done. Weft's own; Istio's labels say no more than `DENY`.

use std::fmt;

use mesh::flow::Reason;
use mesh::names::NamespacedName;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use super::bounded::Counts;

/// Stands for the policy and the rule when none of several ALLOW policies matched.
const NONE: &str = "-";

/// What policies decided; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Decisions {
    denials: Counts<(Option<NamespacedName>, Option<usize>, Reason)>,
    dry_runs: Counts<(NamespacedName, &'static str)>,
}

impl Decisions {
    /// A connection was refused or cut: by this policy and this rule of it, or because no ALLOW policy
    /// matched.
    pub fn denied(&self, policy: Option<NamespacedName>, rule: Option<usize>, reason: Reason) {
        self.denials.add((policy, rule, reason));
    }

    /// A policy that only reports would have done this, in a word.
    pub fn dry_run(&self, policy: NamespacedName, result: &'static str) {
        self.dry_runs.add((policy, result));
    }
}

impl Collector for Decisions {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut denials = encoder.encode_descriptor(
            "weft_ztunnel_policy_denials",
            "Connections that a policy refused or cut, by policy, rule and reason",
            None,
            MetricType::Counter,
        )?;
        for ((policy, rule, reason), count) in self.denials.all() {
            let text = |it: Option<String>| it.unwrap_or_else(|| NONE.to_owned());
            let labels = [
                ("policy", text(policy.map(|it| it.to_string()))),
                ("rule", text(rule.map(|it| it.to_string()))),
                ("reason", reason.word().to_owned()),
            ];
            ConstCounter::new(count).encode(denials.encode_family(&labels)?)?;
        }
        let mut dry_runs = encoder.encode_descriptor(
            "weft_ztunnel_policy_dry_runs",
            "Connections that a policy which only reports was asked about, by policy and result",
            None,
            MetricType::Counter,
        )?;
        for ((policy, result), count) in self.dry_runs.all() {
            let labels = [
                ("policy", policy.to_string()),
                ("result", result.to_owned()),
            ];
            ConstCounter::new(count).encode(dry_runs.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
