//! Pure. Kubernetes words to the mesh's words: objects in, `mesh::model` out. Next hop: `resources`.
//!
//! Nothing here remembers or looks things up: whoever calls hands over what an object depends on.

pub mod workload;
pub mod endpoint_slice;
pub mod service;
pub mod membership;
pub mod waypoint;
pub mod unhonoured;
pub mod unread;
pub mod locality;
pub mod mesh_config;
pub mod policy;
pub mod policies;
pub mod peer_authentication;
pub mod age;
pub mod status;
pub mod rule;

use std::sync::Arc;

use mesh::identity::TrustDomain;
use mesh::names::NamespacedHostname;
use objects::raw::Path;

use rule::Rule;

/// What is the same for every object of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Id of the cluster, e.g. `Kubernetes`.
    pub id: Arc<str>,
    /// Domain of service host names, e.g. `cluster.local`.
    pub domain: Arc<str>,
    /// Network of its pods; empty for the default network. From the system namespace's label
    /// `topology.istio.io/network`.
    pub network: Arc<str>,
    /// Trust domain of its identities, from MeshConfig.
    pub trust_domain: TrustDomain,
    /// Namespace whose policies are for the whole mesh, from MeshConfig; else the system namespace.
    pub root_namespace: Arc<str>,
}

impl Cluster {
    /// The mesh's name of service `name` in `namespace`.
    pub fn service_key(&self, namespace: &str, name: &str) -> NamespacedHostname {
        NamespacedHostname::new(namespace, format!("{name}.{namespace}.svc.{}", self.domain))
    }
}

/// Something in an object that its owner should know: it is not, or not fully, honoured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which row of the table of rules it is.
    pub rule: Rule,
    /// The field.
    pub path: Path,
    /// What Weft makes of it.
    pub reason: String,
}

impl Finding {
    /// About the field reached by `keys`.
    pub fn new(rule: Rule, keys: &[&str], reason: impl Into<String>) -> Self {
        Self {
            rule,
            path: Path::of_keys(keys),
            reason: reason.into(),
        }
    }
}
