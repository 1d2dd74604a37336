//! Pure. Whether a pod is behind a service, and on which ports.

use mesh::model::{PortPair, ServiceEndpoint};
use objects::kubernetes::endpoint_slice::EndpointPort;
use objects::kubernetes::service::{ServicePort, ServiceType};
use objects::kubernetes::{EndpointSlice, IntOrString, Pod, Protocol, Service};
use objects::selector::contains_all;

use super::Cluster;

/// A service of the pod's namespace, with the slices somebody wrote for it when it selects nothing.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// The service.
    pub service: &'a Service,
    /// Its slices; empty when it has a selector.
    pub slices: Vec<&'a EndpointSlice>,
}

/// What of a service decides which pods are behind it and on which ports. While this stays the same,
/// no pod changes with the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts<'a> {
    selector: &'a objects::labels::Labels,
    ports: &'a [ServicePort],
    r#type: ServiceType,
}

/// The facts of `service` that its members depend on.
pub fn facts(service: &Service) -> Facts<'_> {
    let spec = &service.spec;
    Facts {
        selector: &spec.selector,
        ports: &spec.ports,
        r#type: spec.r#type,
    }
}

/// Whether the service's selector chooses `pod`; one that selects nothing chooses nobody.
pub fn selects(service: &Service, pod: &Pod) -> bool {
    let selector = &service.spec.selector;
    !selector.is_empty() && contains_all(&pod.metadata.labels, selector)
}

/// Whether a slice names this pod.
pub fn names(slice: &EndpointSlice, namespace: &str, name: &str) -> bool {
    is_addressed(slice)
        && slice.metadata.namespace == namespace
        && slice.endpoints.iter().any(|endpoint| {
            endpoint.target_ref.as_ref().is_some_and(|target| {
                target.kind == "Pod"
                    && target.name == name
                    && (target.namespace.is_empty() || target.namespace == namespace)
            })
        })
}

/// Whether the slice holds addresses (and not names).
pub fn is_addressed(slice: &EndpointSlice) -> bool {
    matches!(slice.address_type.as_str(), "IPv4" | "IPv6")
}

/// The pod's membership in the service; `None` when it is not behind it.
pub fn of_pod(cluster: &Cluster, pod: &Pod, candidate: &Candidate<'_>) -> Option<ServiceEndpoint> {
    let service = candidate.service;
    if service.spec.r#type == ServiceType::ExternalName {
        return None;
    }
    let metadata = &pod.metadata;
    let ports = if selects(service, pod) {
        service_ports(service)
            .filter_map(|port| target_on_pod(port, pod))
            .collect()
    } else if service.spec.selector.is_empty() {
        let named = |slice: &&&EndpointSlice| names(slice, &metadata.namespace, &metadata.name);
        let mut ports: Vec<PortPair> = Vec::new();
        let mut is_member = false;
        for slice in candidate.slices.iter().filter(named) {
            is_member = true;
            ports.extend(of_slice_ports(service, &slice.ports));
        }
        if !is_member {
            return None;
        }
        ports.sort_unstable_by_key(|pair| (pair.service_port, pair.target_port));
        ports.dedup_by_key(|pair| pair.service_port);
        ports
    } else {
        return None;
    };
    let key = cluster.service_key(&service.metadata.namespace, &service.metadata.name);
    Some(ServiceEndpoint {
        service: key,
        ports,
    })
}

/// The service's ports that the mesh carries.
pub fn service_ports(service: &Service) -> impl Iterator<Item = &ServicePort> {
    service
        .spec
        .ports
        .iter()
        .filter(|port| port.protocol == Protocol::Tcp)
}

/// The service's ports as a slice maps them, matched by name.
pub fn of_slice_ports<'a>(
    service: &'a Service,
    slice_ports: &'a [EndpointPort],
) -> impl Iterator<Item = PortPair> + 'a {
    service_ports(service).filter_map(|port| {
        let same = |one: &&EndpointPort| one.protocol == Protocol::Tcp && one.name == port.name;
        let found = slice_ports.iter().find(same)?;
        let target_port = found.port.unwrap_or(port.port);
        Some(PortPair {
            service_port: port.port,
            target_port,
        })
    })
}

/// Where a service port leads on this pod; `None` when the pod has no port of the wanted name.
fn target_on_pod(port: &ServicePort, pod: &Pod) -> Option<PortPair> {
    let target_port = match &port.target_port {
        None => port.port,
        Some(IntOrString::Number(0)) => port.port,
        Some(target) => pod.spec.port_number(target, Protocol::Tcp)?,
    };
    Some(PortPair {
        service_port: port.port,
        target_port,
    })
}
