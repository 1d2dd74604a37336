//! Pure. Whose waypoint may have turned: because of a gateway, of its class, or of a namespace's labels.

use mesh::names::NamespacedName;
use objects::gateway_api::{Gateway, GatewayClass};
use objects::kinds::{Key, Kind};
use objects::object::Object;

use super::{Dirty, Output, routes};
use crate::shelf::{Replaced, Shelf};
use crate::translate::waypoint::gateway::{self as facts, Candidate, Traffic};
use crate::translate::{namespaces, waypoint};

/// A gateway has changed.
pub(super) fn gateway(replaced: &Replaced, shelf: &Shelf, dirty: &mut Dirty) {
    let [before, after] = replaced.both(Object::gateway);
    for gateway in [before, after].into_iter().flatten() {
        dirty.gateway(&gateway.metadata);
    }
    if before.map(facts::facts) == after.map(facts::facts) {
        return;
    }
    let forms = [before, after].into_iter().flatten();
    let is_for_workloads = forms
        .map(|gateway| candidate(gateway, shelf))
        .any(|it| it.serves(Traffic::Workload));
    let name = NamespacedName::new(&*replaced.key.namespace, &*replaced.key.name);
    asking_for(&name, is_for_workloads, shelf, dirty);
}

/// A class has changed: its gateways with it.
pub(super) fn class(replaced: &Replaced, shelf: &Shelf, dirty: &mut Dirty) {
    let [before, after] = replaced.both(Object::gateway_class);
    if before.map(facts::class_facts) == after.map(facts::class_facts) {
        return;
    }
    let forms: Vec<Option<&GatewayClass>> = vec![before, after];
    let of_class = |it: &&Gateway| it.spec.gateway_class_name == replaced.key.name;
    for gateway in shelf.gateways().filter(of_class) {
        dirty.gateway(&gateway.metadata);
        let mut candidates = forms.iter().map(|class| Candidate {
            gateway,
            class: *class,
        });
        let is_for_workloads = candidates.any(|it| it.serves(Traffic::Workload));
        let metadata = &gateway.metadata;
        let name = NamespacedName::new(&*metadata.namespace, &*metadata.name);
        asking_for(&name, is_for_workloads, shelf, dirty);
    }
}

/// The labels of a namespace have changed.
pub(super) fn namespace(replaced: &Replaced, shelf: &Shelf, dirty: &mut Dirty) {
    let name = &*replaced.key.name;
    let forms = replaced.both(Object::namespace);
    let metadata = forms.map(|it| it.map(|it| &it.metadata));
    if metadata.map(waypoint::inherited)[0] != metadata.map(waypoint::inherited)[1] {
        let named = metadata.into_iter().flatten().filter_map(|it| {
            let gateway = it.labels.get(waypoint::USE_WAYPOINT)?;
            let elsewhere = it.labels.get(waypoint::USE_WAYPOINT_NAMESPACE);
            shelf.gateway(elsewhere.unwrap_or(name), gateway)
        });
        let mut candidates = named.map(|gateway| candidate(gateway, shelf));
        if candidates.any(|it| it.serves(Traffic::Workload)) {
            workloads_in(name, shelf, dirty);
        }
        // Their own label may ask, and the namespace say what happens without an answer.
        asking_themselves(name, shelf, dirty);
    }
    let [before, after] = metadata.map(|it| namespaces::labels(name, it));
    if before == after {
        return;
    }
    let choosing = shelf.gateways().map(|gateway| candidate(gateway, shelf));
    for chosen in choosing.filter(Candidate::selects_namespaces) {
        if chosen.admits(&before) != chosen.admits(&after) {
            let gateway = &chosen.gateway.metadata;
            let gateway = NamespacedName::new(&*gateway.namespace, &*gateway.name);
            let keys = shelf.asking_for(&gateway);
            for key in keys.filter(|key| key.namespace == name || is_namespace(key, name)) {
                asks(key, chosen.serves(Traffic::Workload), shelf, dirty);
            }
        }
    }
}

fn candidate<'a>(gateway: &'a Gateway, shelf: &'a Shelf) -> Candidate<'a> {
    Candidate {
        gateway,
        class: shelf.gateway_class(&gateway.spec.gateway_class_name),
    }
}

fn is_namespace(key: &Key, name: &str) -> bool {
    key.kind == Kind::Namespace && key.name == name
}

/// All who ask for a gateway.
fn asking_for(gateway: &NamespacedName, is_for_workloads: bool, shelf: &Shelf, dirty: &mut Dirty) {
    for key in shelf.asking_for(gateway) {
        asks(key, is_for_workloads, shelf, dirty);
    }
}

/// One who asks; a namespace asks for everything in it.
fn asks(key: &Key, is_for_workloads: bool, shelf: &Shelf, dirty: &mut Dirty) {
    if key.kind != Kind::Namespace {
        if let Some(object) = shelf.find(key) {
            match key.kind {
                Kind::Service | Kind::ServiceEntry => {
                    routes::rebound(key.kind, object.metadata(), shelf, dirty);
                }
                _ => {}
            }
        }
        if let Some(output) = Output::of(key) {
            dirty.add(output);
        }
        return;
    }
    dirty.add(Output::Namespace(NamespacedName::new(
        "",
        key.name.as_str(),
    )));
    let services = shelf.services_in(&key.name);
    services.for_each(|it| routes::rebound(Kind::Service, &it.metadata, shelf, dirty));
    let entries = shelf.service_entries_in(&key.name);
    entries.for_each(|it| routes::rebound(Kind::ServiceEntry, &it.metadata, shelf, dirty));
    if is_for_workloads {
        workloads_in(&key.name, shelf, dirty);
    }
}

pub(super) fn workloads_in(namespace: &str, shelf: &Shelf, dirty: &mut Dirty) {
    let pods = shelf.pods_in(namespace);
    pods.for_each(|it| dirty.pod(&it.metadata));
    let entries = shelf.workload_entries_in(namespace);
    entries.for_each(|it| dirty.workload_entry(&it.metadata));
}

/// Pods and workload entries with a label of their own.
fn asking_themselves(namespace: &str, shelf: &Shelf, dirty: &mut Dirty) {
    let pods = shelf.pods_in(namespace);
    pods.filter(|it| it.metadata.labels.has(waypoint::USE_WAYPOINT))
        .for_each(|it| dirty.pod(&it.metadata));
    let entries = shelf.workload_entries_in(namespace);
    entries
        .filter(|it| it.labels().has(waypoint::USE_WAYPOINT))
        .for_each(|it| dirty.workload_entry(&it.metadata));
}
