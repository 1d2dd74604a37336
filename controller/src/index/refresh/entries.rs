//! Pure. What service entries and workload entries come to.

use mesh::names::NamespacedName;
use mesh::wire::Update;
use objects::istio::ServiceEntry;
use objects::raw::Path;

use super::pods::{selecting, workload_waypoint};
use super::{Computed, View, required};
use crate::index::hosts;
use crate::translate::policies::policies_of;
use crate::translate::service_entry::{self, Context};
use crate::translate::status::Status;
use crate::translate::waypoint::USE_WAYPOINT;
use crate::translate::{membership, waypoint, workload, workload_entry};

pub(super) fn service_entry(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let View {
        shelf,
        cluster,
        allocator,
        book,
        ..
    } = view;
    let entry = shelf.service_entry(&name.namespace, &name.name)?;
    let namespace = shelf.namespace(&name.namespace);
    let context = Context {
        cluster,
        namespace: namespace.map(|it| &it.metadata),
        seen: hosts::seen(shelf, cluster, &name.namespace),
        standing: &hosts::standing(shelf, cluster, entry),
        given: allocator.given(name),
        selects_something: selects_something(view, entry),
        policies: book.policies(),
        gateways: &view,
    };
    let made = service_entry::of_entry(&context, entry);
    let services = made
        .services
        .into_iter()
        .map(|it| Update::Service(Box::new(it)));
    let workloads = made.workloads.into_iter();
    let workloads = workloads.map(|it| Update::Workload(Box::new(it)));
    Some(Computed {
        updates: services.chain(workloads).collect(),
        findings: made.findings,
        status: Some(made.status),
        ..Computed::default()
    })
}

fn selects_something(view: View<'_>, entry: &ServiceEntry) -> bool {
    let namespace = &*entry.metadata.namespace;
    let mut pods = view.shelf.pods_in(namespace);
    let mut entries = view.shelf.workload_entries_in(namespace);
    entry.spec.workload_selector.is_some()
        && (pods.any(|pod| {
            membership::entry_selects(entry, &pod.metadata.labels) && workload::is_in_mesh(pod)
        }) || entries.any(|it| membership::entry_selects(entry, &it.labels())))
}

pub(super) fn workload_entry(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let View { shelf, cluster, .. } = view;
    let entry = shelf.workload_entry(&name.namespace, &name.name)?;
    let labels = entry.labels();
    let entries = selecting(view, &name.namespace, &labels);
    let services = shelf.services_in(&name.namespace);
    let mut made = workload_entry::of_entry(cluster, entry, services, &entries);
    let mut findings = workload_entry::findings(cluster, entry, &made);
    made.policies = policies_of(&labels, &name.namespace, view.book.policies());
    if !waypoint::is_managed(&labels) {
        made.policies
            .extend(required::names(view, &name.namespace, &labels));
        made.policies.sort_unstable();
    }
    let mut status = Status::default();
    if !waypoint::is_managed(&labels) {
        let at = match entry.spec.labels.has(USE_WAYPOINT) {
            true => Path::of_keys(&["spec"]),
            false => Path::of_keys(&["metadata"]),
        };
        let wish = (&labels, &entry.metadata.annotations);
        let bound = workload_waypoint(view, &name.namespace, wish, &at);
        made.waypoint = bound.waypoint;
        findings.extend(bound.findings);
        status.conditions.extend(bound.condition);
    }
    Some(Computed {
        updates: vec![Update::Workload(Box::new(made))],
        findings,
        status: Some(status),
        ..Computed::default()
    })
}
