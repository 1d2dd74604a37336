//! What every program says of itself in its metrics: which one it is, its descriptors and memory.

use std::fmt;

use nix::sys::resource::{Resource, getrlimit};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

/// Lists `istio_build` with this component, and `process_*`. Names: docs/compat.md#metrics.
pub fn register(registry: &mut Registry, component: &'static str) {
    let build = Family::<[(&str, &str); 2], Gauge>::default();
    build
        .get_or_create(&[("component", component), ("tag", env!("CARGO_PKG_VERSION"))])
        .set(1);
    registry.register("istio_build", "Which program this is", build);
    registry.register_collector(Box::new(Process));
}

/// Descriptors and memory of this process.
#[derive(Debug)]
struct Process;

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

/// What the reference page says of them: name, type, labels, meaning.
pub const METRICS: &[super::metrics::Described] = &[
    ("istio_build", "gauge", "component, tag", "always 1"),
    ("process_open_fds", "gauge", "", "open file descriptors"),
    (
        "process_max_fds",
        "gauge",
        "",
        "limit of open file descriptors",
    ),
    (
        "process_resident_memory_bytes",
        "gauge",
        "",
        "memory in use",
    ),
];
