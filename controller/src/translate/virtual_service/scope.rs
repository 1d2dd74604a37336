//! Pure. For which services, ports and waypoints a VirtualService and its parts hold.

use objects::istio::virtual_service::HttpMatch;
use objects::istio::virtual_service::opaque::{TcpMatch, TlsMatch};
use objects::istio::{Subnet, VirtualService};
use objects::labels::Labels;

use super::Site;
use crate::translate::host;

/// The word for everything but gateways.
pub(super) const MESH: &str = "mesh";

/// Whether a VirtualService holds for a service at its waypoint: it names the host, stands in the namespace of the
/// service or of the waypoint, is exported to the waypoint, and is not for gateways only.
pub fn applies(object: &VirtualService, site: &Site<'_>) -> bool {
    let (spec, own) = (&object.spec, &*object.metadata.namespace);
    let names = |pattern: &String| {
        let full = host::full_name(pattern, own, &site.cluster.domain);
        host::covers(&full, &site.service.hostname)
    };
    let default = &site.cluster.traffic.virtual_service_export;
    (own == &*site.service.namespace || own == site.waypoint)
        && spec.hosts.iter().any(names)
        && is_for_mesh(&spec.gateways)
        && host::is_exported(&spec.export_to, default, own, site.waypoint)
}

/// Whether a list of gateways is not about gateways only; an empty one says nothing.
pub(super) fn is_for_mesh(gateways: &[String]) -> bool {
    gateways.is_empty() || gateways.iter().any(|it| it == MESH)
}

/// What can be said of an alternative before any request comes.
struct Limits<'a> {
    port: u32,
    labels: &'a Labels,
    gateways: &'a [String],
    namespace: &'a str,
    subnets: &'a [String],
}

impl Limits<'_> {
    fn hold(&self, site: &Site<'_>, port: u16) -> bool {
        let subnets = self.subnets.iter().filter_map(|it| Subnet::parse(it));
        let mut dialled = subnets.flat_map(|subnet| {
            let addresses = site.addresses.iter();
            addresses.map(move |address| subnet.contains(*address))
        });
        (self.port == 0 || self.port == u32::from(port))
            && self.labels.is_empty()
            && is_for_mesh(self.gateways)
            && (self.namespace.is_empty() || self.namespace == site.waypoint)
            && (self.subnets.is_empty() || dialled.any(|it| it))
    }
}

/// The alternatives of a route that can hold at a port, with their places; `None` when there is no list, and
/// everything is meant.
pub(super) type Alternatives<'a, T> = Option<Vec<(usize, &'a T)>>;

fn some<'a, T>(
    all: &'a [T],
    of: impl Fn(&T) -> Limits<'_>,
    site: &Site<'_>,
    port: u16,
) -> Alternatives<'a, T> {
    if all.is_empty() {
        return None;
    }
    let all = all.iter().enumerate();
    Some(all.filter(|(_, it)| of(it).hold(site, port)).collect())
}

pub(super) fn alternatives<'a>(
    all: &'a [HttpMatch],
    site: &Site<'_>,
    port: u16,
) -> Alternatives<'a, HttpMatch> {
    some(
        all,
        |it| Limits {
            port: it.port,
            labels: &it.source_labels,
            gateways: &it.gateways,
            namespace: &it.source_namespace,
            subnets: &[],
        },
        site,
        port,
    )
}

pub(super) fn tls<'a>(
    all: &'a [TlsMatch],
    site: &Site<'_>,
    port: u16,
) -> Alternatives<'a, TlsMatch> {
    some(
        all,
        |it| Limits {
            port: it.port,
            labels: &it.source_labels,
            gateways: &it.gateways,
            namespace: &it.source_namespace,
            subnets: &it.destination_subnets,
        },
        site,
        port,
    )
}

pub(super) fn tcp<'a>(
    all: &'a [TcpMatch],
    site: &Site<'_>,
    port: u16,
) -> Alternatives<'a, TcpMatch> {
    some(
        all,
        |it| Limits {
            port: it.port,
            labels: &it.source_labels,
            gateways: &it.gateways,
            namespace: &it.source_namespace,
            subnets: &it.destination_subnets,
        },
        site,
        port,
    )
}
