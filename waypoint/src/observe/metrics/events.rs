//! `weft_waypoint_*`: what Istio's metrics have no words for.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters of Weft's own; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Events {
    ended: Family<ReasonLabel, Counter>,
    retries: Family<ReasonLabel, Counter>,
    /// Requests that are open now.
    pub requests_open: Gauge,
    /// Tunnels that are open now.
    pub tunnels_open: Gauge,
    /// Lines of the access log that were dropped because the writer was behind.
    pub lines_dropped: Counter,
    /// Lines of the access log that were written.
    pub lines_written: Counter,
    /// Spans that were dropped because the collector was behind or away.
    pub spans_dropped: Counter,
    /// Spans that a collector has taken.
    pub spans_sent: Counter,
    /// Endpoints that were ejected as outliers.
    pub ejections: Counter,
    /// Endpoints that are ejected now.
    pub ejected: Gauge,
    /// Copies sent to mirrors.
    pub mirrored: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: Word,
}

/// A label value that is one of a fixed set of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Word(&'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.0, encoder)
    }
}

impl Events {
    /// Makes them and lists them in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        registry.register(
            "weft_waypoint_requests_failed",
            "Requests that did not end as they should, by Weft's own reason",
            all.ended.clone(),
        );
        registry.register(
            "weft_waypoint_retries",
            "Attempts after the first, by the reason of the attempt before",
            all.retries.clone(),
        );
        all.register_gauges(registry);
        all.register_counters(registry);
        all
    }

    fn register_gauges(&self, registry: &mut Registry) {
        for (name, help, gauge) in [
            (
                "weft_waypoint_requests_open",
                "Open requests",
                &self.requests_open,
            ),
            (
                "weft_waypoint_tunnels_open",
                "Open tunnels",
                &self.tunnels_open,
            ),
            (
                "weft_waypoint_endpoints_ejected",
                "Endpoints that are ejected now",
                &self.ejected,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }

    fn register_counters(&self, registry: &mut Registry) {
        for (name, help, counter) in [
            (
                "weft_waypoint_access_log_lines",
                "Lines written",
                &self.lines_written,
            ),
            (
                "weft_waypoint_access_log_dropped",
                "Lines dropped",
                &self.lines_dropped,
            ),
            (
                "weft_waypoint_spans",
                "Spans that a collector has taken",
                &self.spans_sent,
            ),
            (
                "weft_waypoint_spans_dropped",
                "Spans dropped",
                &self.spans_dropped,
            ),
            (
                "weft_waypoint_ejections",
                "Endpoints ejected as outliers",
                &self.ejections,
            ),
            (
                "weft_waypoint_mirrored",
                "Copies sent to mirrors",
                &self.mirrored,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
    }

    /// A request ended; nothing is counted when `reason` is empty.
    pub fn ended(&self, reason: &'static str) {
        if !reason.is_empty() {
            let label = ReasonLabel {
                reason: Word(reason),
            };
            self.ended.get_or_create(&label).inc();
        }
    }

    /// One more attempt, because the one before failed for this reason.
    pub fn retried(&self, reason: &'static str) {
        let label = ReasonLabel {
            reason: Word(reason),
        };
        self.retries.get_or_create(&label).inc();
    }
}
