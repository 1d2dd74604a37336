//! Pure. How often one caller may ask, in bounded memory; the time is an argument.
//!
//! Each caller has one instant: when all it asked for so far will have been paid for at the steady
//! rate. It may run ahead of now by the burst, no further.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Rates of callers, at most `capacity` of them.
#[derive(Debug)]
pub struct Limiter<K> {
    cost: Duration,
    burst: Duration,
    capacity: usize,
    paid: HashMap<K, Instant>,
}

impl<K: Eq + Hash + Clone> Limiter<K> {
    /// `per_second` requests steadily, `burst` at once, for at most `capacity` callers at a time.
    pub fn new(per_second: u32, burst: u32, capacity: usize) -> Self {
        let cost = Duration::from_secs(1) / per_second.max(1);
        Self {
            cost,
            burst: cost * burst.max(1),
            capacity,
            paid: HashMap::new(),
        }
    }

    /// Whether `caller` may ask now; counts the request if so.
    ///
    /// A caller is refused too when `capacity` others are busy at this moment.
    pub fn admits(&mut self, caller: &K, now: Instant) -> bool {
        if !self.paid.contains_key(caller) && self.paid.len() >= self.capacity {
            // Those who have paid are as good as never seen.
            self.paid.retain(|_, paid| *paid > now);
            if self.paid.len() >= self.capacity {
                return false;
            }
        }
        let paid = self.paid.entry(caller.clone()).or_insert(now);
        let next = (*paid).max(now) + self.cost;
        if next > now + self.burst {
            return false;
        }
        *paid = next;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_steady_rate_holds() {
        let mut limiter = Limiter::new(10, 3, 8);
        let start = Instant::now();
        let admitted = (0..10).filter(|_| limiter.admits(&"a", start)).count();
        assert_eq!(admitted, 3);
        assert!(limiter.admits(&"b", start), "others are not affected");
        assert!(!limiter.admits(&"a", start + Duration::from_millis(50)));
        assert!(limiter.admits(&"a", start + Duration::from_millis(101)));
    }

    #[test]
    fn memory_is_bounded_and_idle_callers_make_room() {
        let mut limiter = Limiter::new(1, 2, 2);
        let start = Instant::now();
        assert!(limiter.admits(&1, start) && limiter.admits(&2, start));
        assert!(!limiter.admits(&3, start), "both places are taken");
        assert!(limiter.admits(&3, start + Duration::from_secs(2)));
        assert!(limiter.paid.len() <= 2);
    }
}
