//! Pure. Routes of a VirtualService for TLS that is not terminated, and for bytes.

use serde::Deserialize;

use super::Destination;
use crate::labels::Labels;

/// A route of TLS that is not terminated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TlsRoute {
    /// Alternatives.
    pub r#match: Vec<TlsMatch>,
    /// Where it goes.
    pub route: Vec<RouteDestination>,
}

/// A route of bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TcpRoute {
    /// Alternatives; everything when there is none.
    pub r#match: Vec<TcpMatch>,
    /// Where it goes.
    pub route: Vec<RouteDestination>,
}

/// Conditions on TLS that is not terminated; all must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TlsMatch {
    /// Server names that are asked for.
    pub sni_hosts: Vec<String>,
    /// Addresses and ranges that are dialled.
    pub destination_subnets: Vec<String>,
    /// Port of the service; any when 0.
    pub port: u32,
    /// Labels of the client.
    pub source_labels: Labels,
    /// Gateways that it holds for, instead of the object's.
    pub gateways: Vec<String>,
    /// Namespace of the client.
    pub source_namespace: String,
}

/// Conditions on a connection; all must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TcpMatch {
    /// Addresses and ranges that are dialled.
    pub destination_subnets: Vec<String>,
    /// Port of the service; any when 0.
    pub port: u32,
    /// Labels of the client.
    pub source_labels: Labels,
    /// Gateways that it holds for, instead of the object's.
    pub gateways: Vec<String>,
    /// Namespace of the client.
    pub source_namespace: String,
}

/// One of several destinations of connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RouteDestination {
    /// Which.
    pub destination: Option<Destination>,
    /// Its share.
    pub weight: i32,
}
