//! Pure. Whether a pod or a workload entry is behind a service, and on which ports.
//! Source: docs/compat.md#workload-record.

use std::collections::BTreeMap;

use mesh::model::{PortPair, ServiceEndpoint};
use mesh::names::NamespacedHostname;
use objects::istio::{EntryPort, ServiceEntry};
use objects::kubernetes::endpoint_slice::EndpointPort;
use objects::kubernetes::service::{ServicePort, ServiceType};
use objects::kubernetes::{EndpointSlice, IntOrString, Pod, Protocol, Service};
use objects::labels::Labels;
use objects::selector::contains_all;

use super::Cluster;
use super::waypoint::required;

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
    /// Whether its pods are closed.
    required: [Option<&'a str>; 2],
}

/// The facts of `service` that its members depend on.
pub fn facts(service: &Service) -> Facts<'_> {
    let spec = &service.spec;
    Facts {
        selector: &spec.selector,
        ports: &spec.ports,
        r#type: spec.r#type,
        required: required::facts(Some(&service.metadata)),
    }
}

/// What of a service entry decides who is behind it and on which ports, beside whose its hosts are.
pub fn entry_facts(entry: &ServiceEntry) -> impl PartialEq {
    let spec = &entry.spec;
    (&spec.workload_selector, &spec.ports, &spec.hosts)
}

/// Whether the service's selector chooses what has these labels; one that selects nothing chooses nobody.
pub fn selects(service: &Service, labels: &Labels) -> bool {
    let selector = &service.spec.selector;
    !selector.is_empty() && contains_all(labels, selector)
}

/// Whether the entry's selector chooses what has these labels; one without labels chooses nobody.
pub fn entry_selects(entry: &ServiceEntry, labels: &Labels) -> bool {
    let selector = entry.spec.workload_selector.as_ref();
    selector.is_some_and(|it| !it.labels.is_empty() && contains_all(labels, &it.labels))
}

/// The service entries behind whose hosts something is: each with those of its hosts that are its own.
pub type Entries<'a> = &'a [(&'a ServiceEntry, Vec<&'a str>)];

/// Memberships in the hosts of entries, with `own` ports by name as the endpoint says them.
pub fn of_entries(entries: Entries<'_>, own: &BTreeMap<String, u16>) -> Vec<ServiceEndpoint> {
    let mut memberships = Vec::new();
    for (entry, hosts) in entries {
        let ports = entry_ports(entry, own);
        let namespace = &*entry.metadata.namespace;
        memberships.extend(hosts.iter().map(|host| ServiceEndpoint {
            service: NamespacedHostname::new(namespace, *host),
            ports: ports.clone(),
        }));
    }
    memberships
}

/// The entry's ports that the mesh carries, and where they lead on an endpoint with these ports by name.
pub fn entry_ports(entry: &ServiceEntry, own: &BTreeMap<String, u16>) -> Vec<PortPair> {
    let carried = entry.spec.ports.iter().filter(|port| !port.is_udp());
    let pair = |port: &EntryPort| PortPair {
        service_port: port.number,
        target_port: own.get(&port.name).copied().unwrap_or(port.target()),
    };
    carried.map(pair).collect()
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
    let ports = if selects(service, &metadata.labels) {
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

/// The membership of a workload entry with these labels and ports in the service; `None` when it is not behind it.
///
/// A named target port must be one of the entry's; otherwise the entry may say another number for the port's name.
pub fn of_workload_entry(
    cluster: &Cluster,
    labels: &Labels,
    own: &BTreeMap<String, u16>,
    service: &Service,
) -> Option<ServiceEndpoint> {
    if service.spec.r#type == ServiceType::ExternalName || !selects(service, labels) {
        return None;
    }
    let target = |port: &ServicePort| match &port.target_port {
        Some(IntOrString::Name(name)) => own.get(name).copied(),
        Some(IntOrString::Number(number)) if *number != 0 => {
            Some(own.get(&port.name).copied().unwrap_or(*number))
        }
        _ => Some(own.get(&port.name).copied().unwrap_or(port.port)),
    };
    let pair = |port: &ServicePort| {
        Some(PortPair {
            service_port: port.port,
            target_port: target(port)?,
        })
    };
    Some(ServiceEndpoint {
        service: cluster.service_key(&service.metadata.namespace, &service.metadata.name),
        ports: service_ports(service).filter_map(pair).collect(),
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
pub fn target_on_pod(port: &ServicePort, pod: &Pod) -> Option<PortPair> {
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
