//! A service: names, virtual addresses, ports and how its traffic is spread.

use std::net::IpAddr;
use std::sync::Arc;

use super::{GatewayAddress, Origin, WeightedWaypoint};
use crate::names::NamespacedHostname;

/// Protocol an application speaks on a port, as its owner declared it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AppProtocol {
    /// Not declared.
    #[default]
    Unknown,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
    /// gRPC.
    Grpc,
    /// Opaque TCP.
    Tcp,
    /// TLS that the mesh does not terminate.
    Tls,
}

/// One port of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    /// Port clients dial.
    pub service_port: u16,
    /// Port on endpoints; 0 when each endpoint says for itself.
    pub target_port: u16,
    /// Declared protocol.
    pub app_protocol: AppProtocol,
}

/// A virtual address of a service; with `prefix` a whole range.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceAddress {
    /// Network of the address; empty for the default network.
    pub network: Arc<str>,
    /// The address, or the first of the range.
    pub address: IpAddr,
    /// Prefix length of a range; `None` for a single address.
    pub prefix: Option<u8>,
}

/// What clients and endpoints are compared by when endpoints are chosen near the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Same region.
    Region,
    /// Same zone.
    Zone,
    /// Same subzone.
    Subzone,
    /// Same node.
    Node,
    /// Same cluster.
    Cluster,
    /// Same network.
    Network,
}

/// How strictly scopes are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Scopes do not count; every endpoint may be chosen.
    #[default]
    Unspecified,
    /// Only endpoints that match every scope.
    Strict,
    /// Those that match the most leading scopes.
    Failover,
    /// No choice: the address that was dialled is used.
    Passthrough,
}

/// Which endpoints count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HealthPolicy {
    /// Healthy ones.
    #[default]
    OnlyHealthy,
    /// All of them.
    AllowAll,
}

/// How endpoints of a service are chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LoadBalancing {
    /// Scopes in order of preference.
    pub scopes: Vec<Scope>,
    /// How strictly scopes are taken.
    pub mode: Mode,
    /// Which endpoints count.
    pub health: HealthPolicy,
}

/// Address families a service offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IpFamilies {
    /// Whatever its endpoints have.
    #[default]
    Automatic,
    /// IPv4 only.
    Ipv4Only,
    /// IPv6 only.
    Ipv6Only,
    /// Both.
    Dual,
}

/// Who can see a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Everybody.
    #[default]
    Public,
    /// Clients of its own namespace.
    Namespace,
}

/// Everything the mesh knows of one service. Source: docs/compat.md#service-record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Namespace and host name; the resource name on the wire.
    pub key: NamespacedHostname,
    /// Name of the object.
    pub name: Arc<str>,
    /// Virtual addresses; empty for headless services.
    pub addresses: Vec<ServiceAddress>,
    /// Ports.
    pub ports: Vec<Port>,
    /// Identities (SPIFFE URIs) its endpoints may also prove.
    pub subject_alt_names: Vec<Arc<str>>,
    /// Waypoint in front of it.
    pub waypoint: Option<GatewayAddress>,
    /// Several waypoints by weight; when not empty they stand instead of `waypoint`.
    pub weighted_waypoints: Vec<WeightedWaypoint>,
    /// How endpoints are chosen.
    pub load_balancing: LoadBalancing,
    /// Address families it offers.
    pub ip_families: IpFamilies,
    /// Preferred where several namespaces publish the same host or address.
    pub canonical: bool,
    /// Whether gateways route to its waypoint (not used by node proxies).
    pub ingress_use_waypoint: bool,
    /// Who can see it.
    pub visibility: Visibility,
    /// The user's object behind it, when the sender said.
    pub origin: Option<Origin>,
}
