//! Pure. `loadBalancer` of a DestinationRule: how an endpoint is chosen.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::istio::span::Span;

/// How an endpoint is chosen.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LoadBalancer {
    /// By a simple rule.
    pub simple: Option<Simple>,
    /// By something in the request.
    pub consistent_hash: Option<ConsistentHash>,
    /// What being near counts; as the mesh says when absent.
    pub locality_lb_setting: Option<LocalitySetting>,
    /// How new endpoints are warmed up.
    pub warmup: Option<Warmup>,
    /// The same, older spelling.
    pub warmup_duration_secs: Option<Span>,
}

/// A simple rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Simple {
    /// As if nothing was said.
    #[default]
    Unspecified,
    /// Older word for [`Simple::LeastRequest`].
    LeastConn,
    /// At random.
    Random,
    /// The address that was dialled.
    Passthrough,
    /// In turn.
    RoundRobin,
    /// Of two the one with less to do.
    LeastRequest,
}

/// By something in the request, and how a hash becomes an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsistentHash {
    /// A header.
    pub http_header_name: Option<String>,
    /// A cookie.
    pub http_cookie: Option<HttpCookie>,
    /// The client's address.
    pub use_source_ip: Option<bool>,
    /// A query parameter.
    pub http_query_parameter_name: Option<String>,
    /// Points on a ring.
    pub ring_hash: Option<RingHash>,
    /// A table.
    pub maglev: Option<Maglev>,
    /// Older spelling of the ring's size.
    pub minimum_ring_size: Option<u64>,
}

/// A cookie that endpoints are chosen by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HttpCookie {
    /// Its name.
    pub name: String,
    /// Path of one that is made.
    pub path: String,
    /// Lifetime of one that is made; none is made when absent.
    pub ttl: Option<Span>,
}

/// Points on a ring.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RingHash {
    /// At least this many; 1024.
    pub minimum_ring_size: Option<u64>,
}

/// A table of a prime size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Maglev {
    /// Its size; 65 537.
    pub table_size: Option<u64>,
}

/// What being near counts. Also `localityLbSetting` of MeshConfig.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LocalitySetting {
    /// Shares by place.
    pub distribute: Vec<Distribute>,
    /// Regions to go to.
    pub failover: Vec<Failover>,
    /// Labels whose agreement makes priorities.
    pub failover_priority: Vec<String>,
    /// Whether it counts at all; true.
    pub enabled: Option<bool>,
}

/// Where callers of one place go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Distribute {
    /// The place, `region/zone/subzone`, with `*` for any rest.
    pub from: String,
    /// Percentages by place.
    pub to: BTreeMap<String, u32>,
}

/// Where to go when a region has nothing healthy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Failover {
    /// That region.
    pub from: String,
    /// The other one.
    pub to: String,
}

/// How new endpoints are warmed up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Warmup {
    /// How long.
    pub duration: Option<Span>,
    /// Percent of the weight at the beginning; 10.
    pub minimum_percent: Option<f64>,
    /// How steep; 1.
    pub aggression: Option<f64>,
}
