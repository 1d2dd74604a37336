//! Pure. Pod to Workload. Source: docs/compat.md#workload-record.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh::model::{Health, NetworkMode, Origin, ServiceEndpoint, Workload, WorkloadKind};
use mesh::names::WorkloadUid;
use objects::kubernetes::{Container, ContainerPort, Node, Pod};

use super::membership::{self, Candidate, Entries};
use super::{Cluster, locality, naming};

/// The workload a pod is; `None` while it has no address, and after it has ended.
pub fn of_pod(
    cluster: &Cluster,
    pod: &Pod,
    node: Option<&Node>,
    candidates: &[Candidate<'_>],
    entries: Entries<'_>,
) -> Option<Workload> {
    let addresses = pod.addresses();
    if !is_in_mesh(pod) {
        return None;
    }
    let metadata = &pod.metadata;
    let (tunnel, native_tunnel) = naming::tunnel(&metadata.labels, &metadata.annotations);
    let workload_name = owner_name(pod);
    let is_healthy = pod.is_ready() && !metadata.is_being_deleted();
    let mut services: Vec<ServiceEndpoint> = candidates
        .iter()
        .filter_map(|candidate| membership::of_pod(cluster, pod, candidate))
        .collect();
    services.extend(membership::of_entries(entries, &BTreeMap::new()));
    services.sort_unstable_by(|one, two| one.service.cmp(&two.service));
    Some(Workload {
        uid: WorkloadUid::pod(&cluster.id, &metadata.namespace, &metadata.name),
        name: metadata.name.as_str().into(),
        namespace: metadata.namespace.as_str().into(),
        addresses: addresses
            .into_iter()
            .map(|address| address.to_canonical())
            .collect(),
        hostname: Arc::default(),
        network: cluster.network.clone(),
        tunnel,
        native_tunnel,
        trust_domain: cluster.trust_domain.clone(),
        service_account: pod.spec.service_account().into(),
        node: pod.spec.node_name.as_str().into(),
        canonical_name: naming::canonical_name(&metadata.labels, &workload_name),
        canonical_revision: naming::canonical_revision(&metadata.labels),
        workload_kind: WorkloadKind::Pod,
        workload_name,
        cluster: cluster.id.clone(),
        health: if is_healthy {
            Health::Healthy
        } else {
            Health::Unhealthy
        },
        services,
        waypoint: None,
        network_gateway: None,
        application_tunnel: None,
        policies: Vec::new(),
        locality: locality::of(node),
        network_mode: match pod.spec.host_network {
            true => NetworkMode::HostNetwork,
            false => NetworkMode::Standard,
        },
        capacity: 1,
        labels: naming::labels(&metadata.labels),
        origin: Some(Origin::object(
            "Pod",
            metadata.namespace.as_str(),
            metadata.name.as_str(),
        )),
    })
}

/// Whether it is a workload: it has an address and has not ended.
pub fn is_in_mesh(pod: &Pod) -> bool {
    !pod.addresses().is_empty() && !pod.has_ended()
}

/// What of a pod the services depend on that select it. While this stays the same, none changes with it.
pub fn facts(pod: &Pod) -> impl PartialEq {
    let ports = |container: &Container| container.ports.clone();
    let ports: Vec<ContainerPort> = pod.spec.running_containers().flat_map(ports).collect();
    (&pod.metadata.labels, ports, is_in_mesh(pod))
}

/// The name of what the user wrote: the Deployment behind a ReplicaSet, the CronJob behind a Job,
/// the controller otherwise, the pod when it has none.
fn owner_name(pod: &Pod) -> Arc<str> {
    let Some(owner) = pod.metadata.controller() else {
        return pod.metadata.name.as_str().into();
    };
    let name = match owner.kind.as_str() {
        "ReplicaSet" => {
            let hash = pod.metadata.labels.get("pod-template-hash");
            hash.and_then(|hash| owner.name.strip_suffix(hash)?.strip_suffix('-'))
        }
        "Job" => owner
            .name
            .rsplit_once('-')
            .filter(|(_, time)| is_schedule(time))
            .map(|it| it.0),
        _ => None,
    };
    name.filter(|name| !name.is_empty())
        .unwrap_or(&owner.name)
        .into()
}

/// A CronJob names its Jobs after the minute, counted since 1970: 8 to 10 digits.
fn is_schedule(text: &str) -> bool {
    (8..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}
