//! What the node proxy was told at start: validated, immutable, cut into one struct per part.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use mesh::hbone;
use mesh::identity::TrustDomain;
use mesh::net::sockopt::KeepAlive;
use mesh::telemetry::log;
use mesh::tls::KeyExchange;
use mesh::xds::Server;

pub mod env;

/// Everything, cut by who needs it. Nothing here is secret: tokens and keys are named by path only.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who and where this proxy is.
    pub node: Node,
    /// Where the picture of the mesh comes from.
    pub discovery: Discovery,
    /// Where certificates come from.
    pub certificates: Certificates,
    /// How pods are handed over.
    pub pods: Pods,
    /// The doors of each pod.
    pub doors: Doors,
    /// Tunnels to and from other proxies.
    pub tunnels: Tunnels,
    /// Key exchanges that this process agrees to.
    pub key_exchange: KeyExchange,
    /// How much of one pod may be under way at a time.
    pub limits: Limits,
    /// Number of data path threads.
    pub worker_threads: usize,
    /// How long connections may take to finish at shutdown.
    pub drain_deadline: Duration,
    /// Whether each decision of a policy is a line at INFO; else it is one at DEBUG.
    pub shows_decisions: bool,
    /// Pages for people, probes and Prometheus.
    pub admin: Admin,
}

/// Who and where this proxy is.
#[derive(Clone, Debug)]
pub struct Node {
    /// Kubernetes node.
    pub name: String,
    /// This proxy's pod.
    pub pod_name: String,
    /// Its namespace.
    pub pod_namespace: String,
    /// Its service account; empty when unknown.
    pub service_account: String,
    /// Namespace whose service is taken where several have one host name, and neither the client's namespace nor a
    /// canonical one decides; empty for none.
    pub preferred_namespace: String,
    /// Its address, for the xDS node id.
    pub instance_ip: Option<IpAddr>,
    /// Cluster id.
    pub cluster: String,
    /// Domain of service host names.
    pub cluster_domain: String,
    /// Network of this node's pods; empty for the default network.
    pub network: String,
    /// Trust domain of this proxy itself.
    pub trust_domain: TrustDomain,
    /// `ISTIO_META_*` and `ISTIO_METAJSON_*` without their prefix: metadata of the xDS node.
    pub metadata: Vec<(String, serde_json::Value)>,
}

/// Where the picture of the mesh comes from.
#[derive(Clone, Debug)]
pub enum Discovery {
    /// Delta xDS from the controller.
    Controller {
        /// Where it is.
        server: Server,
        /// Ask for addresses one by one instead of for all.
        on_demand: bool,
    },
    /// Nowhere: the state is fed by whoever started this proxy in-process (tests).
    None,
}

/// Where certificates come from.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The certificate service.
    pub server: Server,
    /// Life asked for.
    pub lifetime: Duration,
}

/// How pods are handed over.
#[derive(Clone, Debug)]
pub struct Pods {
    /// The node agent's socket.
    pub socket: PathBuf,
}

/// Whether applications see their client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginalSource {
    /// Try, and connect from the pod's own address where the kernel refuses.
    Auto,
    /// Refuse the connection where the kernel refuses.
    Always,
    /// Never try.
    Never,
}

/// The doors of each pod. Ports and mark: docs/compat.md#redirection.
#[derive(Clone, Debug)]
pub struct Doors {
    /// Captured connections of the pod, 15001.
    pub outbound_port: u16,
    /// Captured plain connections to the pod, 15006.
    pub plaintext_port: u16,
    /// HBONE to the pod, 15008; also the port of other pods' proxies.
    pub tunnel_port: u16,
    /// Mark of every socket of this proxy, so that it is not captured again.
    pub mark: u32,
    /// Whether two proxies may listen on one port during an upgrade.
    pub reuse_port: bool,
    /// Whether to listen on IPv6 where the pod has it.
    pub ipv6: bool,
    /// Whether applications see their client's address.
    pub original_source: OriginalSource,
    /// Whether an application that takes tunnels for others is called on the pod's loopback.
    pub localhost_app_tunnel: bool,
    /// How connections notice peers that vanished.
    pub keep_alive: KeepAlive,
}

impl Discovery {
    /// Whether only what was asked for is known.
    pub fn is_on_demand(&self) -> bool {
        matches!(self, Self::Controller { on_demand, .. } if *on_demand)
    }
}

impl Doors {
    /// Whether a port belongs to this proxy in every pod, so that leading traffic there would loop.
    pub fn is_own(&self, port: u16) -> bool {
        port == self.outbound_port || port == self.plaintext_port || port == self.tunnel_port
    }
}

/// Tunnels to and from other proxies. Source: docs/compat.md#hbone-parameters.
#[derive(Clone, Debug)]
pub struct Tunnels {
    /// Streams of one connection before another is opened.
    pub max_streams: usize,
    /// How long a connection without streams is kept.
    pub unused_release: Duration,
    /// Flow control window of a stream, in bytes.
    pub stream_window: u32,
    /// Flow control window of a connection, in bytes.
    pub connection_window: u32,
    /// Largest frame accepted, in bytes.
    pub frame_size: u32,
    /// Whether answers carry the destination's baggage.
    pub response_baggage: bool,
}

impl Tunnels {
    /// The same in the words of the tunnel code; what is no setting keeps its default.
    pub fn settings(&self) -> hbone::Settings {
        hbone::Settings {
            stream_window: self.stream_window,
            connection_window: self.connection_window,
            frame_size: self.frame_size,
            client_streams: self.max_streams,
            idle_release: self.unused_release,
            ..hbone::Settings::default()
        }
    }
}

/// How much of one pod may be under way at a time, so that no pod starves the others of its worker.
#[derive(Clone, Debug)]
pub struct Limits {
    /// TLS handshakes of callers that are not complete.
    pub handshakes: usize,
    /// New connections that wait for something the controller owes us.
    pub waiting: usize,
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
