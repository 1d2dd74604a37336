//! Where requests go, and how they are spread there: backends of routes with their traffic policy.
//!
//! Source: docs/compat.md#destination-rule; every default is that of the public contract.

use std::sync::Arc;
use std::time::Duration;

use super::Origin;
use crate::names::NamespacedHostname;

/// A service, or a part of one, as routes name it. Its endpoints are those of the service in
/// `mesh::state`; they are never listed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The service.
    pub service: NamespacedHostname,
    /// Port of it.
    pub port: u16,
    /// The part of it; `None` for all of it.
    pub subset: Option<Subset>,
    /// How requests are spread and held back.
    pub policy: TrafficPolicy,
    /// Where connections to it go.
    pub reach: Reach,
}

/// Where connections to a destination go. Source: docs/compat.md#egress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// To its endpoints.
    #[default]
    Endpoints,
    /// To the address that the client dialled, where it is the service's (resolution NONE).
    AsDialled,
    /// To the host that the client asks for, where the service's host covers it (resolution `DYNAMIC_DNS`).
    AsAsked,
}

/// A part of a service's endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subset {
    /// Name, unique within the service.
    pub name: Arc<str>,
    /// Labels that endpoints must have, sorted by key.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
}

/// How requests to a destination are spread and held back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrafficPolicy {
    /// How an endpoint is chosen.
    pub balancing: Balancing,
    /// What being near counts.
    pub locality: LocalityPolicy,
    /// How new endpoints are warmed up; only for round robin and least request.
    pub warmup: Option<Warmup>,
    /// How many connections and requests at once.
    pub limits: Limits,
    /// When endpoints are left out for a time; `None` never.
    pub outlier: Option<Outlier>,
    /// How many retries at once, as a share of requests; `None` counts by [`Limits::retries`].
    pub retry_budget: Option<RetryBudget>,
    /// TLS to the application, inside of the tunnel if there is one.
    pub tls: Option<TlsOrigination>,
    /// PROXY protocol version that precedes the bytes: 1 or 2; `None` none.
    pub proxy_protocol: Option<u8>,
    /// The object behind it.
    pub origin: Option<Origin>,
}

/// How an endpoint is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Balancing {
    /// Of two at random the one with fewer requests under way.
    #[default]
    LeastRequest,
    /// In turn, by weight.
    RoundRobin,
    /// At random, by weight.
    Random,
    /// By something in the request; where it is missing, at random.
    Hash {
        /// What is hashed, in order; values are combined until a terminal one is there.
        keys: Vec<HashKey>,
        /// How a hash becomes an endpoint.
        table: HashTable,
    },
}

/// Something of a request that endpoints are chosen by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HashKey {
    /// A header.
    Header(Arc<str>),
    /// A cookie; with a lifetime it is made when missing, zero lasts for the session.
    Cookie {
        /// Name.
        name: Arc<str>,
        /// Path of a made cookie.
        path: Arc<str>,
        /// Lifetime of a made cookie; `None` makes none.
        ttl: Option<Duration>,
    },
    /// Address of the client.
    SourceIp,
    /// A query parameter.
    Query(Arc<str>),
}

/// How a hash becomes an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashTable {
    /// Points on a ring, at least this many. Default 1024.
    Ring(u32),
    /// A table of this prime size. Default 65 537.
    Maglev(u32),
}

/// What being near counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalityPolicy {
    /// Whether places count at all.
    pub enabled: bool,
    /// Shares by place.
    pub distribute: Vec<Distribution>,
    /// Regions to go to when one has nothing healthy.
    pub failover: Vec<(Arc<str>, Arc<str>)>,
    /// Labels (`key` or `key=value`) whose agreement with the waypoint's own makes priorities.
    pub failover_priority: Vec<Arc<str>>,
}

/// Where callers of one place go. Places are `region/zone/subzone`, `*` stands for any rest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Distribution {
    /// Place of the caller.
    pub from: Arc<str>,
    /// Places of endpoints and their percentages.
    pub to: Vec<(Arc<str>, u32)>,
}

/// How new endpoints are warmed up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warmup {
    /// How long.
    pub duration: Duration,
    /// Percent of the weight at the beginning. Default 10.
    pub minimum_percent: u32,
    /// Exponent of the ramp is `1 / aggression`. Default 1.
    pub aggression: f64,
}

// Comes from configuration and is never NaN (refused when read).
impl Eq for Warmup {}

/// How many connections and requests at once; `u32::MAX` is without limit, the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Connections.
    pub connections: u32,
    /// Requests waiting for a connection.
    pub pending: u32,
    /// Requests under way.
    pub requests: u32,
    /// Retries under way.
    pub retries: u32,
    /// Requests on one connection before it is closed; 0 is without limit.
    pub requests_per_connection: u32,
    /// HTTP/2 streams at once on one connection.
    pub streams: u32,
    /// How long connecting may take; `None` as the waypoint says.
    pub connect_timeout: Option<Duration>,
    /// How long a connection may be without requests. Default 1 h; `None` for ever.
    pub idle_timeout: Option<Duration>,
    /// How long a TCP connection may be silent. Default 1 h; `None` for ever.
    pub tcp_idle_timeout: Option<Duration>,
    /// Which HTTP version is spoken.
    pub upgrade: Upgrade,
}

impl Default for Limits {
    fn default() -> Self {
        let hour = Some(Duration::from_secs(3600));
        Self {
            connections: u32::MAX,
            pending: u32::MAX,
            requests: u32::MAX,
            retries: u32::MAX,
            requests_per_connection: 0,
            streams: u32::MAX,
            connect_timeout: None,
            idle_timeout: hour,
            tcp_idle_timeout: hour,
            upgrade: Upgrade::default(),
        }
    }
}

/// Which HTTP version is spoken to an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Upgrade {
    /// What the port declares.
    #[default]
    AsDeclared,
    /// HTTP/2 also where the port does not say so.
    ToHttp2,
    /// The client's.
    AsClient,
}

/// When endpoints are left out for a time. Counters of zero are off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outlier {
    /// Answers of 5xx in a row (local failures too, unless split). Default 5.
    pub consecutive_5xx: u32,
    /// Answers of 502, 503, 504 in a row. Default 0.
    pub consecutive_gateway: u32,
    /// Whether local failures are counted by themselves.
    pub split_local: bool,
    /// Local failures in a row, when split. Default 5.
    pub consecutive_local: u32,
    /// How often ended ejections are looked for. Default 10 s.
    pub interval: Duration,
    /// First ejection; the n-th lasts n times as long, at most 300 s. Default 30 s.
    pub base_ejection: Duration,
    /// Largest share left out. Default 10.
    pub max_ejection_percent: u32,
    /// Below this share of healthy endpoints ejections do not count. Default 0.
    pub min_health_percent: u32,
}

/// How many retries at once, as a share of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// Thousandths of a percent of requests under way. Default 20 000 (20 %).
    pub percent_milli: u32,
    /// Retries that are always allowed. Default 3.
    pub min_concurrency: u32,
}

/// TLS to the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOrigination {
    /// Server name; empty takes the request's host.
    pub sni: Arc<str>,
    /// Names that the server's certificate may have; empty takes the server name.
    pub subject_alt_names: Vec<Arc<str>>,
    /// Authorities that vouch for it.
    pub roots: TlsRoots,
    /// Files of our own certificate chain and key, for servers that ask.
    pub client: Option<(Arc<str>, Arc<str>)>,
    /// Whether the certificate is not looked at.
    pub insecure_skip_verify: bool,
}

/// Authorities that vouch for a server outside of the mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TlsRoots {
    /// Those of the operating system.
    #[default]
    System,
    /// A file in the waypoint's file system.
    File(Arc<str>),
    /// PEM text.
    Pem(Arc<str>),
    /// There should be some and none could be read: connections are refused.
    Missing,
}
