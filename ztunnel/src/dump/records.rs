//! Pure. Workloads, certificates' bytes and times as the public dump writes them.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mesh::model::{
    ApplicationTunnel, Destination, GatewayAddress, Health, NetworkMode, TunnelKind, Workload,
    WorkloadKind,
};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A workload.
pub(super) fn workload(workload: &Workload) -> Value {
    let mut shown = json!({
        "uid": &*workload.uid.0,
        "name": &*workload.name,
        "namespace": &*workload.namespace,
        "hostname": &*workload.hostname,
        "nativeTunnel": workload.native_tunnel,
        "workloadIps": workload.addresses,
        "protocol": match workload.tunnel {
            TunnelKind::Hbone => "HBONE",
            TunnelKind::None => "TCP",
        },
        "network": &*workload.network,
        "networkMode": match workload.network_mode {
            NetworkMode::Standard => "Standard",
            NetworkMode::HostNetwork => "HostNetwork",
        },
        "trustDomain": workload.trust_domain.as_str(),
        "serviceAccount": &*workload.service_account,
        "node": &*workload.node,
        "clusterId": &*workload.cluster,
        "canonicalName": &*workload.canonical_name,
        "canonicalRevision": &*workload.canonical_revision,
        "workloadName": &*workload.workload_name,
        "workloadType": kind(workload.workload_kind),
        "status": match workload.health {
            Health::Healthy => "Healthy",
            Health::Unhealthy => "Unhealthy",
        },
        "capacity": workload.capacity,
        "services": memberships(workload),
        "locality": {
            "region": &*workload.locality.region,
            "zone": &*workload.locality.zone,
            "subzone": &*workload.locality.subzone,
        },
        "authorizationPolicies":
            workload.policies.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    let tunnel = |it: ApplicationTunnel| {
        let protocol = if it.proxy_protocol { "PROXY" } else { "NONE" };
        let port = Some(it.port).filter(|port| *port != 0);
        json!({ "protocol": protocol, "port": port })
    };
    let optional = [
        ("applicationTunnel", workload.application_tunnel.map(tunnel)),
        ("waypoint", workload.waypoint.as_ref().map(gateway)),
        (
            "networkGateway",
            workload.network_gateway.as_ref().map(gateway),
        ),
    ];
    add(&mut shown, optional);
    shown
}

/// A time as RFC 3339 text.
pub(super) fn time(time: SystemTime) -> String {
    OffsetDateTime::from(time)
        .format(&Rfc3339)
        .unwrap_or_default()
}

/// A certificate as the dump has it: its PEM text, once more in base64.
pub(super) fn pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    STANDARD.encode(text)
}

/// Services by key, with the workload's ports in each.
fn memberships(workload: &Workload) -> Map<String, Value> {
    let mut services = Map::new();
    for endpoint in &workload.services {
        let ports: Map<String, Value> = endpoint
            .ports
            .iter()
            .map(|pair| (pair.service_port.to_string(), pair.target_port.into()))
            .collect();
        services.insert(endpoint.service.to_string(), Value::Object(ports));
    }
    services
}

pub(super) fn add<const N: usize>(shown: &mut Value, optional: [(&str, Option<Value>); N]) {
    let Some(fields) = shown.as_object_mut() else {
        return;
    };
    for (name, value) in optional {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    }
}

pub(super) fn gateway(gateway: &GatewayAddress) -> Value {
    let destination = match &gateway.destination {
        Destination::Hostname(key) => key.to_string(),
        Destination::Address(address) => address.to_string(),
    };
    json!({ "destination": destination, "hboneMtlsPort": gateway.hbone_port })
}

fn kind(kind: WorkloadKind) -> &'static str {
    match kind {
        WorkloadKind::Deployment => "deployment",
        WorkloadKind::CronJob => "cronjob",
        WorkloadKind::Pod => "pod",
        WorkloadKind::Job => "job",
    }
}
