//! Small meshes for tests of decisions: a workload or service in one line, a snapshot of several.

use std::net::IpAddr;
use std::sync::Arc;

use mesh::identity::TrustDomain;
use mesh::model::{
    AppProtocol, Destination, GatewayAddress, Health, IpFamilies, LoadBalancing, Locality,
    NetworkMode, Port, PortPair, Service, ServiceAddress, ServiceEndpoint, TunnelKind, Visibility,
    Workload, WorkloadKind,
};
use mesh::names::{NamespacedHostname, WorkloadUid};
use mesh::state::{Settings, Snapshot, Store};
use mesh::wire::Update;

use crate::config::{Doors, env};

/// A pod of namespace `shop` with HBONE and its name as service account.
pub(crate) fn pod(name: &str, addresses: &[&str]) -> Workload {
    Workload {
        uid: WorkloadUid::pod("Kubernetes", "shop", name),
        name: name.into(),
        namespace: "shop".into(),
        addresses: addresses.iter().map(|it| it.parse().unwrap()).collect(),
        hostname: "".into(),
        network: "".into(),
        tunnel: TunnelKind::Hbone,
        native_tunnel: false,
        trust_domain: TrustDomain::default(),
        service_account: name.into(),
        node: "node".into(),
        canonical_name: name.into(),
        canonical_revision: "v1".into(),
        workload_kind: WorkloadKind::Deployment,
        workload_name: name.into(),
        cluster: "Kubernetes".into(),
        health: Health::Healthy,
        services: Vec::new(),
        waypoint: None,
        network_gateway: None,
        application_tunnel: None,
        policies: Vec::new(),
        locality: Locality::default(),
        network_mode: NetworkMode::Standard,
        capacity: 1,
        labels: Vec::new(),
        origin: None,
    }
}

/// The pod as an endpoint of services, port by port.
pub(crate) fn serving(mut pod: Workload, service: &Service, ports: &[(u16, u16)]) -> Workload {
    let pair = |(service_port, target_port): &(u16, u16)| PortPair {
        service_port: *service_port,
        target_port: *target_port,
    };
    pod.services.push(ServiceEndpoint {
        service: service.key.clone(),
        ports: ports.iter().map(pair).collect(),
    });
    pod
}

/// A service of namespace `shop` with ports as pairs of port and target port.
pub(crate) fn service(name: &str, addresses: &[&str], ports: &[(u16, u16)]) -> Service {
    let address = |text: &&str| ServiceAddress {
        network: "".into(),
        address: text.parse().unwrap(),
        prefix: None,
    };
    let port = |(service_port, target_port): &(u16, u16)| Port {
        service_port: *service_port,
        target_port: *target_port,
        app_protocol: AppProtocol::Unknown,
    };
    Service {
        key: NamespacedHostname::new("shop", format!("{name}.shop.svc.cluster.local")),
        name: name.into(),
        addresses: addresses.iter().map(address).collect(),
        ports: ports.iter().map(port).collect(),
        subject_alt_names: Vec::new(),
        waypoint: None,
        weighted_waypoints: Vec::new(),
        load_balancing: LoadBalancing::default(),
        ip_families: IpFamilies::Automatic,
        canonical: true,
        ingress_use_waypoint: false,
        visibility: Visibility::Public,
        origin: None,
    }
}

/// A waypoint by the name of its service.
pub(crate) fn waypoint(service: &Service) -> Option<GatewayAddress> {
    Some(GatewayAddress {
        destination: Destination::Hostname(service.key.clone()),
        hbone_port: 15008,
    })
}

/// A snapshot of these records, which are all there are.
pub(crate) fn snapshot(
    workloads: impl IntoIterator<Item = Workload>,
    services: impl IntoIterator<Item = Service>,
) -> Arc<Snapshot> {
    snapshot_of(Settings::default(), workloads, services)
}

/// A snapshot of these records, which are what was asked for.
pub(crate) fn snapshot_on_demand(
    workloads: impl IntoIterator<Item = Workload>,
    services: impl IntoIterator<Item = Service>,
) -> Arc<Snapshot> {
    let settings = Settings {
        on_demand: true,
        ..Settings::default()
    };
    snapshot_of(settings, workloads, services)
}

fn snapshot_of(
    settings: Settings,
    workloads: impl IntoIterator<Item = Workload>,
    services: impl IntoIterator<Item = Service>,
) -> Arc<Snapshot> {
    let (mut store, reader) = Store::new(settings);
    let workloads = workloads
        .into_iter()
        .map(|it| Update::Workload(Box::new(it)));
    let services = services.into_iter().map(|it| Update::Service(Box::new(it)));
    store.know_policies();
    store.apply(workloads.chain(services).collect::<Vec<_>>(), Vec::new());
    reader.snapshot()
}

/// The doors of the contract.
pub(crate) fn doors() -> Doors {
    let required = mesh::settings::Reader::from_values([("NODE_NAME", "node")]);
    env::read(required, 1).unwrap().doors
}

/// An address from text.
pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
