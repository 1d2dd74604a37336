//! Pure. Which outputs must be recomputed when an input changes.
//!
//! - a pod: itself; when its labels, ports or presence changed, the services and service entries that select it;
//! - a workload entry: itself; likewise;
//! - a service: itself; when what decides its members changed, the pods and workload entries it selected before and
//!   selects now, and the slices written for it with the pods they name; when its host came or went, who else names it;
//! - a service entry: itself; its members likewise; when its hosts or its age changed, who else names one of them
//!   ([`contest`]); when addresses were given anew, those who got them (`allocator`);
//! - an endpoint slice: itself, its service and the pods it names, when its service selects nothing;
//! - a node: the pods on it, when its place changed;
//! - a namespace: itself; its services and service entries, when something they inherit changed; its pods and workload entries,
//!   when the waypoint they inherit is for workloads; its service entries with their rivals, when others see them now;
//!   who asks for a waypoint elsewhere that chooses namespaces by labels, when it is chosen now and was not, or the
//!   other way round ([`waypoints`]);
//! - a gateway, or its class: itself and who asks for it ([`waypoints`]);
//! - a Telemetry: itself and those beside it, the waypoints that follow it, and what it is attached to;
//! - a VirtualService or a DestinationRule: see `guides`;
//! - a route: itself and the routes of its parents ([`routes`]); when what it is attached to changed, its siblings there;
//! - what routes send to: the routes that do, and those of their parents, when it came or went or has other ports;
//! - a BackendTLSPolicy, or a config map that one reads: the routes that send to what it is about;
//! - a policy: see `policies`; one that is attached to something: when that, or its waypoint, may have turned ([`attached`]).

mod attached;
mod dirty;
mod members;
mod contest;
mod waypoints;
mod telemetry;
pub(super) mod routes;

use mesh::names::NamespacedName;
use objects::kinds::Kind;
use objects::kubernetes::{EndpointSlice, Service};
use objects::object::Object;

use super::hosts;
use crate::shelf::{Replaced, Shelf};
use crate::translate::waypoint::required;
use crate::translate::{Cluster, locality, membership, service, workload, workload_entry};
pub use attached::attached;
pub use dirty::{Dirty, Output, name};

/// Adds what depends on a changed object. `shelf` holds its new form already.
pub fn affected(replaced: &Replaced, shelf: &Shelf, cluster: &Cluster, dirty: &mut Dirty) {
    let object = replaced.after.as_deref().or(replaced.before.as_deref());
    let Some(metadata) = object.map(Object::metadata) else {
        return;
    };
    match replaced.key.kind {
        Kind::Pod => {
            dirty.pod(metadata);
            let [before, after] = replaced.both(Object::pod);
            if before.map(workload::facts) != after.map(workload::facts) {
                for pod in [before, after].into_iter().flatten() {
                    members::selecting(&pod.metadata.namespace, &pod.metadata.labels, shelf, dirty);
                }
            }
        }
        Kind::WorkloadEntry => {
            dirty.workload_entry(metadata);
            let [before, after] = replaced.both(Object::workload_entry);
            if before.map(workload_entry::facts) != after.map(workload_entry::facts) {
                for entry in [before, after].into_iter().flatten() {
                    members::selecting(&metadata.namespace, &entry.labels(), shelf, dirty);
                }
            }
        }
        Kind::Service => service(replaced, shelf, cluster, dirty),
        Kind::ServiceEntry => {
            dirty.entry(metadata);
            let [before, after] = replaced.both(Object::service_entry);
            if before.map(hosts::facts) != after.map(hosts::facts) {
                let named = [before, after].into_iter().flatten();
                let named = named.flat_map(|entry| &entry.spec.hosts);
                named.for_each(|host| contest::host(host, shelf, dirty));
            }
            routes::entry(replaced, shelf, dirty);
            if before.map(membership::entry_facts) != after.map(membership::entry_facts) {
                let entries = [before, after].into_iter().flatten();
                entries.for_each(|entry| members::of_entry(entry, shelf, dirty));
            }
        }
        Kind::EndpointSlice => {
            for slice in replaced.both(Object::endpoint_slice).into_iter().flatten() {
                if counts(slice, shelf) {
                    dirty.slice(slice);
                    dirty.service_of(slice);
                }
            }
        }
        Kind::Node => node(replaced, shelf, dirty),
        Kind::Namespace => namespace(replaced, shelf, cluster, dirty),
        Kind::Telemetry => telemetry::telemetry(replaced, shelf, cluster, dirty),
        Kind::Gateway => waypoints::gateway(replaced, shelf, dirty),
        Kind::GatewayClass => waypoints::class(replaced, shelf, dirty),
        _ => routed(replaced, shelf, cluster, dirty),
    }
}

/// Adds what depends on an object that is about requests.
fn routed(replaced: &Replaced, shelf: &Shelf, cluster: &Cluster, dirty: &mut Dirty) {
    match replaced.key.kind {
        Kind::HTTPRoute | Kind::GRPCRoute | Kind::TLSRoute | Kind::TCPRoute => {
            routes::route(replaced, shelf, dirty);
        }
        Kind::BackendTLSPolicy => routes::tls_policy(replaced, shelf, cluster, dirty),
        Kind::ConfigMap => routes::certificates(&replaced.key, shelf, cluster, dirty),
        _ => {}
    }
}

fn node(replaced: &Replaced, shelf: &Shelf, dirty: &mut Dirty) {
    let [before, after] = replaced.both(Object::node).map(locality::of);
    if before != after {
        let pods = shelf.pods_on(&replaced.key.name);
        pods.for_each(|pod| dirty.add(Output::Pod(pod.clone())));
    }
}

fn service(replaced: &Replaced, shelf: &Shelf, cluster: &Cluster, dirty: &mut Dirty) {
    let [before, after] = replaced.both(Object::service);
    for service in [before, after].into_iter().flatten() {
        dirty.service(&service.metadata);
    }
    if before.map(membership::facts) != after.map(membership::facts) {
        for service in [before, after].into_iter().flatten() {
            members::of_service(service, shelf, dirty);
        }
        // Those whose pods are closed say so when others share them.
        let closed = shelf.services_in(&replaced.key.namespace);
        closed
            .filter(|it| required::facts(Some(&it.metadata))[0].is_some())
            .for_each(|it| dirty.service(&it.metadata));
    }
    routes::service(replaced, shelf, cluster, dirty);
    if hosts::has_host(before) != hosts::has_host(after) {
        let key = cluster.service_key(&replaced.key.namespace, &replaced.key.name);
        contest::host(&key.hostname, shelf, dirty);
    }
}

fn namespace(replaced: &Replaced, shelf: &Shelf, cluster: &Cluster, dirty: &mut Dirty) {
    let name = &*replaced.key.name;
    dirty.add(Output::Namespace(NamespacedName::new("", name)));
    let metadata = replaced
        .both(Object::namespace)
        .map(|it| it.map(|it| &it.metadata));
    let [before, after] = metadata.map(service::namespace_facts);
    if before != after {
        let services = shelf.services_in(name);
        services.for_each(|it| routes::rebound(Kind::Service, &it.metadata, shelf, dirty));
        let entries = shelf.service_entries_in(name);
        entries.for_each(|it| routes::rebound(Kind::ServiceEntry, &it.metadata, shelf, dirty));
    }
    if metadata.map(required::facts)[0] != metadata.map(required::facts)[1] {
        waypoints::workloads_in(name, shelf, dirty);
    }
    contest::namespace(replaced, shelf, cluster, dirty);
    waypoints::namespace(replaced, shelf, dirty);
}

/// Adds everything there is.
pub fn everything(shelf: &Shelf, dirty: &mut Dirty) {
    shelf.pods().for_each(|it| dirty.pod(&it.metadata));
    shelf
        .services()
        .for_each(|it| dirty.bound_service(&it.metadata));
    shelf.slices().for_each(|it| dirty.slice_alone(it));
    shelf
        .service_entries()
        .for_each(|it| dirty.bound_entry(&it.metadata));
    shelf
        .workload_entries()
        .for_each(|it| dirty.workload_entry(&it.metadata));
    shelf.gateways().for_each(|it| dirty.gateway(&it.metadata));
    let namespaces = shelf
        .namespaces()
        .map(|it| NamespacedName::new("", it.metadata.name.as_str()));
    namespaces.for_each(|it| dirty.add(Output::Namespace(it)));
    let policies = shelf.policies().chain(shelf.peers());
    let policies = policies.chain(shelf.routes()).chain(shelf.tls_policies());
    let policies = policies.chain(shelf.request_authentications());
    let policies = policies.chain(shelf.rate_limits());
    let policies = policies.chain(shelf.guides());
    let policies = policies.chain(shelf.telemetries());
    let policies = policies.filter_map(|it| Output::of(it.key()));
    policies.for_each(|it| dirty.add(it));
}

/// Whether anything is made of a slice: Kubernetes' own ones, of services with a selector, change
/// with every pod and say nothing new. (A service that comes later brings its slices along.)
fn counts(slice: &EndpointSlice, shelf: &Shelf) -> bool {
    let Some(service) = slice.service_name() else {
        return false;
    };
    let service = shelf.service(&slice.metadata.namespace, service);
    service.is_some_and(|service: &Service| service.spec.selector.is_empty())
}
