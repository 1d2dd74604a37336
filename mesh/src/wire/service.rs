//! Service, both ways.

use std::sync::Arc;

use proto::workload as pb;

use super::field::{self, Subject};
use super::{Error, Problem};
use crate::model::{
    AppProtocol, HealthPolicy, IpFamilies, LoadBalancing, Mode, Port, Scope, Service,
    ServiceAddress, Visibility, WeightedWaypoint,
};
use crate::names::NamespacedHostname;

pub(super) fn decode(message: pb::Service) -> Result<Service, Error> {
    let name = format!("{}/{}", message.namespace, message.hostname);
    let subject = Subject {
        kind: "service",
        name: &name,
    };
    let key = NamespacedHostname::parse(&name)
        .ok_or_else(|| subject.error("hostname", Problem::Name(name.as_str().into())))?;
    let addresses = message.addresses.into_iter().map(|it| address(subject, it));
    let ports = message.ports.iter().map(|it| port(subject, it));
    let weighted = message
        .weighted_waypoints
        .into_iter()
        .map(|it| weighted(subject, it));
    Ok(Service {
        key,
        name: message.name.into(),
        addresses: addresses.collect::<Result<_, _>>()?,
        ports: ports.collect::<Result<_, _>>()?,
        subject_alt_names: message
            .subject_alt_names
            .into_iter()
            .map(Arc::from)
            .collect(),
        waypoint: message
            .waypoint
            .map(|it| subject.gateway("waypoint", it))
            .transpose()?,
        weighted_waypoints: weighted.collect::<Result<_, _>>()?,
        load_balancing: message
            .load_balancing
            .map(|it| load_balancing(subject, &it))
            .transpose()?
            .unwrap_or_default(),
        ip_families: match subject.known("ip_families", message.ip_families)? {
            pb::IpFamilies::Automatic => IpFamilies::Automatic,
            pb::IpFamilies::Ipv4Only => IpFamilies::Ipv4Only,
            pb::IpFamilies::Ipv6Only => IpFamilies::Ipv6Only,
            pb::IpFamilies::Dual => IpFamilies::Dual,
        },
        canonical: message.canonical,
        ingress_use_waypoint: message.ingress_use_waypoint,
        visibility: match pb::service::Visibility::try_from(message.visibility) {
            Ok(pb::service::Visibility::Namespace) => Visibility::Namespace,
            Ok(pb::service::Visibility::Public) | Err(_) => Visibility::Public,
        },
        origin: field::origin(&message.extensions),
    })
}

pub(super) fn encode(service: &Service) -> pb::Service {
    pb::Service {
        name: service.name.to_string(),
        namespace: service.key.namespace.to_string(),
        hostname: service.key.hostname.to_string(),
        addresses: service.addresses.iter().map(address_message).collect(),
        ports: service.ports.iter().map(port_message).collect(),
        subject_alt_names: service
            .subject_alt_names
            .iter()
            .map(ToString::to_string)
            .collect(),
        waypoint: service.waypoint.as_ref().map(field::gateway_message),
        load_balancing: load_balancing_message(&service.load_balancing),
        ip_families: match service.ip_families {
            IpFamilies::Automatic => pb::IpFamilies::Automatic.into(),
            IpFamilies::Ipv4Only => pb::IpFamilies::Ipv4Only.into(),
            IpFamilies::Ipv6Only => pb::IpFamilies::Ipv6Only.into(),
            IpFamilies::Dual => pb::IpFamilies::Dual.into(),
        },
        extensions: field::extensions(service.origin.as_ref()),
        canonical: service.canonical,
        ingress_use_waypoint: service.ingress_use_waypoint,
        weighted_waypoints: service
            .weighted_waypoints
            .iter()
            .map(weighted_message)
            .collect(),
        visibility: match service.visibility {
            Visibility::Public => pb::service::Visibility::Public.into(),
            Visibility::Namespace => pb::service::Visibility::Namespace.into(),
        },
    }
}

fn address(subject: Subject<'_>, message: pb::NetworkAddress) -> Result<ServiceAddress, Error> {
    let (address, prefix) = match message.length {
        None => (subject.address("addresses", &message.address)?, None),
        Some(length) => {
            let (address, prefix) = subject.range("addresses", &message.address, length)?;
            (address, Some(prefix))
        }
    };
    Ok(ServiceAddress {
        network: message.network.into(),
        address,
        prefix,
    })
}

fn address_message(address: &ServiceAddress) -> pb::NetworkAddress {
    pb::NetworkAddress {
        network: address.network.to_string(),
        address: field::address_bytes(address.address),
        length: address.prefix.map(u32::from),
    }
}

fn port(subject: Subject<'_>, message: &pb::Port) -> Result<Port, Error> {
    Ok(Port {
        service_port: subject.port("ports.service_port", message.service_port)?,
        target_port: subject.port("ports.target_port", message.target_port)?,
        app_protocol: match pb::AppProtocol::try_from(message.app_protocol) {
            Ok(pb::AppProtocol::Http11) => AppProtocol::Http11,
            Ok(pb::AppProtocol::Http2) => AppProtocol::Http2,
            Ok(pb::AppProtocol::Grpc) => AppProtocol::Grpc,
            Ok(pb::AppProtocol::Tcp) => AppProtocol::Tcp,
            Ok(pb::AppProtocol::Tls) => AppProtocol::Tls,
            Ok(pb::AppProtocol::Unknown) | Err(_) => AppProtocol::Unknown,
        },
    })
}

fn port_message(port: &Port) -> pb::Port {
    let protocol = match port.app_protocol {
        AppProtocol::Unknown => pb::AppProtocol::Unknown,
        AppProtocol::Http11 => pb::AppProtocol::Http11,
        AppProtocol::Http2 => pb::AppProtocol::Http2,
        AppProtocol::Grpc => pb::AppProtocol::Grpc,
        AppProtocol::Tcp => pb::AppProtocol::Tcp,
        AppProtocol::Tls => pb::AppProtocol::Tls,
    };
    pb::Port {
        service_port: port.service_port.into(),
        target_port: port.target_port.into(),
        app_protocol: protocol.into(),
    }
}

fn weighted(
    subject: Subject<'_>,
    message: pb::WeightedWaypoint,
) -> Result<WeightedWaypoint, Error> {
    let destination = message
        .destination
        .ok_or_else(|| subject.error("weighted_waypoints.destination", Problem::Missing))?;
    Ok(WeightedWaypoint {
        gateway: subject.gateway("weighted_waypoints.destination", destination)?,
        weight: message.weight,
    })
}

fn weighted_message(waypoint: &WeightedWaypoint) -> pb::WeightedWaypoint {
    pb::WeightedWaypoint {
        destination: Some(field::gateway_message(&waypoint.gateway)),
        weight: waypoint.weight,
    }
}

/// An unknown mode, scope or health policy is refused: each decides which endpoints may be used.
fn load_balancing(
    subject: Subject<'_>,
    message: &pb::LoadBalancing,
) -> Result<LoadBalancing, Error> {
    use pb::load_balancing as lb;
    let scope = |value: &i32| {
        let field = "load_balancing.routing_preference";
        Ok(match subject.known(field, *value)? {
            lb::Scope::Region => Scope::Region,
            lb::Scope::Zone => Scope::Zone,
            lb::Scope::Subzone => Scope::Subzone,
            lb::Scope::Node => Scope::Node,
            lb::Scope::Cluster => Scope::Cluster,
            lb::Scope::Network => Scope::Network,
            lb::Scope::UnspecifiedScope => {
                return Err(subject.error(field, Problem::UnknownValue(*value)));
            }
        })
    };
    Ok(LoadBalancing {
        scopes: message
            .routing_preference
            .iter()
            .map(scope)
            .collect::<Result<_, _>>()?,
        mode: match subject.known("load_balancing.mode", message.mode)? {
            lb::Mode::UnspecifiedMode => Mode::Unspecified,
            lb::Mode::Strict => Mode::Strict,
            lb::Mode::Failover => Mode::Failover,
            lb::Mode::Passthrough => Mode::Passthrough,
        },
        health: match subject.known("load_balancing.health_policy", message.health_policy)? {
            lb::HealthPolicy::OnlyHealthy => HealthPolicy::OnlyHealthy,
            lb::HealthPolicy::AllowAll => HealthPolicy::AllowAll,
        },
    })
}

fn load_balancing_message(balancing: &LoadBalancing) -> Option<pb::LoadBalancing> {
    use pb::load_balancing as lb;
    if *balancing == LoadBalancing::default() {
        return None;
    }
    let scope = |scope: &Scope| match scope {
        Scope::Region => lb::Scope::Region.into(),
        Scope::Zone => lb::Scope::Zone.into(),
        Scope::Subzone => lb::Scope::Subzone.into(),
        Scope::Node => lb::Scope::Node.into(),
        Scope::Cluster => lb::Scope::Cluster.into(),
        Scope::Network => lb::Scope::Network.into(),
    };
    let mode = match balancing.mode {
        Mode::Unspecified => lb::Mode::UnspecifiedMode,
        Mode::Strict => lb::Mode::Strict,
        Mode::Failover => lb::Mode::Failover,
        Mode::Passthrough => lb::Mode::Passthrough,
    };
    let health = match balancing.health {
        HealthPolicy::OnlyHealthy => lb::HealthPolicy::OnlyHealthy,
        HealthPolicy::AllowAll => lb::HealthPolicy::AllowAll,
    };
    Some(pb::LoadBalancing {
        routing_preference: balancing.scopes.iter().map(scope).collect(),
        mode: mode.into(),
        health_policy: health.into(),
    })
}
