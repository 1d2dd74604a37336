//! Pure. Whose a host name is, when several objects name it. Source: docs/compat.md#service-record.
//!
//! In one namespace a Kubernetes service has it, else the oldest service entry. Across namespaces everybody has
//! his own; clients of a third one prefer the canonical one.

use mesh::model::Visibility;
use objects::istio::ServiceEntry;
use objects::kubernetes::Service;
use objects::kubernetes::service::ServiceType;
use objects::meta::Metadata;

use crate::shelf::Shelf;
use crate::translate::service_entry::Standing;
use crate::translate::visibility::Seen;
use crate::translate::{Cluster, age, namespaces};

/// Who came first, of several namespaces; with namespace and name.
pub(super) type Age = (age::Age, String, String);

/// How old an object is.
pub(super) fn age_of(metadata: &Metadata) -> Age {
    (
        age::of(metadata),
        metadata.namespace.clone(),
        metadata.name.clone(),
    )
}

/// What of a service entry decides whose hosts are whose. While this stays the same, no other entry changes with it.
pub(super) fn facts(entry: &ServiceEntry) -> impl PartialEq {
    (age_of(&entry.metadata), &entry.spec.hosts)
}

/// Whether a service has its host name.
pub(super) fn has_host(service: Option<&Service>) -> bool {
    service.is_some_and(|it| it.spec.r#type != ServiceType::ExternalName)
}

/// Who sees the service entries of a namespace.
pub(super) fn seen(shelf: &Shelf, cluster: &Cluster, namespace: &str) -> Seen {
    if cluster.entry_visibility.is_none() {
        return Seen::ByDefault;
    }
    let metadata = shelf.namespace(namespace).map(|it| &it.metadata);
    cluster.seen(&namespaces::labels(namespace, metadata))
}

/// Where each of an entry's hosts stands, in order.
pub(super) fn standing(shelf: &Shelf, cluster: &Cluster, entry: &ServiceEntry) -> Vec<Standing> {
    let hosts = entry.spec.hosts.iter();
    hosts.map(|host| of(shelf, cluster, entry, host)).collect()
}

fn of(shelf: &Shelf, cluster: &Cluster, entry: &ServiceEntry, host: &str) -> Standing {
    let namespace = &*entry.metadata.namespace;
    let place = cluster.service_of(host);
    let service = place.filter(|(namespace, name)| has_host(shelf.service(namespace, name)));
    if let Some((_, name)) = service.filter(|place| place.0 == namespace) {
        let by = format!("the host of Service {namespace}/{name}");
        return Standing::Taken { by };
    }
    let own = age_of(&entry.metadata);
    let rivals = || {
        let others = shelf
            .entries_of(host)
            .map(|other| (age_of(&other.metadata), other));
        let older = others.filter(|(age, _)| *age < own);
        older.map(|(_, other)| (other, seen(shelf, cluster, &other.metadata.namespace)))
    };
    let here = rivals()
        .filter(|(_, seen)| seen.visibility().is_some())
        .find(|(other, _)| *other.metadata.namespace == *namespace);
    if let Some((other, _)) = here {
        let by = format!("a host of ServiceEntry {namespace}/{}", other.metadata.name);
        return Standing::Taken { by };
    }
    let is_public = |seen: Seen| seen.visibility() == Some(Visibility::Public);
    let canonical = service.is_none()
        && is_public(seen(shelf, cluster, namespace))
        && !rivals().any(|(_, seen)| is_public(seen));
    Standing::Own { canonical }
}
