//! Pure. The changes to metrics that several objects come to.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh::model::observe::MetricOverride;
use objects::istio::Telemetry;
use objects::istio::telemetry::{TagOperation, TagOverride};

use super::{is_ours, shared};

/// Istio's words for the standard metrics, and their names.
const METRICS: [(&str, &str); 10] = [
    ("REQUEST_COUNT", "requests_total"),
    ("REQUEST_DURATION", "request_duration_milliseconds"),
    ("REQUEST_SIZE", "request_bytes"),
    ("RESPONSE_SIZE", "response_bytes"),
    ("TCP_OPENED_CONNECTIONS", "tcp_connections_opened_total"),
    ("TCP_CLOSED_CONNECTIONS", "tcp_connections_closed_total"),
    ("TCP_SENT_BYTES", "tcp_sent_bytes_total"),
    ("TCP_RECEIVED_BYTES", "tcp_received_bytes_total"),
    ("GRPC_REQUEST_MESSAGES", "request_messages_total"),
    ("GRPC_RESPONSE_MESSAGES", "response_messages_total"),
];

/// The word for all of them.
const ALL: &str = "ALL_METRICS";

/// Whether this is a word for a metric.
pub(super) fn is_metric(word: &str) -> bool {
    word.is_empty() || word == ALL || METRICS.iter().any(|(known, _)| *known == word)
}

/// The text that a label is set to; `None` for an expression that is not just a text.
pub(super) fn literal(expression: &str) -> Option<&str> {
    let expression = expression.trim();
    ['"', '\''].into_iter().find_map(|quote| {
        let inner = expression.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains([quote, '\\'])).then_some(inner)
    })
}

#[derive(Debug, Default)]
struct Said {
    is_off: bool,
    labels: BTreeMap<Arc<str>, Option<Arc<str>>>,
}

/// One entry per metric that is changed.
pub(super) fn merge(scopes: &[&Telemetry]) -> Vec<MetricOverride> {
    let mut all: BTreeMap<&str, Said> = BTreeMap::new();
    let overrides = scopes
        .iter()
        .flat_map(|it| &it.spec.metrics)
        .flat_map(|it| &it.overrides)
        .filter(|it| is_ours(it.r#match.mode) && it.r#match.custom_metric.is_empty());
    for one in overrides {
        let word = one.r#match.metric.as_str();
        let about = METRICS
            .iter()
            .filter(|(known, _)| word.is_empty() || word == ALL || *known == word);
        for (_, name) in about {
            let said = all.entry(name).or_default();
            said.is_off = one.disabled.unwrap_or(said.is_off);
            for (label, change) in &one.tag_overrides {
                if let Some(value) = changed(change) {
                    said.labels.insert(shared(label), value);
                }
            }
        }
    }
    let is_change = |said: &Said| said.is_off || !said.labels.is_empty();
    all.into_iter()
        .filter(|(_, said)| is_change(said))
        .map(|(metric, said)| MetricOverride {
            metric: shared(metric),
            disabled: said.is_off,
            labels: said.labels.into_iter().collect(),
        })
        .collect()
}

fn changed(change: &TagOverride) -> Option<Option<Arc<str>>> {
    match change.operation {
        TagOperation::Remove => Some(None),
        TagOperation::Upsert => literal(&change.value).map(|text| Some(shared(text))),
    }
}
