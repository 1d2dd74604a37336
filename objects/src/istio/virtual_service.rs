//! Pure. VirtualService: where requests to hosts go, and what is done on the way.

pub mod http_match;
pub mod http_action;
pub mod opaque;

use serde::Deserialize;

use crate::meta::Metadata;
pub use http_action::{
    Cors, DirectResponse, Fault, Headers, Mirror, Preflights, Redirect, Retries, Rewrite,
};
pub use http_match::HttpMatch;
pub use opaque::{TcpRoute, TlsRoute};

use super::span::Span;

/// Where requests to hosts go.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct VirtualService {
    /// Name, namespace, age.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: VirtualServiceSpec,
}

// No number in it can be NaN: documents have none.
impl Eq for VirtualService {}

/// `spec` of a VirtualService.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VirtualServiceSpec {
    /// Full names, short ones of its namespace, or wildcards. None makes it a delegate of others.
    pub hosts: Vec<String>,
    /// Where it holds; `mesh` for everything but gateways, and when absent.
    pub gateways: Vec<String>,
    /// Routes of requests; the first that matches counts.
    pub http: Vec<HttpRoute>,
    /// Routes of TLS that is not terminated.
    pub tls: Vec<TlsRoute>,
    /// Routes of bytes.
    pub tcp: Vec<TcpRoute>,
    /// Namespaces whose clients see it; `.` is its own, `*` all.
    pub export_to: Vec<String>,
}

/// A route of requests.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpRoute {
    /// What it is called.
    pub name: String,
    /// Alternatives; everything when there is none.
    pub r#match: Vec<HttpMatch>,
    /// Where it goes.
    pub route: Vec<HttpDestination>,
    /// It is sent elsewhere.
    pub redirect: Option<Redirect>,
    /// It is answered.
    pub direct_response: Option<DirectResponse>,
    /// Another VirtualService goes on.
    pub delegate: Option<Delegate>,
    /// Changes of host and path.
    pub rewrite: Option<Rewrite>,
    /// How long all tries together may take.
    pub timeout: Option<Span>,
    /// When it is tried again; as the mesh says when absent.
    pub retries: Option<Retries>,
    /// Broken on purpose.
    pub fault: Option<Fault>,
    /// A copy sent elsewhere.
    pub mirror: Option<Destination>,
    /// Copies sent elsewhere.
    pub mirrors: Vec<Mirror>,
    /// Share of requests that go to `mirror`; all when absent.
    pub mirror_percentage: Option<Percent>,
    /// Cross-origin rules.
    pub cors_policy: Option<Cors>,
    /// Changes of headers.
    pub headers: Option<Headers>,
}

/// A share of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Percent {
    /// In percent.
    pub value: f64,
}

/// A service, or a part of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Destination {
    /// Its host: a full name or a short one of the object's namespace.
    pub host: String,
    /// The part, as a DestinationRule calls it.
    pub subset: String,
    /// Its port; may be left out when there is one only.
    pub port: Option<PortSelector>,
}

/// A port by its number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PortSelector {
    /// The number.
    pub number: u32,
}

/// One of several destinations of requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HttpDestination {
    /// Which.
    pub destination: Option<Destination>,
    /// Its share.
    pub weight: i32,
    /// Changes of headers.
    pub headers: Option<Headers>,
}

/// Another VirtualService.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Delegate {
    /// Its name.
    pub name: String,
    /// Its namespace; that of the root when empty.
    pub namespace: String,
}
