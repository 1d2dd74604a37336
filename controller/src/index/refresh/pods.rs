//! Pure. The workload of a pod, with the services and the waypoint that it has.

use mesh::model::Workload;
use mesh::names::NamespacedName;
use mesh::wire::Update;
use objects::istio::ServiceEntry;
use objects::kubernetes::Pod;
use objects::labels::Labels;
use objects::raw::Path;

use super::{Computed, View, required};
use crate::index::hosts;
use crate::shelf::pointers::GATEWAY_NAME;
use crate::translate::membership::{self, Candidate};
use crate::translate::policies::policies_of;
use crate::translate::service_entry::own_hosts;
use crate::translate::waypoint::bind::{self, Asker, Bound, Gateways};
use crate::translate::waypoint::gateway::Traffic;
use crate::translate::waypoint::{self, Wish};
use crate::translate::{endpoint_slice, unhonoured, workload};

pub(super) fn pod(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let View { shelf, cluster, .. } = view;
    let object = shelf.pod(&name.namespace, &name.name)?;
    let node = shelf.node(&object.spec.node_name);
    let candidates: Vec<Candidate<'_>> = shelf
        .services_in(&name.namespace)
        .map(|service| Candidate {
            service,
            slices: match endpoint_slice::is_written_by_hand(service) {
                true => shelf
                    .slices_of(&name.namespace, &service.metadata.name)
                    .collect(),
                false => Vec::new(),
            },
        })
        .collect();
    let entries = selecting(view, &name.namespace, &object.metadata.labels);
    let mut findings = unhonoured::findings(&object.metadata);
    let (mut waypoint, mut application_tunnel) = (None, None);
    match instance_of(view, object) {
        Some(gateway) => {
            let gateway = gateway.as_ref().and_then(|name| view.find(name));
            application_tunnel = gateway.and_then(|it| it.application_tunnel());
        }
        None if object.has_ended() => {}
        None => {
            let metadata = &object.metadata;
            let wish = (&metadata.labels, &metadata.annotations);
            let at = Path::of_keys(&["metadata"]);
            let bound = workload_waypoint(view, &name.namespace, wish, &at);
            waypoint = bound.waypoint;
            findings.extend(bound.findings);
        }
    }
    let mut policies = policies_of(
        &object.metadata.labels,
        &name.namespace,
        view.book.policies(),
    );
    // A waypoint itself is what the others wait for.
    if instance_of(view, object).is_none() {
        policies.extend(required::names(
            view,
            &name.namespace,
            &object.metadata.labels,
        ));
        policies.sort_unstable();
    }
    let made = workload::of_pod(cluster, object, node, &candidates, &entries);
    let made = made.map(|made| {
        Update::Workload(Box::new(Workload {
            waypoint,
            application_tunnel,
            policies: policies.clone(),
            ..made
        }))
    });
    Some(Computed {
        updates: made.into_iter().collect(),
        findings,
        ..Computed::default()
    })
}

/// The service entries of a namespace that select what has these labels, with those of their hosts that are theirs.
pub(super) fn selecting<'a>(
    view: View<'a>,
    namespace: &str,
    labels: &Labels,
) -> Vec<(&'a ServiceEntry, Vec<&'a str>)> {
    let entries = view.shelf.service_entries_in(namespace);
    let selecting = entries.filter(|entry| membership::entry_selects(entry, labels));
    let seen = hosts::seen(view.shelf, view.cluster, namespace);
    let published = selecting.filter(|_| seen.visibility().is_some());
    published
        .map(|entry| {
            let standing = hosts::standing(view.shelf, view.cluster, entry);
            (entry, own_hosts(entry, &standing))
        })
        .collect()
}

/// The waypoint for traffic to a workload's own addresses; labels and annotations are those `at` the path.
pub(super) fn workload_waypoint(
    view: View<'_>,
    namespace: &str,
    (labels, annotations): (&Labels, &Labels),
    at: &Path,
) -> Bound {
    let object = view.shelf.namespace(namespace);
    let asker = Asker {
        cluster: view.cluster,
        traffic: Traffic::Workload,
        namespace,
        wish: Wish {
            labels,
            annotations,
            namespace: object.map(|it| &it.metadata),
        },
        is_private: false,
        ingress: false,
        gateways: &view,
    };
    bind::bind(&asker, at)
}

/// The waypoint that a pod is an instance of, by name as far as that is known; `None` for other pods. A pod of any
/// gateway that has an address is one.
fn instance_of(view: View<'_>, pod: &Pod) -> Option<Option<NamespacedName>> {
    let labels = &pod.metadata.labels;
    let namespace = &*pod.metadata.namespace;
    let name = labels.get(GATEWAY_NAME);
    let name = name.map(|name| NamespacedName::new(namespace, name));
    let gateway = name.as_ref().and_then(|name| view.find(name));
    let is_reached = gateway.is_some_and(|it| it.address(view.cluster).is_some());
    (is_reached || waypoint::is_managed(labels)).then_some(name)
}
