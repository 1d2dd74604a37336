//! Pure. GRPCRoute.

use serde::Deserialize;

use super::filter::Filter;
use super::http_route::NamedMatch;
use super::reference::{BackendRef, ParentRef};
use super::session::SessionPersistence;
use crate::meta::Metadata;

/// Where gRPC calls go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GrpcRoute {
    /// Name, age.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: GrpcRouteSpec,
}

/// `spec` of a GRPCRoute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GrpcRouteSpec {
    /// What it is attached to.
    pub parent_refs: Vec<ParentRef>,
    /// Hosts of calls; only of gateways.
    pub hostnames: Vec<String>,
    /// What is done with which calls.
    pub rules: Vec<GrpcRule>,
}

/// What is done with some calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GrpcRule {
    /// Its name.
    pub name: Option<String>,
    /// Which calls: any of these, all when there is none.
    pub matches: Vec<GrpcMatch>,
    /// What is done to them.
    pub filters: Vec<Filter>,
    /// Where they go.
    pub backend_refs: Vec<BackendRef>,
    /// Keeps a client with its endpoint.
    pub session_persistence: Option<SessionPersistence>,
}

/// Conditions on a call; all must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GrpcMatch {
    /// On what is called.
    pub method: Option<MethodMatch>,
    /// On its headers.
    pub headers: Vec<NamedMatch>,
}

/// A condition on what is called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct MethodMatch {
    /// `Exact` (also when absent) or `RegularExpression`.
    pub r#type: Option<String>,
    /// Its service; any when absent.
    pub service: Option<String>,
    /// Its method; any when absent.
    pub method: Option<String>,
}
