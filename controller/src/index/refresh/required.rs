//! Pure. Pods that take connections from their waypoint only: the policies, and which of them a workload names.

use mesh::model::Origin;
use mesh::names::NamespacedName;
use mesh::wire::Update;
use objects::kubernetes::Service;
use objects::labels::Labels;
use objects::raw::Path;

use super::pods::workload_waypoint;
use super::{Computed, View};
use crate::translate::rule::Rule;
use crate::translate::waypoint::required::{self, REQUIRED, Required};
use crate::translate::{Finding, membership, service, unhonoured, workload};

/// The policy of a service's pods, if they are closed, and what its owner should know.
pub(super) fn service(view: View<'_>, service: &Service) -> (Option<Update>, Vec<Finding>) {
    let metadata = &service.metadata;
    let Some(required) = required_of(view, service) else {
        return (None, Vec::new());
    };
    let waypoints = waypoints(view, service);
    let mut findings: Vec<Finding> = unbound(&waypoints).into_iter().collect();
    findings.extend(shared(view, service, &waypoints));
    let (namespace, name) = (metadata.namespace.as_str(), metadata.name.as_str());
    let key = required::policy_name(namespace, Some(name));
    let origin = Origin::object("Service", namespace, name);
    (
        Some(policy(view, key, &required, &waypoints, origin)),
        findings,
    )
}

/// What is to be said about a namespace, and the policy of its pods that no service selects.
pub(super) fn namespace(view: View<'_>, name: &str) -> Option<Computed> {
    let metadata = &view.shelf.namespace(name)?.metadata;
    let mut findings = unhonoured::of_service_or_namespace(metadata);
    findings.extend(required::findings(metadata));
    let closed = required::of_namespace(metadata).map(|required| {
        let none = (&Labels::default(), &Labels::default());
        let at = Path::of_keys(&["metadata"]);
        let waypoints = workload_waypoint(view, name, none, &at).gateways;
        let origin = Origin::object("Namespace", "", name);
        let key = required::policy_name(name, None);
        policy(view, key, &required, &waypoints, origin)
    });
    Some(Computed {
        updates: closed.into_iter().collect(),
        findings,
        ..Computed::default()
    })
}

/// The policies of this sort that a workload with these labels names, sorted.
pub(super) fn names(view: View<'_>, namespace: &str, labels: &Labels) -> Vec<NamespacedName> {
    let services = view.shelf.services_in(namespace);
    let mut selecting = services
        .filter(|it| membership::selects(it, labels))
        .peekable();
    if selecting.peek().is_none() {
        let metadata = view.shelf.namespace(namespace).map(|it| &it.metadata);
        let required = metadata.and_then(required::of_namespace);
        let name = required.map(|_| required::policy_name(namespace, None));
        return name.into_iter().collect();
    }
    let closed = selecting.filter(|it| required_of(view, it).is_some());
    let mut names: Vec<_> = closed
        .map(|it| required::policy_name(namespace, Some(&it.metadata.name)))
        .collect();
    names.sort_unstable();
    names
}

fn required_of(view: View<'_>, service: &Service) -> Option<Required> {
    let metadata = &service.metadata;
    let namespace = view.shelf.namespace(&metadata.namespace);
    required::of_service(metadata, namespace.map(|it| &it.metadata))
}

fn waypoints(view: View<'_>, of: &Service) -> Vec<NamespacedName> {
    let namespace = view.shelf.namespace(&of.metadata.namespace);
    let context = service::Context {
        cluster: view.cluster,
        namespace: namespace.map(|it| &it.metadata),
        gateways: &view,
    };
    service::waypoint(&context, &of.metadata).gateways
}

fn policy(
    view: View<'_>,
    key: NamespacedName,
    required: &Required,
    waypoints: &[NamespacedName],
    origin: Origin,
) -> Update {
    let principals = required::principals(&view.cluster.trust_domain, waypoints, &view);
    Update::Policy(Box::new(required::policy(
        key, required, principals, origin,
    )))
}

fn unbound(waypoints: &[NamespacedName]) -> Option<Finding> {
    let reason = "no waypoint is bound, so its pods refuse every connection";
    let finding = || {
        Finding::new(
            Rule::WaypointRequiredUnbound,
            &["metadata", "labels", REQUIRED],
            reason,
        )
    };
    waypoints.is_empty().then(finding)
}

/// The first pod that is behind a service with another waypoint too.
fn shared(view: View<'_>, service: &Service, waypoints: &[NamespacedName]) -> Option<Finding> {
    let (namespace, name) = (&service.metadata.namespace, &service.metadata.name);
    let others = view.shelf.services_in(namespace);
    let others: Vec<&Service> = others
        .filter(|it| it.metadata.name != *name && self::waypoints(view, it) != waypoints)
        .collect();
    let pods = view.shelf.pods_in(namespace);
    let members = pods.filter(|pod| {
        workload::is_in_mesh(pod) && membership::selects(service, &pod.metadata.labels)
    });
    let mut pairs = members.flat_map(|pod| others.iter().map(move |other| (pod, other)));
    let (pod, other) =
        pairs.find(|(pod, other)| membership::selects(other, &pod.metadata.labels))?;
    let reason = format!(
        "pod {} is behind service {} too, whose traffic does not come through this waypoint and is refused",
        pod.metadata.name, other.metadata.name
    );
    let path = ["metadata", "labels", REQUIRED];
    Some(Finding::new(Rule::WaypointRequiredShared, &path, reason))
}
