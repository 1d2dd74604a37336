//! Pure. VirtualService to routes of a service's ports. Source: docs/compat.md#virtual-service.
//!
//! One with a value that cannot be is not taken over as a whole; what waypoints do not honour is a finding.

pub mod scope;
pub mod check;
mod expand;
mod http;
mod condition;
mod claim;
mod forward;
mod headers;
mod answer;
mod rewrite;
pub mod retry;
mod fault;
mod cors;
mod mirror;
mod opaque;
mod text;
mod join;

use std::net::IpAddr;

use mesh::model::http::{HttpEntry, HttpRule, TcpRule, TlsRule};
use mesh::names::NamespacedHostname;
use objects::istio::VirtualService;
use objects::raw::Path;

use super::Cluster;
use super::remarks::Remarks;
pub use check::{check, is_rejected};
pub use scope::applies;

/// A service at a waypoint, whose routes are asked for.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// Facts of the cluster.
    pub cluster: &'a Cluster,
    /// The service.
    pub service: &'a NamespacedHostname,
    /// Addresses that clients dial.
    pub addresses: &'a [IpAddr],
    /// Namespace of the waypoint.
    pub waypoint: &'a str,
}

/// A destination as a route names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wanted<'a> {
    /// Full name of its host.
    pub host: &'a str,
    /// Namespace of the object that names it: of several services with this host, its own comes first.
    pub namespace: &'a str,
    /// Its port; `None` where the only one is meant, or else the one that the client dialled.
    pub port: Option<u16>,
    /// The part of it; `None` for all of it.
    pub subset: Option<&'a str>,
}

/// Knows all destinations.
pub trait Destinations {
    /// Its index among [`mesh::model::http::ServiceRoutes::destinations`].
    ///
    /// # Errors
    /// Why it leads nowhere.
    fn find(&mut self, wanted: &Wanted<'_>) -> Result<u32, String>;
}

/// Knows all VirtualServices in force.
pub trait Others {
    /// The one of this namespace and name.
    fn find(&self, namespace: &str, name: &str) -> Option<&VirtualService>;
}

/// What one VirtualService gives for one port. Empty lists say nothing of that kind of traffic: they are not
/// a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// Alternatives in order; `rule` is an index into `rules`.
    pub http: Vec<HttpEntry>,
    /// What they do.
    pub rules: Vec<HttpRule>,
    /// Routes by server name, in order.
    pub tls: Vec<TlsRule>,
    /// Routes of bytes, in order.
    pub tcp: Vec<TcpRule>,
}

/// The routes of a port of the service. The caller has asked [`applies`], and orders several VirtualServices by age.
pub fn routes(
    object: &VirtualService,
    site: &Site<'_>,
    port: u16,
    others: &dyn Others,
    destinations: &mut dyn Destinations,
) -> Routes {
    let mut routes = Routes::default();
    let mut reader = Reader {
        cluster: site.cluster,
        destinations,
        remarks: Remarks::default(),
    };
    for one in expand::all(object, others, site.cluster, &mut reader.remarks) {
        let matches = scope::alternatives(&one.route.r#match, site, port);
        http::add(&one, &matches, &mut routes, &mut reader);
    }
    opaque::add(object, site, port, &mut routes, &mut reader);
    routes
}

/// What reading a route needs, and what is noticed on the way.
struct Reader<'a> {
    cluster: &'a Cluster,
    destinations: &'a mut dyn Destinations,
    remarks: Remarks,
}

impl Reader<'_> {
    /// A value that cannot be.
    fn invalid(&mut self, path: Path, reason: impl Into<String>) {
        self.remarks.invalid(path, reason);
    }
}

#[cfg(test)]
mod tests;
