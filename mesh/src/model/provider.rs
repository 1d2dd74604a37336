//! Servers beside the data path, as MeshConfig's `extensionProviders` names them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::names::NamespacedHostname;

/// A server outside of the data path that a waypoint talks to: a provider of traces or of authorization.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProviderAddress {
    /// Its service in the mesh, or a host name to resolve.
    pub host: ProviderHost,
    /// Port of the service.
    pub port: u16,
}

/// Where a [`ProviderAddress`] is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProviderHost {
    /// A service of the mesh.
    Service(NamespacedHostname),
    /// A name outside, resolved by DNS.
    Name(Arc<str>),
    /// An address outside.
    Address(IpAddr),
}

/// An external authorization server, from MeshConfig's `extensionProviders`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAuthorizer {
    /// Name that policies use.
    pub name: Arc<str>,
    /// The server.
    pub server: ProviderAddress,
    /// How it is asked.
    pub protocol: AuthorizerProtocol,
    /// How long it may take. Default 600 s.
    pub timeout: Duration,
    /// Whether requests pass when it cannot be asked. Default no.
    pub fail_open: bool,
    /// Status of requests that are refused because it could not be asked. Default 403.
    pub status_on_error: u16,
    /// Part of the request's body that is sent along; `None` sends none.
    pub body: Option<AuthorizerBody>,
}

/// How an [`ExternalAuthorizer`] is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorizerProtocol {
    /// `envoy.service.auth.v3.Authorization/Check`.
    Grpc,
    /// A request of the same method and path; 200 admits.
    Http {
        /// Put before the path.
        path_prefix: Arc<str>,
        /// Header patterns of the request that are sent along (exact, `prefix*`, `*suffix`).
        forwarded: Vec<Arc<str>>,
        /// Headers added to the question.
        added: Vec<(Arc<str>, Arc<str>)>,
        /// Patterns of headers that an admitting answer passes on to the application.
        to_upstream: Vec<Arc<str>>,
        /// Patterns of headers that a refusing answer passes on to the client; empty passes all.
        to_client_on_deny: Vec<Arc<str>>,
        /// Patterns of headers that an admitting answer adds to the response.
        to_client_on_allow: Vec<Arc<str>>,
    },
}

/// How much of a body an [`ExternalAuthorizer`] is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AuthorizerBody {
    /// Longest part, in bytes.
    pub max_bytes: u32,
    /// Whether a longer body is cut, instead of the request being refused with 413.
    pub allow_partial: bool,
    /// Whether it is sent as bytes instead of text.
    pub pack_as_bytes: bool,
}
