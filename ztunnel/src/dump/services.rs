//! Pure. Services with their endpoints as the public dump writes them.

use mesh::model::{HealthPolicy, IpFamilies, LoadBalancing, Mode, Scope, ServiceAddress};
use mesh::state::{ServiceView, Snapshot};
use serde_json::{Map, Value, json};

use super::records::{add, gateway};

/// A service.
pub(super) fn service(snapshot: &Snapshot, view: ServiceView<'_>) -> Value {
    let service = view.as_model();
    let vips: Vec<String> = service.addresses.iter().map(address).collect();
    let ports: Map<String, Value> = service
        .ports
        .iter()
        .map(|port| (port.service_port.to_string(), port.target_port.into()))
        .collect();
    let mut shown = json!({
        "name": &*service.name,
        "namespace": &*service.key.namespace,
        "hostname": &*service.key.hostname,
        "vips": vips,
        "ports": ports,
        "endpoints": endpoints(snapshot, view),
        "subjectAltNames": service.subject_alt_names.iter().map(|n| &**n).collect::<Vec<_>>(),
        "ipFamilies": families(service.ip_families),
        "canonical": service.canonical,
    });
    let balanced = service.load_balancing != LoadBalancing::default();
    let optional = [
        ("waypoint", service.waypoint.as_ref().map(gateway)),
        (
            "loadBalancer",
            balanced.then(|| load_balancer(&service.load_balancing)),
        ),
        (
            "origin",
            service.origin.as_ref().map(|o| json!(o.to_string())),
        ),
    ];
    add(&mut shown, optional);
    shown
}

fn address(address: &ServiceAddress) -> String {
    match address.prefix {
        Some(prefix) => format!("{}/{}/{prefix}", address.network, address.address),
        None => format!("{}/{}", address.network, address.address),
    }
}

/// By the workload's unique id: its ports in the service.
fn endpoints(snapshot: &Snapshot, view: ServiceView<'_>) -> Value {
    let mut shown = Map::new();
    let key = view.key();
    for workload in view.endpoints().filter_map(|id| snapshot.workload(id)) {
        let mut memberships = workload.services();
        let own = memberships.find(|(service, _)| *service == key);
        let pairs = own.map_or(&[][..], |(_, ports)| ports).iter();
        let ports: Map<String, Value> = pairs
            .map(|pair| (pair.service_port.to_string(), pair.target_port.into()))
            .collect();
        let endpoint = json!({
            "workloadUid": workload.uid(),
            "service": key.to_string(),
            "port": ports,
        });
        shown.insert(workload.uid().to_owned(), endpoint);
    }
    Value::Object(shown)
}

fn load_balancer(load_balancing: &LoadBalancing) -> Value {
    let scope = |scope: &Scope| match scope {
        Scope::Region => "Region",
        Scope::Zone => "Zone",
        Scope::Subzone => "Subzone",
        Scope::Node => "Node",
        Scope::Cluster => "Cluster",
        Scope::Network => "Network",
    };
    json!({
        "mode": match load_balancing.mode {
            Mode::Unspecified => "Standard",
            Mode::Strict => "Strict",
            Mode::Failover => "Failover",
            Mode::Passthrough => "Passthrough",
        },
        "routingPreferences": load_balancing.scopes.iter().map(scope).collect::<Vec<_>>(),
        "healthPolicy": match load_balancing.health {
            HealthPolicy::OnlyHealthy => "OnlyHealthy",
            HealthPolicy::AllowAll => "AllowAll",
        },
    })
}

fn families(families: IpFamilies) -> Value {
    match families {
        IpFamilies::Automatic => Value::Null,
        IpFamilies::Ipv4Only => "IPv4".into(),
        IpFamilies::Ipv6Only => "IPv6".into(),
        IpFamilies::Dual => "Dual".into(),
    }
}
