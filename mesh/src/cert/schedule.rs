//! Pure. When to renew, when to try again, what goes first.

use std::cmp::Reverse;
use std::time::{Duration, SystemTime};

/// First pause after a failure.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Longest pause between attempts.
const LONGEST_RETRY: Duration = Duration::from_secs(150);
/// An authority that gives out certificates with hardly any life must not be asked without end.
const SHORTEST_LIFE: Duration = Duration::from_secs(2);

/// How urgent a certificate is; more urgent ones are asked for first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A renewal: the present one still serves.
    Background,
    /// For a workload that has not talked yet.
    Warmup,
    /// A connection waits for it.
    RealTime,
}

/// How long after its receipt a certificate is renewed: at half of the life it then had left.
///
/// Counted from receipt, because the start of validity is back-dated and half of a short life could
/// be past on arrival.
pub fn renew_after(not_after: SystemTime, received: SystemTime) -> Duration {
    let left = not_after.duration_since(received).unwrap_or_default();
    left.max(SHORTEST_LIFE) / 2
}

/// How long to wait after the `failures`-th failure in a row; `random` in 0..1 spreads it by 20 %
/// either way.
pub fn retry_after(failures: u32, random: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let pause = (FIRST_RETRY * (1 << doublings)).min(LONGEST_RETRY);
    let spread = 0.8 + 0.4 * random.clamp(0.0, 1.0);
    pause.mul_f64(spread).min(LONGEST_RETRY)
}

/// Something that is due: how urgent, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due<T> {
    /// How urgent.
    pub priority: Priority,
    /// Since when, on any growing scale.
    pub since: T,
}

/// Which of `due` goes first: the most urgent, among those the longest due.
pub fn first<K, T: Ord + Copy>(due: impl Iterator<Item = (K, Due<T>)>) -> Option<K> {
    due.max_by_key(|(_, due)| (due.priority, Reverse(due.since)))
        .map(|(key, _)| key)
}
