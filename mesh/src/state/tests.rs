//! The picture of the mesh: small ones built in a few lines, and what is asked of them.

mod churn;
mod lookups;
mod naive;
mod picking;
mod policies;
mod waypoints;

use std::net::IpAddr;

use super::{Reader, Removal, Settings, Store};
use crate::identity::TrustDomain;
use crate::model::{
    AppProtocol, Destination, GatewayAddress, Health, IpFamilies, LoadBalancing, Locality,
    NetworkMode, Port, PortPair, Service, ServiceAddress, ServiceEndpoint, TunnelKind, Visibility,
    Workload, WorkloadKind,
};
use crate::names::{NamespacedHostname, NetworkAddress, WorkloadUid};
use crate::wire::Update;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn key(text: &str) -> NamespacedHostname {
    NamespacedHostname::parse(text).unwrap()
}

/// A pod of namespace `ns` with that address, or without one when it is empty.
fn pod(name: &str, address: &str) -> Workload {
    Workload {
        uid: WorkloadUid::pod("Kubernetes", "ns", name),
        name: name.into(),
        namespace: "ns".into(),
        addresses: Some(address)
            .filter(|it| !it.is_empty())
            .map(ip)
            .into_iter()
            .collect(),
        hostname: "".into(),
        network: "".into(),
        tunnel: TunnelKind::Hbone,
        native_tunnel: false,
        trust_domain: TrustDomain::default(),
        service_account: "default".into(),
        node: "node".into(),
        canonical_name: "".into(),
        canonical_revision: "".into(),
        workload_kind: WorkloadKind::Pod,
        workload_name: "".into(),
        cluster: "Kubernetes".into(),
        health: Health::Healthy,
        services: vec![],
        waypoint: None,
        network_gateway: None,
        application_tunnel: None,
        policies: vec![],
        locality: Locality::default(),
        network_mode: NetworkMode::Standard,
        capacity: 1,
        labels: Vec::new(),
        origin: None,
    }
}

/// The pod as an endpoint of those services, port 80 of each on its port 8080.
fn serving(mut workload: Workload, services: &[&str]) -> Workload {
    workload.services = services
        .iter()
        .map(|service| ServiceEndpoint {
            service: key(service),
            ports: vec![PortPair {
                service_port: 80,
                target_port: 8080,
            }],
        })
        .collect();
    workload
}

/// A service with that virtual address (`a.b.c.d` or `a.b.c.d/len`), or without one.
fn service(name: &str, address: &str) -> Service {
    let one = |text: &str| {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (ip(address), Some(prefix.parse().unwrap())),
            None => (ip(text), None),
        };
        ServiceAddress {
            network: "".into(),
            address,
            prefix,
        }
    };
    Service {
        key: key(name),
        name: "".into(),
        addresses: Some(address)
            .filter(|it| !it.is_empty())
            .map(one)
            .into_iter()
            .collect(),
        ports: vec![Port {
            service_port: 80,
            target_port: 0,
            app_protocol: AppProtocol::Unknown,
        }],
        subject_alt_names: vec![],
        waypoint: None,
        weighted_waypoints: vec![],
        load_balancing: LoadBalancing::default(),
        ip_families: IpFamilies::Automatic,
        canonical: false,
        ingress_use_waypoint: false,
        visibility: Visibility::Public,
        origin: None,
    }
}

fn by_name(name: &str) -> GatewayAddress {
    GatewayAddress {
        destination: Destination::Hostname(key(name)),
        hbone_port: 15008,
    }
}

fn by_address(address: &str) -> GatewayAddress {
    let address = NetworkAddress::new("", ip(address));
    GatewayAddress {
        destination: Destination::Address(address),
        hbone_port: 15008,
    }
}

impl From<Workload> for Update {
    fn from(workload: Workload) -> Self {
        Self::Workload(Box::new(workload))
    }
}

impl From<Service> for Update {
    fn from(service: Service) -> Self {
        Self::Service(Box::new(service))
    }
}

fn store() -> (Store, Reader) {
    Store::new(Settings {
        node: "node".into(),
        ..Settings::default()
    })
}

/// A picture of these things, put in one by one.
fn picture(updates: impl IntoIterator<Item = Update>) -> (Store, Reader) {
    let (mut store, reader) = store();
    for update in updates {
        store.apply([update], []);
    }
    (store, reader)
}

fn gone(name: &str) -> Removal {
    Removal::Address(name.into())
}
