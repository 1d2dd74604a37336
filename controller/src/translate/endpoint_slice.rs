//! Pure. EndpointSlice to Workloads: endpoints that are no pods, of services that select nothing.
//! Source: docs/compat.md#workload-record.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use mesh::model::{
    Health, Locality, NetworkMode, Origin, PortPair, ServiceEndpoint, TunnelKind, Workload,
    WorkloadKind,
};
use mesh::names::WorkloadUid;
use objects::kubernetes::endpoint_slice::Endpoint;
use objects::kubernetes::service::ServiceType;
use objects::kubernetes::{EndpointSlice, Service};

use super::{Cluster, membership};

/// One workload per address of `slice` that is not a pod's; `service` is the one the slice names.
pub fn workloads(
    cluster: &Cluster,
    slice: &EndpointSlice,
    service: Option<&Service>,
) -> Vec<Workload> {
    let Some(service) = service.filter(|service| is_written_by_hand(service)) else {
        return Vec::new();
    };
    if !membership::is_addressed(slice) {
        return Vec::new();
    }
    let ports: Vec<PortPair> = membership::of_slice_ports(service, &slice.ports).collect();
    let mut found: BTreeMap<IpAddr, Workload> = BTreeMap::new();
    for endpoint in slice.endpoints.iter().filter(|endpoint| !is_pod(endpoint)) {
        for address in endpoint
            .addresses
            .iter()
            .filter_map(|text| text.parse::<IpAddr>().ok())
        {
            let address = address.to_canonical();
            let made = workload(cluster, slice, service, endpoint, (address, &ports));
            found.entry(address).or_insert(made);
        }
    }
    found.into_values().collect()
}

/// Whether somebody else than Kubernetes says which endpoints a service has.
pub fn is_written_by_hand(service: &Service) -> bool {
    service.spec.selector.is_empty() && service.spec.r#type != ServiceType::ExternalName
}

fn is_pod(endpoint: &Endpoint) -> bool {
    endpoint
        .target_ref
        .as_ref()
        .is_some_and(|target| target.kind == "Pod")
}

fn workload(
    cluster: &Cluster,
    slice: &EndpointSlice,
    service: &Service,
    endpoint: &Endpoint,
    (address, ports): (IpAddr, &[PortPair]),
) -> Workload {
    let metadata = &slice.metadata;
    let (namespace, name) = (metadata.namespace.as_str(), metadata.name.as_str());
    let uid = format!(
        "{}/discovery.k8s.io/EndpointSlice/{namespace}/{name}/{address}",
        cluster.id
    );
    let key = cluster.service_key(namespace, &service.metadata.name);
    let is_ready = endpoint.conditions.is_ready();
    Workload {
        uid: WorkloadUid(uid.into()),
        name: name.into(),
        namespace: namespace.into(),
        addresses: vec![address],
        hostname: Arc::default(),
        network: cluster.network.clone(),
        tunnel: TunnelKind::None,
        native_tunnel: false,
        trust_domain: cluster.trust_domain.clone(),
        service_account: Arc::default(),
        node: Arc::default(),
        canonical_name: Arc::default(),
        canonical_revision: Arc::default(),
        workload_kind: WorkloadKind::Deployment,
        workload_name: Arc::default(),
        cluster: cluster.id.clone(),
        health: if is_ready {
            Health::Healthy
        } else {
            Health::Unhealthy
        },
        services: vec![ServiceEndpoint {
            service: key,
            ports: ports.to_vec(),
        }],
        waypoint: None,
        network_gateway: None,
        application_tunnel: None,
        policies: Vec::new(),
        locality: Locality::default(),
        // Its address may be anybody's: it is never found by address.
        network_mode: NetworkMode::HostNetwork,
        capacity: 1,
        labels: Vec::new(),
        origin: Some(Origin::object("EndpointSlice", namespace, name)),
    }
}
