//! One destination for as long as it is in use: its endpoints and counts, shared by all workers.
//!
//! Readers never wait: they read one version of the table. A lock is taken only where the list, the
//! policy or the availability of an endpoint changes.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use mesh::model::destination::TrafficPolicy;

use super::choose::{Choice, NoEndpoint};
use super::endpoint::{Endpoint, EndpointId, EndpointSpec, Member, NEVER};
use super::limits::{
    ConnectionPermit, Limiter, Overflow, PendingPermit, RequestPermit, RetryPermit,
};
use super::locality::Place;
use super::outlier::{self, Outcome};
use super::table::Table;

/// The endpoints of one destination (service, port, subset), and what is under way to them.
#[derive(Debug)]
pub struct Cluster {
    place: ArcSwap<Place>,
    /// Times are counted from here.
    beginning: Instant,
    table: ArcSwap<Table>,
    limiter: Limiter,
    /// When ended ejections are looked for next; [`NEVER`] without such a policy.
    next_check: AtomicU64,
    /// How often any endpoint was left out.
    ejections: AtomicU64,
    /// Held while a new table is made.
    changing: Mutex<()>,
}

/// What a choice of an endpoint depends on.
pub struct Question<'a> {
    /// The time.
    pub now: Instant,
    /// Uniform random numbers.
    pub random: &'a mut dyn FnMut() -> u64,
    /// Hash of the request, where the policy hashes and the request has what is hashed.
    pub hash: Option<u64>,
    /// Endpoints that this request was sent to already; others are preferred. Empty when a retry may
    /// go to the same endpoint.
    pub tried: &'a [EndpointId],
    /// Whether levels in which something was tried are left for farther ones
    /// (`Retry::remote_localities`).
    pub farther: bool,
    /// The endpoint that the client's session names.
    pub session: Option<u64>,
}

impl<'a> Question<'a> {
    /// The question of a first try of a request without hash and session.
    pub fn new(now: Instant, random: &'a mut dyn FnMut() -> u64) -> Self {
        Self {
            now,
            random,
            hash: None,
            tried: &[],
            farther: false,
            session: None,
        }
    }
}

/// A chosen endpoint. Its request counts as under way until this is dropped.
#[derive(Debug)]
#[must_use = "the request counts as under way only until this is dropped"]
pub struct Picked {
    cluster: Arc<Cluster>,
    endpoint: Arc<Endpoint>,
}

/// Counts of a destination, for dumps and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Endpoints.
    pub endpoints: usize,
    /// Those that get requests outside of panic.
    pub available: usize,
    /// Those that are left out after failures.
    pub ejected: usize,
    /// How often any was left out.
    pub ejections: u64,
    /// Connections.
    pub connections: u32,
    /// Requests that wait for a connection.
    pub pending: u32,
    /// Requests under way.
    pub requests: u32,
    /// Retries under way.
    pub retries: u32,
}

impl Cluster {
    /// A destination without endpoints yet. `place` is where this waypoint is.
    pub fn new(policy: TrafficPolicy, place: Arc<Place>, now: Instant) -> Arc<Self> {
        let limiter = Limiter::new(&policy.limits, policy.retry_budget);
        let next_check = policy.outlier.as_ref().map_or(NEVER, outlier::interval);
        let table = Table::new(Arc::new(policy), &place, Arc::new([]), None);
        Arc::new(Self {
            place: ArcSwap::new(place),
            beginning: now,
            table: ArcSwap::from_pointee(table),
            limiter,
            next_check: AtomicU64::new(next_check),
            ejections: AtomicU64::new(0),
            changing: Mutex::new(()),
        })
    }

    /// Changes the policy. Requests under way and ejections stay, as far as the new policy allows them.
    pub fn set_policy(&self, policy: TrafficPolicy, now: Instant) {
        let _guard = self.change();
        let old = self.table.load_full();
        if *old.policy == policy {
            return;
        }
        self.limiter.set(&policy.limits, policy.retry_budget);
        let interval = |p: &TrafficPolicy| p.outlier.as_ref().map(outlier::interval);
        if interval(&old.policy) != interval(&policy) {
            let next = interval(&policy).map_or(NEVER, |i| self.at(now).saturating_add(i));
            self.next_check.store(next, Ordering::Relaxed);
        }
        outlier::keep_within(&old.members, policy.outlier.as_ref());
        let members = Arc::clone(&old.members);
        self.publish(Table::new(
            Arc::new(policy),
            &self.place.load(),
            members,
            Some(&old),
        ));
    }

    /// Says where this waypoint is, which decides which endpoints are near.
    pub fn set_place(&self, place: &Arc<Place>) {
        let _guard = self.change();
        if **place == **self.place.load() {
            return;
        }
        self.place.store(Arc::clone(place));
        let old = self.table.load_full();
        let (policy, members) = (Arc::clone(&old.policy), Arc::clone(&old.members));
        self.publish(Table::new(policy, place, members, Some(&old)));
    }

    /// Changes the endpoints. Those that were there before keep requests under way, ejections and age;
    /// one that was unhealthy begins anew. Of several with one id the first counts. The order does not
    /// count, and a list that says nothing new costs no more than reading it.
    pub fn set_endpoints(&self, mut endpoints: Vec<EndpointSpec>, now: Instant) {
        let _guard = self.change();
        let old = self.table.load_full();
        let now = self.at(now);
        endpoints.sort_by_key(|spec| spec.id.key());
        endpoints.dedup_by_key(|spec| spec.id.key());
        let mut pairs = old.members.iter().zip(&endpoints);
        if old.members.len() == endpoints.len() && pairs.all(|(member, spec)| member.is_as(spec)) {
            return;
        }
        let member = |spec: EndpointSpec| {
            let known = old.by_key(spec.id.key()).map(|(_, member)| member);
            let endpoint = match known.filter(|m| *m.endpoint.id == spec.id) {
                Some(known) => {
                    if spec.is_healthy && !known.is_healthy {
                        known.endpoint.since.store(now, Ordering::Relaxed);
                    }
                    Arc::clone(&known.endpoint)
                }
                None => Arc::new(Endpoint::new(spec.id.clone(), now)),
            };
            Member::new(spec, endpoint)
        };
        let members: Arc<[Member]> = endpoints.into_iter().map(member).collect();
        outlier::keep_within(&members, old.policy.outlier.as_ref());
        let policy = Arc::clone(&old.policy);
        self.publish(Table::new(policy, &self.place.load(), members, Some(&old)));
    }

    /// The policy now.
    pub fn policy(&self) -> Arc<TrafficPolicy> {
        Arc::clone(&self.table.load().policy)
    }

    /// Chooses an endpoint.
    ///
    /// # Errors
    /// When none takes requests.
    pub fn pick(self: &Arc<Self>, question: Question<'_>) -> Result<Picked, NoEndpoint> {
        let now = self.at(question.now);
        self.take_back_at(now);
        let table = self.table.load();
        let mut choice = Choice {
            now,
            random: question.random,
            hash: question.hash,
            tried: question.tried,
            farther: question.farther,
            session: question.session,
        };
        let chosen = choice.make(&table)?;
        let member = table.member(chosen).ok_or(NoEndpoint::NoneAvailable)?;
        member.endpoint.active.fetch_add(1, Ordering::Relaxed);
        Ok(Picked {
            cluster: Arc::clone(self),
            endpoint: Arc::clone(&member.endpoint),
        })
    }

    /// Admits a connection.
    ///
    /// # Errors
    /// When there are as many as the policy allows.
    pub fn enter_connection(&self) -> Result<ConnectionPermit, Overflow> {
        self.limiter.enter_connection()
    }

    /// Admits a request to those that wait for a connection.
    ///
    /// # Errors
    /// When there are as many as the policy allows.
    pub fn enter_pending(&self) -> Result<PendingPermit, Overflow> {
        self.limiter.enter_pending()
    }

    /// Admits a request.
    ///
    /// # Errors
    /// When there are as many as the policy allows.
    pub fn enter_request(&self) -> Result<RequestPermit, Overflow> {
        self.limiter.enter_request()
    }

    /// Admits a retry. Taken while the requests that count for a budget hold their permits.
    ///
    /// # Errors
    /// When there are as many as the policy's budget or limit allows.
    pub fn enter_retry(&self) -> Result<RetryPermit, Overflow> {
        self.limiter.enter_retry()
    }

    /// Takes endpoints back whose ejection is over. Choosing does so too; only a destination without
    /// requests needs this call, and only for its counts.
    pub fn take_back(&self, now: Instant) {
        self.take_back_at(self.at(now));
    }

    /// Counts now.
    pub fn counts(&self) -> Counts {
        let table = self.table.load();
        let [connections, pending, requests, retries] = self.limiter.counts();
        let members = || table.members.iter();
        Counts {
            endpoints: table.members.len(),
            available: members().filter(|m| m.is_available()).count(),
            ejected: members().filter(|m| m.endpoint.is_ejected()).count(),
            ejections: self.ejections.load(Ordering::Relaxed),
            connections,
            pending,
            requests,
            retries,
        }
    }

    fn at(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.beginning);
        u64::try_from(since.as_millis()).unwrap_or(NEVER)
    }

    /// A panic under this lock leaves nothing half done that matters: tables are replaced as a whole.
    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, table: Table) {
        self.table.store(Arc::new(table));
    }

    fn take_back_at(&self, now: u64) {
        if now < self.next_check.load(Ordering::Relaxed) {
            return;
        }
        let _guard = self.change();
        let table = self.table.load_full();
        let next = self.next_check.load(Ordering::Relaxed);
        let Some(outlier) = table.policy.outlier.filter(|_| now >= next) else {
            return;
        };
        let interval = outlier::interval(&outlier);
        let checks = (now - next) / interval + 1;
        let any = outlier::check(&table.members, &outlier, next, checks);
        let following = next.saturating_add(checks.saturating_mul(interval));
        self.next_check.store(following, Ordering::Relaxed);
        if any {
            self.publish(table.looked_at_again());
        }
    }

    fn eject(&self, endpoint: &Endpoint, now: u64) {
        let _guard = self.change();
        let table = self.table.load_full();
        let Some(outlier) = table.policy.outlier else {
            return;
        };
        if outlier::eject(endpoint, &table.members, &outlier, now) {
            self.ejections.fetch_add(1, Ordering::Relaxed);
            self.publish(table.looked_at_again());
        }
    }
}

impl Picked {
    /// Says how it went. Too many failures in a row leave the endpoint out for a time.
    pub fn report(&self, outcome: Outcome, now: Instant) {
        let policy = &self.cluster.table.load().policy;
        if outlier::count(&self.endpoint, outcome, policy.outlier.as_ref()) {
            self.cluster.eject(&self.endpoint, self.cluster.at(now));
        }
    }

    /// The destination it is of.
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }
}

impl Deref for Picked {
    type Target = EndpointId;

    fn deref(&self) -> &EndpointId {
        &self.endpoint.id
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        self.endpoint.active.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
