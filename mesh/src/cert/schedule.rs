//! Pure. When to renew, when to try again, what goes first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
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

/// When something is due, and how urgent it then is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due<T> {
    /// How urgent.
    pub priority: Priority,
    /// Since when, or from when on.
    pub since: T,
}

/// Who waits for a turn; every step costs the logarithm of how many do.
#[derive(Debug)]
pub struct Queue<K, T> {
    places: BTreeMap<K, Due<T>>,
    /// Most urgent first, among those the longest due.
    due: BTreeSet<(Reverse<Priority>, T, K)>,
    later: BTreeSet<(T, K)>,
}

impl<K, T> Default for Queue<K, T> {
    fn default() -> Self {
        Self {
            places: BTreeMap::new(),
            due: BTreeSet::new(),
            later: BTreeSet::new(),
        }
    }
}

impl<K: Ord + Clone, T: Ord + Copy> Queue<K, T> {
    /// Gives `key` this place instead of the one it had. It counts as due only after
    /// [`Queue::advance`].
    pub fn put(&mut self, key: K, due: Due<T>) {
        self.remove(&key);
        self.later.insert((due.since, key.clone()));
        self.places.insert(key, due);
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &K) {
        if let Some(Due { priority, since }) = self.places.remove(key) {
            let place = (since, key.clone());
            if !self.later.remove(&place) {
                self.due.remove(&(Reverse(priority), place.0, place.1));
            }
        }
    }

    /// It is `now`: whatever was for now or earlier is due.
    pub fn advance(&mut self, now: T) {
        while let Some((since, key)) = self.later.pop_first() {
            if since > now {
                self.later.insert((since, key));
                return;
            }
            if let Some(place) = self.places.get(&key) {
                self.due.insert((Reverse(place.priority), since, key));
            }
        }
    }

    /// Takes out who goes first of those that are due.
    pub fn pop(&mut self) -> Option<K> {
        let (_, _, key) = self.due.pop_first()?;
        self.places.remove(&key);
        Some(key)
    }

    /// When the next one will be due that is not yet.
    pub fn next_due(&self) -> Option<T> {
        self.later.first().map(|(since, _)| *since)
    }
}
