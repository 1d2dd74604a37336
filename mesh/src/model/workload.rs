//! A workload: a pod, or a machine outside Kubernetes, as the mesh sees it.

use std::net::IpAddr;
use std::sync::Arc;

use super::{GatewayAddress, Locality, Origin};
use crate::identity::{Identity, TrustDomain};
use crate::names::{NamespacedHostname, NamespacedName, WorkloadUid};

/// How to open a connection to a workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TunnelKind {
    /// Plain TCP: the workload is not in the mesh.
    #[default]
    None,
    /// HBONE: mutual TLS and HTTP/2 CONNECT to port 15008.
    Hbone,
}

/// Whether a workload can take traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Health {
    /// Ready.
    #[default]
    Healthy,
    /// Not ready or terminating.
    Unhealthy,
}

/// What controls a workload; named in telemetry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WorkloadKind {
    /// Deployment.
    #[default]
    Deployment,
    /// CronJob.
    CronJob,
    /// A bare pod, and what Istio sends for every pod.
    Pod,
    /// Job.
    Job,
}

/// Whose addresses a workload has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NetworkMode {
    /// Its own.
    #[default]
    Standard,
    /// Its node's: such a workload cannot be found by address.
    HostNetwork,
}

/// How an application wants tunnelled connections handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ApplicationTunnel {
    /// Whether a PROXY protocol v2 header precedes the bytes.
    pub proxy_protocol: bool,
    /// Port to deliver to; 0 means the port that was asked for.
    pub port: u16,
}

/// One port of a service and where it leads on an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortPair {
    /// Port of the service.
    pub service_port: u16,
    /// Port on the workload; 0 when the service says so itself.
    pub target_port: u16,
}

/// A workload's membership in one service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceEndpoint {
    /// The service.
    pub service: NamespacedHostname,
    /// Its ports as this workload serves them.
    pub ports: Vec<PortPair>,
}

/// Everything the mesh knows of one workload. Source: docs/compat.md#workload-record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Mesh-wide unique id; the resource name on the wire.
    pub uid: WorkloadUid,
    /// Name of the pod or entry.
    pub name: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Addresses; may be empty when it is reached by host name or through a gateway.
    pub addresses: Vec<IpAddr>,
    /// Host name to resolve when there is no address; empty otherwise.
    pub hostname: Arc<str>,
    /// Network of the addresses; empty for the default network.
    pub network: Arc<str>,
    /// How to open connections to it.
    pub tunnel: TunnelKind,
    /// Whether it speaks HBONE itself, without a node proxy.
    pub native_tunnel: bool,
    /// Trust domain of its identity.
    pub trust_domain: TrustDomain,
    /// Service account of its identity.
    pub service_account: Arc<str>,
    /// Node it runs on; empty outside Kubernetes.
    pub node: Arc<str>,
    /// Canonical service name, for telemetry.
    pub canonical_name: Arc<str>,
    /// Canonical revision, for telemetry.
    pub canonical_revision: Arc<str>,
    /// What controls it.
    pub workload_kind: WorkloadKind,
    /// Name of what controls it.
    pub workload_name: Arc<str>,
    /// Cluster it runs in.
    pub cluster: Arc<str>,
    /// Whether it can take traffic.
    pub health: Health,
    /// Services it belongs to, sorted by service.
    pub services: Vec<ServiceEndpoint>,
    /// Waypoint in front of it, for traffic to its own addresses.
    pub waypoint: Option<GatewayAddress>,
    /// Gateway of its network, for clients on other networks.
    pub network_gateway: Option<GatewayAddress>,
    /// How its application wants tunnelled connections.
    pub application_tunnel: Option<ApplicationTunnel>,
    /// Policies that select it by name, beside those of its namespace and the mesh.
    pub policies: Vec<NamespacedName>,
    /// Where it runs.
    pub locality: Locality,
    /// Whose addresses it has.
    pub network_mode: NetworkMode,
    /// Share of its services' traffic relative to other endpoints; 0 takes none. Default 1.
    pub capacity: u32,
    /// Labels, sorted by key; parts of services are chosen by them.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// The user's object behind it, when the sender said.
    pub origin: Option<Origin>,
}

impl Workload {
    /// The identity this workload proves with its certificate.
    pub fn identity(&self) -> Identity {
        Identity::new(
            self.trust_domain.clone(),
            self.namespace.clone(),
            self.service_account.clone(),
        )
    }
}
