//! Numbers that others keep and that are read when somebody looks: connections, certificates, and
//! those of the discovery client.

use std::fmt;
use std::time::SystemTime;

use mesh::cert::KeeperHandle;
use mesh::state::Reader;
use mesh::xds;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::flows::Flows;

/// Connections by who talks to whom; looking at them is when the dead are forgotten.
#[derive(Debug)]
pub struct Connections(pub Flows);

impl Collector for Connections {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.forget_before_showing();
        self.0.encode(&mut encoder)
    }
}

/// How long each certificate is good for.
pub struct Certificates(pub KeeperHandle);

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates")
    }
}

impl Collector for Certificates {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let now = SystemTime::now();
        let mut ends = encoder.encode_descriptor(
            "weft_ztunnel_certificate_expiry_seconds",
            "Seconds until the certificate of an identity expires; negative when it has, none when there is none",
            None,
            MetricType::Gauge,
        )?;
        for state in self.0.list() {
            if let Some(credentials) = state.credentials {
                let labels = [("identity", state.identity.to_string())];
                let left = match credentials.not_after().duration_since(now) {
                    Ok(left) => left.as_secs_f64(),
                    Err(past) => -past.duration().as_secs_f64(),
                };
                ConstGauge::new(left.floor()).encode(ends.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// Policies that could not be read: they keep connections out.
#[derive(Debug)]
pub struct Policies(pub Reader);

impl Collector for Policies {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let rejected = encoder.encode_descriptor(
            "weft_ztunnel_policies_rejected",
            "Policies that could not be read and have no earlier version; where they may apply, nobody new is admitted",
            None,
            MetricType::Gauge,
        )?;
        let count = self.0.load().rejected_policy_count();
        ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX)).encode(rejected)
    }
}

/// What the discovery client counts. Names: docs/compat.md#xds-client.
#[derive(Debug)]
pub struct Discovery(pub xds::Handle);

impl Collector for Discovery {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counters = self.0.counters();
        let mut ends = encoder.encode_descriptor(
            "istio_xds_connection_terminations",
            "Discovery streams that ended",
            None,
            MetricType::Counter,
        )?;
        for (reason, count) in counters.terminations.by_reason() {
            let labels = [("reason", reason)];
            ConstCounter::new(count).encode(ends.encode_family(&labels)?)?;
        }
        let mut messages = encoder.encode_descriptor(
            "istio_xds_message",
            "Discovery responses",
            None,
            MetricType::Counter,
        )?;
        for (url, of_type) in &counters.types {
            let labels = [("url", *url)];
            ConstCounter::new(of_type.messages).encode(messages.encode_family(&labels)?)?;
        }
        let mut bytes = encoder.encode_descriptor(
            "istio_xds_message_bytes",
            "Size of discovery responses",
            None,
            MetricType::Counter,
        )?;
        for (url, of_type) in &counters.types {
            let labels = [("url", *url)];
            ConstCounter::new(of_type.bytes).encode(bytes.encode_family(&labels)?)?;
        }
        let mut held = encoder.encode_descriptor(
            "weft_ztunnel_xds_resources",
            "Resources held, by type",
            None,
            MetricType::Gauge,
        )?;
        for (url, of_type) in &counters.types {
            let labels = [("url", *url)];
            let count = i64::try_from(of_type.held).unwrap_or(i64::MAX);
            ConstGauge::new(count).encode(held.encode_family(&labels)?)?;
        }
        let mut refused = encoder.encode_descriptor(
            "weft_ztunnel_xds_rejected",
            "Resources that could not be taken, by type",
            None,
            MetricType::Counter,
        )?;
        for (url, of_type) in &counters.types {
            let labels = [("url", *url)];
            ConstCounter::new(of_type.rejects).encode(refused.encode_family(&labels)?)?;
        }
        lag(&mut encoder, &counters)
    }
}

/// How far this proxy may be behind the controller.
fn lag(encoder: &mut DescriptorEncoder<'_>, counters: &xds::Counters) -> Result<(), fmt::Error> {
    let connected = encoder.encode_descriptor(
        "weft_ztunnel_xds_connected",
        "1 while a discovery stream is open and answered",
        None,
        MetricType::Gauge,
    )?;
    ConstGauge::new(i64::from(counters.is_connected)).encode(connected)?;
    let applying = encoder.encode_descriptor(
        "weft_ztunnel_xds_apply_seconds",
        "From the receipt of discovery responses until they were in force, added up",
        None,
        MetricType::Counter,
    )?;
    ConstCounter::new(counters.apply_time.as_secs_f64()).encode(applying)?;
    if let Some(last) = counters.last_message {
        let since = encoder.encode_descriptor(
            "weft_ztunnel_xds_last_message_age_seconds",
            "Seconds since the last discovery response",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(last.elapsed().as_secs_f64()).encode(since)?;
    }
    Ok(())
}
