//! Endpoints of a service: grouped by what its balancing compares, weighted, changed one at a time.

use std::sync::Arc;

use foldhash::fast::RandomState;

use super::records::Record;
use super::trie::{Trie, Weigh};
use super::{ServiceId, WorkloadId, hash};
use crate::identity::Identity;
use crate::model::{Health, HealthPolicy, LoadBalancing, Mode, Scope, Service};
use crate::names::NamespacedHostname;

/// A service with its endpoints. Endpoints may be there before the service is: it is staged then,
/// and nobody can find it (contract: endpoint before its service).
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: ServiceId,
    pub(super) key: Arc<NamespacedHostname>,
    pub(super) definition: Option<Arc<Definition>>,
    /// Endpoints that may be chosen, by the values of the scopes that the service's balancing names:
    /// one group when it names none, so that a choice walks down one trie whatever their number, and
    /// one event copies one path of it.
    groups: Trie<Arc<Group>>,
    /// Endpoints left out for their health; kept because the service's health policy may change.
    left_out: Trie<Endpoint>,
}

impl Weigh for Arc<Entry> {}

/// What the service itself says.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) service: Service,
    /// Those of its alternative names that are identities.
    pub(super) identities: Box<[Identity]>,
}

/// Endpoints alike in everything the service's balancing compares.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) key: GroupKey,
    pub(super) endpoints: Trie<Endpoint>,
}

impl Weigh for Arc<Group> {
    fn weight(&self) -> u64 {
        self.endpoints.weight()
    }
}

/// A workload's share in a service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint {
    pub(super) workload: WorkloadId,
    capacity: u32,
}

impl Weigh for Endpoint {
    fn weight(&self) -> u64 {
        self.capacity.into()
    }
}

/// Values of the scopes in use; empty where a scope is not in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct GroupKey {
    pub(super) network: Arc<str>,
    pub(super) cluster: Arc<str>,
    pub(super) region: Arc<str>,
    pub(super) zone: Arc<str>,
    pub(super) subzone: Arc<str>,
    pub(super) node: Arc<str>,
}

impl GroupKey {
    /// What `balancing` compares of a workload.
    fn of(record: &Record, balancing: &LoadBalancing) -> Self {
        let mut key = Self::default();
        let place = record.place();
        for scope in scopes_in_use(balancing) {
            let (part, value) = match scope {
                Scope::Region => (&mut key.region, &place.locality.region),
                Scope::Zone => (&mut key.zone, &place.locality.zone),
                Scope::Subzone => (&mut key.subzone, &place.locality.subzone),
                Scope::Node => (&mut key.node, &place.node),
                Scope::Cluster => (&mut key.cluster, record.cluster()),
                Scope::Network => (&mut key.network, record.network()),
            };
            *part = Arc::clone(value);
        }
        key
    }
}

/// Scopes that count: none unless the mode is one that compares them.
pub(super) fn scopes_in_use(balancing: &LoadBalancing) -> &[Scope] {
    match balancing.mode {
        Mode::Strict | Mode::Failover => &balancing.scopes,
        Mode::Unspecified | Mode::Passthrough => &[],
    }
}

impl Definition {
    pub(super) fn new(service: Service) -> Self {
        let identities = service
            .subject_alt_names
            .iter()
            .filter_map(|text| Identity::parse(text).ok())
            .collect();
        Self {
            service,
            identities,
        }
    }
}

impl Entry {
    pub(super) fn new(id: ServiceId, key: Arc<NamespacedHostname>) -> Self {
        Self {
            id,
            key,
            definition: None,
            groups: Trie::default(),
            left_out: Trie::default(),
        }
    }

    pub(super) fn groups(&self) -> &Trie<Arc<Group>> {
        &self.groups
    }

    /// How endpoints are chosen; the default while the service is not there yet.
    fn balancing(&self) -> LoadBalancing {
        match &self.definition {
            Some(definition) => definition.service.load_balancing.clone(),
            None => LoadBalancing::default(),
        }
    }

    /// Neither service nor endpoints: nothing to keep.
    pub(super) fn is_empty(&self) -> bool {
        self.definition.is_none() && self.groups.is_empty() && self.left_out.is_empty()
    }

    /// Adds a workload, or leaves it out for its health.
    pub(super) fn add(&mut self, id: WorkloadId, record: &Record, hasher: &RandomState) {
        let balancing = self.balancing();
        let endpoint = Endpoint {
            workload: id,
            capacity: record.capacity(),
        };
        if record.health() == Health::Unhealthy && balancing.health == HealthPolicy::OnlyHealthy {
            self.left_out.insert(id.0, endpoint);
            return;
        }
        let key = GroupKey::of(record, &balancing);
        let hash = hash(hasher, &key);
        let added = self.groups.update(
            hash,
            |group| group.key == key,
            |group| {
                Arc::make_mut(group).endpoints.insert(id.0, endpoint);
            },
        );
        if !added {
            let mut endpoints = Trie::default();
            endpoints.insert(id.0, endpoint);
            self.groups.insert(hash, Arc::new(Group { key, endpoints }));
        }
    }

    /// Takes a workload out; `record` is the one it was added with.
    pub(super) fn remove(&mut self, id: WorkloadId, record: &Record, hasher: &RandomState) {
        if self.left_out.remove(id.0, |it| it.workload == id).is_some() {
            return;
        }
        let key = GroupKey::of(record, &self.balancing());
        let hash = hash(hasher, &key);
        let mut is_last = false;
        self.groups.update(
            hash,
            |group| group.key == key,
            |group| {
                let group = Arc::make_mut(group);
                group.endpoints.remove(id.0, |it| it.workload == id);
                is_last = group.endpoints.is_empty();
            },
        );
        if is_last {
            self.groups.remove(hash, |group| group.key == key);
        }
    }

    /// Replaces what the service says of itself. Endpoints stay; they are grouped anew only when the
    /// balancing is another one.
    pub(super) fn define<'a>(
        &mut self,
        definition: Option<Arc<Definition>>,
        record_of: impl Fn(WorkloadId) -> Option<&'a Arc<Record>>,
        hasher: &RandomState,
    ) {
        let before = self.balancing();
        self.definition = definition;
        if self.balancing() == before {
            return;
        }
        let groups = std::mem::take(&mut self.groups);
        let left_out = std::mem::take(&mut self.left_out);
        let grouped = groups.iter().flat_map(|group| group.endpoints.iter());
        for endpoint in grouped.chain(left_out.iter()) {
            if let Some(record) = record_of(endpoint.workload) {
                self.add(endpoint.workload, record, hasher);
            }
        }
    }
}
