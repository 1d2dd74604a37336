//! Pure. What the parent of a route is.

use mesh::names::NamespacedName;
use objects::gateway_api::ParentRef;
use objects::kinds::{Key, Kind};

/// API group of Istio's networking kinds.
pub const ISTIO: &str = "networking.istio.io";

/// What a route is attached to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Parent {
    /// A service.
    Service(NamespacedName),
    /// The hosts of a service entry.
    Entry(NamespacedName),
    /// Something that is not the mesh's: a gateway above all.
    Other,
}

impl Parent {
    /// The object, when it is the mesh's.
    pub fn key(&self) -> Option<Key> {
        match self {
            Self::Service(name) => Some(Key::new(Kind::Service, &name.namespace, &name.name)),
            Self::Entry(name) => Some(Key::new(Kind::ServiceEntry, &name.namespace, &name.name)),
            Self::Other => None,
        }
    }
}

/// What a reference in a route of `namespace` means.
pub fn of(reference: &ParentRef, namespace: &str) -> Parent {
    let namespace = reference.namespace.as_deref().unwrap_or(namespace);
    let name = NamespacedName::new(namespace, reference.name.as_str());
    match (reference.group.as_str(), reference.kind.as_str()) {
        ("", "Service") => Parent::Service(name),
        (ISTIO, "ServiceEntry") => Parent::Entry(name),
        _ => Parent::Other,
    }
}
