//! The mesh's nouns: plain values without I/O, locks or generated types.

pub mod attached;
pub mod waypoint;
pub mod http;
pub mod destination;
pub mod observe;
pub mod provider;
mod gateway;
mod locality;
mod origin;
mod policy;
mod service;
mod workload;

pub use gateway::{Destination, GatewayAddress, WeightedWaypoint};
pub use locality::Locality;
pub use origin::Origin;
pub use policy::{
    Action, ClaimPatterns, Clause, IpRange, Match, NamedPatterns, PathPattern, Policy, PolicyScope,
    Reach, RequestMatch, Rule, ServiceAccountMatch, StringMatch,
};
pub use service::{
    AppProtocol, HealthPolicy, IpFamilies, LoadBalancing, Mode, Port, Scope, Service,
    ServiceAddress, Visibility,
};
pub use workload::{
    ApplicationTunnel, Health, NetworkMode, PortPair, ServiceEndpoint, TunnelKind, Workload,
    WorkloadKind,
};
