//! Pure. What a route comes to, whatever it is attached to.

use mesh::model::Origin;
use mesh::model::http::{HttpMatch, HttpRule, TcpRule, TlsRule};
use objects::raw::Path;

use super::destinations::Destinations;
use super::notes::Notes;
use super::precedence::Rank;
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

/// A route of HTTP requests or gRPC calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Http {
    /// Matches in the order of the document.
    pub(super) entries: Vec<Entry>,
    /// What is done.
    pub(super) rules: Vec<HttpRule>,
}

/// One match.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// How exact it is.
    pub(super) rank: Rank,
    /// Its conditions.
    pub(super) matches: HttpMatch,
    /// Index of its rule.
    pub(super) rule: usize,
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

/// The path of a rule.
pub(super) fn path_of(rule: usize) -> Path {
    Path::of_keys(&["spec", "rules"]).at(rule)
}

/// The origin of a rule: its name, else its index.
pub(super) fn origin(route: Written<'_>, index: usize, name: Option<&str>) -> Origin {
    let metadata = route.metadata();
    let name = name.filter(|it| !it.is_empty());
    Origin {
        rule: name.map_or_else(|| index.to_string().into(), Into::into),
        ..Origin::object(
            route.kind().facts().word,
            metadata.namespace.as_str(),
            metadata.name.as_str(),
        )
    }
}
