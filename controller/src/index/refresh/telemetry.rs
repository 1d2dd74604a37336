//! Pure. What is to be said about Telemetry objects, and what they come to at a waypoint.

use mesh::model::observe;
use mesh::names::{NamespacedHostname, NamespacedName};
use objects::istio::Telemetry;
use objects::object::Object;

use super::{Computed, View, attached};
use crate::index::links::Output;
use crate::translate::attachment;
use crate::translate::telemetry::{self, Target, Waypoint, check};

/// What a Telemetry object's owner should know.
pub(super) fn telemetry(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let key = Output::Telemetry(name.clone()).key();
    let object = view.shelf.find(&key).and_then(Object::telemetry)?;
    let spec = &object.spec;
    let references: Vec<_> = attachment::references(spec.target_ref.as_ref(), &spec.target_refs)
        .map(|(target, path)| (target.clone(), path))
        .collect();
    let beside: Vec<&Telemetry> = view.shelf.telemetries_in(&name.namespace).collect();
    let situation = check::Situation {
        root: &view.cluster.root_namespace,
        observing: &view.cluster.observing,
        older: telemetry::older(object, &beside),
        places: attached::places(view, &name.namespace, &references),
    };
    Some(Computed {
        findings: check::findings(object, &situation),
        ..Computed::default()
    })
}

/// What holds at a waypoint where a service has nothing of its own.
pub fn of_waypoint(view: View<'_>, waypoint: &Waypoint<'_>) -> observe::Telemetry {
    let objects = objects(view, [&*waypoint.gateway.namespace]);
    telemetry::for_waypoint(view.cluster, waypoint, objects, &|host| {
        entry_host(view, host)
    })
}

/// What holds for a service at a waypoint, when something is attached to the service itself.
pub fn of_service(
    view: View<'_>,
    waypoint: &Waypoint<'_>,
    service: Target<'_>,
) -> Option<observe::Telemetry> {
    let objects = objects(view, [&*waypoint.gateway.namespace, service.namespace]);
    telemetry::for_service(view.cluster, waypoint, service, objects, &|host| {
        entry_host(view, host)
    })
}

/// Those of the root namespace and of these, each once.
fn objects<'a, const N: usize>(view: View<'a>, namespaces: [&str; N]) -> Vec<&'a Telemetry> {
    let mut names = vec![&*view.cluster.root_namespace];
    names.extend(namespaces);
    names.sort_unstable();
    names.dedup();
    let all = names.into_iter();
    all.flat_map(|namespace| view.shelf.telemetries_in(namespace))
        .collect()
}

/// A host that service entries name; of several namespaces that of the first.
fn entry_host(view: View<'_>, host: &str) -> Option<NamespacedHostname> {
    let entries = view.shelf.entries_of(host);
    let namespaces = entries.map(|it| &*it.metadata.namespace);
    Some(NamespacedHostname::new(namespaces.min()?, host))
}
