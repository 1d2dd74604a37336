//! Pure. Questions by address, name and id; the answer is found, absent or ask for it.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::policies::{Policies, PolicySet};
use super::services::{Entry, ServiceView};
use super::store::Settings;
use super::trie::Trie;
use super::workloads::{Record, WorkloadView};
use super::{ServiceId, WorkloadId, hash};
use crate::identity::Identity;
use crate::model::{Policy, ServiceAddress};
use crate::names::{NamespacedHostname, NamespacedName};

/// Answer to a question about the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// It is there.
    Found(T),
    /// It is not, and the whole mesh is known.
    Absent,
    /// Not known here; subscribe to this name, wait for an answer to it, and ask again. Who has had
    /// the answer already takes this as absent. Only in on-demand mode.
    Ask(Box<str>),
}

impl<T> Lookup<T> {
    /// What was found.
    pub fn found(self) -> Option<T> {
        match self {
            Self::Found(it) => Some(it),
            Self::Absent | Self::Ask(_) => None,
        }
    }
}

/// What an address leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// A workload's own address.
    Workload(WorkloadId),
    /// A virtual address.
    Service(ServiceId),
}

/// One state of the mesh. Cheap to keep, never changes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) settings: Arc<Settings>,
    pub(super) hasher: RandomState,
    pub(super) version: u64,
    pub(super) policy_version: u64,
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
}

impl Snapshot {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings: Arc::new(settings),
            hasher: RandomState::default(),
            version: 0,
            policy_version: 0,
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

    /// What `address` on `network` leads to, for a client of `client_namespace`: a workload's own
    /// address first, then a virtual address, then a range. Source: contract, record look-ups and
    /// tie-breaks, docs/compat.md#lookups.
    pub fn find_address(
        &self,
        network: &str,
        address: IpAddr,
        client_namespace: &str,
    ) -> Lookup<Hit> {
        let address = address.to_canonical();
        if let Some(workload) = self.workload_by_address(network, address) {
            return Lookup::Found(Hit::Workload(workload.id()));
        }
        let service = self
            .service_by_virtual_address(network, address, Some(client_namespace))
            .or_else(|| self.service_by_range(network, address, client_namespace));
        match service {
            Some(service) => Lookup::Found(Hit::Service(service.id())),
            None => self.unknown(|| format!("{network}/{address}")),
        }
    }

    /// The workload of a uid.
    pub fn workload_by_uid(&self, uid: &str) -> Lookup<WorkloadView<'_>> {
        match self.id_of_uid(uid).and_then(|id| self.workload(id)) {
            Some(workload) => Lookup::Found(workload),
            None => self.unknown(|| uid.to_owned()),
        }
    }

    /// A workload of this node by what the node agent says of it. Not in the mesh's picture yet: wait
    /// for the next snapshot.
    pub fn find_workload(
        &self,
        namespace: &str,
        name: &str,
        service_account: &str,
    ) -> Option<WorkloadView<'_>> {
        let hash = hash(&self.hasher, &(namespace, name));
        let candidates = self
            .local
            .with_hash(hash)
            .filter_map(|id| self.workload(*id));
        let same = |it: &WorkloadView<'_>| {
            **it.namespace() == *namespace
                && it.name() == name
                && **it.service_account() == *service_account
        };
        // Several clusters may have a pod of that name on a node of that name.
        candidates.filter(same).min_by_key(|it| it.uid())
    }

    /// Workloads of this node, in no particular order: whose certificates will be needed.
    pub fn local_workloads(&self) -> impl Iterator<Item = WorkloadView<'_>> {
        self.local.iter().filter_map(|id| self.workload(*id))
    }

    /// A service by namespace and host name.
    pub fn service_by_name(&self, key: &NamespacedHostname) -> Lookup<ServiceView<'_>> {
        let service = self
            .id_of_key(&key.namespace, &key.hostname)
            .and_then(|id| self.service(id));
        match service {
            Some(service) => Lookup::Found(service),
            None => self.unknown(|| key.to_string()),
        }
    }

    /// A service by host name alone, as a client of `client_namespace` sees it: its own namespace's
    /// first, then the canonical one.
    pub fn service_by_hostname(
        &self,
        hostname: &str,
        client_namespace: &str,
    ) -> Option<ServiceView<'_>> {
        let hash = hash(&self.hasher, &hostname);
        let candidates = self.by_service_hostname.with_hash(hash);
        candidates
            .filter_map(|id| self.service(*id))
            .filter(|it| *it.key().hostname == *hostname && it.is_visible_to(client_namespace))
            .min_by_key(|it| (preference(*it, client_namespace), it.key()))
    }

    /// A workload that is reached by host name.
    pub fn workload_by_hostname(&self, hostname: &str) -> Option<WorkloadView<'_>> {
        let hash = hash(&self.hasher, &hostname);
        let candidates = self.by_hostname.with_hash(hash);
        candidates
            .filter_map(|id| self.workload(*id))
            .filter(|it| it.hostname() == hostname)
            .min_by_key(|it| it.uid())
    }

    /// The workload that owns an address; of several the best by rank, then by uid.
    pub fn workload_by_address(&self, network: &str, address: IpAddr) -> Option<WorkloadView<'_>> {
        let hash = hash(&self.hasher, &(network, address));
        let candidates = self.by_address.with_hash(hash);
        candidates
            .filter_map(|id| self.workload(*id))
            .filter(|it| **it.network() == *network && it.addresses().any(|own| own == address))
            .min_by_key(|it| (std::cmp::Reverse(it.address_rank()), it.uid()))
    }

    /// Policies that apply to a workload.
    pub fn policies_for(&self, id: WorkloadId) -> Option<PolicySet<'_>> {
        let workload = self.workload(id)?;
        Some(PolicySet::new(&self.policies, workload, &self.hasher))
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

    /// For a client of that namespace; without one, whoever may see it.
    pub(super) fn service_by_virtual_address<'a>(
        &'a self,
        network: &'a str,
        address: IpAddr,
        client_namespace: Option<&str>,
    ) -> Option<ServiceView<'a>> {
        self.services_at(network, address, None)
            .filter(|it| client_namespace.is_none_or(|client| it.is_visible_to(client)))
            .min_by_key(|it| {
                (
                    preference(*it, client_namespace.unwrap_or_default()),
                    it.key(),
                )
            })
    }

    /// The client's own namespace first, then the longest prefix, then the canonical one.
    fn service_by_range<'a>(
        &'a self,
        network: &'a str,
        address: IpAddr,
        client_namespace: &str,
    ) -> Option<ServiceView<'a>> {
        let candidates = self.prefixes.iter().flat_map(|(prefix, _)| {
            let first = masked(address, *prefix);
            let services = first.map(|first| self.services_at(network, first, Some(*prefix)));
            services.into_iter().flatten().map(|it| (*prefix, it))
        });
        candidates
            .filter(|(_, it)| it.is_visible_to(client_namespace))
            .min_by_key(|(prefix, it)| {
                let is_foreign = *it.key().namespace != *client_namespace;
                (
                    is_foreign,
                    std::cmp::Reverse(*prefix),
                    !it.is_canonical(),
                    it.key(),
                )
            })
            .map(|(_, it)| it)
    }

    fn services_at<'a>(
        &'a self,
        network: &'a str,
        address: IpAddr,
        prefix: Option<u8>,
    ) -> impl Iterator<Item = ServiceView<'a>> {
        let hash = virtual_address_hash(&self.hasher, network, address, prefix);
        let is_it = move |own: &ServiceAddress| {
            own.prefix == prefix
                && *own.network == *network
                && prefix.map_or(Some(own.address), |it| masked(own.address, it)) == Some(address)
        };
        self.by_virtual_address
            .with_hash(hash)
            .filter_map(|id| self.service(*id))
            .filter(move |it| it.addresses().iter().any(is_it))
    }

    fn unknown<T>(&self, name: impl FnOnce() -> String) -> Lookup<T> {
        if self.settings.on_demand {
            Lookup::Ask(name().into())
        } else {
            Lookup::Absent
        }
    }
}

/// Smaller is better: own namespace, canonical, any.
fn preference(service: ServiceView<'_>, client_namespace: &str) -> u8 {
    if *service.key().namespace == *client_namespace {
        0
    } else if service.is_canonical() {
        1
    } else {
        2
    }
}

pub(super) fn virtual_address_hash(
    hasher: &RandomState,
    network: &str,
    address: IpAddr,
    prefix: Option<u8>,
) -> u32 {
    hash(hasher, &(network, address, prefix))
}

/// First address of the range of that length around `address`; `None` when no address is that long.
pub(super) fn masked(address: IpAddr, prefix: u8) -> Option<IpAddr> {
    ipnet::IpNet::new(address, prefix)
        .ok()
        .map(|range| range.network())
}
