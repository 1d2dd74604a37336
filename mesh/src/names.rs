//! Names of things in the mesh, as types that cannot be mixed up.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Namespace and name of a Kubernetes-style object, printed `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamespacedName {
    /// Namespace, never empty for the objects the mesh names this way.
    pub namespace: Arc<str>,
    /// Object name.
    pub name: Arc<str>,
}

impl NamespacedName {
    /// Name `name` in `namespace`.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// Reads `namespace/name`; `None` unless there is exactly one slash with text on both sides.
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        if namespace.is_empty() || name.is_empty() || name.contains('/') {
            return None;
        }
        Some(Self::new(namespace, name))
    }
}

impl fmt::Display for NamespacedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A service as the mesh names it: `namespace/hostname`, the key of Service resources on the wire.
///
/// Source: docs/compat.md#resource-names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamespacedHostname {
    /// Namespace that owns the service.
    pub namespace: Arc<str>,
    /// Fully qualified host name.
    pub hostname: Arc<str>,
}

impl NamespacedHostname {
    /// Host `hostname` owned by `namespace`.
    pub fn new(namespace: impl Into<Arc<str>>, hostname: impl Into<Arc<str>>) -> Self {
        Self {
            namespace: namespace.into(),
            hostname: hostname.into(),
        }
    }

    /// Reads `namespace/hostname`; `None` unless there is exactly one slash with text on both sides.
    pub fn parse(text: &str) -> Option<Self> {
        NamespacedName::parse(text).map(|n| Self {
            namespace: n.namespace,
            hostname: n.name,
        })
    }
}

impl fmt::Display for NamespacedHostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.hostname)
    }
}

/// Mesh-wide unique id of a workload, e.g. `Kubernetes//Pod/default/web-0`.
///
/// Source: docs/compat.md#resource-names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkloadUid(pub Arc<str>);

impl WorkloadUid {
    /// The id of a pod: `<cluster>//Pod/<namespace>/<name>`.
    pub fn pod(cluster: &str, namespace: &str, name: &str) -> Self {
        Self(format!("{cluster}//Pod/{namespace}/{name}").into())
    }

    /// Whether this id is shaped like a pod's (decides ties between workloads of one address).
    pub fn is_pod(&self) -> bool {
        self.0.contains("//Pod/")
    }
}

impl fmt::Display for WorkloadUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An IP address on one network; the same address may exist on several networks.
/// Printed `network/address`, the alias of an Address resource on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetworkAddress {
    /// Network id; empty for the default network.
    pub network: Arc<str>,
    /// Address on it, never an IPv4-mapped IPv6 address.
    pub address: IpAddr,
}

impl NetworkAddress {
    /// `address` on `network`; IPv4-mapped IPv6 addresses are turned into IPv4.
    pub fn new(network: impl Into<Arc<str>>, address: IpAddr) -> Self {
        Self {
            network: network.into(),
            address: address.to_canonical(),
        }
    }
}

impl fmt::Display for NetworkAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.address)
    }
}
