//! Recipe, in the one task that owns all objects: shelve, find what is dirty, recompute that, hand
//! the outcome on. Next hop: `resources`.
//!
//! Level-triggered: what is recomputed is computed from how things are, never from what changed, so
//! that any order of events ends in the same resources.

pub mod refresh;
pub mod for_waypoints;
pub mod policies;
pub mod guides;
pub mod links;
pub mod outcome;
pub mod allocator;
mod hosts;
mod discovery;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use mesh::model::{NetworkMode, Service, ServiceAddress, Workload};
use mesh::names::{NamespacedName, NetworkAddress};
use mesh::wire::{Update, address};
use objects::change::{Batch, Change, Class, Problem};
use objects::kinds::{Key, Kind};
use objects::object::Object;

use crate::metrics::Metrics;
use crate::problems::{Found, Problems};
use crate::resources::{Audience, Links, Upsert};
use crate::shelf::pointers::GATEWAY_NAME;
use crate::shelf::residents::{Resident, Residents};
use crate::shelf::{Replaced, Shelf};
use crate::status::Wish;
use crate::translate::Cluster;
use crate::translate::backend_tls;
use crate::translate::mesh_config::{self, MeshConfig};
use crate::translate::rule::Rule;
use crate::translate::status::Status;
use crate::translate::unread;
use crate::translate::virtual_service::retry;
use allocator::{Allocator, Prefixes};
use discovery::Aside;
use for_waypoints::ForWaypoints;
use guides::Guides;
use links::{Dirty, Output};
pub use outcome::{Changes, Outcome, Type};
use policies::Book;
use refresh::View;

/// What is fixed for the life of the process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Id of the cluster.
    pub cluster: Arc<str>,
    /// Domain of service host names.
    pub domain: Arc<str>,
    /// Namespace of the controller, of MeshConfig and of the network's label.
    pub system_namespace: Arc<str>,
    /// Where addresses of service entries are taken from.
    pub prefixes: Prefixes,
}

/// All objects, and what was made of them.
#[derive(Debug)]
pub struct Index {
    settings: Settings,
    shelf: Shelf,
    mesh_config: MeshConfig,
    cluster: Cluster,
    allocator: Allocator,
    aside: Aside,
    /// Names of the resources of outputs that may have several, or may lose them to another.
    made: HashMap<Output, Vec<(Type, String)>>,
    book: Book,
    guides: Guides,
    residents: Arc<RwLock<Residents>>,
    problems: Arc<Problems>,
    metrics: Metrics,
}

impl Index {
    /// An empty index.
    pub fn new(settings: Settings, problems: Arc<Problems>, metrics: Metrics) -> Self {
        let shelf = Shelf::default();
        let mesh_config = MeshConfig::default();
        let cluster = cluster(&settings, &shelf, &mesh_config);
        let book = Book::new(&cluster);
        Self {
            allocator: Allocator::new(settings.prefixes),
            settings,
            shelf,
            mesh_config,
            cluster,
            aside: Aside::default(),
            made: HashMap::new(),
            book,
            guides: Guides::default(),
            residents: Arc::default(),
            problems,
            metrics,
        }
    }

    /// Which pod runs where, kept up to date with every batch.
    pub fn residents(&self) -> Arc<RwLock<Residents>> {
        Arc::clone(&self.residents)
    }

    /// What was counted so far.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The mesh's settings in force.
    pub fn mesh_config(&self) -> &MeshConfig {
        &self.mesh_config
    }

    /// Facts of the cluster in force.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Takes a batch in and recomputes what depends on it, each output once.
    pub fn apply(&mut self, batch: Batch) -> Outcome {
        self.metrics.count_batch();
        self.note_problems(batch.problems, &batch.resolved);
        let mut dirty = Dirty::default();
        for change in batch.changes {
            self.take(change, &mut dirty);
        }
        let cluster = cluster(&self.settings, &self.shelf, &self.mesh_config);
        if cluster != self.cluster {
            links::everything(&self.shelf, &mut dirty);
            self.book.rebuild(&cluster, &self.shelf, &mut dirty);
            self.cluster = cluster;
        }
        for entry in self.allocator.settle() {
            dirty.add(Output::ServiceEntry(entry));
        }
        links::attached(&self.shelf, &self.cluster, &mut dirty);
        self.refresh(dirty)
    }

    /// Takes one change in, unless its namespace is not looked at.
    fn take(&mut self, mut change: Change, dirty: &mut Dirty) {
        let is_mesh_config = self.is_mesh_config(&change.key);
        // Of all config maps only this one, and those with certificates, are worth their memory.
        if change.key.kind == Kind::ConfigMap && !is_mesh_config && !holds_certificates(&change) {
            if self.shelf.find(&change.key).is_none() && self.aside.find(&change.key).is_none() {
                return;
            }
            // One that has lost its certificates is as one that never had any.
            change.object = None;
        }
        let namespace = &change.key.namespace;
        if !is_mesh_config && !discovery::is_seen(&self.mesh_config, &self.shelf, namespace) {
            self.aside.keep(change);
            return;
        }
        let key = change.key.clone();
        self.shelve(change, dirty);
        if is_mesh_config {
            self.read_mesh_config();
            let inhabited = self.shelf.inhabited().chain(self.aside.namespaces());
            let inhabited: BTreeSet<String> = inhabited.map(str::to_owned).collect();
            for namespace in inhabited {
                self.look_again(&namespace, dirty);
            }
        } else if key.kind == Kind::Namespace {
            self.look_again(&key.name, dirty);
        }
    }

    fn shelve(&mut self, change: Change, dirty: &mut Dirty) {
        let Some(replaced) = self.shelf.put(change) else {
            return;
        };
        self.metrics.count_event(replaced.key.kind);
        links::affected(&replaced, &self.shelf, &self.cluster, dirty);
        self.book.take_in(&replaced, &self.shelf, dirty);
        self.guides
            .take_in(&replaced, &self.shelf, &self.cluster, dirty);
        self.keep_residents(&replaced);
        if replaced.key.kind == Kind::ServiceEntry {
            let name = NamespacedName::new(&*replaced.key.namespace, &*replaced.key.name);
            let entry = replaced.after_as(Object::service_entry);
            self.allocator.follow(&name, entry);
        }
    }

    /// Puts the objects of a namespace aside, or takes them in again, as MeshConfig says now.
    fn look_again(&mut self, namespace: &str, dirty: &mut Dirty) {
        let changes = if discovery::is_seen(&self.mesh_config, &self.shelf, namespace) {
            self.aside.reveal(namespace)
        } else {
            let mut keys = self.shelf.keys_in(namespace);
            keys.retain(|key| !self.is_mesh_config(key));
            self.aside.hide(&self.shelf, keys)
        };
        for change in changes {
            self.shelve(change, dirty);
        }
    }

    fn refresh(&mut self, dirty: Dirty) -> Outcome {
        let mut outcome = Outcome::default();
        for output in dirty.into_outputs() {
            self.metrics.count_recomputed(output.word());
            let computed = refresh::compute(&output, self.view());
            if output.speaks_of_its_object() {
                self.record_findings(output.key(), computed.findings);
                let wish = self.wish(&output.key(), computed.status);
                outcome.statuses.extend(wish);
            }
            let single = refresh::name_of(&output, &self.cluster);
            let single = single.map(|name| (output.main_type(), name));
            let mut gone = self.made.remove(&output).unwrap_or_default();
            gone.extend(single.clone());
            let mut names = Vec::new();
            let addresses = computed.updates.iter().map(encode);
            let others = computed.for_waypoints.iter().map(ForWaypoints::encode);
            for (r#type, upsert) in addresses.chain(others) {
                let is_same = |one: &(Type, String)| one.0 == r#type && one.1 == upsert.name;
                gone.retain(|one| !is_same(one));
                if !single.as_ref().is_some_and(is_same) {
                    names.push((r#type, upsert.name.clone()));
                }
                outcome.of(r#type).upserts.push(upsert);
            }
            for (r#type, name) in gone {
                outcome.of(r#type).removed.push(name);
            }
            if !names.is_empty() {
                self.made.insert(output, names);
            }
        }
        // What one has lost, another may have won.
        for r#type in Type::ALL {
            let Changes { upserts, removed } = outcome.of(r#type);
            if !removed.is_empty() {
                let there: HashSet<&str> = upserts.iter().map(|it| &*it.name).collect();
                removed.retain(|name| !there.contains(&**name));
            }
        }
        outcome
    }

    fn view(&self) -> View<'_> {
        View {
            shelf: &self.shelf,
            cluster: &self.cluster,
            allocator: &self.allocator,
            book: &self.book,
            guides: &self.guides,
        }
    }

    fn keep_residents(&self, replaced: &Replaced) {
        if replaced.key.kind != Kind::Pod {
            return;
        }
        let Key {
            namespace, name, ..
        } = &replaced.key;
        let is_placed =
            |pod: &&objects::kubernetes::Pod| !pod.spec.node_name.is_empty() && !pod.has_ended();
        let pod = replaced.after_as(Object::pod).filter(is_placed);
        let mut residents = self
            .residents
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        match pod {
            None => residents.remove(namespace, name),
            Some(pod) => {
                let resident = Resident {
                    uid: pod.metadata.uid.as_str().into(),
                    service_account: pod.spec.service_account().into(),
                    node: pod.spec.node_name.as_str().into(),
                    gateway: pod.metadata.labels.get(GATEWAY_NAME).map(Into::into),
                };
                residents.insert(namespace, name, resident);
            }
        }
    }

    fn is_mesh_config(&self, key: &Key) -> bool {
        key.kind == Kind::ConfigMap
            && key.name == mesh_config::NAME
            && *key.namespace == *self.settings.system_namespace
    }

    /// Takes over the MeshConfig on the shelf; a bad one leaves the last good one in force.
    fn read_mesh_config(&mut self) {
        let namespace = &*self.settings.system_namespace;
        let key = Key::new(Kind::ConfigMap, namespace, mesh_config::NAME);
        let map = self.shelf.config_map(namespace, mesh_config::NAME);
        let text = map.and_then(|map| map.data.get(mesh_config::DATA_KEY));
        let findings = match mesh_config::parse(text.map_or("", String::as_str)) {
            Ok((config, mut findings)) => {
                findings.extend(retry::findings_of_mesh(&config.traffic));
                if config.trust_domain != self.mesh_config.trust_domain {
                    tracing::info!(trust_domain = %config.trust_domain, "trust domain is set");
                }
                self.mesh_config = config;
                findings
            }
            Err(error) => {
                let reason = format!(
                    "MeshConfig is not taken over, the last good one stays: {}",
                    mesh::telemetry::report(&error)
                );
                vec![crate::translate::Finding::new(
                    Rule::MeshConfigRefused,
                    &["data", mesh_config::DATA_KEY],
                    reason,
                )]
            }
        };
        self.record_findings(key, findings);
    }

    fn note_problems(&self, problems: Vec<Problem>, resolved: &[Problem]) {
        self.problems.resolve(resolved);
        for problem in problems {
            tracing::warn!(%problem, "object is not taken over");
            self.problems.add(problem);
        }
    }

    fn record_findings(&self, key: Key, findings: Vec<crate::translate::Finding>) {
        let object = self.shelf.find(&key);
        let findings = findings
            .into_iter()
            .chain(object.map(unread::findings).unwrap_or_default())
            .map(|finding| Found {
                rule: finding.rule,
                problem: Problem {
                    file: object
                        .map(|object| object.file().to_owned())
                        .unwrap_or_default(),
                    line: object.map_or(0, |object| object.line_of(&finding.path)),
                    key: Some(key.clone()),
                    field: finding.path.to_string(),
                    reason: finding.reason,
                    class: Class::Broken,
                },
            })
            .collect();
        self.problems.replace_findings(&key, findings);
    }

    /// What the writer of statuses needs to know; `None` when the object is gone, and its status with it.
    fn wish(&self, key: &Key, status: Option<Status>) -> Option<Wish> {
        if let Some(object) = self.shelf.find(key) {
            return Some(Wish::new(object, status?));
        }
        // Of what is not looked at any more nothing is said any more.
        let object = self.aside.find(key).filter(|_| has_status(key.kind))?;
        Some(Wish::new(object, Status::default()))
    }

    /// Everything recomputed from the objects at hand, by type and name: what [`Index::apply`] must agree with.
    pub fn recompute_all(&self) -> BTreeMap<(Type, String), Upsert> {
        let mut dirty = Dirty::default();
        links::everything(&self.shelf, &mut dirty);
        let mut book = self.book.clone();
        book.rebuild(&self.cluster, &self.shelf, &mut dirty);
        let view = View {
            book: &book,
            ..self.view()
        };
        let mut all = BTreeMap::new();
        for output in dirty.into_outputs() {
            let computed = refresh::compute(&output, view);
            let addresses = computed.updates.iter().map(encode);
            let others = computed.for_waypoints.iter().map(ForWaypoints::encode);
            let upserts = addresses.chain(others);
            all.extend(upserts.map(|(r#type, it)| ((r#type, it.name.clone()), it)));
        }
        all
    }
}

/// Whether a change brings a config map with certificates of authorities.
fn holds_certificates(change: &Change) -> bool {
    let map = change.object.as_deref().and_then(Object::config_map);
    map.is_some_and(|map| map.data.contains_key(backend_tls::CA_KEY))
}

/// Whether Weft says anything in the status of objects of a kind.
fn has_status(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Service
            | Kind::ServiceEntry
            | Kind::WorkloadEntry
            | Kind::AuthorizationPolicy
            | Kind::PeerAuthentication
            | Kind::HTTPRoute
            | Kind::GRPCRoute
            | Kind::TLSRoute
            | Kind::TCPRoute
            | Kind::BackendTLSPolicy
            | Kind::RequestAuthentication
            | Kind::RateLimitPolicy
            | Kind::VirtualService
            | Kind::DestinationRule
    )
}

fn cluster(settings: &Settings, shelf: &Shelf, config: &MeshConfig) -> Cluster {
    let system = shelf.namespace(&settings.system_namespace);
    let network = system.and_then(|it| it.metadata.labels.get("topology.istio.io/network"));
    let mut cluster = Cluster {
        id: settings.cluster.clone(),
        domain: settings.domain.clone(),
        network: network.unwrap_or_default().into(),
        trust_domain: config.trust_domain.clone(),
        entry_visibility: config.entry_visibility.clone(),
        traffic: Arc::clone(&config.traffic),
        observing: Arc::clone(&config.observing),
        root_namespace: match &config.root_namespace {
            Some(namespace) => namespace.as_str().into(),
            None => Arc::clone(&settings.system_namespace),
        },
        authorizers: Arc::default(),
    };
    cluster.authorizers = mesh_config::authorizers(&config.authorizers, &cluster);
    cluster
}

/// A resource, encoded, with what on-demand clients find it by.
fn encode(update: &Update) -> (Type, Upsert) {
    let address = |name: String, bytes: Bytes, links: Links| {
        let audience = Audience::everyone();
        let upsert = Upsert {
            name,
            bytes,
            links,
            audience,
        };
        (Type::Address, upsert)
    };
    match update {
        Update::Workload(workload) => {
            let bytes = address::encode_workload(workload);
            address(workload.uid.to_string(), bytes, workload_links(workload))
        }
        Update::Service(service) => {
            let bytes = address::encode_service(service);
            address(service.key.to_string(), bytes, service_links(service))
        }
        Update::Policy(policy) => (Type::Policy, Upsert::from(&**policy)),
    }
}

fn workload_links(workload: &Workload) -> Links {
    // A workload on its node's network is never found by address.
    let has_own = workload.network_mode == NetworkMode::Standard;
    let addresses = workload.addresses.iter().filter(|_| has_own);
    let aliases = addresses.map(|it| NetworkAddress::new(workload.network.clone(), *it));
    Links {
        aliases: aliases.map(|it| it.to_string()).collect(),
        services: workload
            .services
            .iter()
            .map(|it| it.service.to_string())
            .collect(),
        node: Some(workload.node.to_string()).filter(|node| !node.is_empty()),
        is_scoped: false,
    }
}

fn service_links(service: &Service) -> Links {
    let alias = |it: &ServiceAddress| {
        let address = NetworkAddress::new(it.network.clone(), it.address);
        match it.prefix {
            Some(prefix) => format!("{address}/{prefix}"),
            None => address.to_string(),
        }
    };
    Links {
        aliases: service.addresses.iter().map(alias).collect(),
        ..Links::default()
    }
}
