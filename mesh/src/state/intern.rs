//! One shared copy of every value that many records have in common.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::identity::TrustDomain;
use crate::names::{NamespacedHostname, NamespacedName};

/// Shared values of one sort. Those that nobody uses any more are dropped in sweeps, one for as many
/// changes as a quarter of the values there are: a change pays for a look at four of them.
pub(super) struct Pool<T: ?Sized> {
    values: HashSet<Arc<T>, RandomState>,
    /// Size at which the next sweep is due.
    sweep_at: usize,
    /// Changes since the last sweep.
    released: usize,
}

const SMALLEST_SWEEP: usize = 1024;

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self {
            values: HashSet::default(),
            sweep_at: SMALLEST_SWEEP,
            released: 0,
        }
    }
}

impl<T: Eq + Hash> Pool<T> {
    /// The shared copy of a value.
    pub(super) fn share(&mut self, value: T) -> Arc<T> {
        match self.values.get(&value) {
            Some(shared) => Arc::clone(shared),
            None => self.add(Arc::new(value)),
        }
    }
}

impl<T: ?Sized + Eq + Hash> Pool<T> {
    /// The shared copy of a value, which may become this one.
    fn share_arc(&mut self, value: &Arc<T>) -> Arc<T> {
        match self.values.get(&**value) {
            Some(shared) => Arc::clone(shared),
            None => self.add(Arc::clone(value)),
        }
    }

    fn add(&mut self, value: Arc<T>) -> Arc<T> {
        self.values.insert(Arc::clone(&value));
        if self.values.len() >= self.sweep_at {
            self.sweep();
        }
        value
    }

    /// Notes that `count` changes may have left values without users.
    pub(super) fn release(&mut self, count: usize) {
        self.released += count;
        if self.released >= (self.values.len() / 4).max(SMALLEST_SWEEP) {
            self.sweep();
        }
    }

    fn sweep(&mut self) {
        // Only this pool can hand out further copies, so one that it holds alone stays so.
        self.values.retain(|value| Arc::strong_count(value) > 1);
        self.values.shrink_to(self.values.len() * 2);
        self.sweep_at = (self.values.len() * 2).max(SMALLEST_SWEEP);
        self.released = 0;
    }

    /// How many values are held, for tests of churn.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}

/// Texts, and names made of them.
#[derive(Default)]
pub(super) struct Names {
    texts: Pool<str>,
    trust_domains: Pool<TrustDomain>,
    services: Pool<NamespacedHostname>,
    policies: Pool<NamespacedName>,
}

impl Names {
    pub(super) fn text(&mut self, text: &Arc<str>) -> Arc<str> {
        self.texts.share_arc(text)
    }

    pub(super) fn trust_domain(&mut self, trust_domain: &TrustDomain) -> TrustDomain {
        TrustDomain::clone(&self.trust_domains.share(trust_domain.clone()))
    }

    /// As long as anything uses a service's key there is only one copy of it, so keys may be
    /// compared by address.
    pub(super) fn service(&mut self, key: &NamespacedHostname) -> Arc<NamespacedHostname> {
        let namespace = self.text(&key.namespace);
        self.services.share(NamespacedHostname {
            namespace,
            hostname: Arc::clone(&key.hostname),
        })
    }

    pub(super) fn policy(&mut self, key: &NamespacedName) -> Arc<NamespacedName> {
        let namespace = self.text(&key.namespace);
        self.policies.share(NamespacedName {
            namespace,
            name: Arc::clone(&key.name),
        })
    }

    pub(super) fn release(&mut self, count: usize) {
        self.services.release(count);
        self.policies.release(count);
        self.trust_domains.release(count);
        self.texts.release(count);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.texts.len() + self.trust_domains.len() + self.services.len() + self.policies.len()
    }
}
