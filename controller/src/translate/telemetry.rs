//! Pure. Telemetry objects and MeshConfig to what a waypoint logs, counts and traces. Source: docs/compat.md#telemetry.
//!
//! Wider objects come first: the mesh's settings, the root namespace, the waypoint's namespace, what is
//! attached to its class, to it, and to a service. Each changes what it names and leaves the rest.

pub mod check;
mod trace;
mod log;
mod count;
pub mod observing;

use std::sync::Arc;

use mesh::model::{Origin, observe};
use mesh::names::{NamespacedHostname, NamespacedName};
use objects::istio::Telemetry;
use objects::istio::authorization_policy::TargetRef;
use objects::istio::telemetry::Mode;

use super::{Cluster, age};

/// How hosts of the mesh are found that are not of the cluster's domain.
pub type FindService<'a> = &'a dyn Fn(&str) -> Option<NamespacedHostname>;

/// A waypoint, as Telemetry objects name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waypoint<'a> {
    /// Its Gateway.
    pub gateway: &'a NamespacedName,
    /// Class of the Gateway.
    pub class: &'a str,
}

/// A service, as Telemetry objects name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// `Service` or `ServiceEntry`.
    pub kind: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// What holds at a waypoint where a service has nothing of its own. `all` may be any objects: those of the
/// root namespace and of the waypoint's are looked at.
pub fn for_waypoint<'a>(
    cluster: &Cluster,
    waypoint: &Waypoint<'_>,
    all: impl IntoIterator<Item = &'a Telemetry>,
    elsewhere: FindService<'_>,
) -> observe::Telemetry {
    let all: Vec<&Telemetry> = all.into_iter().collect();
    merge(cluster, &scopes(cluster, waypoint, &all), elsewhere)
}

/// What holds for a service at a waypoint, when something is attached to the service itself; `None` when
/// the waypoint's settings hold. `all` as above, and the service's namespace.
pub fn for_service<'a>(
    cluster: &Cluster,
    waypoint: &Waypoint<'_>,
    service: Target<'_>,
    all: impl IntoIterator<Item = &'a Telemetry>,
    elsewhere: FindService<'_>,
) -> Option<observe::Telemetry> {
    let all: Vec<&Telemetry> = all.into_iter().collect();
    let own = oldest(&all, |it| {
        it.metadata.namespace == service.namespace
            && it
                .spec
                .targets()
                .any(|target| target.kind == service.kind && target.name == service.name)
    })?;
    let mut scopes = scopes(cluster, waypoint, &all);
    scopes.push(own);
    Some(merge(cluster, &scopes, elsewhere))
}

/// The objects that a waypoint follows, widest first; of several for the same the oldest counts.
fn scopes<'a>(
    cluster: &Cluster,
    waypoint: &Waypoint<'_>,
    all: &[&'a Telemetry],
) -> Vec<&'a Telemetry> {
    let root = &*cluster.root_namespace;
    let namespace = &*waypoint.gateway.namespace;
    let whole = |wanted: &str| {
        let wanted = wanted.to_owned();
        move |it: &Telemetry| it.metadata.namespace == wanted && is_for_all(it)
    };
    let attached = |wanted: &str, kind: &'static str, name: &str| {
        let (wanted, name) = (wanted.to_owned(), name.to_owned());
        move |it: &Telemetry| {
            let is_it = |target: &TargetRef| target.kind == kind && target.name == name;
            it.metadata.namespace == wanted && it.spec.targets().any(is_it)
        }
    };
    let found = [
        oldest(all, whole(root)),
        oldest(all, whole(namespace)).filter(|_| namespace != root),
        oldest(all, attached(root, "GatewayClass", waypoint.class)),
        oldest(all, attached(namespace, "Gateway", &waypoint.gateway.name)),
    ];
    found.into_iter().flatten().collect()
}

/// Whether an object is for all of its namespace.
fn is_for_all(object: &Telemetry) -> bool {
    let selector = object.spec.selector.as_ref();
    selector.is_none_or(|it| it.match_labels.is_empty()) && object.spec.targets().next().is_none()
}

/// The name of an older object of the same namespace for the same, which counts instead.
pub fn older<'a>(object: &Telemetry, beside: &[&'a Telemetry]) -> Option<&'a str> {
    let is_same = |it: &Telemetry| {
        let mut targets = it.spec.targets();
        let one_of = |target: &TargetRef| {
            let mut own = object.spec.targets();
            own.any(|it| it.kind == target.kind && it.name == target.name)
        };
        (is_for_all(it) && is_for_all(object)) || targets.any(one_of)
    };
    let first = oldest(beside, |it| is_same(it))?;
    let is_older = age::of(&first.metadata) < age::of(&object.metadata);
    is_older.then_some(first.metadata.name.as_str())
}

fn oldest<'a>(all: &[&'a Telemetry], counts: impl Fn(&Telemetry) -> bool) -> Option<&'a Telemetry> {
    let all = all.iter().copied().filter(|it| counts(it));
    all.min_by_key(|it| age::of(&it.metadata))
}

/// Whether an entry is about the side that a waypoint is on.
fn is_ours(mode: Mode) -> bool {
    mode != Mode::Client
}

fn merge(
    cluster: &Cluster,
    scopes: &[&Telemetry],
    elsewhere: FindService<'_>,
) -> observe::Telemetry {
    let observing = &cluster.observing;
    let origin = |it: &&Telemetry| {
        Origin::object(
            "Telemetry",
            it.metadata.namespace.as_str(),
            it.metadata.name.as_str(),
        )
    };
    observe::Telemetry {
        access_log: log::merge(observing, scopes),
        tracing: trace::merge(cluster, scopes, elsewhere),
        metrics: count::merge(scopes),
        origins: scopes.iter().map(origin).collect(),
    }
}

/// Names of providers as shared text.
fn shared(text: &str) -> Arc<str> {
    text.into()
}

#[cfg(test)]
mod tests;
