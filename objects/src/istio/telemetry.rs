//! Pure. Telemetry: what is logged, counted and traced.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::WorkloadSelector;
use super::authorization_policy::TargetRef;
use crate::meta::Metadata;

/// What is logged, counted and traced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Telemetry {
    /// Name and age.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: TelemetrySpec,
}

/// `spec` of a Telemetry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TelemetrySpec {
    /// The workloads it is about; all of the namespace when absent.
    pub selector: Option<WorkloadSelector>,
    /// One thing whose waypoint follows it, the older spelling of `targetRefs`.
    pub target_ref: Option<TargetRef>,
    /// Things whose waypoints follow it.
    pub target_refs: Vec<TargetRef>,
    /// Traces.
    pub tracing: Vec<Tracing>,
    /// Metrics.
    pub metrics: Vec<Metrics>,
    /// Access logs.
    pub access_logging: Vec<AccessLogging>,
}

impl TelemetrySpec {
    /// What it is attached to.
    pub fn targets(&self) -> impl Iterator<Item = &TargetRef> {
        self.target_ref.iter().chain(&self.target_refs)
    }
}

/// Which side of a request an entry is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// Both.
    #[default]
    ClientAndServer,
    /// The client's proxy only.
    Client,
    /// The server's proxy only.
    Server,
}

/// Condition of an entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ModeMatch {
    /// Which side.
    pub mode: Mode,
}

/// Names a provider of MeshConfig.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ProviderRef {
    /// Its name.
    pub name: String,
}

/// An entry of `tracing`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Tracing {
    /// Which side it is about.
    pub r#match: ModeMatch,
    /// Where spans go.
    pub providers: Vec<ProviderRef>,
    /// Share of traces that are sampled.
    pub random_sampling_percentage: Option<Percentage>,
    /// Whether spans are kept to oneself.
    pub disable_span_reporting: Option<bool>,
    /// Further attributes.
    pub custom_tags: BTreeMap<String, CustomTag>,
    /// Whether the request id decides.
    pub use_request_id_for_trace_sampling: Option<bool>,
    /// Whether Istio's own attributes are told.
    pub enable_istio_tags: Option<bool>,
    /// Whether contexts are not passed on.
    pub disable_context_propagation: Option<bool>,
}

/// A share in hundredths of a percent, as near as written; outside of 0 to 10 000 it cannot be meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Percentage(pub i64);

impl<'de> Deserialize<'de> for Percentage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let percent = f64::deserialize(deserializer)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what is out of range is out of range afterwards too"
        )]
        Ok(Self((percent * 100.0).round() as i64))
    }
}

/// Where an attribute's value is from; one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct CustomTag {
    /// A text.
    pub literal: Option<Literal>,
    /// A variable of the environment.
    pub environment: Option<Named>,
    /// A header of the request.
    pub header: Option<Named>,
    /// A format.
    pub formatter: Option<Literal>,
}

/// A text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Literal {
    /// The text.
    pub value: String,
}

/// Something by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Named {
    /// Its name.
    pub name: String,
    /// The value when it is absent.
    pub default_value: String,
}

/// An entry of `metrics`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metrics {
    /// Who is told.
    pub providers: Vec<ProviderRef>,
    /// Changes, in order.
    pub overrides: Vec<MetricOverride>,
    /// How often numbers are brought up to date.
    pub reporting_interval: Option<String>,
}

/// An entry of `overrides`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MetricOverride {
    /// What it is about.
    pub r#match: MetricMatch,
    /// Whether it is left out.
    pub disabled: Option<bool>,
    /// Changes of labels, by name.
    pub tag_overrides: BTreeMap<String, TagOverride>,
}

/// Which metrics an override is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MetricMatch {
    /// One of the standard ones, in Istio's words; all when empty.
    pub metric: String,
    /// Another one.
    pub custom_metric: String,
    /// Which side.
    pub mode: Mode,
}

/// A change of a label.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TagOverride {
    /// What happens to it.
    pub operation: TagOperation,
    /// Its new value, a CEL expression.
    pub value: String,
}

/// What happens to a label.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TagOperation {
    /// It is set.
    #[default]
    Upsert,
    /// It is removed.
    Remove,
}

/// An entry of `accessLogging`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AccessLogging {
    /// Which side it is about.
    pub r#match: ModeMatch,
    /// Who writes.
    pub providers: Vec<ProviderRef>,
    /// Whether nothing is written.
    pub disabled: Option<bool>,
    /// Which requests are written.
    pub filter: Option<LogFilter>,
}

/// Which requests are written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LogFilter {
    /// A CEL expression that must hold.
    pub expression: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_in_hundredths_of_a_percent() {
        for (text, expected) in [
            ("1", 100),
            ("0.1", 10),
            ("100", 10_000),
            ("-1", -100),
            ("1e9", 100_000_000_000),
        ] {
            let share: Percentage = serde_json::from_str(text).unwrap();
            assert_eq!(share.0, expected, "{text}");
        }
    }
}
