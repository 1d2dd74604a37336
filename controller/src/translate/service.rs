//! Pure. Service to the mesh's Service. Source: docs/compat.md#service-record.

mod balancing;
mod protocol;

use mesh::model::{IpFamilies, Origin, Port, Service as Record, ServiceAddress, Visibility};
use objects::kubernetes::service::{ServicePort, ServiceType};
use objects::kubernetes::{IntOrString, Namespace, Service};
use objects::labels::Labels;
use objects::meta::Metadata;

use super::waypoint::{self, Wish};
use super::{Cluster, Finding, membership, unhonoured};

/// Gateways route to the service's waypoint when this is `true`.
const INGRESS_USE_WAYPOINT: &str = "istio.io/ingress-use-waypoint";

/// What of a namespace its services depend on. While this stays the same, no service changes with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceFacts<'a> {
    facts: [Option<&'a str>; 5],
}

/// The facts of a namespace's metadata that its services depend on.
pub fn namespace_facts(metadata: &Metadata) -> NamespaceFacts<'_> {
    let label = |key| metadata.labels.get(key);
    let facts = [
        label(waypoint::USE_WAYPOINT),
        label(waypoint::USE_WAYPOINT_NAMESPACE),
        label(waypoint::FAILURE_MODE),
        label(INGRESS_USE_WAYPOINT),
        metadata.annotations.get(balancing::ANNOTATION),
    ];
    NamespaceFacts { facts }
}

/// The record of a service and what its owner should know; `None` for an ExternalName.
pub fn of_service(
    cluster: &Cluster,
    service: &Service,
    namespace: Option<&Namespace>,
) -> Option<(Record, Vec<Finding>)> {
    if service.spec.r#type == ServiceType::ExternalName {
        return None;
    }
    let metadata = &service.metadata;
    let namespace = namespace.map(|namespace| &namespace.metadata);
    let namespace_labels = namespace.map(|namespace| &namespace.labels);
    let wish = Wish {
        own: &metadata.labels,
        namespace: namespace_labels,
    };
    let (waypoint, finding) =
        waypoint::of_service(cluster, &metadata.namespace, &metadata.name, wish);
    let mut findings = unhonoured::findings(metadata);
    findings.extend(finding);
    let (load_balancing, finding) = balancing::of(service, namespace);
    findings.extend(finding);
    let record = Record {
        key: cluster.service_key(&metadata.namespace, &metadata.name),
        name: metadata.name.as_str().into(),
        addresses: addresses(cluster, service),
        ports: membership::service_ports(service).map(port).collect(),
        subject_alt_names: Vec::new(),
        waypoint,
        weighted_waypoints: Vec::new(),
        load_balancing,
        ip_families: ip_families(&service.spec.ip_families),
        canonical: true,
        ingress_use_waypoint: ingress_uses_waypoint(&metadata.labels, namespace_labels),
        visibility: Visibility::Public,
        origin: Some(Origin::object(
            "Service",
            metadata.namespace.as_str(),
            metadata.name.as_str(),
        )),
    };
    Some((record, findings))
}

fn addresses(cluster: &Cluster, service: &Service) -> Vec<ServiceAddress> {
    let network = &cluster.network;
    let one = |address: std::net::IpAddr| ServiceAddress {
        network: network.clone(),
        address: address.to_canonical(),
        prefix: None,
    };
    service.addresses().into_iter().map(one).collect()
}

fn port(port: &ServicePort) -> Port {
    let target_port = match &port.target_port {
        None | Some(IntOrString::Number(0)) => port.port,
        Some(IntOrString::Number(number)) => *number,
        Some(IntOrString::Name(_)) => 0,
    };
    Port {
        service_port: port.port,
        target_port,
        app_protocol: protocol::of(port),
    }
}

fn ip_families(families: &[String]) -> IpFamilies {
    let has = |family: &str| families.iter().any(|one| one == family);
    match (has("IPv4"), has("IPv6")) {
        (true, true) => IpFamilies::Dual,
        (true, false) => IpFamilies::Ipv4Only,
        (false, true) => IpFamilies::Ipv6Only,
        (false, false) => IpFamilies::Automatic,
    }
}

fn ingress_uses_waypoint(own: &Labels, namespace: Option<&Labels>) -> bool {
    let value = own.get(INGRESS_USE_WAYPOINT);
    value.or_else(|| namespace?.get(INGRESS_USE_WAYPOINT)) == Some("true")
}
