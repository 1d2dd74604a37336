//! Pure. One bucket: a moment in time says how full it is, so that taking from it is one addition.

use std::time::Duration;

/// How fast buckets fill, and how much they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    requests: u32,
    /// Nanoseconds in which one request's worth comes in.
    interval: u64,
    /// Nanoseconds that a full bucket is worth.
    depth: u64,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It may go on.
    Passed {
        /// Requests that may follow at once.
        remaining: u32,
        /// Until the bucket is full.
        full_in: Duration,
    },
    /// It may not.
    Refused {
        /// Until one may.
        again_in: Duration,
        /// Until the bucket is full.
        full_in: Duration,
    },
}

impl Taken {
    pub(super) fn remaining(self) -> u32 {
        match self {
            Self::Passed { remaining, .. } => remaining,
            Self::Refused { .. } => 0,
        }
    }

    pub(super) fn full_in(self) -> Duration {
        match self {
            Self::Passed { full_in, .. } | Self::Refused { full_in, .. } => full_in,
        }
    }
}

impl Pace {
    /// `requests` per period; at once `burst`, or as many as per period when that is 0. No requests at all pass when
    /// `requests` is 0.
    pub(super) fn new(requests: u32, per: Duration, burst: u32) -> Self {
        let per = u64::try_from(per.as_nanos()).unwrap_or(u64::MAX).max(1);
        let interval = per.checked_div(requests.into()).unwrap_or(u64::MAX).max(1);
        let burst = if burst == 0 { requests } else { burst };
        let depth = match requests {
            0 => 0,
            _ => interval.saturating_mul(burst.into()),
        };
        Self {
            requests,
            interval,
            depth,
        }
    }

    /// Requests per period.
    pub(super) fn requests(&self) -> u32 {
        self.requests
    }

    /// Takes one request out of a bucket that is full at the moment `full_at`. Both moments are nanoseconds since a
    /// fixed one. Gives the moment at which it is full then; the same when the request may not go on.
    pub(super) fn take(&self, full_at: u64, now: u64) -> (u64, Taken) {
        let debt = full_at.saturating_sub(now);
        let after = debt.saturating_add(self.interval);
        if after > self.depth {
            let refused = Taken::Refused {
                again_in: Duration::from_nanos(after - self.depth),
                full_in: Duration::from_nanos(debt),
            };
            return (full_at, refused);
        }
        let remaining = (self.depth - after) / self.interval;
        let passed = Taken::Passed {
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            full_in: Duration::from_nanos(after),
        };
        (now.saturating_add(after), passed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How many of these requests pass, at `gap` nanoseconds from one another.
    fn passed(pace: &Pace, count: u64, gap: u64) -> u64 {
        let mut full_at = 0;
        let mut passed = 0;
        for number in 0..count {
            let taken = pace.take(full_at, number * gap);
            full_at = taken.0;
            passed += u64::from(matches!(taken.1, Taken::Passed { .. }));
        }
        passed
    }

    #[test]
    fn a_burst_passes_and_then_one_for_each_interval() {
        let pace = Pace::new(10, Duration::from_secs(1), 3);
        assert_eq!(passed(&pace, 100, 0), 3);
        let (full_at, first) = pace.take(0, 0);
        let full_in = Duration::from_millis(100);
        assert_eq!(
            first,
            Taken::Passed {
                remaining: 2,
                full_in
            }
        );
        let (_, again) = pace.take(full_at + 200_000_000, 0);
        let Taken::Refused { again_in, .. } = again else {
            panic!("{again:?}");
        };
        assert_eq!(again_in, Duration::from_millis(100));
    }

    #[test]
    fn without_a_burst_as_many_as_per_period_come_at_once_and_none_with_a_limit_of_none() {
        assert_eq!(passed(&Pace::new(7, Duration::from_secs(60), 0), 100, 0), 7);
        assert_eq!(passed(&Pace::new(0, Duration::from_secs(60), 0), 100, 0), 0);
        assert_eq!(passed(&Pace::new(0, Duration::from_secs(60), 5), 100, 0), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn over_a_long_time_the_limit_holds_within_five_percent(
            requests in 1_u32..2_000, millis in 100_u64..10_000, overload in 2_u64..20,
        ) {
            let per = Duration::from_millis(millis);
            // A bucket of one loses what comes in while nobody asks.
            let pace = Pace::new(requests, per, 2);
            let periods = 2_000 / u64::from(requests) + 5;
            let sent = u64::from(requests) * periods * overload;
            let gap = millis * 1_000_000 / (u64::from(requests) * overload);
            let expected = sent as f64 * gap as f64 / per.as_nanos() as f64 * f64::from(requests);
            let found = passed(&pace, sent, gap) as f64;
            prop_assert!((found - expected).abs() <= expected * 0.05 + 2.0, "{found} {expected}");
        }

        #[test]
        fn who_stays_below_the_limit_is_never_refused(requests in 1_u32..1_000, millis in 100_u64..10_000) {
            let pace = Pace::new(requests, Duration::from_millis(millis), 1);
            let gap = (millis * 1_000_000).div_ceil(u64::from(requests));
            prop_assert_eq!(passed(&pace, 500, gap), 500);
        }
    }
}
