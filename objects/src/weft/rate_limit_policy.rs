//! Pure. RateLimitPolicy.

use serde::Deserialize;

use crate::gateway_api::http_route::HttpMatch;
use crate::istio::Span;
use crate::meta::Metadata;

/// How often requests may come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RateLimitPolicy {
    /// Name and age.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: RateLimitPolicySpec,
}

/// `spec` of a RateLimitPolicy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RateLimitPolicySpec {
    /// Things whose waypoints enforce it.
    pub target_refs: Vec<LimitTarget>,
    /// Each counts by itself.
    pub limits: Vec<Limit>,
}

/// Something that limits hold for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LimitTarget {
    /// Its API group; empty for the legacy group.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Name of a rule of a route; all of its rules when absent.
    pub section_name: Option<String>,
}

/// One limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Limit {
    /// Name in logs; its number when absent.
    pub name: Option<String>,
    /// Which requests count: any of these, all when there is none.
    pub matches: Vec<HttpMatch>,
    /// Whose requests count, by identity without `spiffe://` (`x`, `x*`); everybody's when there is none.
    pub principals: Vec<String>,
    /// What has a bucket of its own for each value.
    pub by: Vec<By>,
    /// Requests per period.
    pub requests: u32,
    /// The period; a second when absent.
    pub per: Option<Span>,
    /// Requests at once at most; as many as per period when absent.
    pub burst: Option<u32>,
}

/// Something that has a bucket of its own for each value; exactly one of these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct By {
    /// A request header.
    pub header: Option<String>,
    /// A query parameter.
    pub query_param: Option<String>,
    /// A claim of the token, with dots between the parts of its path.
    pub claim: Option<String>,
    /// `Principal` or `Address` of the caller.
    pub source: Option<String>,
}
