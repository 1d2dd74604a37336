//! Pure. What a route comes to, whatever it is attached to.

use mesh::model::http::{TcpRule, TlsRule};

use super::destinations::Destinations;
use super::entry::Http;
use super::notes::Notes;
use super::{Written, grpc, http, opaque};

/// A route, read.
#[derive(Clone, Debug)]
pub(super) enum Read {
    /// Of HTTP requests or gRPC calls.
    Http(Http),
    /// Of TLS connections.
    Tls(Vec<TlsRule>),
    /// Of TCP connections.
    Tcp(Vec<TcpRule>),
}

/// Reads a route; what it refers to becomes destinations.
pub(super) fn read(route: Written<'_>, to: &mut Destinations<'_>, notes: &mut Notes) -> Read {
    match route {
        Written::Grpc(route) => Read::Http(grpc::read(route, to, notes)),
        Written::Http(route) => Read::Http(http::read(route, to, notes)),
        Written::Tls(route) => Read::Tls(opaque::tls(route, to, notes)),
        Written::Tcp(route) => Read::Tcp(opaque::tcp(route, to, notes)),
    }
}
