//! The latest object of every kind by key: the view that translation works from.
//!
//! Owned by the index's task alone. Objects are found by namespace and name, and by what points at them
//! ([`pointers`]), so that an event costs what it touches.

pub mod residents;
pub mod pointers;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mesh::names::NamespacedName;
use objects::change::Change;
use objects::gateway_api::{BackendTlsPolicy, Gateway, GatewayClass};
use objects::istio::{
    AuthorizationPolicy, RequestAuthentication, ServiceEntry, Telemetry, WorkloadEntry,
};
use objects::kinds::{Key, Kind};
use objects::kubernetes::{ConfigMap, EndpointSlice, Namespace, Node, Pod, Service};
use objects::object::Object;
use objects::weft::RateLimitPolicy;

use pointers::{Pointers, Target};

type Shelved = Arc<Object>;

/// The kinds that are kept; Secrets above all never are.
const KEPT: &[Kind] = &[
    Kind::Namespace,
    Kind::Node,
    Kind::Pod,
    Kind::Service,
    Kind::EndpointSlice,
    Kind::ConfigMap,
    Kind::ServiceEntry,
    Kind::WorkloadEntry,
    Kind::Gateway,
    Kind::GatewayClass,
    Kind::AuthorizationPolicy,
    Kind::PeerAuthentication,
    Kind::RequestAuthentication,
    Kind::RateLimitPolicy,
    Kind::HTTPRoute,
    Kind::VirtualService,
    Kind::DestinationRule,
    Kind::Telemetry,
    Kind::GRPCRoute,
    Kind::TLSRoute,
    Kind::TCPRoute,
    Kind::ReferenceGrant,
    Kind::BackendTLSPolicy,
];

/// Kinds of routes, in the order in which they give way to one another.
pub const ROUTES: [Kind; 4] = [
    Kind::GRPCRoute,
    Kind::HTTPRoute,
    Kind::TLSRoute,
    Kind::TCPRoute,
];

/// All objects the controller works from.
#[derive(Debug, Default)]
pub struct Shelf {
    compartments: HashMap<Kind, Compartment>,
    pointers: Pointers,
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
        if !KEPT.contains(&key.kind) {
            return None;
        }
        let compartment = self.compartments.entry(key.kind).or_default();
        let before = compartment.put(&key, after.clone());
        if before.is_none() && after.is_none() {
            return None;
        }
        let replaced = Replaced { key, before, after };
        self.pointers.follow(&replaced);
        Some(replaced)
    }

    /// The object under `key`.
    pub fn find(&self, key: &Key) -> Option<&Object> {
        self.get(key.kind, &key.namespace, &key.name)
    }

    /// The object under `key`, to keep.
    pub fn share(&self, key: &Key) -> Option<Arc<Object>> {
        let names = self.compartments.get(&key.kind)?;
        let object = names.by_namespace.get(&key.namespace)?.get(&key.name)?;
        Some(Arc::clone(object))
    }

    /// The keys of all objects in a namespace.
    pub fn keys_in(&self, namespace: &str) -> Vec<Key> {
        let compartments = self.compartments.values();
        let objects = compartments.flat_map(|it| it.of_namespace(namespace));
        objects.map(|object| object.key().clone()).collect()
    }

    /// All namespaces that have objects.
    pub fn inhabited(&self) -> impl Iterator<Item = &str> {
        let namespaces = self
            .compartments
            .values()
            .flat_map(|it| it.by_namespace.keys());
        namespaces.map(String::as_str).filter(|it| !it.is_empty())
    }

    fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Object> {
        self.compartments.get(&kind)?.find(namespace, name)
    }

    fn all(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.compartments
            .get(&kind)
            .into_iter()
            .flat_map(Compartment::all)
    }

    fn within(&self, kind: Kind, namespace: &str) -> impl Iterator<Item = &Object> {
        let compartment = self.compartments.get(&kind).into_iter();
        compartment.flat_map(move |it| it.of_namespace(namespace))
    }

    /// A namespace.
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.get(Kind::Namespace, "", name)?.namespace()
    }

    /// A node.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.get(Kind::Node, "", name)?.node()
    }

    /// A pod.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&Pod> {
        self.get(Kind::Pod, namespace, name)?.pod()
    }

    /// A service.
    pub fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        self.get(Kind::Service, namespace, name)?.service()
    }

    /// An endpoint slice.
    pub fn slice(&self, namespace: &str, name: &str) -> Option<&EndpointSlice> {
        self.get(Kind::EndpointSlice, namespace, name)?
            .endpoint_slice()
    }

    /// A config map.
    pub fn config_map(&self, namespace: &str, name: &str) -> Option<&ConfigMap> {
        self.get(Kind::ConfigMap, namespace, name)?.config_map()
    }

    /// A service entry.
    pub fn service_entry(&self, namespace: &str, name: &str) -> Option<&ServiceEntry> {
        self.get(Kind::ServiceEntry, namespace, name)?
            .service_entry()
    }

    /// A workload entry.
    pub fn workload_entry(&self, namespace: &str, name: &str) -> Option<&WorkloadEntry> {
        self.get(Kind::WorkloadEntry, namespace, name)?
            .workload_entry()
    }

    /// A gateway.
    pub fn gateway(&self, namespace: &str, name: &str) -> Option<&Gateway> {
        self.get(Kind::Gateway, namespace, name)?.gateway()
    }

    /// A class of gateways.
    pub fn gateway_class(&self, name: &str) -> Option<&GatewayClass> {
        self.get(Kind::GatewayClass, "", name)?.gateway_class()
    }

    /// All authorization policies.
    pub fn policies(&self) -> impl Iterator<Item = &Object> {
        self.all(Kind::AuthorizationPolicy)
    }

    /// The authorization policies of a namespace.
    pub fn policies_in(&self, namespace: &str) -> impl Iterator<Item = &AuthorizationPolicy> {
        self.within(Kind::AuthorizationPolicy, namespace)
            .filter_map(Object::authorization_policy)
    }

    /// All request authentications.
    pub fn request_authentications(&self) -> impl Iterator<Item = &Object> {
        self.all(Kind::RequestAuthentication)
    }

    /// The request authentications of a namespace.
    pub fn request_authentications_in(
        &self,
        namespace: &str,
    ) -> impl Iterator<Item = &RequestAuthentication> {
        self.within(Kind::RequestAuthentication, namespace)
            .filter_map(Object::request_authentication)
    }

    /// All rate limit policies.
    pub fn rate_limits(&self) -> impl Iterator<Item = &Object> {
        self.all(Kind::RateLimitPolicy)
    }

    /// The rate limit policies of a namespace.
    pub fn rate_limits_in(&self, namespace: &str) -> impl Iterator<Item = &RateLimitPolicy> {
        self.within(Kind::RateLimitPolicy, namespace)
            .filter_map(Object::rate_limit_policy)
    }

    /// All peer authentications.
    pub fn peers(&self) -> impl Iterator<Item = &Object> {
        self.all(Kind::PeerAuthentication)
    }

    /// All VirtualServices and DestinationRules.
    pub fn guides(&self) -> impl Iterator<Item = &Object> {
        let rules = self.all(Kind::DestinationRule);
        self.all(Kind::VirtualService).chain(rules)
    }

    /// All routes.
    pub fn routes(&self) -> impl Iterator<Item = &Object> {
        ROUTES.into_iter().flat_map(|kind| self.all(kind))
    }

    /// The routes that are attached to a service or a service entry.
    pub fn attached_to(&self, parent: &Key) -> impl Iterator<Item = &Object> {
        let keys = self.pointers.attached_to(parent);
        keys.filter_map(|key| self.find(key))
    }

    /// Those of them of one kind and namespace.
    pub fn attached_of(
        &self,
        parent: &Key,
        kind: Kind,
        namespace: &str,
    ) -> impl Iterator<Item = &Object> {
        let keys = self.pointers.attached_of(parent, kind, namespace);
        keys.filter_map(|key| self.find(key))
    }

    /// The routes that send to a target.
    pub fn sending_to(&self, target: &Target) -> impl Iterator<Item = &Object> {
        let keys = self.pointers.sending_to(target);
        keys.filter_map(|key| self.find(key))
    }

    /// A BackendTLSPolicy.
    pub fn tls_policy(&self, namespace: &str, name: &str) -> Option<&BackendTlsPolicy> {
        self.get(Kind::BackendTLSPolicy, namespace, name)?
            .backend_tls_policy()
    }

    /// All BackendTLSPolicies.
    pub fn tls_policies(&self) -> impl Iterator<Item = &Object> {
        self.all(Kind::BackendTLSPolicy)
    }

    /// The BackendTLSPolicies about a service or a service entry, or that read a config map.
    pub fn tls_policies_on(&self, key: &Key) -> impl Iterator<Item = &BackendTlsPolicy> {
        let keys = self.pointers.policies_on(key);
        let objects = keys.filter_map(|key| self.find(key));
        objects.filter_map(Object::backend_tls_policy)
    }

    /// All Telemetry objects.
    pub fn telemetries(&self) -> impl Iterator<Item = &Object> {
        self.all(Kind::Telemetry)
    }

    /// The Telemetry objects of a namespace.
    pub fn telemetries_in(&self, namespace: &str) -> impl Iterator<Item = &Telemetry> {
        self.within(Kind::Telemetry, namespace)
            .filter_map(Object::telemetry)
    }

    /// All pods.
    pub fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.all(Kind::Pod).filter_map(Object::pod)
    }

    /// What is a workload or names some, of a namespace or of all: pods, workload entries, service entries.
    pub fn workloads<'a>(&'a self, namespace: Option<&'a str>) -> impl Iterator<Item = &'a Object> {
        let kinds = [Kind::Pod, Kind::WorkloadEntry, Kind::ServiceEntry].into_iter();
        kinds.flat_map(move |kind| {
            let some = namespace.map(|namespace| self.within(kind, namespace));
            let all = namespace.is_none().then(|| self.all(kind));
            some.into_iter().flatten().chain(all.into_iter().flatten())
        })
    }

    /// All namespaces.
    pub fn namespaces(&self) -> impl Iterator<Item = &Namespace> {
        self.all(Kind::Namespace).filter_map(Object::namespace)
    }

    /// All services.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.all(Kind::Service).filter_map(Object::service)
    }

    /// All endpoint slices.
    pub fn slices(&self) -> impl Iterator<Item = &EndpointSlice> {
        self.all(Kind::EndpointSlice)
            .filter_map(Object::endpoint_slice)
    }

    /// All service entries.
    pub fn service_entries(&self) -> impl Iterator<Item = &ServiceEntry> {
        self.all(Kind::ServiceEntry)
            .filter_map(Object::service_entry)
    }

    /// All workload entries.
    pub fn workload_entries(&self) -> impl Iterator<Item = &WorkloadEntry> {
        self.all(Kind::WorkloadEntry)
            .filter_map(Object::workload_entry)
    }

    /// All gateways.
    pub fn gateways(&self) -> impl Iterator<Item = &Gateway> {
        self.all(Kind::Gateway).filter_map(Object::gateway)
    }

    /// The pods of a namespace.
    pub fn pods_in(&self, namespace: &str) -> impl Iterator<Item = &Pod> {
        self.within(Kind::Pod, namespace).filter_map(Object::pod)
    }

    /// The services of a namespace.
    pub fn services_in(&self, namespace: &str) -> impl Iterator<Item = &Service> {
        self.within(Kind::Service, namespace)
            .filter_map(Object::service)
    }

    /// The service entries of a namespace.
    pub fn service_entries_in(&self, namespace: &str) -> impl Iterator<Item = &ServiceEntry> {
        self.within(Kind::ServiceEntry, namespace)
            .filter_map(Object::service_entry)
    }

    /// The workload entries of a namespace.
    pub fn workload_entries_in(&self, namespace: &str) -> impl Iterator<Item = &WorkloadEntry> {
        self.within(Kind::WorkloadEntry, namespace)
            .filter_map(Object::workload_entry)
    }

    /// The names of the pods placed on a node.
    pub fn pods_on(&self, node: &str) -> impl Iterator<Item = &NamespacedName> {
        self.pointers.pods_on(node)
    }

    /// The slices that name a service.
    pub fn slices_of(
        &self,
        namespace: &str,
        service: &str,
    ) -> impl Iterator<Item = &EndpointSlice> {
        let names = self.pointers.slices_of(namespace, service);
        names.filter_map(|name| self.slice(&name.namespace, &name.name))
    }

    /// The service entries that name a host.
    pub fn entries_of(&self, host: &str) -> impl Iterator<Item = &ServiceEntry> {
        let names = self.pointers.entries_of(host);
        names.filter_map(|name| self.service_entry(&name.namespace, &name.name))
    }

    /// The objects whose labels name a gateway.
    pub fn asking_for(&self, gateway: &NamespacedName) -> impl Iterator<Item = &Key> {
        self.pointers.asking_for(gateway)
    }
}

impl Replaced {
    /// The form before, as one kind.
    pub fn before_as<'a, T>(&'a self, kind: fn(&'a Object) -> Option<&'a T>) -> Option<&'a T> {
        self.before.as_deref().and_then(kind)
    }

    /// Both forms, before and now, as one kind.
    pub fn both<'a, T>(&'a self, kind: fn(&'a Object) -> Option<&'a T>) -> [Option<&'a T>; 2] {
        [self.before_as(kind), self.after_as(kind)]
    }

    /// The form now, as one kind.
    pub fn after_as<'a, T>(&'a self, kind: fn(&'a Object) -> Option<&'a T>) -> Option<&'a T> {
        self.after.as_deref().and_then(kind)
    }
}
