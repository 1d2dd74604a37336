//! Pure. WorkloadEntry to Workload. Source: docs/compat.md#workload-record.

use std::sync::Arc;

use mesh::model::{Health, Locality, NetworkMode, Origin, ServiceEndpoint, Workload, WorkloadKind};
use mesh::names::WorkloadUid;
use objects::istio::{WorkloadEntry, WorkloadEntrySpec};
use objects::kubernetes::Service;
use objects::labels::Labels;
use objects::raw::Path;

use super::membership::{self, Entries};
use super::rule::Rule;
use super::{Cluster, Finding, naming, unhonoured};

/// Group that a machine registered itself for.
const GROUP: &str = "istio.io/autoRegistrationGroup";
/// Says what it is an instance of.
const WORKLOAD_NAME: &str = "service.istio.io/workload-name";

/// The workload a workload entry is, with `services` of its namespace and the entries that select it.
pub fn of_entry<'a>(
    cluster: &Cluster,
    entry: &WorkloadEntry,
    services: impl Iterator<Item = &'a Service>,
    entries: Entries<'_>,
) -> Workload {
    let metadata = &entry.metadata;
    let labels = entry.labels();
    let group = metadata.annotations.get(GROUP);
    let name = group.or_else(|| labels.get(WORKLOAD_NAME));
    let workload_name: Arc<str> = name.unwrap_or(&metadata.name).into();
    let of = |service| membership::of_workload_entry(cluster, &labels, &entry.spec.ports, service);
    let mut members: Vec<ServiceEndpoint> = services.filter_map(of).collect();
    members.extend(membership::of_entries(entries, &entry.spec.ports));
    members.sort_unstable_by(|one, two| one.service.cmp(&two.service));
    let (tunnel, native_tunnel) = naming::tunnel(&labels, &metadata.annotations);
    Workload {
        uid: uid(cluster, &metadata.namespace, &metadata.name),
        name: metadata.name.as_str().into(),
        namespace: metadata.namespace.as_str().into(),
        tunnel,
        native_tunnel,
        canonical_name: naming::canonical_name(&labels, &workload_name),
        canonical_revision: naming::canonical_revision(&labels),
        workload_name,
        services: members,
        labels: naming::labels(&labels),
        origin: Some(Origin::object(
            "WorkloadEntry",
            metadata.namespace.as_str(),
            metadata.name.as_str(),
        )),
        ..outline(cluster, &entry.spec)
    }
}

/// Its unique id.
pub fn uid(cluster: &Cluster, namespace: &str, name: &str) -> WorkloadUid {
    let id = &cluster.id;
    WorkloadUid(format!("{id}/networking.istio.io/WorkloadEntry/{namespace}/{name}").into())
}

/// What the description of a machine says by itself; names are for the caller to fill in.
pub fn outline(cluster: &Cluster, spec: &WorkloadEntrySpec) -> Workload {
    let network = match spec.network.as_str() {
        "" => cluster.network.clone(),
        other => other.into(),
    };
    Workload {
        uid: WorkloadUid(Arc::default()),
        name: Arc::default(),
        namespace: Arc::default(),
        addresses: spec.ip().into_iter().collect(),
        hostname: spec.hostname().into(),
        network,
        tunnel: mesh::model::TunnelKind::None,
        native_tunnel: false,
        trust_domain: cluster.trust_domain.clone(),
        service_account: spec.service_account.as_str().into(),
        node: Arc::default(),
        canonical_name: Arc::default(),
        canonical_revision: Arc::default(),
        workload_kind: WorkloadKind::Pod,
        workload_name: Arc::default(),
        cluster: cluster.id.clone(),
        health: Health::Healthy,
        services: Vec::new(),
        waypoint: None,
        network_gateway: None,
        application_tunnel: None,
        policies: Vec::new(),
        locality: locality(&spec.locality),
        network_mode: NetworkMode::Standard,
        // Nothing said and nothing wished look the same.
        capacity: spec.weight.max(1),
        labels: naming::labels(&spec.labels),
        origin: None,
    }
}

/// What of an entry the services depend on that select it.
pub fn facts(entry: &WorkloadEntry) -> impl PartialEq {
    (entry.labels(), &entry.spec.ports)
}

/// What the entry's owner should know; `workload` is what was made of it.
pub fn findings(cluster: &Cluster, entry: &WorkloadEntry, workload: &Workload) -> Vec<Finding> {
    let mut findings = unhonoured::findings(&entry.metadata);
    if workload.services.is_empty() {
        let labels: &Labels = &entry.spec.labels;
        let path: &[&str] = match labels.is_empty() {
            true => &["metadata", "labels"],
            false => &["spec", "labels"],
        };
        let reason =
            "no service and no service entry selects it: it is reached by its address only";
        findings.push(Finding::new(Rule::NobodySelects, path, reason));
    }
    findings.extend(network(cluster, &entry.spec, Path::of_keys(&["spec"])));
    findings
}

/// An endpoint on another network than the cluster's cannot be reached.
pub fn network(cluster: &Cluster, spec: &WorkloadEntrySpec, at: Path) -> Option<Finding> {
    let is_elsewhere = !spec.network.is_empty() && *spec.network != *cluster.network;
    is_elsewhere.then(|| Finding {
        rule: Rule::NotHonoured,
        path: at.key("network"),
        reason: format!(
            "it is on network {:?}, not on the cluster's own: other networks cannot be reached yet",
            spec.network
        ),
    })
}

/// `region/zone/subzone`, as far as it goes.
fn locality(text: &str) -> Locality {
    let mut parts = text.split('/').map(Arc::from);
    let mut next = || parts.next().unwrap_or_default();
    Locality {
        region: next(),
        zone: next(),
        subzone: next(),
    }
}
