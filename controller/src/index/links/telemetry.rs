//! Pure. Whose settings of logs, metrics and traces may have turned, because of a Telemetry object.

use objects::istio::Telemetry;
use objects::kinds::{Key, Kind};
use objects::object::Object;

use super::{Dirty, Output, name};
use crate::shelf::{Replaced, Shelf};
use crate::translate::Cluster;

/// A Telemetry object has changed: itself, those beside it, the waypoints that follow it, and the services
/// that it is attached to.
pub(super) fn telemetry(replaced: &Replaced, shelf: &Shelf, cluster: &Cluster, dirty: &mut Dirty) {
    let namespace = &*replaced.key.namespace;
    for form in replaced.both(Object::telemetry).into_iter().flatten() {
        dirty.add(Output::Telemetry(name(&form.metadata)));
        services(form, dirty);
    }
    for other in shelf.telemetries_in(namespace) {
        dirty.add(Output::Telemetry(name(&other.metadata)));
    }
    let is_root = namespace == &*cluster.root_namespace;
    let follow =
        |it: &&objects::gateway_api::Gateway| is_root || it.metadata.namespace == namespace;
    for gateway in shelf.gateways().filter(follow) {
        dirty.gateway(&gateway.metadata);
    }
}

fn services(object: &Telemetry, dirty: &mut Dirty) {
    let namespace = &*object.metadata.namespace;
    let mut add = |kind, name: &str| dirty.add(Output::Routes(Key::new(kind, namespace, name)));
    for target in object.spec.targets() {
        match target.kind.as_str() {
            "Service" => add(Kind::Service, &target.name),
            "ServiceEntry" => add(Kind::ServiceEntry, &target.name),
            _ => {}
        }
    }
}
