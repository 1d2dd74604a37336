//! Pure. Who is behind a service or a service entry, and whom something is behind.

use objects::istio::ServiceEntry;
use objects::kubernetes::Service;
use objects::labels::Labels;

use super::Dirty;
use crate::shelf::Shelf;
use crate::translate::membership;

/// The services and service entries that select what has these labels.
pub(super) fn selecting(namespace: &str, labels: &Labels, shelf: &Shelf, dirty: &mut Dirty) {
    let services = shelf.services_in(namespace);
    for service in services.filter(|it| membership::selects(it, labels)) {
        dirty.service(&service.metadata);
    }
    let entries = shelf.service_entries_in(namespace);
    for entry in entries.filter(|it| membership::entry_selects(it, labels)) {
        dirty.entry(&entry.metadata);
    }
}

/// The pods, workload entries and slices behind a service.
pub(super) fn of_service(service: &Service, shelf: &Shelf, dirty: &mut Dirty) {
    let metadata = &service.metadata;
    let namespace = &*metadata.namespace;
    if service.spec.selector.is_empty() {
        let slices = shelf.slices_of(namespace, &metadata.name);
        slices.for_each(|slice| dirty.slice(slice));
    } else {
        let is_member = |labels: &Labels| membership::selects(service, labels);
        add(namespace, is_member, shelf, dirty);
    }
}

/// The pods and workload entries behind a service entry.
pub(super) fn of_entry(entry: &ServiceEntry, shelf: &Shelf, dirty: &mut Dirty) {
    if entry.spec.workload_selector.is_some() {
        let is_member = |labels: &Labels| membership::entry_selects(entry, labels);
        add(&entry.metadata.namespace, is_member, shelf, dirty);
    }
}

fn add(namespace: &str, is_member: impl Fn(&Labels) -> bool, shelf: &Shelf, dirty: &mut Dirty) {
    let pods = shelf.pods_in(namespace);
    pods.filter(|pod| is_member(&pod.metadata.labels))
        .for_each(|pod| dirty.pod(&pod.metadata));
    let entries = shelf.workload_entries_in(namespace);
    entries
        .filter(|entry| is_member(&entry.labels()))
        .for_each(|entry| dirty.workload_entry(&entry.metadata));
}
