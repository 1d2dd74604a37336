//! Pure. Whose routes may have turned: because of a route, of what routes are attached to, or of what they send to.

use mesh::names::NamespacedName;
use objects::gateway_api::{BackendTlsPolicy, Written};
use objects::istio::ServiceEntry;
use objects::kinds::{Key, Kind};
use objects::kubernetes::Service;
use objects::meta::Metadata;
use objects::object::Object;

use super::{Dirty, Output, hosts};
use crate::shelf::pointers::Target;
use crate::shelf::{ROUTES, Replaced, Shelf};
use crate::translate::{Cluster, membership, service_entry};

/// A service or a service entry whose waypoint, ports or presence may have turned, and what is said of its routes.
pub(super) fn rebound(kind: Kind, metadata: &Metadata, shelf: &Shelf, dirty: &mut Dirty) {
    match kind {
        Kind::Service => dirty.bound_service(metadata),
        _ => dirty.bound_entry(metadata),
    }
    let key = Key::new(kind, &metadata.namespace, &metadata.name);
    siblings(&key, shelf, dirty);
}

/// A route has changed.
pub(super) fn route(replaced: &Replaced, shelf: &Shelf, dirty: &mut Dirty) {
    dirty.add(Output::Route(replaced.key.clone()));
    let forms = [&replaced.before, &replaced.after];
    let forms = forms.map(|it| it.as_deref().and_then(Object::route));
    let written = forms.map(|it| it.map(Written::parents));
    let is_elsewhere = written[0] != written[1];
    for parent in forms.iter().flatten().flat_map(|it| parents(*it)) {
        if is_elsewhere {
            giving_way(&replaced.key, &parent, shelf, dirty);
        }
        dirty.add(Output::Routes(parent));
    }
}

/// What decides the routes of a service has changed, or may have.
pub(super) fn service(replaced: &Replaced, shelf: &Shelf, cluster: &Cluster, dirty: &mut Dirty) {
    let [before, after] = replaced.both(Object::service);
    let facts = |it: &Service| {
        let ports = membership::service_ports(it).cloned();
        (it.spec.r#type, it.is_headless(), ports.collect::<Vec<_>>())
    };
    let metadata = [before, after].map(|it| it.map(|it| &it.metadata));
    let said = metadata.map(|it| it.map(|it| (&it.labels, &it.annotations)));
    let is_other = before.map(facts) != after.map(facts);
    if !is_other && said[0] == said[1] {
        return;
    }
    for metadata in metadata.into_iter().flatten() {
        rebound(Kind::Service, metadata, shelf, dirty);
    }
    if is_other {
        let key = &replaced.key;
        policies_on(key, shelf, dirty);
        let name = NamespacedName::new(&*key.namespace, &*key.name);
        sending(&Target::Service(name), shelf, dirty);
        let service = cluster.service_key(&key.namespace, &key.name);
        sending_to_host(&service.hostname, shelf, dirty);
    }
}

/// What decides the routes of a service entry has changed, or may have.
pub(super) fn entry(replaced: &Replaced, shelf: &Shelf, dirty: &mut Dirty) {
    let [before, after] = replaced.both(Object::service_entry);
    let facts = |it: &ServiceEntry| {
        let ports: Vec<_> = it
            .spec
            .ports
            .iter()
            .map(|it| (it.number, it.is_udp(), it.name.clone()))
            .collect();
        let metadata = &it.metadata;
        let labels = (metadata.labels.clone(), metadata.annotations.clone());
        (
            hosts::age_of(metadata),
            it.spec.hosts.clone(),
            ports,
            labels,
            (service_entry::reach(it), it.spec.subject_alt_names.clone()),
        )
    };
    if before.map(facts) == after.map(facts) {
        return;
    }
    policies_on(&replaced.key, shelf, dirty);
    for entry in [before, after].into_iter().flatten() {
        rebound(Kind::ServiceEntry, &entry.metadata, shelf, dirty);
        let named = entry.spec.hosts.iter();
        named.for_each(|it| sending_to_host(it, shelf, dirty));
    }
}

/// Whatever has a host name has changed: the routes that send there.
pub(super) fn sending_to_host(host: &str, shelf: &Shelf, dirty: &mut Dirty) {
    sending(&Target::Host(host.to_owned()), shelf, dirty);
}

/// A BackendTLSPolicy has changed.
pub(super) fn tls_policy(replaced: &Replaced, shelf: &Shelf, cluster: &Cluster, dirty: &mut Dirty) {
    let key = &replaced.key;
    let name = NamespacedName::new(&*key.namespace, &*key.name);
    dirty.add(Output::TlsPolicy(name));
    for policy in replaced
        .both(Object::backend_tls_policy)
        .into_iter()
        .flatten()
    {
        about(policy, shelf, cluster, dirty);
    }
}

/// A config map with certificates has changed.
pub(super) fn certificates(map: &Key, shelf: &Shelf, cluster: &Cluster, dirty: &mut Dirty) {
    for policy in shelf.tls_policies_on(map) {
        let metadata = &policy.metadata;
        let name = NamespacedName::new(&*metadata.namespace, &*metadata.name);
        dirty.add(Output::TlsPolicy(name));
        about(policy, shelf, cluster, dirty);
    }
}

/// The routes that send to what a policy is about, and the other policies about it.
fn about(policy: &BackendTlsPolicy, shelf: &Shelf, cluster: &Cluster, dirty: &mut Dirty) {
    let namespace = &*policy.metadata.namespace;
    for target in &policy.spec.target_refs {
        let Some(key) = target.object(namespace) else {
            continue;
        };
        policies_on(&key, shelf, dirty);
        destination(&key, shelf, cluster, dirty);
    }
}

/// How requests to a service, or to the hosts of a service entry, are spread has changed: its own routes, and those that
/// send there.
pub(in crate::index) fn destination(
    key: &Key,
    shelf: &Shelf,
    cluster: &Cluster,
    dirty: &mut Dirty,
) {
    dirty.add(Output::Routes(key.clone()));
    let name = NamespacedName::new(&*key.namespace, &*key.name);
    match key.kind {
        Kind::Service => {
            sending(&Target::Service(name), shelf, dirty);
            let service = cluster.service_key(&key.namespace, &key.name);
            sending_to_host(&service.hostname, shelf, dirty);
        }
        _ => {
            let entry = shelf.service_entry(&key.namespace, &key.name);
            let hosts = entry.into_iter().flat_map(|it| &it.spec.hosts);
            hosts.for_each(|it| sending_to_host(it, shelf, dirty));
        }
    }
}

fn policies_on(key: &Key, shelf: &Shelf, dirty: &mut Dirty) {
    for policy in shelf.tls_policies_on(key) {
        dirty.add(Output::TlsPolicy(super::name(&policy.metadata)));
    }
}

/// The routes that send to a target, and those of their parents.
fn sending(target: &Target, shelf: &Shelf, dirty: &mut Dirty) {
    for route in shelf.sending_to(target) {
        turned(route, dirty);
    }
}

fn turned(route: &Object, dirty: &mut Dirty) {
    dirty.add(Output::Route(route.key().clone()));
    let parents = route.route().into_iter().flat_map(parents);
    parents.for_each(|parent| dirty.add(Output::Routes(parent)));
}

/// What is said of the routes of a parent that give way to one: those of the kinds after its own, for the same clients.
fn giving_way(route: &Key, parent: &Key, shelf: &Shelf, dirty: &mut Dirty) {
    let after = ROUTES
        .into_iter()
        .skip_while(|kind| *kind != route.kind)
        .skip(1);
    for kind in after {
        for other in shelf.attached_of(parent, kind, &route.namespace) {
            dirty.add(Output::Route(other.key().clone()));
        }
    }
}

/// What is said of the routes that are attached to a parent.
fn siblings(parent: &Key, shelf: &Shelf, dirty: &mut Dirty) {
    for route in shelf.attached_to(parent) {
        dirty.add(Output::Route(route.key().clone()));
    }
}

fn parents(route: Written<'_>) -> Vec<Key> {
    let namespace = &*route.metadata().namespace;
    let parents = route.parents().iter();
    parents.filter_map(|it| it.object(namespace)).collect()
}
