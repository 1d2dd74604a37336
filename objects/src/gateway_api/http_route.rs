//! Pure. HTTPRoute.

use serde::Deserialize;

use super::filter::Filter;
use super::reference::{BackendRef, ParentRef};
use super::session::SessionPersistence;
use crate::meta::Metadata;

/// Where HTTP requests go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HttpRoute {
    /// Name, age.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: HttpRouteSpec,
}

/// `spec` of an HTTPRoute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpRouteSpec {
    /// What it is attached to.
    pub parent_refs: Vec<ParentRef>,
    /// Hosts of requests; only of gateways.
    pub hostnames: Vec<String>,
    /// What is done with which requests.
    pub rules: Vec<HttpRule>,
}

/// What is done with some requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpRule {
    /// Its name.
    pub name: Option<String>,
    /// Which requests: any of these, all when there is none.
    pub matches: Vec<HttpMatch>,
    /// What is done to them.
    pub filters: Vec<Filter>,
    /// Where they go.
    pub backend_refs: Vec<BackendRef>,
    /// How long they may take.
    pub timeouts: Option<Timeouts>,
    /// When they are tried again.
    pub retry: Option<Retry>,
    /// Keeps a client with its endpoint.
    pub session_persistence: Option<SessionPersistence>,
}

/// Conditions on a request; all must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpMatch {
    /// On its path; any when absent.
    pub path: Option<PathMatch>,
    /// On its headers.
    pub headers: Vec<NamedMatch>,
    /// On its query parameters.
    pub query_params: Vec<NamedMatch>,
    /// Its method.
    pub method: Option<String>,
}

/// A condition on a path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PathMatch {
    /// `Exact`, `PathPrefix` (also when absent) or `RegularExpression`.
    pub r#type: Option<String>,
    /// What it is compared with; `/` when absent.
    pub value: Option<String>,
}

/// A condition on a header or a query parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NamedMatch {
    /// `Exact` (also when absent) or `RegularExpression`.
    pub r#type: Option<String>,
    /// Which.
    pub name: String,
    /// What its value is compared with.
    pub value: String,
}

/// How long requests may take; `0s` is without end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Timeouts {
    /// All tries together.
    pub request: Option<String>,
    /// One try.
    pub backend_request: Option<String>,
}

/// When requests are tried again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Retry {
    /// After answers with these codes.
    pub codes: Vec<u16>,
    /// Tries after the first.
    pub attempts: Option<u32>,
    /// Least wait between tries.
    pub backoff: Option<String>,
}
