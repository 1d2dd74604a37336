//! Numbers that others keep and that are read when somebody looks: the process's own, and those of
//! the discovery client.

use std::fmt;

use mesh::xds;
use nix::sys::resource::{Resource, getrlimit};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Descriptors and memory of this process.
#[derive(Debug)]
pub struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or_default();
        for (name, help, value) in [
            (
                "process_open_fds",
                "Open file descriptors",
                open_descriptors(),
            ),
            (
                "process_max_fds",
                "Limit of open file descriptors",
                Some(limit),
            ),
            (
                "process_resident_memory_bytes",
                "Memory in use",
                resident_bytes(),
            ),
        ] {
            // What the system does not tell is left out.
            if let Some(value) = value.and_then(|value| i64::try_from(value).ok()) {
                let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
                ConstGauge::new(value).encode(metric)?;
            }
        }
        Ok(())
    }
}

fn open_descriptors() -> Option<u64> {
    u64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
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
        Ok(())
    }
}
