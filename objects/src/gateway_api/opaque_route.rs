//! Pure. TLSRoute and TCPRoute: where connections go that nobody looks into.

use serde::Deserialize;

use super::reference::{BackendRef, ParentRef};
use crate::meta::Metadata;

/// Where TLS connections go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TlsRoute {
    /// Name, age.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: TlsRouteSpec,
}

/// `spec` of a TLSRoute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TlsRouteSpec {
    /// What it is attached to.
    pub parent_refs: Vec<ParentRef>,
    /// Server names; any when there is none.
    pub hostnames: Vec<String>,
    /// Where the connections go.
    pub rules: Vec<OpaqueRule>,
}

/// Where TCP connections go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TcpRoute {
    /// Name, age.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: TcpRouteSpec,
}

/// `spec` of a TCPRoute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TcpRouteSpec {
    /// What it is attached to.
    pub parent_refs: Vec<ParentRef>,
    /// Where the connections go.
    pub rules: Vec<OpaqueRule>,
}

/// Where some connections go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OpaqueRule {
    /// Its name.
    pub name: Option<String>,
    /// Where they go.
    pub backend_refs: Vec<BackendRef>,
}
