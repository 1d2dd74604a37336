//! The latest object of every kind by key: the view that translation works from.
//!
//! Owned by the index's task alone. Objects are found by namespace and name, pods also by node and
//! slices by service, so that an event costs what it touches.

pub mod residents;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use mesh::names::NamespacedName;
use objects::change::Change;
use objects::istio::AuthorizationPolicy;
use objects::kinds::{Key, Kind};
use objects::kubernetes::{ConfigMap, EndpointSlice, Namespace, Node, Pod, Service};
use objects::object::Object;

type Shelved = Arc<Object>;

/// All objects the controller works from.
#[derive(Debug, Default)]
pub struct Shelf {
    namespaces: HashMap<String, Shelved>,
    nodes: HashMap<String, Shelved>,
    pods: Compartment,
    services: Compartment,
    slices: Compartment,
    config_maps: Compartment,
    policies: Compartment,
    peers: Compartment,
    pods_on: HashMap<String, BTreeSet<NamespacedName>>,
    slices_of: HashMap<NamespacedName, BTreeSet<String>>,
}

/// What a change replaced.
#[derive(Debug)]
pub struct Replaced {
    /// Which object.
    pub key: Key,
    /// Its form before.
    pub before: Option<Shelved>,
    /// Its form now.
    pub after: Option<Shelved>,
}

/// Objects of one kind by namespace and name.
#[derive(Debug, Default)]
struct Compartment {
    by_namespace: HashMap<String, BTreeMap<String, Shelved>>,
}

impl Compartment {
    fn put(&mut self, key: &Key, object: Option<Shelved>) -> Option<Shelved> {
        if let Some(object) = object {
            let names = self.by_namespace.entry(key.namespace.clone()).or_default();
            return names.insert(key.name.clone(), object);
        }
        let names = self.by_namespace.get_mut(&key.namespace)?;
        let before = names.remove(&key.name);
        if names.is_empty() {
            self.by_namespace.remove(&key.namespace);
        }
        before
    }

    fn find(&self, namespace: &str, name: &str) -> Option<&Object> {
        self.by_namespace.get(namespace)?.get(name).map(Arc::as_ref)
    }

    fn of_namespace(&self, namespace: &str) -> impl Iterator<Item = &Object> {
        self.by_namespace
            .get(namespace)
            .into_iter()
            .flat_map(BTreeMap::values)
            .map(Arc::as_ref)
    }

    fn all(&self) -> impl Iterator<Item = &Object> {
        self.by_namespace
            .values()
            .flat_map(BTreeMap::values)
            .map(Arc::as_ref)
    }
}

impl Shelf {
    /// Takes a change in; `None` when objects of this kind are not kept, or nothing was there to remove.
    pub fn put(&mut self, change: Change) -> Option<Replaced> {
        let Change { key, object: after } = change;
        let before = match key.kind {
            Kind::Namespace => put_flat(&mut self.namespaces, &key.name, after.clone()),
            Kind::Node => put_flat(&mut self.nodes, &key.name, after.clone()),
            Kind::Pod => self.pods.put(&key, after.clone()),
            Kind::Service => self.services.put(&key, after.clone()),
            Kind::EndpointSlice => self.slices.put(&key, after.clone()),
            Kind::ConfigMap => self.config_maps.put(&key, after.clone()),
            Kind::AuthorizationPolicy => self.policies.put(&key, after.clone()),
            Kind::PeerAuthentication => self.peers.put(&key, after.clone()),
            // Secrets above all are never kept.
            _ => return None,
        };
        if before.is_none() && after.is_none() {
            return None;
        }
        let replaced = Replaced { key, before, after };
        self.index_by_node(&replaced);
        self.index_by_service(&replaced);
        Some(replaced)
    }

    fn index_by_node(&mut self, replaced: &Replaced) {
        let name = || NamespacedName::new(&*replaced.key.namespace, &*replaced.key.name);
        if let Some(pod) = replaced.before_as(Object::pod) {
            forget(&mut self.pods_on, &pod.spec.node_name, &name());
        }
        if let Some(pod) = replaced
            .after_as(Object::pod)
            .filter(|pod| !pod.spec.node_name.is_empty())
        {
            self.pods_on
                .entry(pod.spec.node_name.clone())
                .or_default()
                .insert(name());
        }
    }

    fn index_by_service(&mut self, replaced: &Replaced) {
        let service = |slice: &EndpointSlice| {
            Some(NamespacedName::new(
                &*replaced.key.namespace,
                slice.service_name()?,
            ))
        };
        if let Some(service) = replaced.before_as(Object::endpoint_slice).and_then(service) {
            forget(&mut self.slices_of, &service, &replaced.key.name);
        }
        if let Some(service) = replaced.after_as(Object::endpoint_slice).and_then(service) {
            self.slices_of
                .entry(service)
                .or_default()
                .insert(replaced.key.name.clone());
        }
    }

    /// The object under `key`.
    pub fn find(&self, key: &Key) -> Option<&Object> {
        match key.kind {
            Kind::Namespace => self.namespaces.get(&key.name).map(Arc::as_ref),
            Kind::Node => self.nodes.get(&key.name).map(Arc::as_ref),
            Kind::Pod => self.pods.find(&key.namespace, &key.name),
            Kind::Service => self.services.find(&key.namespace, &key.name),
            Kind::EndpointSlice => self.slices.find(&key.namespace, &key.name),
            Kind::ConfigMap => self.config_maps.find(&key.namespace, &key.name),
            Kind::AuthorizationPolicy => self.policies.find(&key.namespace, &key.name),
            Kind::PeerAuthentication => self.peers.find(&key.namespace, &key.name),
            _ => None,
        }
    }

    /// A namespace.
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.get(name)?.namespace()
    }

    /// A node.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)?.node()
    }

    /// A pod.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&Pod> {
        self.pods.find(namespace, name)?.pod()
    }

    /// A service.
    pub fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        self.services.find(namespace, name)?.service()
    }

    /// An endpoint slice.
    pub fn slice(&self, namespace: &str, name: &str) -> Option<&EndpointSlice> {
        self.slices.find(namespace, name)?.endpoint_slice()
    }

    /// A config map.
    pub fn config_map(&self, namespace: &str, name: &str) -> Option<&ConfigMap> {
        self.config_maps.find(namespace, name)?.config_map()
    }

    /// All authorization policies, those of one namespace after the other.
    pub fn policies(&self) -> impl Iterator<Item = &Object> {
        self.policies.all()
    }

    /// The authorization policies of a namespace.
    pub fn policies_in(&self, namespace: &str) -> impl Iterator<Item = &AuthorizationPolicy> {
        let all = self.policies.of_namespace(namespace);
        all.filter_map(Object::authorization_policy)
    }

    /// All peer authentications.
    pub fn peers(&self) -> impl Iterator<Item = &Object> {
        self.peers.all()
    }

    /// All pods.
    pub fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.pods.all().filter_map(Object::pod)
    }

    /// All services.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.all().filter_map(Object::service)
    }

    /// All endpoint slices.
    pub fn slices(&self) -> impl Iterator<Item = &EndpointSlice> {
        self.slices.all().filter_map(Object::endpoint_slice)
    }

    /// The pods of a namespace.
    pub fn pods_in(&self, namespace: &str) -> impl Iterator<Item = &Pod> {
        self.pods.of_namespace(namespace).filter_map(Object::pod)
    }

    /// The services of a namespace.
    pub fn services_in(&self, namespace: &str) -> impl Iterator<Item = &Service> {
        self.services
            .of_namespace(namespace)
            .filter_map(Object::service)
    }

    /// The names of the pods placed on a node.
    pub fn pods_on(&self, node: &str) -> impl Iterator<Item = &NamespacedName> {
        self.pods_on.get(node).into_iter().flatten()
    }

    /// The slices that name a service.
    pub fn slices_of(
        &self,
        namespace: &str,
        service: &str,
    ) -> impl Iterator<Item = &EndpointSlice> {
        let names = self.slices_of.get(&NamespacedName::new(namespace, service));
        let compartment = self.slices.by_namespace.get(namespace);
        names
            .into_iter()
            .flatten()
            .filter_map(move |name| compartment?.get(name)?.endpoint_slice())
    }
}

impl Replaced {
    /// The form before, as one kind.
    pub fn before_as<'a, T>(&'a self, kind: fn(&'a Object) -> Option<&'a T>) -> Option<&'a T> {
        self.before.as_deref().and_then(kind)
    }

    /// The form now, as one kind.
    pub fn after_as<'a, T>(&'a self, kind: fn(&'a Object) -> Option<&'a T>) -> Option<&'a T> {
        self.after.as_deref().and_then(kind)
    }
}

fn put_flat(
    map: &mut HashMap<String, Shelved>,
    name: &str,
    object: Option<Shelved>,
) -> Option<Shelved> {
    match object {
        Some(object) => map.insert(name.to_owned(), object),
        None => map.remove(name),
    }
}

/// Removes `value` from the set under `key`, and the set with its last value.
fn forget<K, Q, V, W>(map: &mut HashMap<K, BTreeSet<V>>, key: &Q, value: &W)
where
    K: std::borrow::Borrow<Q> + Eq + std::hash::Hash,
    Q: Eq + std::hash::Hash + ?Sized,
    V: std::borrow::Borrow<W> + Ord,
    W: Ord + ?Sized,
{
    let Some(values) = map.get_mut(key) else {
        return;
    };
    values.remove(value);
    if values.is_empty() {
        map.remove(key);
    }
}
