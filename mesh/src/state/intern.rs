//! One shared copy of every text and record part that many workloads have in common.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::workloads::{Place, Profile};
use crate::identity::TrustDomain;
use crate::names::{NamespacedHostname, NamespacedName};

/// Shared values of one sort. Those that nobody uses any more are dropped in sweeps, one for as many
/// changes as a quarter of the values there are: a change pays for a look at four of them.
struct Pool<T: ?Sized> {
    values: HashSet<Arc<T>, RandomState>,
    /// Size, or number of releases, at which the next sweep is due.
    sweep_at: usize,
    released: usize,
}

const SMALLEST_SWEEP: usize = 1024;

impl<T: ?Sized + Eq + Hash> Pool<T> {
    fn new() -> Self {
        Self {
            values: HashSet::default(),
            sweep_at: SMALLEST_SWEEP,
            released: 0,
        }
    }

    fn share(&mut self, value: Arc<T>) -> Arc<T> {
        if let Some(shared) = self.values.get(&*value) {
            return Arc::clone(shared);
        }
        self.values.insert(Arc::clone(&value));
        if self.values.len() >= self.sweep_at {
            self.sweep();
        }
        value
    }

    fn release(&mut self, count: usize) {
        self.released += count;
        if self.released >= (self.values.len() / 4).max(SMALLEST_SWEEP) {
            self.sweep();
        }
    }

    fn sweep(&mut self) {
        self.values.retain(|value| Arc::strong_count(value) > 1);
        self.values.shrink_to(self.values.len() * 2);
        self.sweep_at = (self.values.len() * 2).max(SMALLEST_SWEEP);
        self.released = 0;
    }
}

/// The writer's pools.
pub(super) struct Interner {
    texts: Pool<str>,
    trust_domains: Pool<TrustDomain>,
    services: Pool<NamespacedHostname>,
    policies: Pool<NamespacedName>,
    profiles: Pool<Profile>,
    places: Pool<Place>,
}

impl Interner {
    pub(super) fn new() -> Self {
        Self {
            texts: Pool::new(),
            trust_domains: Pool::new(),
            services: Pool::new(),
            policies: Pool::new(),
            profiles: Pool::new(),
            places: Pool::new(),
        }
    }

    pub(super) fn text(&mut self, text: &Arc<str>) -> Arc<str> {
        self.texts.share(Arc::clone(text))
    }

    pub(super) fn trust_domain(&mut self, trust_domain: &TrustDomain) -> TrustDomain {
        if let Some(shared) = self.trust_domains.values.get(trust_domain) {
            return TrustDomain::clone(shared);
        }
        TrustDomain::clone(&self.trust_domains.share(Arc::new(trust_domain.clone())))
    }

    /// As long as anything uses a service's key there is only one copy of it, so keys may be
    /// compared by address.
    pub(super) fn service(&mut self, key: &NamespacedHostname) -> Arc<NamespacedHostname> {
        if let Some(shared) = self.services.values.get(key) {
            return Arc::clone(shared);
        }
        let key = NamespacedHostname {
            namespace: self.text(&key.namespace),
            hostname: Arc::clone(&key.hostname),
        };
        self.services.share(Arc::new(key))
    }

    pub(super) fn policy(&mut self, key: &NamespacedName) -> Arc<NamespacedName> {
        if let Some(shared) = self.policies.values.get(key) {
            return Arc::clone(shared);
        }
        self.policies.share(Arc::new(key.clone()))
    }

    pub(super) fn profile(&mut self, profile: Profile) -> Arc<Profile> {
        if let Some(shared) = self.profiles.values.get(&profile) {
            return Arc::clone(shared);
        }
        self.profiles.share(Arc::new(profile))
    }

    pub(super) fn place(&mut self, place: Place) -> Arc<Place> {
        if let Some(shared) = self.places.values.get(&place) {
            return Arc::clone(shared);
        }
        self.places.share(Arc::new(place))
    }

    /// Notes that `count` records went away, which may leave shared values without users.
    pub(super) fn released(&mut self, count: usize) {
        self.profiles.release(count);
        self.places.release(count);
        self.services.release(count);
        self.policies.release(count);
        self.trust_domains.release(count);
        self.texts.release(count);
    }

    /// How many values are held, for tests of churn.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.texts.values.len()
            + self.services.values.len()
            + self.policies.values.len()
            + self.profiles.values.len()
            + self.places.values.len()
    }
}
