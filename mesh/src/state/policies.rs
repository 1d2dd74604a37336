//! Which policies apply to a workload.

use std::sync::Arc;

use foldhash::fast::RandomState;

use super::hash;
use super::rejected::Rejected;
use super::trie::{Trie, Weigh};
use super::workloads::WorkloadView;
use crate::model::{Policy, PolicyScope};
use crate::names::NamespacedName;

impl Weigh for Arc<Policy> {}
impl Weigh for Arc<Scoped> {}

/// Policies that apply without being named, together.
#[derive(Debug)]
struct Scoped {
    /// `None`: to all workloads.
    namespace: Option<Arc<str>>,
    /// By key.
    policies: Vec<Arc<Policy>>,
}

/// All policies, by key and by what they apply to.
#[derive(Clone, Debug, Default)]
pub(super) struct Policies {
    by_key: Trie<Arc<Policy>>,
    scoped: Trie<Arc<Scoped>>,
}

/// What applies to one workload (contract: applicable set). Empty `missing` means all is known.
#[derive(Clone, Copy, Debug)]
pub struct PolicySet<'a> {
    policies: &'a Policies,
    rejected: &'a Rejected,
    workload: WorkloadView<'a>,
    hasher: &'a RandomState,
}

impl<'a> PolicySet<'a> {
    pub(super) fn new(
        policies: &'a Policies,
        rejected: &'a Rejected,
        workload: WorkloadView<'a>,
        hasher: &'a RandomState,
    ) -> Self {
        Self {
            policies,
            rejected,
            workload,
            hasher,
        }
    }

    /// Policies of the mesh, of the workload's namespace, and those that the workload names; each
    /// once, in a fixed order.
    pub fn found(self) -> impl Iterator<Item = &'a Policy> {
        let namespace = self.workload.namespace();
        let everywhere = self.policies.scoped(None, self.hasher);
        let here = self.policies.scoped(Some(namespace), self.hasher);
        let is_scoped = |policy: &Policy| match policy.scope {
            PolicyScope::Global => true,
            PolicyScope::Namespace => policy.key.namespace == *namespace,
            PolicyScope::WorkloadSelector => false,
        };
        let named = self
            .workload
            .policies()
            .filter_map(move |key| self.policies.get(key, self.hasher))
            .filter(move |policy| !is_scoped(policy));
        everywhere
            .iter()
            .chain(here)
            .map(|policy| &**policy)
            .chain(named)
    }

    /// Policies that the workload names and that have not arrived. New connections wait for them and
    /// are then refused: no policy, no admission.
    pub fn missing(self) -> impl Iterator<Item = &'a NamespacedName> {
        let policies = self.workload.policies();
        policies.filter(move |key| self.policies.get(key, self.hasher).is_none())
    }
}

impl<'a> PolicySet<'a> {
    /// The resource name of a policy that may apply to the workload, could not be read and has no earlier
    /// version. New connections are refused: what it says might refuse them.
    pub fn rejected(self) -> Option<&'a str> {
        if self.rejected.len() == 0 {
            return None;
        }
        let named = || {
            let mut missing = self.missing();
            missing.find_map(|key| self.rejected.name(&key.to_string()))
        };
        self.rejected
            .reaching(self.workload.namespace())
            .or_else(named)
    }
}

fn key_hash(key: &NamespacedName, hasher: &RandomState) -> u32 {
    hash(hasher, &(&*key.namespace, &*key.name))
}

impl Policies {
    pub(super) fn get(&self, key: &NamespacedName, hasher: &RandomState) -> Option<&Policy> {
        self.by_key
            .get(key_hash(key, hasher), |it| it.key == *key)
            .map(|it| &**it)
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.by_key.iter().map(|it| &**it)
    }

    /// Says whether anything changed.
    pub(super) fn put(&mut self, policy: Policy, hasher: &RandomState) -> bool {
        if self.get(&policy.key, hasher) == Some(&policy) {
            return false;
        }
        self.remove(&policy.key, hasher);
        let policy = Arc::new(policy);
        self.by_key
            .insert(key_hash(&policy.key, hasher), Arc::clone(&policy));
        if let Some(namespace) = scope_of(&policy) {
            self.rescope(namespace, hasher, |policies| {
                let at = policies.partition_point(|it| it.key < policy.key);
                policies.insert(at, policy);
            });
        }
        true
    }

    /// Says whether anything changed.
    pub(super) fn remove(&mut self, key: &NamespacedName, hasher: &RandomState) -> bool {
        let Some(gone) = self
            .by_key
            .remove(key_hash(key, hasher), |it| it.key == *key)
        else {
            return false;
        };
        if let Some(namespace) = scope_of(&gone) {
            self.rescope(namespace, hasher, |policies| {
                policies.retain(|it| it.key != *key)
            });
        }
        true
    }

    fn scoped(&self, namespace: Option<&Arc<str>>, hasher: &RandomState) -> &[Arc<Policy>] {
        let hash = hash(hasher, &namespace);
        match self
            .scoped
            .get(hash, |it| it.namespace.as_ref() == namespace)
        {
            Some(scoped) => &scoped.policies,
            None => &[],
        }
    }

    fn rescope(
        &mut self,
        namespace: Option<Arc<str>>,
        hasher: &RandomState,
        change: impl FnOnce(&mut Vec<Arc<Policy>>),
    ) {
        let hash = hash(hasher, &namespace.as_ref());
        let before = self.scoped.remove(hash, |it| it.namespace == namespace);
        let mut policies = before.map(|it| it.policies.clone()).unwrap_or_default();
        change(&mut policies);
        if !policies.is_empty() {
            self.scoped.insert(
                hash,
                Arc::new(Scoped {
                    namespace,
                    policies,
                }),
            );
        }
    }
}

/// Among which policies one stands that needs no naming: `Some(None)` for all workloads.
fn scope_of(policy: &Policy) -> Option<Option<Arc<str>>> {
    match policy.scope {
        PolicyScope::Global => Some(None),
        PolicyScope::Namespace => Some(Some(Arc::clone(&policy.key.namespace))),
        PolicyScope::WorkloadSelector => None,
    }
}
