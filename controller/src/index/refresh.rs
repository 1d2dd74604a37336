//! Pure. Recomputes one output from the objects on the shelf by calling `translate`.

mod gateways;
mod pods;
mod entries;
mod attached;
mod policies;
mod required;
mod routes;
mod traffic;
pub mod telemetry;

use mesh::names::{NamespacedName, WorkloadUid};
use mesh::wire::Update;
use objects::kubernetes::EndpointSlice;

use super::allocator::Allocator;
use super::for_waypoints::ForWaypoints;
use super::guides::Guides;
use super::links::Output;
use super::policies::Book;
use crate::shelf::Shelf;
use crate::translate::service::reach::{self, Around};
use crate::translate::status::Status;
use crate::translate::waypoint::bind::Gateways;
use crate::translate::waypoint::gateway::Candidate;
use crate::translate::{
    Cluster, Finding, endpoint_slice, peer_authentication, service, workload_entry,
};

/// What was made of one output.
#[derive(Debug, Default)]
pub struct Computed {
    /// Its resources; none when the object is gone or is not part of the mesh.
    pub updates: Vec<Update>,
    /// What it means to waypoints.
    pub for_waypoints: Vec<ForWaypoints>,
    /// What the object's owner should know.
    pub findings: Vec<Finding>,
    /// What its status should say; `None` for objects in whose status Weft says nothing.
    pub status: Option<Status>,
}

/// Everything that outputs are computed from.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// All objects.
    pub shelf: &'a Shelf,
    /// Facts of the cluster.
    pub cluster: &'a Cluster,
    /// Addresses given to hosts.
    pub allocator: &'a Allocator,
    /// Policies in force.
    pub book: &'a Book,
    /// VirtualServices and DestinationRules in force.
    pub guides: &'a Guides,
}

/// Computes an output as things are.
pub fn compute(output: &Output, view: View<'_>) -> Computed {
    let computed = match output {
        Output::Pod(name) => pods::pod(view, name),
        Output::Service(name) => service(view, name),
        Output::Slice(name) => slice(view, name),
        Output::ServiceEntry(name) => entries::service_entry(view, name),
        Output::WorkloadEntry(name) => entries::workload_entry(view, name),
        Output::Gateway(name) => gateways::gateway(view, name),
        Output::Namespace(name) => required::namespace(view, &name.name),
        Output::Policy(name) => policies::policy(view, name),
        Output::Authentication(name) => attached::tokens(view, name),
        Output::RateLimit(name) => attached::limits(view, name),
        Output::Peer(name) => policies::peer(view, name),
        Output::Strict(name) => policies::strict(view, name),
        Output::VirtualService(name) => traffic::virtual_service(view, name),
        Output::Route(key) => routes::route(view, key),
        Output::Routes(key) => routes::routes(view, key),
        Output::TlsPolicy(name) => routes::tls_policy(view, name),
        Output::DestinationRule(name) => traffic::destination_rule(view, name),
        Output::Telemetry(name) => telemetry::telemetry(view, name),
    };
    computed.unwrap_or_default()
}

/// The name of the resource of an output that has at most one, whatever becomes of it; `None` for outputs whose
/// resources may be several, or may pass to another output.
pub fn name_of(output: &Output, cluster: &Cluster) -> Option<String> {
    match output {
        Output::Pod(name) => {
            let uid = WorkloadUid::pod(&cluster.id, &name.namespace, &name.name);
            Some(uid.to_string())
        }
        Output::WorkloadEntry(name) => {
            let uid = workload_entry::uid(cluster, &name.namespace, &name.name);
            Some(uid.to_string())
        }
        Output::Policy(name) | Output::Strict(name) => Some(name.to_string()),
        Output::Peer(name) => {
            let name = peer_authentication::converted_name(&name.namespace, &name.name);
            Some(name.to_string())
        }
        Output::Service(_)
        | Output::Slice(_)
        | Output::ServiceEntry(_)
        | Output::Route(_)
        | Output::Routes(_)
        | Output::TlsPolicy(_)
        | Output::Authentication(_)
        | Output::RateLimit(_)
        | Output::VirtualService(_)
        | Output::DestinationRule(_)
        | Output::Telemetry(_)
        | Output::Gateway(_)
        | Output::Namespace(_) => None,
    }
}

impl Gateways for View<'_> {
    fn find(&self, name: &NamespacedName) -> Option<Candidate<'_>> {
        let gateway = self.shelf.gateway(&name.namespace, &name.name)?;
        let class = self.shelf.gateway_class(&gateway.spec.gateway_class_name);
        Some(Candidate { gateway, class })
    }
}

fn service(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let View { shelf, cluster, .. } = view;
    let object = shelf.service(&name.namespace, &name.name)?;
    let namespace = shelf.namespace(&name.namespace);
    let context = service::Context {
        cluster,
        namespace: namespace.map(|it| &it.metadata),
        gateways: &view,
    };
    let Some((record, mut findings, status)) = service::of_service(&context, object) else {
        return Some(Computed {
            status: Some(Status::default()),
            ..Computed::default()
        });
    };
    let around = Around {
        pods: Box::new(shelf.pods_in(&name.namespace)),
        entries: Box::new(shelf.workload_entries_in(&name.namespace)),
        slices: shelf.slices_of(&name.namespace, &name.name).collect(),
    };
    findings.extend(reach::findings(object, around));
    let (closed, more) = required::service(view, object);
    findings.extend(more);
    let record = Update::Service(Box::new(record));
    Some(Computed {
        updates: std::iter::once(record).chain(closed).collect(),
        findings,
        status: Some(status),
        ..Computed::default()
    })
}

fn slice(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let View { shelf, cluster, .. } = view;
    let object = shelf.slice(&name.namespace, &name.name)?;
    let workloads = endpoint_slice::workloads(cluster, object, service_of(shelf, object));
    let updates = workloads
        .into_iter()
        .map(|it| Update::Workload(Box::new(it)))
        .collect();
    Some(Computed {
        updates,
        ..Computed::default()
    })
}

fn service_of<'a>(
    shelf: &'a Shelf,
    slice: &EndpointSlice,
) -> Option<&'a objects::kubernetes::Service> {
    shelf.service(&slice.metadata.namespace, slice.service_name()?)
}
