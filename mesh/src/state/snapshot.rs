//! One state of the mesh: its indexes, and what is found by id.

use std::sync::Arc;

use foldhash::fast::RandomState;

use super::endpoints::Entry;
use super::policies::{Policies, PolicySet};
use super::records::Record;
use super::rejected::Rejected;
use super::services::ServiceView;
use super::trie::Trie;
use super::workloads::WorkloadView;
use super::{ServiceId, Settings, WorkloadId, hash};
use crate::identity::Identity;
use crate::model::{Policy, Reach};
use crate::names::{NamespacedHostname, NamespacedName};

/// One state of the mesh. Cheap to keep, never changes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) settings: Arc<Settings>,
    pub(super) hasher: RandomState,
    pub(super) version: u64,
    pub(super) policy_version: u64,
    pub(super) knows_policies: bool,
    /// By id.
    pub(super) workloads: Trie<Arc<Record>>,
    pub(super) by_uid: Trie<WorkloadId>,
    /// By network and address; several workloads may have one address.
    pub(super) by_address: Trie<WorkloadId>,
    /// Workloads without address, by host name.
    pub(super) by_hostname: Trie<WorkloadId>,
    /// Workloads of this node (or of none), by namespace and name.
    pub(super) local: Trie<WorkloadId>,
    /// By id; staged ones among them.
    pub(super) services: Trie<Arc<Entry>>,
    pub(super) by_key: Trie<ServiceId>,
    /// By network, virtual address and prefix length.
    pub(super) by_virtual_address: Trie<ServiceId>,
    pub(super) by_service_hostname: Trie<ServiceId>,
    /// Prefix lengths in use, longest first, with the number of ranges.
    pub(super) prefixes: Arc<[(u8, usize)]>,
    pub(super) policies: Policies,
    /// What could not be read and has no earlier version.
    pub(super) rejected: Arc<Rejected>,
}

impl Snapshot {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings: Arc::new(settings),
            hasher: RandomState::default(),
            version: 0,
            policy_version: 0,
            knows_policies: false,
            workloads: Trie::default(),
            by_uid: Trie::default(),
            by_address: Trie::default(),
            by_hostname: Trie::default(),
            local: Trie::default(),
            services: Trie::default(),
            by_key: Trie::default(),
            by_virtual_address: Trie::default(),
            by_service_hostname: Trie::default(),
            prefixes: Arc::default(),
            policies: Policies::default(),
            rejected: Arc::default(),
        }
    }

    /// Number of the batch that made this snapshot.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Number of the last batch that changed a policy or which policies a workload names; live
    /// connections are decided again when it moves.
    pub fn policy_version(&self) -> u64 {
        self.policy_version
    }

    /// Whether the controller has said which policies there are. Before, that none is found means
    /// nothing: policies of the mesh and of namespaces are named by no workload.
    pub fn knows_policies(&self) -> bool {
        self.knows_policies
    }

    /// The network this proxy is on.
    pub fn network(&self) -> &str {
        &self.settings.network
    }

    /// The workload of an id, unless it is gone.
    pub fn workload(&self, id: WorkloadId) -> Option<WorkloadView<'_>> {
        let record = self.workloads.get(id.0, |_| true)?;
        Some(WorkloadView { id, record })
    }

    /// The service of an id, unless it is gone.
    pub fn service(&self, id: ServiceId) -> Option<ServiceView<'_>> {
        let entry = self.services.get(id.0, |_| true)?;
        let definition = entry.definition.as_deref()?;
        Some(ServiceView { entry, definition })
    }

    /// Every workload, in no particular order.
    pub fn workloads(&self) -> impl Iterator<Item = WorkloadView<'_>> {
        self.by_uid.iter().filter_map(|id| self.workload(*id))
    }

    /// Every service, in no particular order.
    pub fn services(&self) -> impl Iterator<Item = ServiceView<'_>> {
        self.by_key.iter().filter_map(|id| self.service(*id))
    }

    /// Services that endpoints name and that have not arrived.
    pub fn staged_services(&self) -> impl Iterator<Item = &NamespacedHostname> {
        self.services
            .iter()
            .filter(|entry| entry.definition.is_none())
            .map(|entry| &*entry.key)
    }

    /// Every policy, in no particular order.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.policies.iter()
    }

    /// Number of workloads.
    pub fn workload_count(&self) -> usize {
        self.by_uid.len()
    }

    /// Number of policies.
    pub fn policy_count(&self) -> usize {
        self.policies.len()
    }

    /// Policies that could not be read and have no earlier version, by resource name.
    pub fn rejected_policies(&self) -> impl Iterator<Item = (&str, &Reach)> {
        self.rejected.iter()
    }

    /// Number of them.
    pub fn rejected_policy_count(&self) -> usize {
        self.rejected.len()
    }

    /// Policies that apply to a workload.
    pub fn policies_for(&self, id: WorkloadId) -> Option<PolicySet<'_>> {
        let workload = self.workload(id)?;
        Some(PolicySet::new(
            &self.policies,
            &self.rejected,
            workload,
            &self.hasher,
        ))
    }

    /// A policy by name.
    pub fn policy(&self, key: &NamespacedName) -> Option<&Policy> {
        self.policies.get(key, &self.hasher)
    }

    /// Identities that a workload may prove: its own, and the alternative ones of its services
    /// (contract: SPIFFE checks of a tunnel's client).
    pub fn expected_identities(&self, workload: WorkloadView<'_>) -> Vec<Identity> {
        let mut identities = vec![workload.identity().clone()];
        for membership in workload.record.memberships() {
            let key = &membership.service;
            let service = self
                .id_of_key(&key.namespace, &key.hostname)
                .and_then(|id| self.service(id));
            identities.extend(service.iter().flat_map(|it| it.identities()).cloned());
        }
        identities
    }

    pub(super) fn id_of_uid(&self, uid: &str) -> Option<WorkloadId> {
        let is_it = |id: &WorkloadId| self.workload(*id).is_some_and(|it| it.uid() == uid);
        self.by_uid.get(hash(&self.hasher, &uid), is_it).copied()
    }

    /// Also of a staged service.
    pub(super) fn id_of_key(&self, namespace: &str, hostname: &str) -> Option<ServiceId> {
        let is_it = |id: &ServiceId| {
            self.services.get(id.0, |_| true).is_some_and(|entry| {
                *entry.key.namespace == *namespace && *entry.key.hostname == *hostname
            })
        };
        self.by_key
            .get(hash(&self.hasher, &(namespace, hostname)), is_it)
            .copied()
    }
}
