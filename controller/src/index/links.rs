//! Pure. Which outputs must be recomputed when an input changes.
//!
//! - a pod: itself;
//! - a service: itself; when what decides its members changed, the pods it selected before and
//!   selects now, and the slices written for it with the pods they name;
//! - an endpoint slice: itself and the pods it names, when its service selects nothing;
//! - a node: the pods on it, when its place changed;
//! - a namespace: its services, when a label they inherit changed;
//! - a policy: see `policies`.

use std::collections::BTreeSet;

use mesh::names::NamespacedName;
use objects::kinds::{Key, Kind};
use objects::kubernetes::{EndpointSlice, Service};
use objects::meta::Metadata;
use objects::object::Object;

use crate::shelf::{Replaced, Shelf};
use crate::translate::{locality, membership, service};

/// Something that is computed from objects as one piece.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Output {
    /// The workload of a pod.
    Pod(NamespacedName),
    /// The record of a service.
    Service(NamespacedName),
    /// The workloads of an endpoint slice.
    Slice(NamespacedName),
    /// An AuthorizationPolicy.
    Policy(NamespacedName),
    /// What the ports of a PeerAuthentication come to.
    Peer(NamespacedName),
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
            Self::Policy(name) => (Kind::AuthorizationPolicy, name),
            Self::Peer(name) | Self::Strict(name) => (Kind::PeerAuthentication, name),
        };
        Key::new(kind, &name.namespace, &name.name)
    }

    /// Whether what is made of it are policies, not addresses.
    pub fn is_policy(&self) -> bool {
        matches!(self, Self::Policy(_) | Self::Peer(_) | Self::Strict(_))
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

    /// Adds one.
    pub(super) fn add(&mut self, output: Output) {
        self.outputs.insert(output);
    }

    fn pod(&mut self, metadata: &Metadata) {
        self.outputs.insert(Output::Pod(name(metadata)));
    }

    fn service(&mut self, metadata: &Metadata) {
        self.outputs.insert(Output::Service(name(metadata)));
    }

    fn slice(&mut self, slice: &EndpointSlice) {
        self.outputs.insert(Output::Slice(name(&slice.metadata)));
        let namespace = &*slice.metadata.namespace;
        let targets = slice
            .endpoints
            .iter()
            .filter_map(|endpoint| endpoint.target_ref.as_ref());
        for target in targets.filter(|target| target.kind == "Pod") {
            self.outputs
                .insert(Output::Pod(NamespacedName::new(namespace, &*target.name)));
        }
    }
}

/// The full name of an object.
pub(super) fn name(metadata: &Metadata) -> NamespacedName {
    NamespacedName::new(&*metadata.namespace, &*metadata.name)
}

/// Adds what depends on a changed object. `shelf` holds its new form already.
pub fn affected(replaced: &Replaced, shelf: &Shelf, dirty: &mut Dirty) {
    let object = replaced.after.as_deref().or(replaced.before.as_deref());
    let Some(metadata) = object.map(Object::metadata) else {
        return;
    };
    match replaced.key.kind {
        Kind::Pod => dirty.pod(metadata),
        Kind::Service => {
            dirty.service(metadata);
            let before = replaced.before_as(Object::service);
            let after = replaced.after_as(Object::service);
            if before.map(membership::facts) != after.map(membership::facts) {
                for service in [before, after].into_iter().flatten() {
                    members(service, shelf, dirty);
                }
            }
        }
        Kind::EndpointSlice => {
            for slice in [&replaced.before, &replaced.after].into_iter().flatten() {
                if let Some(slice) = slice.endpoint_slice().filter(|it| counts(it, shelf)) {
                    dirty.slice(slice);
                }
            }
        }
        Kind::Node => {
            let before = locality::of(replaced.before_as(Object::node));
            if before != locality::of(replaced.after_as(Object::node)) {
                let pods = shelf.pods_on(&replaced.key.name).cloned().map(Output::Pod);
                dirty.outputs.extend(pods);
            }
        }
        Kind::Namespace => {
            let before = inherited(replaced.before.as_deref());
            if before != inherited(replaced.after.as_deref()) {
                shelf
                    .services_in(&replaced.key.name)
                    .for_each(|it| dirty.service(&it.metadata));
            }
        }
        _ => {}
    }
}

fn inherited(namespace: Option<&Object>) -> service::NamespaceFacts<'_> {
    namespace
        .map(|it| service::namespace_facts(it.metadata()))
        .unwrap_or_default()
}

/// Adds everything there is.
pub fn everything(shelf: &Shelf, dirty: &mut Dirty) {
    shelf.pods().for_each(|pod| dirty.pod(&pod.metadata));
    shelf
        .services()
        .for_each(|service| dirty.service(&service.metadata));
    shelf.slices().for_each(|slice| {
        dirty.outputs.insert(Output::Slice(name(&slice.metadata)));
    });
    let policies = shelf
        .policies()
        .map(|it| Output::Policy(name(it.metadata())));
    dirty.outputs.extend(policies);
    let peers = shelf.peers().map(|it| Output::Peer(name(it.metadata())));
    dirty.outputs.extend(peers);
}

/// The pods and slices behind a service.
fn members(service: &Service, shelf: &Shelf, dirty: &mut Dirty) {
    let Metadata {
        namespace, name, ..
    } = &service.metadata;
    if service.spec.selector.is_empty() {
        shelf
            .slices_of(namespace, name)
            .for_each(|slice| dirty.slice(slice));
    } else {
        let selected = shelf
            .pods_in(namespace)
            .filter(|pod| membership::selects(service, pod));
        selected.for_each(|pod| dirty.pod(&pod.metadata));
    }
}

/// Whether anything is made of a slice: Kubernetes' own ones, of services with a selector, change
/// with every pod and say nothing new. (A service that comes later brings its slices along.)
fn counts(slice: &EndpointSlice, shelf: &Shelf) -> bool {
    let Some(service) = slice.service_name() else {
        return false;
    };
    let service = shelf.service(&slice.metadata.namespace, service);
    service.is_some_and(|service| service.spec.selector.is_empty())
}
