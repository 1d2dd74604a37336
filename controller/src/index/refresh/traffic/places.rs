//! Pure. Whether the destinations of a VirtualService lead anywhere.

use mesh::names::NamespacedHostname;

use crate::index::hosts;
use crate::index::refresh::View;
use crate::translate::destination_rule::{Rules, policy_of};
use crate::translate::membership;
use crate::translate::service_entry::Standing;
use crate::translate::virtual_service::{Destinations, Wanted};

/// All services there are, as a waypoint's namespace sees them.
pub(super) struct Places<'a> {
    pub(super) view: View<'a>,
    pub(super) client: &'a str,
    /// The port that was dialled; `None` where any may be.
    pub(super) dialled: Option<u16>,
}

impl Destinations for Places<'_> {
    fn find(&mut self, wanted: &Wanted<'_>) -> Result<u32, String> {
        let host = wanted.host;
        let found = find(self.view, host, wanted.namespace);
        let (service, ports) =
            found.ok_or_else(|| format!("there is no service with host {host}"))?;
        let port = match (wanted.port, &*ports) {
            (Some(port), _) => Some(port),
            (None, [port]) => Some(*port),
            (None, _) => self.dialled,
        };
        if let Some(port) = port.filter(|it| !ports.contains(it)) {
            return Err(format!("{host} has no port {port}"));
        }
        let View {
            cluster, guides, ..
        } = self.view;
        let rules = Rules {
            all: &guides.rules_about(host, cluster),
            client: self.client,
            cluster,
        };
        let (part, _) = policy_of(&rules, &service, port.unwrap_or(0), wanted.subset);
        match (wanted.subset, part) {
            (Some(name), None) => Err(format!("no DestinationRule for {host} has a subset {name}")),
            _ => Ok(0),
        }
    }
}

/// The service that a host means to objects of a namespace, and its ports.
fn find(view: View<'_>, host: &str, namespace: &str) -> Option<(NamespacedHostname, Vec<u16>)> {
    let View { shelf, cluster, .. } = view;
    let service = cluster.service_of(host);
    let service = service.and_then(|(namespace, name)| shelf.service(namespace, name));
    if let Some(service) = service.filter(|it| hosts::has_host(Some(it))) {
        let metadata = &service.metadata;
        let ports = membership::service_ports(service).map(|it| it.port);
        let key = cluster.service_key(&metadata.namespace, &metadata.name);
        return Some((key, ports.collect()));
    }
    let mut found = None;
    for entry in shelf.entries_of(host) {
        let standing = hosts::standing(shelf, cluster, entry);
        let mut own = entry.spec.hosts.iter().zip(standing);
        let canonical = own.find_map(|(name, standing)| match standing {
            Standing::Own { canonical } if name == host => Some(canonical),
            _ => None,
        });
        let place = entry.metadata.namespace.as_str();
        let ports = entry.spec.ports.iter().filter(|it| !it.is_udp());
        let it = || {
            let key = NamespacedHostname::new(place, host);
            (key, ports.map(|it| it.number).collect())
        };
        match canonical {
            Some(_) if place == namespace => return Some(it()),
            Some(true) => found = Some(it()),
            _ => {}
        }
    }
    found
}
