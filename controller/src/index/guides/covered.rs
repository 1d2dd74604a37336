//! Pure. The services and service entries whose hosts a name covers.

use objects::kinds::{Key, Kind};
use objects::meta::Metadata;

use crate::shelf::Shelf;
use crate::translate::{Cluster, host};

/// All whose host is `written` in an object of `namespace`, or covered by it.
pub(super) fn by(written: &str, namespace: &str, shelf: &Shelf, cluster: &Cluster) -> Vec<Key> {
    let full = host::full_name(written, namespace, &cluster.domain);
    let key = |kind, it: &Metadata| Key::new(kind, &it.namespace, &it.name);
    if !full.starts_with('*') {
        let service = cluster.service_of(&full);
        // Also one that is not there, or not any more: nothing is made of it.
        let service = service.map(|(namespace, name)| Key::new(Kind::Service, namespace, name));
        let entries = shelf.entries_of(&full);
        let entries = entries.map(|it| key(Kind::ServiceEntry, &it.metadata));
        return service.into_iter().chain(entries).collect();
    }
    let services = shelf.services().filter(|it| {
        let service = cluster.service_key(&it.metadata.namespace, &it.metadata.name);
        host::covers(&full, &service.hostname)
    });
    let entries = shelf.service_entries().filter(|it| {
        let mut hosts = it.spec.hosts.iter();
        hosts.any(|one| host::covers(&full, one))
    });
    let services = services.map(|it| key(Kind::Service, &it.metadata));
    let entries = entries.map(|it| key(Kind::ServiceEntry, &it.metadata));
    services.chain(entries).collect()
}
