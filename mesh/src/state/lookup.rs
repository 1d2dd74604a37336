//! Pure. Questions by address, name and id; the answer is found, absent or ask for it.

use std::net::IpAddr;

use foldhash::fast::RandomState;

use super::services::ServiceView;
use super::snapshot::Snapshot;
use super::workloads::WorkloadView;
use super::{ServiceId, WorkloadId, hash};
use crate::model::ServiceAddress;
use crate::names::NamespacedHostname;

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

impl Snapshot {
    /// What `address` on `network` leads to, for a client of `client_namespace`: a workload's own
    /// address first, then a virtual address, then a range. Source: contract, record look-ups and
    /// tie-breaks, docs/compat.md#lookup.
    ///
    /// On demand a range that is known says nothing of what else bears an address inside, which may
    /// come before it: it counts only once the name of the address is among those `answered`.
    pub fn find_address(
        &self,
        network: &str,
        address: IpAddr,
        client_namespace: &str,
        answered: &[Box<str>],
    ) -> Lookup<Hit> {
        let address = address.to_canonical();
        if let Some(workload) = self.workload_by_address(network, address) {
            return Lookup::Found(Hit::Workload(workload.id()));
        }
        let found = |service: ServiceView<'_>| Lookup::Found(Hit::Service(service.id()));
        let exact = self.service_by_virtual_address(network, address, Some(client_namespace));
        if let Some(service) = exact {
            return found(service);
        }
        let name = || format!("{network}/{address}");
        match self.service_by_range(network, address, client_namespace) {
            Some(service) if !self.settings.on_demand => found(service),
            Some(service) if answered.contains(&name().into()) => found(service),
            Some(_) | None => self.unknown(name),
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
    /// first, then the canonical one, then that of [`super::Settings::preferred_namespace`].
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
            .min_by_key(|it| {
                let is_preferred = *it.key().namespace == *self.settings.preferred_namespace;
                (preference(*it, client_namespace), !is_preferred, it.key())
            })
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

    /// The service that has an address to itself, for a client of that namespace; without one, whoever may see it.
    pub fn service_by_virtual_address<'a>(
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
