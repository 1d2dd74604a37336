//! Pure. Kubernetes words to the mesh's words: objects in, `mesh::model` out. Next hop: `resources`.
//!
//! Nothing here remembers or looks things up: whoever calls hands over what an object depends on.

pub mod service_entry;
pub mod workload_entry;
pub mod workload;
pub mod endpoint_slice;
pub mod service;
pub mod unhonoured;
pub mod membership;
pub mod waypoint;
pub mod virtual_service;
pub mod routes;
pub mod backend_tls;
pub mod destination_rule;
pub mod unread;
pub mod naming;
pub mod locality;
pub mod namespaces;
pub mod mesh_config;
pub mod host;
pub mod traffic;
pub mod rate_limit;
pub mod telemetry;
pub mod request_authentication;
pub mod policy;
pub mod attachment;
pub mod policies;
pub mod peer_authentication;
pub mod pattern;
pub mod age;
pub mod visibility;
pub mod status;
pub mod remarks;
pub mod rule;

use std::sync::Arc;

use mesh::identity::TrustDomain;
use mesh::model::provider::ExternalAuthorizer;
use mesh::names::NamespacedHostname;
use objects::labels::Labels;
use objects::raw::Path;

use rule::Rule;
use telemetry::observing::Observing;
use traffic::Traffic;
use visibility::{EntryVisibility, Seen};

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
    /// External authorization servers, from MeshConfig.
    pub authorizers: Arc<[ExternalAuthorizer]>,
    /// Who sees service entries, from MeshConfig; `None` when it does not say.
    pub entry_visibility: Option<Arc<EntryVisibility>>,
    /// What holds for traffic through waypoints, from MeshConfig.
    pub traffic: Arc<Traffic>,
    /// What is logged, counted and traced where no object says, from MeshConfig.
    pub observing: Arc<Observing>,
}

impl Cluster {
    /// The mesh's name of service `name` in `namespace`.
    pub fn service_key(&self, namespace: &str, name: &str) -> NamespacedHostname {
        NamespacedHostname::new(namespace, format!("{name}.{namespace}.svc.{}", self.domain))
    }

    /// Namespace and name of the Kubernetes service that a host would be.
    pub fn service_of<'a>(&self, host: &'a str) -> Option<(&'a str, &'a str)> {
        let start = host.strip_suffix(&*self.domain)?.strip_suffix(".svc.")?;
        let (name, namespace) = start.split_once('.')?;
        Some((namespace, name))
    }

    /// Who sees the service entries of a namespace with these labels.
    pub fn seen(&self, labels: &Labels) -> Seen {
        let visibility = self.entry_visibility.as_ref();
        visibility.map_or(Seen::ByDefault, |it| it.of(labels))
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
