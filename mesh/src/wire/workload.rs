//! Workload, both ways.

use std::sync::Arc;

use proto::workload as pb;

use super::field::{self, Subject, text_or};
use super::{Error, Problem};
use crate::identity::TrustDomain;
use crate::model::{
    ApplicationTunnel, Health, Locality, NetworkMode, PortPair, ServiceEndpoint, TunnelKind,
    Workload, WorkloadKind,
};
use crate::names::{NamespacedHostname, NamespacedName, WorkloadUid};

const DEFAULT_SERVICE_ACCOUNT: &str = "default";
const DEFAULT_CLUSTER: &str = "Kubernetes";
const DEFAULT_CAPACITY: u32 = 1;

pub(super) fn decode(message: pb::Workload) -> Result<Workload, Error> {
    let uid: Arc<str> = message.uid.into();
    let subject = Subject {
        kind: "workload",
        name: &uid,
    };
    if uid.is_empty() {
        return Err(subject.error("uid", Problem::Missing));
    }
    let addresses = message
        .addresses
        .iter()
        .map(|bytes| subject.address("addresses", bytes));
    let policies = message
        .authorization_policies
        .iter()
        .map(|name| policy_name(subject, name));
    Ok(Workload {
        name: message.name.into(),
        namespace: message.namespace.into(),
        addresses: addresses.collect::<Result<_, _>>()?,
        hostname: message.hostname.into(),
        network: message.network.into(),
        tunnel: tunnel(subject, message.tunnel_protocol)?,
        native_tunnel: message.native_tunnel,
        trust_domain: trust_domain(subject, &message.trust_domain)?,
        service_account: text_or(message.service_account, DEFAULT_SERVICE_ACCOUNT),
        node: message.node.into(),
        canonical_name: message.canonical_name.into(),
        canonical_revision: message.canonical_revision.into(),
        workload_kind: workload_kind(message.workload_type),
        workload_name: message.workload_name.into(),
        cluster: text_or(message.cluster_id, DEFAULT_CLUSTER),
        health: match subject.known("status", message.status)? {
            pb::WorkloadStatus::Healthy => Health::Healthy,
            pb::WorkloadStatus::Unhealthy => Health::Unhealthy,
        },
        services: services(subject, message.services)?,
        waypoint: message
            .waypoint
            .map(|it| subject.gateway("waypoint", it))
            .transpose()?,
        network_gateway: message
            .network_gateway
            .map(|it| subject.gateway("network_gateway", it))
            .transpose()?,
        application_tunnel: message
            .application_tunnel
            .map(|it| application_tunnel(subject, &it))
            .transpose()?,
        policies: policies.collect::<Result<_, _>>()?,
        locality: message.locality.map(locality).unwrap_or_default(),
        network_mode: match subject.known("network_mode", message.network_mode)? {
            pb::NetworkMode::Standard => NetworkMode::Standard,
            pb::NetworkMode::HostNetwork => NetworkMode::HostNetwork,
        },
        capacity: message.capacity.unwrap_or(DEFAULT_CAPACITY),
        labels: subject.labels(&message.extensions)?,
        origin: field::origin(&message.extensions),
        uid: WorkloadUid(uid),
    })
}

pub(super) fn encode(workload: &Workload) -> pb::Workload {
    let trust_domain = match workload.trust_domain.as_str() {
        TrustDomain::DEFAULT => String::new(),
        other => other.to_owned(),
    };
    pb::Workload {
        name: workload.name.to_string(),
        namespace: workload.namespace.to_string(),
        addresses: workload
            .addresses
            .iter()
            .map(|it| field::address_bytes(*it))
            .collect(),
        network: workload.network.to_string(),
        tunnel_protocol: tunnel_message(workload.tunnel).into(),
        trust_domain,
        service_account: workload.service_account.to_string(),
        waypoint: workload.waypoint.as_ref().map(field::gateway_message),
        node: workload.node.to_string(),
        canonical_name: workload.canonical_name.to_string(),
        canonical_revision: workload.canonical_revision.to_string(),
        workload_type: workload_kind_message(workload.workload_kind).into(),
        workload_name: workload.workload_name.to_string(),
        native_tunnel: workload.native_tunnel,
        authorization_policies: workload.policies.iter().map(ToString::to_string).collect(),
        status: match workload.health {
            Health::Healthy => pb::WorkloadStatus::Healthy.into(),
            Health::Unhealthy => pb::WorkloadStatus::Unhealthy.into(),
        },
        cluster_id: workload.cluster.to_string(),
        network_gateway: workload
            .network_gateway
            .as_ref()
            .map(field::gateway_message),
        uid: workload.uid.to_string(),
        hostname: workload.hostname.to_string(),
        services: workload.services.iter().map(service_message).collect(),
        application_tunnel: workload.application_tunnel.map(application_tunnel_message),
        locality: locality_message(&workload.locality),
        network_mode: match workload.network_mode {
            NetworkMode::Standard => pb::NetworkMode::Standard.into(),
            NetworkMode::HostNetwork => pb::NetworkMode::HostNetwork.into(),
        },
        extensions: field::extensions(workload.origin.as_ref())
            .into_iter()
            .chain(field::labels_extension(&workload.labels))
            .collect(),
        capacity: Some(workload.capacity).filter(|it| *it != DEFAULT_CAPACITY),
    }
}

fn trust_domain(subject: Subject<'_>, text: &str) -> Result<TrustDomain, Error> {
    if text.is_empty() {
        return Ok(TrustDomain::default());
    }
    TrustDomain::parse(text)
        .map_err(|error| subject.error("trust_domain", Problem::TrustDomain(error)))
}

fn policy_name(subject: Subject<'_>, text: &str) -> Result<NamespacedName, Error> {
    NamespacedName::parse(text)
        .ok_or_else(|| subject.error("authorization_policies", Problem::Name(text.into())))
}

fn tunnel(subject: Subject<'_>, value: i32) -> Result<TunnelKind, Error> {
    match subject.known("tunnel_protocol", value)? {
        pb::TunnelProtocol::None => Ok(TunnelKind::None),
        pb::TunnelProtocol::Hbone => Ok(TunnelKind::Hbone),
        pb::TunnelProtocol::LegacyIstioMtls => {
            Err(subject.error("tunnel_protocol", Problem::LegacyTunnel))
        }
    }
}

fn tunnel_message(tunnel: TunnelKind) -> pb::TunnelProtocol {
    match tunnel {
        TunnelKind::None => pb::TunnelProtocol::None,
        TunnelKind::Hbone => pb::TunnelProtocol::Hbone,
    }
}

/// Only telemetry names the owner's kind, so an unknown one does not cost the resource.
fn workload_kind(value: i32) -> WorkloadKind {
    match pb::WorkloadType::try_from(value) {
        Ok(pb::WorkloadType::Deployment) => WorkloadKind::Deployment,
        Ok(pb::WorkloadType::Cronjob) => WorkloadKind::CronJob,
        Ok(pb::WorkloadType::Job) => WorkloadKind::Job,
        Ok(pb::WorkloadType::Pod) | Err(_) => WorkloadKind::Pod,
    }
}

fn workload_kind_message(kind: WorkloadKind) -> pb::WorkloadType {
    match kind {
        WorkloadKind::Deployment => pb::WorkloadType::Deployment,
        WorkloadKind::CronJob => pb::WorkloadType::Cronjob,
        WorkloadKind::Pod => pb::WorkloadType::Pod,
        WorkloadKind::Job => pb::WorkloadType::Job,
    }
}

fn services(
    subject: Subject<'_>,
    map: impl IntoIterator<Item = (String, pb::PortList)>,
) -> Result<Vec<ServiceEndpoint>, Error> {
    let one = |(key, list): (String, pb::PortList)| {
        let service = NamespacedHostname::parse(&key)
            .ok_or_else(|| subject.error("services", Problem::Name(key.into())))?;
        let ports = list.ports.iter().map(|port| {
            Ok(PortPair {
                service_port: subject.port("services.ports.service_port", port.service_port)?,
                target_port: subject.port("services.ports.target_port", port.target_port)?,
            })
        });
        Ok(ServiceEndpoint {
            service,
            ports: ports.collect::<Result<_, _>>()?,
        })
    };
    let mut services = map.into_iter().map(one).collect::<Result<Vec<_>, _>>()?;
    services.sort_by(|a, b| a.service.cmp(&b.service));
    Ok(services)
}

fn service_message(endpoint: &ServiceEndpoint) -> (String, pb::PortList) {
    let port = |pair: &PortPair| pb::Port {
        service_port: pair.service_port.into(),
        target_port: pair.target_port.into(),
        app_protocol: pb::AppProtocol::Unknown.into(),
    };
    let ports = endpoint.ports.iter().map(port).collect();
    (endpoint.service.to_string(), pb::PortList { ports })
}

fn application_tunnel(
    subject: Subject<'_>,
    message: &pb::ApplicationTunnel,
) -> Result<ApplicationTunnel, Error> {
    use pb::application_tunnel::Protocol;
    let protocol = subject.known("application_tunnel.protocol", message.protocol)?;
    Ok(ApplicationTunnel {
        proxy_protocol: match protocol {
            Protocol::None => false,
            Protocol::Proxy => true,
        },
        port: subject.port("application_tunnel.port", message.port)?,
    })
}

fn application_tunnel_message(tunnel: ApplicationTunnel) -> pb::ApplicationTunnel {
    use pb::application_tunnel::Protocol;
    let protocol = if tunnel.proxy_protocol {
        Protocol::Proxy
    } else {
        Protocol::None
    };
    pb::ApplicationTunnel {
        protocol: protocol.into(),
        port: tunnel.port.into(),
    }
}

fn locality(message: pb::Locality) -> Locality {
    Locality {
        region: message.region.into(),
        zone: message.zone.into(),
        subzone: message.subzone.into(),
    }
}

fn locality_message(locality: &Locality) -> Option<pb::Locality> {
    (*locality != Locality::default()).then(|| pb::Locality {
        region: locality.region.to_string(),
        zone: locality.zone.to_string(),
        subzone: locality.subzone.to_string(),
    })
}
