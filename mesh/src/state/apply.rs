//! Applies changes to the writer's copy of the picture; nothing is seen by readers before the batch
//! is whole.

use std::sync::Arc;

use super::endpoints::{Definition, Entry};
use super::lookup::{masked, virtual_address_hash};
use super::records::{Record, Shared};
use super::snapshot::Snapshot;
use super::trie::Trie;
use super::workloads::WorkloadView;
use super::{Removal, ServiceId, Settings, WorkloadId, hash};
use crate::model::{Reach, Service, ServiceAddress, Workload};
use crate::names::{NamespacedHostname, NamespacedName};
use crate::wire::Update;

/// The writer's working copy and what readers need not see.
pub(super) struct Writer {
    pub(super) snapshot: Snapshot,
    shared: Shared,
    next_workload: u32,
    next_service: u32,
    /// A policy, or which policies a workload names, changed in this batch.
    policies_changed: bool,
}

impl Writer {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            shared: Shared::new(settings.keeps_labels),
            snapshot: Snapshot::new(settings),
            next_workload: 0,
            next_service: 0,
            policies_changed: false,
        }
    }

    /// One batch: removals, then updates, then policies that could not be read.
    pub(super) fn apply(
        &mut self,
        updates: impl IntoIterator<Item = Update>,
        removals: impl IntoIterator<Item = Removal>,
        rejected: impl IntoIterator<Item = (Box<str>, Reach)>,
    ) {
        self.policies_changed = false;
        let mut released = 0;
        for removal in removals {
            self.remove(&removal);
            released += 1;
        }
        for update in updates {
            match update {
                Update::Workload(workload) => self.put_workload(&workload),
                Update::Service(service) => self.put_service(*service),
                Update::Policy(policy) => {
                    self.accept(&policy.key.to_string());
                    let Snapshot {
                        policies, hasher, ..
                    } = &mut self.snapshot;
                    self.policies_changed |= policies.put(*policy, hasher);
                }
            }
            released += 1;
        }
        for (name, reach) in rejected {
            self.reject(&name, reach);
        }
        self.shared.released(released);
        self.snapshot.version += 1;
        if self.policies_changed {
            self.snapshot.policy_version = self.snapshot.version;
        }
    }

    /// A name of the Address type is tried as a uid and as a service (contract: client, removes).
    fn remove(&mut self, removal: &Removal) {
        match removal {
            Removal::Address(name) => {
                if let Some(id) = self.snapshot.id_of_uid(name) {
                    self.remove_workload(id);
                }
                if let Some(key) = NamespacedHostname::parse(name) {
                    self.remove_service(&key);
                }
            }
            Removal::Policy(name) => {
                self.accept(name);
                let Snapshot {
                    policies, hasher, ..
                } = &mut self.snapshot;
                if let Some(key) = NamespacedName::parse(name) {
                    self.policies_changed |= policies.remove(&key, hasher);
                }
            }
        }
    }

    /// A policy that could not be read. Where there is an earlier version, that one stays in force.
    fn reject(&mut self, name: &str, reach: Reach) {
        let has_earlier =
            NamespacedName::parse(name).is_some_and(|key| self.snapshot.policy(&key).is_some());
        if !has_earlier {
            Arc::make_mut(&mut self.snapshot.rejected).put(name, reach);
        }
    }

    /// It could be read after all, or is gone.
    fn accept(&mut self, name: &str) {
        if self.snapshot.rejected.name(name).is_some() {
            Arc::make_mut(&mut self.snapshot.rejected).remove(name);
        }
    }

    fn put_workload(&mut self, workload: &Workload) {
        let record = Arc::new(Record::new(workload, &mut self.shared));
        let Some(id) = self.snapshot.id_of_uid(&workload.uid.0) else {
            let id = self.new_workload_id();
            let hash = hash(&self.snapshot.hasher, &&*workload.uid.0);
            self.snapshot.workloads.insert(id.0, Arc::clone(&record));
            self.snapshot.by_uid.insert(hash, id);
            self.link(id, &record);
            return;
        };
        let Some(old) = self.snapshot.workloads.get(id.0, |_| true).cloned() else {
            return;
        };
        if old == record {
            return;
        }
        self.policies_changed |= !old.has_same_policies(&record);
        self.unlink(id, &old);
        self.snapshot
            .workloads
            .update(id.0, |_| true, |it| *it = Arc::clone(&record));
        self.link(id, &record);
    }

    fn remove_workload(&mut self, id: WorkloadId) {
        let Some(old) = self.snapshot.workloads.get(id.0, |_| true).cloned() else {
            return;
        };
        self.unlink(id, &old);
        let uid = WorkloadView { id, record: &old }.uid();
        let hash = hash(&self.snapshot.hasher, &uid);
        self.snapshot.by_uid.remove(hash, |it| *it == id);
        self.snapshot.workloads.remove(id.0, |_| true);
    }

    fn link(&mut self, id: WorkloadId, record: &Arc<Record>) {
        for (index, hash) in self.indexes(id, record) {
            index.of(&mut self.snapshot).insert(hash, id);
        }
        for membership in record.memberships() {
            let service = self.entry(&membership.service);
            let Snapshot {
                services, hasher, ..
            } = &mut self.snapshot;
            services.update(
                service.0,
                |_| true,
                |entry| {
                    Arc::make_mut(entry).add(id, record, hasher);
                },
            );
        }
    }

    fn unlink(&mut self, id: WorkloadId, record: &Record) {
        for (index, hash) in self.indexes(id, record) {
            index.of(&mut self.snapshot).remove(hash, |it| *it == id);
        }
        for membership in record.memberships() {
            let key = &membership.service;
            let Some(service) = self.snapshot.id_of_key(&key.namespace, &key.hostname) else {
                continue;
            };
            let Snapshot {
                services, hasher, ..
            } = &mut self.snapshot;
            services.update(
                service.0,
                |_| true,
                |entry| {
                    Arc::make_mut(entry).remove(id, record, hasher);
                },
            );
            self.drop_if_empty(service);
        }
    }

    /// Where a workload is to be found beside its uid.
    fn indexes(&self, id: WorkloadId, record: &Record) -> Vec<(Index, u32)> {
        let hasher = &self.snapshot.hasher;
        let view = WorkloadView { id, record };
        let mut indexes = Vec::with_capacity(4);
        if record.has_own_addresses() {
            let network: &str = view.network();
            let hashes = view.addresses().map(|it| hash(hasher, &(network, it)));
            indexes.extend(hashes.map(|hash| (Index::Address, hash)));
        }
        if !view.hostname().is_empty() {
            indexes.push((Index::Hostname, hash(hasher, &view.hostname())));
        }
        let here: &str = &self.snapshot.settings.node;
        if here.is_empty() || view.node().is_empty() || **view.node() == *here {
            let namespace: &str = view.namespace();
            indexes.push((Index::Local, hash(hasher, &(namespace, view.name()))));
        }
        indexes
    }

    fn put_service(&mut self, service: Service) {
        let id = self.entry(&service.key);
        let old = self.definition(id);
        if old.as_ref().is_some_and(|old| old.service == service) {
            return;
        }
        if let Some(old) = old {
            self.unlink_service(id, &old.service);
        }
        self.link_service(id, &service);
        self.define(id, Some(Arc::new(Definition::new(service))));
    }

    fn remove_service(&mut self, key: &NamespacedHostname) {
        let id = self.snapshot.id_of_key(&key.namespace, &key.hostname);
        if let Some((id, old)) = id.and_then(|id| Some((id, self.definition(id)?))) {
            self.unlink_service(id, &old.service);
            self.define(id, None);
            self.drop_if_empty(id);
        }
    }

    fn definition(&self, id: ServiceId) -> Option<Arc<Definition>> {
        self.snapshot
            .services
            .get(id.0, |_| true)?
            .definition
            .clone()
    }

    fn define(&mut self, id: ServiceId, definition: Option<Arc<Definition>>) {
        let Snapshot {
            services,
            workloads,
            hasher,
            ..
        } = &mut self.snapshot;
        services.update(
            id.0,
            |_| true,
            |entry| {
                let record_of = |id: WorkloadId| workloads.get(id.0, |_| true);
                Arc::make_mut(entry).define(definition, record_of, hasher);
            },
        );
    }

    fn link_service(&mut self, id: ServiceId, service: &Service) {
        for hash in virtual_addresses(&self.snapshot, service) {
            self.snapshot.by_virtual_address.insert(hash, id);
        }
        let hash = hash(&self.snapshot.hasher, &&*service.key.hostname);
        self.snapshot.by_service_hostname.insert(hash, id);
        self.count_prefixes(service, |count| count + 1);
    }

    fn unlink_service(&mut self, id: ServiceId, service: &Service) {
        for hash in virtual_addresses(&self.snapshot, service) {
            self.snapshot
                .by_virtual_address
                .remove(hash, |it| *it == id);
        }
        let hash = hash(&self.snapshot.hasher, &&*service.key.hostname);
        self.snapshot
            .by_service_hostname
            .remove(hash, |it| *it == id);
        self.count_prefixes(service, |count| count.saturating_sub(1));
    }

    /// Keeps the list of prefix lengths in use; at most 129 entries, and ranges are rare.
    fn count_prefixes(&mut self, service: &Service, change: impl Fn(usize) -> usize) {
        for prefix in service.addresses.iter().filter_map(|it| it.prefix) {
            let mut prefixes = self.snapshot.prefixes.to_vec();
            if !prefixes.iter().any(|(it, _)| *it == prefix) {
                prefixes.push((prefix, 0));
            }
            for (_, count) in prefixes.iter_mut().filter(|(it, _)| *it == prefix) {
                *count = change(*count);
            }
            prefixes.retain(|(_, count)| *count > 0);
            prefixes.sort_unstable_by_key(|(it, _)| std::cmp::Reverse(*it));
            self.snapshot.prefixes = prefixes.into();
        }
    }

    /// The service's entry, staged if it is not there yet.
    fn entry(&mut self, key: &NamespacedHostname) -> ServiceId {
        if let Some(id) = self.snapshot.id_of_key(&key.namespace, &key.hostname) {
            return id;
        }
        let id = self.new_service_id();
        let hash = hash(&self.snapshot.hasher, &(&*key.namespace, &*key.hostname));
        let key = self.shared.names.service(key);
        self.snapshot
            .services
            .insert(id.0, Arc::new(Entry::new(id, key)));
        self.snapshot.by_key.insert(hash, id);
        id
    }

    fn drop_if_empty(&mut self, id: ServiceId) {
        let entry = self.snapshot.services.get(id.0, |_| true);
        if let Some(entry) = entry.filter(|entry| entry.is_empty()) {
            let key = (&*entry.key.namespace, &*entry.key.hostname);
            let hash = hash(&self.snapshot.hasher, &key);
            self.snapshot.by_key.remove(hash, |it| *it == id);
            self.snapshot.services.remove(id.0, |_| true);
        }
    }

    /// Ids are not used again before all others were, so that a stale one finds nothing.
    fn new_workload_id(&mut self) -> WorkloadId {
        loop {
            self.next_workload = self.next_workload.wrapping_add(1);
            if self
                .snapshot
                .workloads
                .get(self.next_workload, |_| true)
                .is_none()
            {
                return WorkloadId(self.next_workload);
            }
        }
    }

    fn new_service_id(&mut self) -> ServiceId {
        loop {
            self.next_service = self.next_service.wrapping_add(1);
            if self
                .snapshot
                .services
                .get(self.next_service, |_| true)
                .is_none()
            {
                return ServiceId(self.next_service);
            }
        }
    }

    /// How many shared values are held, for tests of churn.
    #[cfg(test)]
    pub(super) fn interned(&self) -> usize {
        self.shared.len()
    }
}

/// An index of workloads that holds several per key.
#[derive(Clone, Copy)]
enum Index {
    Address,
    Hostname,
    Local,
}

impl Index {
    fn of(self, snapshot: &mut Snapshot) -> &mut Trie<WorkloadId> {
        match self {
            Self::Address => &mut snapshot.by_address,
            Self::Hostname => &mut snapshot.by_hostname,
            Self::Local => &mut snapshot.local,
        }
    }
}

fn virtual_addresses(snapshot: &Snapshot, service: &Service) -> Vec<u32> {
    let one = |it: &ServiceAddress| {
        let first = it
            .prefix
            .map_or(Some(it.address), |prefix| masked(it.address, prefix))?;
        Some(virtual_address_hash(
            &snapshot.hasher,
            &it.network,
            first,
            it.prefix,
        ))
    };
    service.addresses.iter().filter_map(one).collect()
}
