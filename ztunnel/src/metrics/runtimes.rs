//! `tokio_*`: how busy the threads are, of all runtimes together and thread by thread. Names: docs/compat.md#metrics.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::runtime::RuntimeMetrics;

/// All runtimes of the program; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Runtimes(Arc<Mutex<Vec<(String, RuntimeMetrics)>>>);

/// Name, meaning, and how it is read of a runtime.
type Total = (&'static str, &'static str, fn(&RuntimeMetrics) -> usize);

const TOTALS: [Total; 3] = [
    (
        "tokio_num_workers",
        "Threads of all runtimes",
        RuntimeMetrics::num_workers,
    ),
    (
        "tokio_global_queue_depth",
        "Tasks that wait for a thread to take them",
        RuntimeMetrics::global_queue_depth,
    ),
    (
        "tokio_num_alive_tasks",
        "Tasks that are not finished",
        RuntimeMetrics::num_alive_tasks,
    ),
];

/// Name, meaning, and how it is read of a thread.
type PerThread = (
    &'static str,
    &'static str,
    fn(&RuntimeMetrics, usize) -> f64,
);

const THREADS: [PerThread; 3] = [
    (
        "tokio_worker_total_busy_duration_seconds",
        "Time that a thread was busy",
        |runtime, thread| runtime.worker_total_busy_duration(thread).as_secs_f64(),
    ),
    (
        "tokio_worker_park_count",
        "Times that a thread went to sleep",
        |runtime, thread| runtime.worker_park_count(thread) as f64,
    ),
    (
        "tokio_worker_park_unpark_count",
        "Times that a thread went to sleep or was woken",
        |runtime, thread| runtime.worker_park_unpark_count(thread) as f64,
    ),
];

impl Runtimes {
    /// From now on this runtime is shown. Its threads are called `name`, with a number where there are
    /// several.
    pub fn add(&self, name: &str, metrics: RuntimeMetrics) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((name.to_owned(), metrics));
    }
}

impl Collector for Runtimes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, help, read) in TOTALS {
            let sum: usize = all.iter().map(|(_, runtime)| read(runtime)).sum();
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(i64::try_from(sum).unwrap_or(i64::MAX)).encode(gauge)?;
        }
        for (name, help, read) in THREADS {
            let mut gauges = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (runtime_name, runtime) in all.iter() {
                for thread in 0..runtime.num_workers() {
                    let worker = match runtime.num_workers() {
                        1 => runtime_name.clone(),
                        _ => format!("{runtime_name}-{thread}"),
                    };
                    let labels = [("worker", worker)];
                    let value = read(runtime, thread);
                    ConstGauge::new(value).encode(gauges.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::registry::Registry;

    #[test]
    fn every_thread_of_every_runtime_is_shown() {
        let runtimes = Runtimes::default();
        let one = tokio::runtime::Builder::new_current_thread().build();
        let two = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build();
        let (one, two) = (one.unwrap(), two.unwrap());
        runtimes.add("0", one.metrics());
        runtimes.add("control", two.metrics());
        let (never, always) = tokio::sync::oneshot::channel::<()>();
        two.spawn(always);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(runtimes));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "tokio_num_workers 3",
            "tokio_num_alive_tasks 1",
            "tokio_global_queue_depth ",
            "tokio_worker_park_count{worker=\"0\"} ",
            "tokio_worker_park_unpark_count{worker=\"control-0\"} ",
            "tokio_worker_total_busy_duration_seconds{worker=\"control-1\"} ",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        drop(never);
    }
}
