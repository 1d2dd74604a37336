//! A bounded number of buckets, found by a hash, that any thread takes from without waiting.
//!
//! A bucket is the moment at which it is full again. One that is full already holds no memory of anybody, so its place
//! can be given away; where none is, the place of that which is full the soonest is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::pace::{Pace, Taken};

/// Places in which one hash can be.
const WAYS: usize = 4;
/// Groups of such places: 16 384 buckets, 256 KiB, for each limit with attributes.
const SETS: usize = 4096;

/// A hash, and when its bucket is full.
#[derive(Debug, Default)]
struct Bucket {
    hash: AtomicU64,
    full_at: AtomicU64,
}

/// Buckets of one limit.
#[derive(Debug)]
pub(super) struct Buckets(Box<[[Bucket; WAYS]]>);

impl Buckets {
    /// Many, or one for all.
    pub(super) fn new(many: bool) -> Self {
        let sets = if many { SETS } else { 1 };
        Self((0..sets).map(|_| Default::default()).collect())
    }

    /// Takes one request out of the bucket of a hash.
    pub(super) fn take(&self, hash: u64, now: Duration, pace: &Pace) -> Taken {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let Some(bucket) = self.find(hash, now) else {
            // Never: there is at least one set, and a set has places.
            return pace.take(u64::MAX, now).1;
        };
        let mut full_at = bucket.full_at.load(Ordering::Relaxed);
        loop {
            let (next, taken) = pace.take(full_at, now);
            let swapped = bucket.full_at.compare_exchange_weak(
                full_at,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match swapped {
                Ok(_) => return taken,
                Err(found) => full_at = found,
            }
        }
    }

    /// The bucket of a hash, an empty place turned into it if there is none. Two threads that give the same place away
    /// at once share it for a moment, which is stricter than having one each.
    fn find(&self, hash: u64, now: u64) -> Option<&Bucket> {
        let sets = u64::try_from(self.0.len()).ok()?;
        let set = self.0.get(usize::try_from(hash % sets).ok()?)?;
        if let Some(bucket) = set
            .iter()
            .find(|it| it.hash.load(Ordering::Relaxed) == hash)
        {
            return Some(bucket);
        }
        let soonest = set
            .iter()
            .min_by_key(|it| it.full_at.load(Ordering::Relaxed))?;
        soonest.hash.store(hash, Ordering::Relaxed);
        // Whoever comes in place of another begins with a full bucket.
        soonest.full_at.store(now, Ordering::Relaxed);
        Some(soonest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(buckets: &Buckets, hash: u64, at: u64, pace: &Pace) -> bool {
        let taken = buckets.take(hash, Duration::from_secs(at), pace);
        matches!(taken, Taken::Passed { .. })
    }

    #[test]
    fn each_hash_has_a_bucket_of_its_own() {
        let (buckets, pace) = (Buckets::new(true), Pace::new(1, Duration::from_secs(60), 1));
        for hash in 0..1000 {
            assert!(passes(&buckets, hash, 1, &pace));
            assert!(!passes(&buckets, hash, 1, &pace), "{hash}");
        }
        assert!(passes(&buckets, 7, 62, &pace));
    }

    #[test]
    fn a_flood_of_new_names_takes_no_more_memory_and_full_buckets_go_first() {
        let (buckets, pace) = (Buckets::new(true), Pace::new(1, Duration::from_secs(60), 1));
        let (mine, step) = (3, SETS as u64);
        assert!(passes(&buckets, mine, 100, &pace));
        // Others of the same set, whose buckets are full again long before.
        for number in 1..1000 {
            assert!(passes(&buckets, mine + number * step, 30, &pace));
        }
        assert!(!passes(&buckets, mine, 101, &pace), "it is still known");
        assert_eq!(buckets.0.len() * WAYS, 16_384);
    }

    #[test]
    fn threads_together_get_what_one_would_get() {
        let (buckets, pace) = (
            Buckets::new(false),
            Pace::new(1000, Duration::from_secs(3600), 0),
        );
        let passed: usize = std::thread::scope(|scope| {
            let take = || (0..2000).filter(|_| passes(&buckets, 1, 1, &pace)).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|it| it.join().unwrap()).sum()
        });
        assert_eq!(passed, 1000);
    }
}
