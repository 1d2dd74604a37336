//! Pure. The workloads a service entry names itself: its endpoints, or its hosts when they are to be resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh::model::{Origin, ServiceEndpoint, Workload};
use mesh::names::{NamespacedHostname, WorkloadUid};
use objects::istio::{ServiceEntry, WorkloadEntrySpec};
use objects::labels::Labels;
use objects::raw::Path;

use super::{Context, Made, own_hosts};
use crate::translate::policies::policies_of;
use crate::translate::rule::Rule;
use crate::translate::waypoint::Wish;
use crate::translate::waypoint::bind::{self, Asker, Bound};
use crate::translate::waypoint::gateway::Traffic;
use crate::translate::{Finding, membership, naming, workload_entry};

/// Adds the workloads, and what the owner should know about each.
pub(super) fn add(context: &Context<'_>, entry: &ServiceEntry, made: &mut Made) {
    let hosts = own_hosts(entry, context.standing);
    if entry.resolves_its_hosts() {
        let of = |host: &&str| WorkloadEntrySpec {
            address: (*host).to_owned(),
            ..WorkloadEntrySpec::default()
        };
        let workloads = hosts
            .iter()
            .map(|host| workload(context, entry, &of(host), &[host]));
        made.workloads.extend(workloads);
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, endpoint) in entry.spec.endpoints.iter().enumerate() {
        let at = Path::of_keys(&["spec", "endpoints"]).at(index);
        if !seen.insert(address(endpoint)) {
            made.findings.push(Finding {
                rule: Rule::DuplicateEndpoint,
                path: at.key("address"),
                reason: format!(
                    "{:?} is an endpoint already: this one has no effect",
                    endpoint.address
                ),
            });
            continue;
        }
        made.findings.extend(workload_entry::network(
            context.cluster,
            endpoint,
            at.clone(),
        ));
        let bound = waypoint(context, entry, endpoint, &at);
        made.findings.extend(bound.findings);
        let mut workload = workload(context, entry, endpoint, &hosts);
        workload.waypoint = bound.waypoint;
        made.workloads.push(workload);
    }
}

/// What an endpoint is told from others by.
fn address(endpoint: &WorkloadEntrySpec) -> String {
    match endpoint.ip() {
        Some(address) => address.to_string(),
        None => endpoint.address.clone(),
    }
}

fn workload(
    context: &Context<'_>,
    entry: &ServiceEntry,
    endpoint: &WorkloadEntrySpec,
    hosts: &[&str],
) -> Workload {
    let metadata = &entry.metadata;
    let (namespace, name) = (metadata.namespace.as_str(), metadata.name.as_str());
    let id = &context.cluster.id;
    let address = address(endpoint);
    let uid = format!("{id}/networking.istio.io/ServiceEntry/{namespace}/{name}/{address}");
    let ports = membership::entry_ports(entry, &endpoint.ports);
    let services: BTreeMap<NamespacedHostname, ServiceEndpoint> = hosts
        .iter()
        .map(|host| {
            let service = NamespacedHostname::new(namespace, *host);
            let ports = ports.clone();
            (service.clone(), ServiceEndpoint { service, ports })
        })
        .collect();
    let workload_name: Arc<str> = name.into();
    let (tunnel, native_tunnel) = naming::tunnel(&metadata.labels, &metadata.annotations);
    Workload {
        uid: WorkloadUid(uid.into()),
        name: name.into(),
        namespace: namespace.into(),
        tunnel,
        native_tunnel,
        canonical_name: naming::canonical_name(&metadata.labels, &workload_name),
        canonical_revision: naming::canonical_revision(&metadata.labels),
        workload_name,
        services: services.into_values().collect(),
        policies: policies_of(&endpoint.labels, namespace, context.policies),
        origin: Some(Origin::object("ServiceEntry", namespace, name)),
        ..workload_entry::outline(context.cluster, endpoint)
    }
}

/// The waypoint for traffic to the endpoint's own address, by its labels or its namespace's.
fn waypoint(
    context: &Context<'_>,
    entry: &ServiceEntry,
    endpoint: &WorkloadEntrySpec,
    at: &Path,
) -> Bound {
    let none = Labels::default();
    let asker = Asker {
        cluster: context.cluster,
        traffic: Traffic::Workload,
        namespace: &entry.metadata.namespace,
        wish: Wish {
            labels: &endpoint.labels,
            annotations: &none,
            namespace: context.namespace,
        },
        is_private: false,
        ingress: false,
        gateways: context.gateways,
    };
    bind::bind(&asker, at)
}
