//! How much a destination may have under way at once. Permits count until they are dropped. Pure.
//!
//! Source: docs/compat.md#balancing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mesh::model::destination::{Limits, RetryBudget};

/// What there was too much of. The request is answered with 503 and the flag `UO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Overflow {
    /// Connections.
    #[error("the destination has as many connections as it may have")]
    Connections,
    /// Requests that wait for a connection.
    #[error("as many requests as may wait for a connection to the destination do")]
    Pending,
    /// Requests.
    #[error("the destination has as many requests under way as it may have")]
    Requests,
    /// Retries. The answer that would have been tried again goes to the client.
    #[error("the destination has as many retries under way as it may have")]
    Retries,
}

/// Counts of one destination, and how far they may go.
#[derive(Debug)]
pub(super) struct Limiter {
    connections: Arc<Gauge>,
    pending: Arc<Gauge>,
    requests: Arc<Gauge>,
    retries: Arc<Gauge>,
    /// Thousandths of a percent of requests; [`NO_BUDGET`] counts by the limit instead.
    budget_percent_milli: AtomicU32,
    budget_minimum: AtomicU32,
}

const NO_BUDGET: u32 = u32::MAX;

#[derive(Debug)]
struct Gauge {
    now: AtomicU32,
    most: AtomicU32,
}

impl Gauge {
    fn new(most: u32) -> Arc<Self> {
        Arc::new(Self {
            now: AtomicU32::new(0),
            most: AtomicU32::new(most),
        })
    }

    fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }

    /// Counts one more unless there are `most` already.
    fn enter(self: &Arc<Self>, most: u32) -> Option<Permit> {
        self.now
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                (now < most).then(|| now.saturating_add(1))
            })
            .ok()?;
        Some(Permit(Arc::clone(self)))
    }

    fn enter_limited(self: &Arc<Self>) -> Option<Permit> {
        self.enter(self.most.load(Ordering::Relaxed))
    }
}

#[derive(Debug)]
struct Permit(Arc<Gauge>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

macro_rules! permits {
    ($( $(#[doc = $doc:literal])+ $name:ident ),+ $(,)?) => {$(
        $(#[doc = $doc])+
        #[derive(Debug)]
        #[must_use = "counts only until it is dropped"]
        pub struct $name { _permit: Permit }
    )+};
}

permits! {
    /// One connection of a destination, until dropped.
    ConnectionPermit,
    /// One request that waits for a connection, until dropped.
    PendingPermit,
    /// One request under way, until dropped.
    RequestPermit,
    /// One retry under way, until dropped.
    RetryPermit,
}

impl Limiter {
    pub(super) fn new(limits: &Limits, budget: Option<RetryBudget>) -> Self {
        let limiter = Self {
            connections: Gauge::new(limits.connections),
            pending: Gauge::new(limits.pending),
            requests: Gauge::new(limits.requests),
            retries: Gauge::new(limits.retries),
            budget_percent_milli: AtomicU32::new(NO_BUDGET),
            budget_minimum: AtomicU32::new(0),
        };
        limiter.set(limits, budget);
        limiter
    }

    /// New limits. What is under way stays and counts.
    pub(super) fn set(&self, limits: &Limits, budget: Option<RetryBudget>) {
        for (gauge, most) in [
            (&self.connections, limits.connections),
            (&self.pending, limits.pending),
            (&self.requests, limits.requests),
            (&self.retries, limits.retries),
        ] {
            gauge.most.store(most, Ordering::Relaxed);
        }
        let (percent, minimum) =
            budget.map_or((NO_BUDGET, 0), |b| (b.percent_milli, b.min_concurrency));
        self.budget_percent_milli.store(percent, Ordering::Relaxed);
        self.budget_minimum.store(minimum, Ordering::Relaxed);
    }

    pub(super) fn enter_connection(&self) -> Result<ConnectionPermit, Overflow> {
        let permit = self.connections.enter_limited();
        permit
            .map(|_permit| ConnectionPermit { _permit })
            .ok_or(Overflow::Connections)
    }

    pub(super) fn enter_pending(&self) -> Result<PendingPermit, Overflow> {
        let permit = self.pending.enter_limited();
        permit
            .map(|_permit| PendingPermit { _permit })
            .ok_or(Overflow::Pending)
    }

    pub(super) fn enter_request(&self) -> Result<RequestPermit, Overflow> {
        let permit = self.requests.enter_limited();
        permit
            .map(|_permit| RequestPermit { _permit })
            .ok_or(Overflow::Requests)
    }

    pub(super) fn enter_retry(&self) -> Result<RetryPermit, Overflow> {
        self.retries
            .enter(self.most_retries())
            .map(|_permit| RetryPermit { _permit })
            .ok_or(Overflow::Retries)
    }

    /// Retries at once: by budget if there is one, else by the limit.
    fn most_retries(&self) -> u32 {
        let percent = self.budget_percent_milli.load(Ordering::Relaxed);
        if percent == NO_BUDGET {
            return self.retries.most.load(Ordering::Relaxed);
        }
        let requests = u64::from(self.requests.now()) + u64::from(self.pending.now());
        let share = u32::try_from(requests * u64::from(percent) / 100_000).unwrap_or(u32::MAX);
        share.max(self.budget_minimum.load(Ordering::Relaxed))
    }

    /// Connections, waiting requests, requests and retries now.
    pub(super) fn counts(&self) -> [u32; 4] {
        [
            self.connections.now(),
            self.pending.now(),
            self.requests.now(),
            self.retries.now(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limited(most: u32) -> Limits {
        Limits {
            connections: most,
            pending: most,
            requests: most,
            retries: most,
            ..Limits::default()
        }
    }

    #[test]
    fn one_more_than_the_limit_is_refused_until_one_leaves() {
        let limiter = Limiter::new(&limited(2), None);
        let first = limiter.enter_request().unwrap();
        let _second = limiter.enter_request().unwrap();
        assert_eq!(limiter.enter_request().unwrap_err(), Overflow::Requests);
        drop(first);
        assert!(limiter.enter_request().is_ok());
    }

    #[test]
    fn each_kind_is_counted_by_itself() {
        let limiter = Limiter::new(&limited(1), None);
        let _held = (
            limiter.enter_connection().unwrap(),
            limiter.enter_pending().unwrap(),
            limiter.enter_request().unwrap(),
            limiter.enter_retry().unwrap(),
        );
        assert_eq!(
            limiter.enter_connection().unwrap_err(),
            Overflow::Connections
        );
        assert_eq!(limiter.enter_pending().unwrap_err(), Overflow::Pending);
        assert_eq!(limiter.enter_request().unwrap_err(), Overflow::Requests);
        assert_eq!(limiter.enter_retry().unwrap_err(), Overflow::Retries);
        assert_eq!(limiter.counts(), [1, 1, 1, 1]);
    }

    #[test]
    fn a_limit_of_zero_admits_none_and_the_default_any_number() {
        let none = Limiter::new(&limited(0), None);
        assert!(none.enter_request().is_err());
        let any = Limiter::new(&Limits::default(), None);
        let held: Vec<_> = (0..10_000).map(|_| any.enter_request().unwrap()).collect();
        assert_eq!(any.counts()[2], 10_000);
        drop(held);
        assert_eq!(any.counts()[2], 0);
    }

    #[test]
    fn a_budget_allows_a_share_of_requests_and_some_always() {
        let budget = |percent_milli, min_concurrency| {
            Some(RetryBudget {
                percent_milli,
                min_concurrency,
            })
        };
        for (requests, budget, expected) in [
            (0, budget(20_000, 3), 3),
            (100, budget(20_000, 3), 20),
            (10, budget(20_000, 3), 3),
            (100, budget(0, 0), 0),
            (10, budget(50_000, 0), 5),
            (3, budget(50_000, 0), 1),
            (10, budget(100_000, 0), 10),
            (1000, budget(500, 0), 5),
            // Without a budget the plain limit counts.
            (10, None, 4),
        ] {
            let limiter = Limiter::new(
                &Limits {
                    retries: 4,
                    ..Limits::default()
                },
                budget,
            );
            let _requests: Vec<_> = (0..requests).map(|_| limiter.enter_request()).collect();
            let retries = (0..2000).map(|_| limiter.enter_retry());
            let held: Vec<_> = retries.take_while(Result::is_ok).collect();
            assert_eq!(held.len(), expected, "{requests} requests, {budget:?}");
        }
    }

    #[test]
    fn new_limits_count_what_is_already_under_way() {
        let limiter = Limiter::new(&limited(2), None);
        let _held = (
            limiter.enter_request().unwrap(),
            limiter.enter_request().unwrap(),
        );
        limiter.set(&limited(1), None);
        assert!(limiter.enter_request().is_err());
        limiter.set(&limited(3), None);
        assert!(limiter.enter_request().is_ok());
    }

    proptest! {
        #[test]
        fn permits_never_leak(steps in proptest::collection::vec((0_u8..4, any::<bool>()), 0..200)) {
            let limiter = Limiter::new(&limited(5), None);
            let mut held: [Vec<Box<dyn std::any::Any>>; 4] = Default::default();
            for (kind, enters) in steps {
                let own = &mut held[usize::from(kind)];
                let full = own.len() == 5;
                if !enters {
                    own.pop();
                    continue;
                }
                let permit: Option<Box<dyn std::any::Any>> = match kind {
                    0 => limiter.enter_connection().ok().map(|p| Box::new(p) as _),
                    1 => limiter.enter_pending().ok().map(|p| Box::new(p) as _),
                    2 => limiter.enter_request().ok().map(|p| Box::new(p) as _),
                    _ => limiter.enter_retry().ok().map(|p| Box::new(p) as _),
                };
                prop_assert_eq!(permit.is_none(), full);
                own.extend(permit);
                let counts: Vec<_> = held.iter().map(|h| h.len() as u32).collect();
                prop_assert_eq!(limiter.counts().to_vec(), counts);
            }
            drop(held);
            prop_assert_eq!(limiter.counts(), [0; 4]);
        }
    }
}
