//! A histogram with the bounds of Istio's: one writer, any number of readers.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{MetricEncoder, NoLabelSet};

/// Upper bounds, of milliseconds and of bytes alike. Source: docs/compat.md#request-metrics.
pub const BOUNDS: [f64; 19] = [
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1_000.0,
    2_500.0,
    5_000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

const BUCKETS: usize = BOUNDS.len() + 1;

/// Counts of one label set on one worker.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    /// Sum in thousandths, so that it is a whole number.
    sum: AtomicU64,
}

/// Histograms of all workers added up.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    buckets: [u64; BUCKETS],
    sum: u64,
}

/// One more; only one thread writes, so no read-modify-write is needed.
fn add(to: &AtomicU64, value: u64) {
    to.store(
        to.load(Ordering::Relaxed).saturating_add(value),
        Ordering::Relaxed,
    );
}

impl Histogram {
    /// One observation, in thousandths of the unit. Called by one thread only.
    pub fn observe(&self, thousandths: u64) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "buckets are far apart where it matters"
        )]
        let value = thousandths as f64 / 1000.0;
        let at = BOUNDS.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get(at) {
            add(bucket, 1);
        }
        add(&self.sum, thousandths);
    }

    /// Adds it to a sum.
    pub fn add_to(&self, sum: &mut Sum) {
        for (to, from) in sum.buckets.iter_mut().zip(&self.buckets) {
            *to = to.saturating_add(from.load(Ordering::Relaxed));
        }
        sum.sum = sum.sum.saturating_add(self.sum.load(Ordering::Relaxed));
    }
}

impl Sum {
    /// Adds another.
    pub fn merge(&mut self, other: &Sum) {
        for (to, from) in self.buckets.iter_mut().zip(&other.buckets) {
            *to = to.saturating_add(*from);
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let bounds = BOUNDS.into_iter().chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(self.buckets).collect();
        let count = self.buckets.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "the format has no whole sums")]
        let sum = self.sum as f64 / 1000.0;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_goes_into_the_first_bucket_that_is_not_below_it() {
        for (thousandths, bucket) in [
            (0, 0),
            (500, 0),
            (501, 1),
            (1_000, 1),
            (25_000, 4),
            (3_600_000_000, 18),
            (3_600_000_001, 19),
        ] {
            let histogram = Histogram::default();
            histogram.observe(thousandths);
            let mut sum = Sum::default();
            histogram.add_to(&mut sum);
            let at = sum.buckets.iter().position(|count| *count == 1);
            assert_eq!((at, sum.sum), (Some(bucket), thousandths));
        }
    }
}
