//! Pure. Pod to Workload. Source: docs/compat.md#workload-record.

use std::sync::Arc;

use mesh::model::{
    Health, NetworkMode, Origin, ServiceEndpoint, TunnelKind, Workload, WorkloadKind,
};
use mesh::names::WorkloadUid;
use objects::kubernetes::{Node, Pod};

use super::membership::{self, Candidate};
use super::rule::Rule;
use super::waypoint::USE_WAYPOINT;
use super::{Cluster, Finding, locality, unhonoured};

/// Says that the node agent redirects the pod's traffic.
pub const REDIRECTION: &str = "ambient.istio.io/redirection";
/// `http` says that the pod speaks HBONE itself.
const TUNNEL: &str = "networking.istio.io/tunnel";

/// The workload a pod is; `None` while it has no address, and after it has ended.
pub fn of_pod(
    cluster: &Cluster,
    pod: &Pod,
    node: Option<&Node>,
    candidates: &[Candidate<'_>],
) -> Option<Workload> {
    let addresses = pod.addresses();
    if addresses.is_empty() || pod.has_ended() {
        return None;
    }
    let metadata = &pod.metadata;
    let native_tunnel = metadata.labels.is(TUNNEL, "http");
    let redirected = metadata.annotations.is(REDIRECTION, "enabled");
    let workload_name = owner_name(pod);
    let is_healthy = pod.is_ready() && !metadata.is_being_deleted();
    let mut services: Vec<ServiceEndpoint> = candidates
        .iter()
        .filter_map(|candidate| membership::of_pod(cluster, pod, candidate))
        .collect();
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
        tunnel: if native_tunnel || redirected {
            TunnelKind::Hbone
        } else {
            TunnelKind::None
        },
        native_tunnel,
        trust_domain: cluster.trust_domain.clone(),
        service_account: pod.spec.service_account().into(),
        node: pod.spec.node_name.as_str().into(),
        canonical_name: canonical_name(pod, &workload_name),
        canonical_revision: canonical_revision(pod),
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
        origin: Some(Origin::object(
            "Pod",
            metadata.namespace.as_str(),
            metadata.name.as_str(),
        )),
    })
}

/// What a pod asks for and does not get yet.
pub fn findings(pod: &Pod) -> Vec<Finding> {
    let mut findings = unhonoured::findings(&pod.metadata);
    let asked = pod.metadata.labels.get(USE_WAYPOINT);
    if asked.is_some_and(|gateway| gateway != "none") {
        let reason = "waypoints for workloads are not supported yet: traffic to this pod's own \
                      addresses goes without one";
        findings.push(Finding::new(
            Rule::NotHonoured,
            &["metadata", "labels", USE_WAYPOINT],
            reason,
        ));
    }
    findings
}

fn canonical_name(pod: &Pod, workload_name: &Arc<str>) -> Arc<str> {
    let keys = [
        "service.istio.io/canonical-name",
        "app.kubernetes.io/name",
        "app",
    ];
    let label = pod.metadata.labels.first_of(&keys);
    label.map_or_else(|| workload_name.clone(), Arc::from)
}

fn canonical_revision(pod: &Pod) -> Arc<str> {
    let keys = [
        "service.istio.io/canonical-revision",
        "app.kubernetes.io/version",
        "version",
    ];
    pod.metadata
        .labels
        .first_of(&keys)
        .unwrap_or("latest")
        .into()
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
