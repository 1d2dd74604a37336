//! Pure. What policies look at.

use std::net::IpAddr;

use http::HeaderMap;

use super::Token;
use crate::identity::Identity;

/// What is known of a connection, and of a request on it.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What the peer's certificate proved; `None` for plain text.
    pub source_identity: Option<&'a Identity>,
    /// TCP peer: the client, or the proxy that carries it. At a waypoint the client.
    pub source_ip: IpAddr,
    /// Address the application is reached at.
    pub destination_ip: IpAddr,
    /// Port the application is reached at, never the tunnel's.
    pub destination_port: u16,
    /// What only a waypoint knows; `None` where a node proxy asks.
    pub request: Option<&'a RequestFacts<'a>>,
}

/// What only a waypoint knows.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// The client as proxies in front say; the TCP peer when none does.
    pub remote_ip: IpAddr,
    /// Server name that the client's own TLS asks for, where it is not terminated.
    pub server_name: Option<&'a str>,
    /// The request; `None` for opaque bytes.
    pub http: Option<HttpFacts<'a>>,
}

/// What is known of an HTTP request.
#[derive(Clone, Copy, Debug)]
pub struct HttpFacts<'a> {
    /// Method.
    pub method: &'a str,
    /// Host header or `:authority`, as sent.
    pub host: &'a str,
    /// Path after it was made uniform, without query.
    pub path: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The verified token; `None` without one, and before tokens were looked at.
    pub token: Option<&'a Token>,
}
