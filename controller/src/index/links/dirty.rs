//! Pure. Outputs: what is computed from objects as one piece, and which of them are to be computed anew.

use std::collections::BTreeSet;

use mesh::names::NamespacedName;
use objects::kinds::{Key, Kind};
use objects::kubernetes::EndpointSlice;
use objects::meta::Metadata;

use crate::index::outcome::Type;

/// Something that is computed from objects as one piece.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Output {
    /// The workload of a pod.
    Pod(NamespacedName),
    /// The record of a service.
    Service(NamespacedName),
    /// The workloads of an endpoint slice.
    Slice(NamespacedName),
    /// The records and workloads of a service entry.
    ServiceEntry(NamespacedName),
    /// The workload of a workload entry.
    WorkloadEntry(NamespacedName),
    /// What is to be said about a gateway.
    Gateway(NamespacedName),
    /// What is to be said about a namespace.
    Namespace(NamespacedName),
    /// An AuthorizationPolicy.
    Policy(NamespacedName),
    /// A RequestAuthentication.
    Authentication(NamespacedName),
    /// A RateLimitPolicy.
    RateLimit(NamespacedName),
    /// What the ports of a PeerAuthentication come to.
    Peer(NamespacedName),
    /// What is to be said about a Telemetry object.
    Telemetry(NamespacedName),
    /// What is to be said about a VirtualService.
    VirtualService(NamespacedName),
    /// What is to be said about a route, by the object.
    Route(Key),
    /// What is to be said about a BackendTLSPolicy.
    TlsPolicy(NamespacedName),
    /// The routes of a service, or of the hosts of a service entry.
    Routes(Key),
    /// What is to be said about a DestinationRule.
    DestinationRule(NamespacedName),
    /// The policy that refuses plain text, of what is or was the root namespace; its name is no object's.
    Strict(NamespacedName),
}

impl Output {
    /// The object it is mainly computed from.
    pub fn key(&self) -> Key {
        let (kind, name) = match self {
            Self::Pod(name) => (Kind::Pod, name),
            Self::Service(name) => (Kind::Service, name),
            Self::Slice(name) => (Kind::EndpointSlice, name),
            Self::ServiceEntry(name) => (Kind::ServiceEntry, name),
            Self::WorkloadEntry(name) => (Kind::WorkloadEntry, name),
            Self::Gateway(name) => (Kind::Gateway, name),
            Self::Namespace(name) => (Kind::Namespace, name),
            Self::Policy(name) => (Kind::AuthorizationPolicy, name),
            Self::Authentication(name) => (Kind::RequestAuthentication, name),
            Self::RateLimit(name) => (Kind::RateLimitPolicy, name),
            Self::VirtualService(name) => (Kind::VirtualService, name),
            Self::DestinationRule(name) => (Kind::DestinationRule, name),
            Self::Telemetry(name) => (Kind::Telemetry, name),
            Self::Peer(name) | Self::Strict(name) => (Kind::PeerAuthentication, name),
            Self::TlsPolicy(name) => (Kind::BackendTLSPolicy, name),
            Self::Route(key) | Self::Routes(key) => return key.clone(),
        };
        Key::new(kind, &name.namespace, &name.name)
    }

    /// Its word in counters: its object's kind, or its own.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Routes(_) => "ServiceRoutes",
            _ => self.key().kind.facts().word,
        }
    }

    /// Whether what is to be said about its object is worked out with it, and not with another output.
    pub fn speaks_of_its_object(&self) -> bool {
        !matches!(self, Self::Routes(_))
    }

    /// The type of the resource that it always has the same name for, where it has such a one.
    pub fn main_type(&self) -> Type {
        match self {
            Self::Policy(_) | Self::Peer(_) | Self::Strict(_) => Type::Policy,
            _ => Type::Address,
        }
    }

    /// The output of an object; `None` for kinds that nothing is made of.
    pub fn of(key: &Key) -> Option<Self> {
        let name = NamespacedName::new(&*key.namespace, &*key.name);
        match key.kind {
            Kind::Pod => Some(Self::Pod(name)),
            Kind::Service => Some(Self::Service(name)),
            Kind::EndpointSlice => Some(Self::Slice(name)),
            Kind::ServiceEntry => Some(Self::ServiceEntry(name)),
            Kind::WorkloadEntry => Some(Self::WorkloadEntry(name)),
            Kind::Gateway => Some(Self::Gateway(name)),
            Kind::Namespace => Some(Self::Namespace(name)),
            Kind::AuthorizationPolicy => Some(Self::Policy(name)),
            Kind::PeerAuthentication => Some(Self::Peer(name)),
            Kind::BackendTLSPolicy => Some(Self::TlsPolicy(name)),
            Kind::HTTPRoute | Kind::GRPCRoute | Kind::TLSRoute | Kind::TCPRoute => {
                Some(Self::Route(key.clone()))
            }
            Kind::RequestAuthentication => Some(Self::Authentication(name)),
            Kind::RateLimitPolicy => Some(Self::RateLimit(name)),
            Kind::VirtualService => Some(Self::VirtualService(name)),
            Kind::DestinationRule => Some(Self::DestinationRule(name)),
            Kind::Telemetry => Some(Self::Telemetry(name)),
            _ => None,
        }
    }
}

/// Outputs to recompute, each once.
#[derive(Debug, Default)]
pub struct Dirty {
    outputs: BTreeSet<Output>,
}

impl Dirty {
    /// The outputs in a fixed order.
    pub fn into_outputs(self) -> BTreeSet<Output> {
        self.outputs
    }

    /// The outputs so far.
    pub fn outputs(&self) -> impl Iterator<Item = &Output> {
        self.outputs.iter()
    }

    /// Adds one.
    pub fn add(&mut self, output: Output) {
        self.outputs.insert(output);
    }

    pub(super) fn pod(&mut self, metadata: &Metadata) {
        self.add(Output::Pod(name(metadata)));
    }

    pub(super) fn service(&mut self, metadata: &Metadata) {
        self.add(Output::Service(name(metadata)));
    }

    /// A service whose waypoint, ports or presence may have turned, with its routes.
    pub(super) fn bound_service(&mut self, metadata: &Metadata) {
        self.service(metadata);
        self.add(Output::Routes(key(Kind::Service, metadata)));
    }

    /// The same of a service entry.
    pub(super) fn bound_entry(&mut self, metadata: &Metadata) {
        self.entry(metadata);
        self.add(Output::Routes(key(Kind::ServiceEntry, metadata)));
    }

    pub(super) fn entry(&mut self, metadata: &Metadata) {
        self.add(Output::ServiceEntry(name(metadata)));
    }

    pub(super) fn workload_entry(&mut self, metadata: &Metadata) {
        self.add(Output::WorkloadEntry(name(metadata)));
    }

    pub(super) fn gateway(&mut self, metadata: &Metadata) {
        self.add(Output::Gateway(name(metadata)));
    }

    pub(super) fn slice_alone(&mut self, slice: &EndpointSlice) {
        self.add(Output::Slice(name(&slice.metadata)));
    }

    /// A slice and the pods it names.
    pub(super) fn slice(&mut self, slice: &EndpointSlice) {
        self.slice_alone(slice);
        let namespace = &*slice.metadata.namespace;
        let targets = slice
            .endpoints
            .iter()
            .filter_map(|endpoint| endpoint.target_ref.as_ref());
        for target in targets.filter(|target| target.kind == "Pod") {
            self.add(Output::Pod(NamespacedName::new(namespace, &*target.name)));
        }
    }

    /// The service of a slice.
    pub(super) fn service_of(&mut self, slice: &EndpointSlice) {
        if let Some(service) = slice.service_name() {
            let namespace = &*slice.metadata.namespace;
            self.add(Output::Service(NamespacedName::new(namespace, service)));
        }
    }
}

/// The full name of an object.
pub fn name(metadata: &Metadata) -> NamespacedName {
    NamespacedName::new(&*metadata.namespace, &*metadata.name)
}

/// The key of an object of a kind that has a namespace.
fn key(kind: Kind, metadata: &Metadata) -> Key {
    Key::new(kind, &metadata.namespace, &metadata.name)
}
