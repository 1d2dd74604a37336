//! What the waypoint was told at start: validated, immutable, cut into one struct per part.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mesh::hbone;
use mesh::identity::{Identity, TrustDomain};
use mesh::model::Locality;
use mesh::names::NamespacedName;
use mesh::net::sockopt::KeepAlive;
use mesh::telemetry::log;
use mesh::xds::Server;

pub mod env;

/// Everything, cut by who needs it. Nothing here is secret: tokens and keys are named by path only.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who and where this waypoint is.
    pub node: Node,
    /// Where the picture of the mesh comes from.
    pub discovery: Server,
    /// Where certificates come from.
    pub authority: Server,
    /// Life asked for each certificate.
    pub certificate_life: Duration,
    /// Where tunnels are taken.
    pub door: SocketAddr,
    /// How connections notice peers that vanished.
    pub keep_alive: KeepAlive,
    /// Requests: what is refused, and how long things may take.
    pub requests: Requests,
    /// Number of data path threads.
    pub worker_threads: usize,
    /// How long requests may take to finish at shutdown.
    pub drain_deadline: Duration,
    /// Pages for people, probes and Prometheus.
    pub admin: Admin,
}

/// Who and where this waypoint is.
#[derive(Clone, Debug)]
pub struct Node {
    /// Kubernetes node.
    pub name: String,
    /// Its pod.
    pub pod_name: String,
    /// Its namespace.
    pub namespace: String,
    /// Name of its Gateway.
    pub gateway: String,
    /// Its service account.
    pub service_account: String,
    /// Its address.
    pub instance_ip: Option<IpAddr>,
    /// Cluster id.
    pub cluster: String,
    /// Domain of service host names.
    pub cluster_domain: String,
    /// Network; empty for the default network.
    pub network: String,
    /// Trust domain of its identity.
    pub trust_domain: TrustDomain,
    /// Region, zone and subzone.
    pub locality: Locality,
}

impl Node {
    /// The identity that its certificate proves.
    pub fn identity(&self) -> Identity {
        Identity::new(
            self.trust_domain.clone(),
            self.namespace.as_str(),
            self.service_account.as_str(),
        )
    }

    /// The name under which the mesh knows its pod, once it has one. Source: docs/compat.md#resource-names.
    pub fn workload(&self) -> Option<Box<str>> {
        let (cluster, namespace, pod) = (&self.cluster, &self.namespace, &self.pod_name);
        (!pod.is_empty()).then(|| format!("{cluster}//Pod/{namespace}/{pod}").into())
    }

    /// Namespace and name of its Gateway.
    pub fn key(&self) -> NamespacedName {
        NamespacedName::new(self.namespace.as_str(), self.gateway.as_str())
    }
}

/// Requests: what is refused, and how long things may take. Source: docs/compat.md#http-hygiene.
#[derive(Clone, Debug)]
pub struct Requests {
    /// Longest head of a request, in bytes.
    pub head_bytes: usize,
    /// Header lines of a request.
    pub header_count: usize,
    /// Time for the head of an HTTP/1 request, from its first byte.
    pub head_deadline: Duration,
    /// Longest head of a response, in bytes.
    pub response_head_bytes: usize,
    /// HTTP/2 streams at once on one inner connection.
    pub streams: u32,
    /// Bytes of a body that are kept to try again.
    pub replay_bytes: usize,
    /// Inner connections without a request are closed after this long.
    pub idle: Duration,
}

/// Pages for people, probes and Prometheus.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Dumps, log level, quit: loopback only.
    pub admin: SocketAddr,
    /// Metrics.
    pub stats: SocketAddr,
    /// Readiness.
    pub ready: SocketAddr,
    /// How log lines look.
    pub log_format: log::Format,
    /// Log filter, in `RUST_LOG` syntax.
    pub log_filter: String,
}

/// Limits of the tunnels that are taken and made.
pub fn tunnels() -> hbone::Settings {
    hbone::Settings::default()
}
