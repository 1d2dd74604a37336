//! Counters by labels that come from outside: a bounded number of them, the ones in use.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rows that are kept; beyond, the half that was not used for the longest time goes, and starts at
/// zero when it comes back, as after a restart.
pub const ROWS: usize = 1024;

/// How often each of many things happened; cheap to clone.
#[derive(Debug)]
pub struct Counts<K>(Arc<Mutex<Rows<K>>>);

#[derive(Debug)]
struct Rows<K> {
    /// Times, and when the last of them was, in events since start.
    counts: HashMap<K, (u64, u64), foldhash::fast::RandomState>,
    now: u64,
}

impl<K> Clone for Counts<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Rows {
            counts: HashMap::default(),
            now: 0,
        })))
    }
}

impl<K: Eq + Hash + Clone> Counts<K> {
    /// One more of them.
    pub fn add(&self, key: K) {
        let mut rows = self.rows();
        rows.now += 1;
        let now = rows.now;
        if rows.counts.len() >= ROWS && !rows.counts.contains_key(&key) {
            rows.make_room();
        }
        let row = rows.counts.entry(key).or_default();
        *row = (row.0 + 1, now);
    }

    /// All of them, in no particular order.
    pub fn all(&self) -> Vec<(K, u64)> {
        let rows = self.rows();
        let counts = rows.counts.iter();
        counts
            .map(|(key, (count, _))| (key.clone(), *count))
            .collect()
    }

    fn rows(&self) -> MutexGuard<'_, Rows<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Rows<K> {
    fn make_room(&mut self) {
        let mut used: Vec<u64> = self.counts.values().map(|(_, used)| *used).collect();
        used.sort_unstable();
        let until = used.get(used.len() / 2).copied().unwrap_or_default();
        self.counts.retain(|_, (_, used)| *used > until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays() {
        let counts = Counts::default();
        for number in 0..10 * ROWS {
            counts.add(number);
            counts.add(0);
        }
        let all = counts.all();
        assert!(all.len() <= ROWS, "{}", all.len());
        let of = |wanted: usize| all.iter().find(|(key, _)| *key == wanted);
        assert_eq!(of(0), Some(&(0, 10 * ROWS as u64 + 1)));
        assert_eq!(of(10 * ROWS - 1), Some(&(10 * ROWS - 1, 1)));
        assert_eq!(of(1), None);
    }
}
