//! Pure. Recomputes one output from the objects on the shelf by calling `translate`.

use mesh::names::WorkloadUid;
use mesh::wire::Update;
use objects::kubernetes::EndpointSlice;

use super::links::Output;
use crate::shelf::Shelf;
use crate::translate::membership::Candidate;
use crate::translate::status::Status;
use crate::translate::{Cluster, Finding, endpoint_slice, service, workload};

/// What was made of one output.
#[derive(Debug, Default)]
pub struct Computed {
    /// Its resources; none when the object is gone or is not part of the mesh.
    pub updates: Vec<Update>,
    /// What the object's owner should know.
    pub findings: Vec<Finding>,
    /// What its status should say; `None` for objects in whose status Weft says nothing.
    pub status: Option<Status>,
}

/// Computes an output as things are.
pub fn compute(output: &Output, shelf: &Shelf, cluster: &Cluster) -> Computed {
    match output {
        Output::Pod(name) => pod(shelf, cluster, &name.namespace, &name.name),
        Output::Service(name) => {
            let Some(object) = shelf.service(&name.namespace, &name.name) else {
                return Computed::default();
            };
            let namespace = shelf.namespace(&name.namespace);
            match service::of_service(cluster, object, namespace) {
                None => Computed::default(),
                Some((record, findings)) => Computed {
                    updates: vec![Update::Service(Box::new(record))],
                    findings,
                    ..Computed::default()
                },
            }
        }
        Output::Slice(name) => {
            let Some(object) = shelf.slice(&name.namespace, &name.name) else {
                return Computed::default();
            };
            let workloads = endpoint_slice::workloads(cluster, object, service_of(shelf, object));
            let updates = workloads
                .into_iter()
                .map(|it| Update::Workload(Box::new(it)))
                .collect();
            Computed {
                updates,
                ..Computed::default()
            }
        }
    }
}

/// The name of the resource of an output that has at most one.
pub fn name_of(output: &Output, cluster: &Cluster) -> String {
    match output {
        Output::Service(name) => cluster.service_key(&name.namespace, &name.name).to_string(),
        Output::Pod(name) | Output::Slice(name) => {
            WorkloadUid::pod(&cluster.id, &name.namespace, &name.name).to_string()
        }
    }
}

fn pod(shelf: &Shelf, cluster: &Cluster, namespace: &str, name: &str) -> Computed {
    let Some(object) = shelf.pod(namespace, name) else {
        return Computed::default();
    };
    let node = shelf.node(&object.spec.node_name);
    let candidates: Vec<Candidate<'_>> = shelf
        .services_in(namespace)
        .map(|service| Candidate {
            service,
            slices: match endpoint_slice::is_written_by_hand(service) {
                true => shelf.slices_of(namespace, &service.metadata.name).collect(),
                false => Vec::new(),
            },
        })
        .collect();
    let made = workload::of_pod(cluster, object, node, &candidates);
    let updates = made
        .into_iter()
        .map(|it| Update::Workload(Box::new(it)))
        .collect();
    Computed {
        updates,
        findings: workload::findings(object),
        ..Computed::default()
    }
}

fn service_of<'a>(
    shelf: &'a Shelf,
    slice: &EndpointSlice,
) -> Option<&'a objects::kubernetes::Service> {
    shelf.service(&slice.metadata.namespace, slice.service_name()?)
}
