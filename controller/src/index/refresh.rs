//! Pure. Recomputes one output from the objects on the shelf by calling `translate`.

use mesh::model::Policy;
use mesh::names::{NamespacedName, WorkloadUid};
use mesh::wire::Update;
use objects::istio::authorization_policy::TargetRef;
use objects::kubernetes::EndpointSlice;

use super::links::Output;
use super::policies::Book;
use crate::shelf::Shelf;
use crate::translate::membership::Candidate;
use crate::translate::policies::policies_of;
use crate::translate::status::Status;
use crate::translate::{
    Cluster, Finding, endpoint_slice, peer_authentication, policy, service, workload,
};

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
pub fn compute(output: &Output, shelf: &Shelf, cluster: &Cluster, book: &Book) -> Computed {
    match output {
        Output::Pod(name) => pod(shelf, cluster, book, name),
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
        Output::Policy(name) => policy(shelf, book, name),
        Output::Peer(name) => peer(shelf, book, name),
        Output::Strict(name) => {
            let strict = book.strict().filter(|it| it.key == *name);
            let updates = strict.map(|it| Update::Policy(Box::new(it)));
            Computed {
                updates: updates.into_iter().collect(),
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
        Output::Policy(name) | Output::Strict(name) => name.to_string(),
        Output::Peer(name) => {
            peer_authentication::converted_name(&name.namespace, &name.name).to_string()
        }
    }
}

fn pod(shelf: &Shelf, cluster: &Cluster, book: &Book, name: &NamespacedName) -> Computed {
    let (namespace, name) = (&*name.namespace, &*name.name);
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
        .map(|mut it| {
            it.policies = policies_of(&object.metadata.labels, namespace, book.policies());
            Update::Workload(Box::new(it))
        })
        .collect();
    Computed {
        updates,
        findings: workload::findings(object),
        ..Computed::default()
    }
}

fn policy(shelf: &Shelf, book: &Book, name: &NamespacedName) -> Computed {
    let key = Output::Policy(name.clone()).key();
    let written = shelf.find(&key);
    let Some((object, written)) = written.and_then(|it| Some((it, book.translate(it)?))) else {
        return Computed::default();
    };
    let policy = book
        .translate(book.in_force(object))
        .and_then(|it| it.policy);
    let targets = written.targets.iter();
    let situation = policy::report::Situation {
        selects_any: book.selects_any(&key),
        has_last_good: book.has_last_good(&key),
        targets: targets
            .map(|it| exists(it, &name.namespace, shelf))
            .collect(),
    };
    let (findings, status) = policy::report::report(&written, &situation);
    of_policy(policy, findings, status)
}

fn of_policy(policy: Option<Policy>, findings: Vec<Finding>, status: Status) -> Computed {
    let updates = policy.map(|it| Update::Policy(Box::new(it)));
    Computed {
        updates: updates.into_iter().collect(),
        findings,
        status: Some(status),
    }
}

/// Whether what a policy is attached to is there; of kinds that are not read nobody knows.
fn exists(target: &TargetRef, namespace: &str, shelf: &Shelf) -> bool {
    match target.kind.as_str() {
        "Service" => shelf.service(namespace, &target.name).is_some(),
        _ => true,
    }
}

fn peer(shelf: &Shelf, book: &Book, name: &NamespacedName) -> Computed {
    let key = Output::Peer(name.clone()).key();
    let object = shelf.find(&key);
    let Some((object, written)) = object.and_then(|it| Some((it, it.peer_authentication()?)))
    else {
        return Computed::default();
    };
    let (namespace, policies) = (&*name.namespace, book.policies());
    let is_root = namespace == &**policies.root();
    let others = policies.peers(namespace);
    let situation = peer_authentication::Situation {
        is_root,
        older: others.take_while(|it| it.name != *name.name).collect(),
        selects_any: book.selects_any(&key),
        has_last_good: book.has_last_good(&key),
    };
    let in_force = policies.peer(namespace, &name.name).filter(|_| !is_root);
    let policy = in_force.and_then(|it| it.converted(namespace, policies.is_strict(namespace)));
    let (findings, status) = peer_authentication::report(written, &object.unread(), &situation);
    of_policy(policy, findings, status)
}

fn service_of<'a>(
    shelf: &'a Shelf,
    slice: &EndpointSlice,
) -> Option<&'a objects::kubernetes::Service> {
    shelf.service(&slice.metadata.namespace, slice.service_name()?)
}
