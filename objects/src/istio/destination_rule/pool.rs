//! Pure. `connectionPool` of a DestinationRule: how much at once.

use serde::Deserialize;

use crate::istio::span::Span;

/// How much at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ConnectionPool {
    /// Connections.
    pub tcp: Option<TcpPool>,
    /// Requests.
    pub http: Option<HttpPool>,
}

/// Connections. Counts of 0 are as if not said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TcpPool {
    /// How many at most.
    pub max_connections: i64,
    /// How long connecting may take.
    pub connect_timeout: Option<Span>,
    /// Probes of silent ones.
    pub tcp_keepalive: Option<Keepalive>,
    /// How old one may become.
    pub max_connection_duration: Option<Span>,
    /// How long one may be silent; 0 for ever.
    pub idle_timeout: Option<Span>,
}

/// Probes of silent connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Keepalive {
    /// How many unanswered ones end a connection.
    pub probes: u32,
    /// When they begin.
    pub time: Option<Span>,
    /// How often.
    pub interval: Option<Span>,
}

/// Requests. Counts of 0 are as if not said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpPool {
    /// Waiting for a connection.
    pub http1_max_pending_requests: i64,
    /// Under way.
    pub http2_max_requests: i64,
    /// On one connection before it is closed.
    pub max_requests_per_connection: i64,
    /// Retries under way.
    pub max_retries: i64,
    /// How long a connection may be without requests.
    pub idle_timeout: Option<Span>,
    /// Whether HTTP/2 is spoken where the port does not say so.
    pub h2_upgrade_policy: H2Upgrade,
    /// Whether the client's version is spoken.
    pub use_client_protocol: bool,
    /// At once on one HTTP/2 connection.
    pub max_concurrent_streams: i64,
    /// Pings of HTTP/2.
    pub http2_keep_alive: Option<Http2KeepAlive>,
}

/// Pings of HTTP/2.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Http2KeepAlive {
    /// How often.
    pub interval: Option<Span>,
    /// How long for an answer.
    pub timeout: Option<Span>,
}

/// Whether HTTP/2 is spoken where the port does not say so. Also `h2UpgradePolicy` of MeshConfig.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum H2Upgrade {
    /// As the mesh says.
    #[default]
    Default,
    /// No.
    DoNotUpgrade,
    /// Yes.
    Upgrade,
}
