//! Addresses of proxies in front of a destination: waypoints and gateways of other networks.

use crate::names::{NamespacedHostname, NetworkAddress};

/// How a waypoint or network gateway is named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// By service host name; resolved like any service.
    Hostname(NamespacedHostname),
    /// By address.
    Address(NetworkAddress),
}

/// Where to reach a waypoint or network gateway over HBONE.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GatewayAddress {
    /// The proxy, by name or address.
    pub destination: Destination,
    /// Its HBONE port, usually 15008.
    pub hbone_port: u16,
}

/// One of several waypoints that share a service's traffic by weight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WeightedWaypoint {
    /// The waypoint.
    pub gateway: GatewayAddress,
    /// Its share, relative to the sum of all weights.
    pub weight: u32,
}
