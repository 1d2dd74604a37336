//! Pure. Service to the mesh's Service. Source: docs/compat.md#service-record.

pub mod reach;
pub mod balancing;
mod protocol;

use mesh::model::{IpFamilies, Origin, Port, Service as Record, ServiceAddress, Visibility};
use objects::kubernetes::service::{ServicePort, ServiceType};
use objects::kubernetes::{IntOrString, Service};
use objects::labels::Labels;
use objects::meta::Metadata;
use objects::raw::Path;

use super::status::Status;
use super::waypoint::bind::{self, Asker, Bound, Gateways};
use super::waypoint::gateway::Traffic;
use super::waypoint::{self, Wish};
use super::{Cluster, Finding, membership, unhonoured};

/// Gateways route to the service's waypoint when this is `true`.
const INGRESS_USE_WAYPOINT: &str = "istio.io/ingress-use-waypoint";

/// What of a namespace its services depend on. While this stays the same, no service changes with it.
pub fn namespace_facts(metadata: Option<&Metadata>) -> impl PartialEq {
    (
        waypoint::inherited(metadata),
        metadata.and_then(|it| it.labels.get(INGRESS_USE_WAYPOINT)),
        metadata.and_then(|it| it.annotations.get(balancing::ANNOTATION)),
        waypoint::required::facts(metadata),
    )
}

/// What a service's translation depends on beside itself.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Facts of the cluster.
    pub cluster: &'a Cluster,
    /// Its namespace.
    pub namespace: Option<&'a Metadata>,
    /// The gateways there are.
    pub gateways: &'a dyn Gateways,
}

/// The record of a service, what its owner should know and what its status should say; `None` for an ExternalName.
pub fn of_service(
    context: &Context<'_>,
    service: &Service,
) -> Option<(Record, Vec<Finding>, Status)> {
    if service.spec.r#type == ServiceType::ExternalName {
        return None;
    }
    let metadata = &service.metadata;
    let bound = waypoint(context, metadata);
    let mut findings = unhonoured::of_service_or_namespace(metadata);
    findings.extend(waypoint::required::findings(metadata));
    findings.extend(bound.findings);
    let (load_balancing, finding) = balancing::of(service, context.namespace);
    findings.extend(finding);
    let namespace_labels = context.namespace.map(|it| &it.labels);
    let record = Record {
        key: context
            .cluster
            .service_key(&metadata.namespace, &metadata.name),
        name: metadata.name.as_str().into(),
        addresses: addresses(context.cluster, service),
        ports: membership::service_ports(service).map(port).collect(),
        subject_alt_names: Vec::new(),
        waypoint: bound.waypoint,
        weighted_waypoints: bound.weighted,
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
    let status = Status {
        conditions: bound.condition.into_iter().collect(),
        ..Status::default()
    };
    Some((record, findings, status))
}

/// The waypoint of a service with this metadata.
pub fn waypoint(context: &Context<'_>, metadata: &Metadata) -> Bound {
    let wish = Wish {
        labels: &metadata.labels,
        annotations: &metadata.annotations,
        namespace: context.namespace,
    };
    let asks_for_itself = |asked: waypoint::Asked<'_>| {
        *asked.gateway.namespace == *metadata.namespace && *asked.gateway.name == *metadata.name
    };
    let is_waypoint = waypoint::is_managed(&metadata.labels)
        || wish.asked(&metadata.namespace).is_some_and(asks_for_itself);
    if is_waypoint {
        return Bound::default();
    }
    let namespace_labels = context.namespace.map(|it| &it.labels);
    let asker = Asker {
        cluster: context.cluster,
        traffic: Traffic::Service,
        namespace: &metadata.namespace,
        wish,
        is_private: false,
        ingress: ingress_uses_waypoint(&metadata.labels, namespace_labels),
        gateways: context.gateways,
    };
    bind::bind(&asker, &Path::of_keys(&["metadata"]))
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

/// Whether gateways at the edge route to its waypoint, as it says itself or else its namespace.
pub fn ingress_uses_waypoint(own: &Labels, namespace: Option<&Labels>) -> bool {
    let value = own.get(INGRESS_USE_WAYPOINT);
    value.or_else(|| namespace?.get(INGRESS_USE_WAYPOINT)) == Some("true")
}
