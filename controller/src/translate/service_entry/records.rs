//! Pure. The records of a service entry's hosts.

use mesh::model::{
    AppProtocol, HealthPolicy, IpFamilies, LoadBalancing, Mode, Origin, Port, Service as Record,
    ServiceAddress, Visibility,
};
use mesh::names::NamespacedHostname;
use objects::istio::{EntryPort, Resolution, ServiceEntry, Subnet};
use objects::raw::Path;

use super::{Context, Standing};
use crate::translate::service::{balancing, ingress_uses_waypoint};
use crate::translate::waypoint::bind::{self, Asker, Bound};
use crate::translate::waypoint::gateway::Traffic;
use crate::translate::waypoint::{self, Wish};

/// The waypoint in front of all of its hosts.
pub fn waypoint(context: &Context<'_>, entry: &ServiceEntry, visibility: Visibility) -> Bound {
    let metadata = &entry.metadata;
    if waypoint::is_managed(&metadata.labels) {
        return Bound::default();
    }
    let asker = Asker {
        cluster: context.cluster,
        traffic: Traffic::Service,
        namespace: &metadata.namespace,
        wish: Wish {
            labels: &metadata.labels,
            annotations: &metadata.annotations,
            namespace: context.namespace,
        },
        is_private: visibility == Visibility::Namespace,
        ingress: ingress_uses_waypoint(&metadata.labels, context.namespace.map(|it| &it.labels)),
        gateways: context.gateways,
    };
    bind::bind(&asker, &Path::of_keys(&["metadata"]))
}

/// One record for every host that is the entry's own.
pub(super) fn of_hosts(
    context: &Context<'_>,
    entry: &ServiceEntry,
    visibility: Visibility,
    bound: &Bound,
) -> Vec<Record> {
    let hosts = entry.spec.hosts.iter().zip(context.standing);
    let records = hosts.filter_map(|(host, standing)| match standing {
        Standing::Own { canonical } => {
            let mut record = record(context, entry, host, bound);
            record.visibility = visibility;
            record.canonical = *canonical;
            Some(record)
        }
        Standing::Taken { .. } => None,
    });
    records.collect()
}

fn record(context: &Context<'_>, entry: &ServiceEntry, host: &str, bound: &Bound) -> Record {
    let metadata = &entry.metadata;
    let namespace_labels = context.namespace.map(|it| &it.labels);
    Record {
        key: NamespacedHostname::new(metadata.namespace.as_str(), host),
        name: metadata.name.as_str().into(),
        addresses: addresses(context, entry, host),
        ports: entry.spec.ports.iter().filter_map(port).collect(),
        subject_alt_names: entry
            .spec
            .subject_alt_names
            .iter()
            .map(|name| name.as_str().into())
            .collect(),
        waypoint: bound.waypoint.clone(),
        weighted_waypoints: bound.weighted.clone(),
        load_balancing: load_balancing(context, entry),
        ip_families: IpFamilies::Automatic,
        canonical: false,
        ingress_use_waypoint: ingress_uses_waypoint(&metadata.labels, namespace_labels),
        visibility: Visibility::Public,
        origin: Some(Origin::object(
            "ServiceEntry",
            metadata.namespace.as_str(),
            metadata.name.as_str(),
        )),
    }
}

/// Its own addresses, or else those that were given to this host.
fn addresses(context: &Context<'_>, entry: &ServiceEntry, host: &str) -> Vec<ServiceAddress> {
    let network = &context.cluster.network;
    let own = entry
        .spec
        .addresses
        .iter()
        .filter_map(|it| Subnet::parse(it));
    let given = context.given.iter().filter(|it| it.host == host);
    let given = given.flat_map(|it| &it.addresses).map(|address| Subnet {
        address: *address,
        length: None,
    });
    let needs_them = entry.wants_addresses();
    own.chain(given.filter(|_| needs_them))
        .map(|subnet| ServiceAddress {
            network: network.clone(),
            address: subnet.address,
            prefix: subnet.length,
        })
        .collect()
}

fn port(port: &EntryPort) -> Option<Port> {
    if port.is_udp() {
        return None;
    }
    let app_protocol = match port.protocol.to_ascii_uppercase().as_str() {
        "HTTP" => AppProtocol::Http11,
        "HTTP2" => AppProtocol::Http2,
        "GRPC" => AppProtocol::Grpc,
        "TCP" => AppProtocol::Tcp,
        "TLS" | "HTTPS" => AppProtocol::Tls,
        _ => AppProtocol::Unknown,
    };
    Some(Port {
        service_port: port.number,
        target_port: port.target(),
        app_protocol,
    })
}

fn load_balancing(context: &Context<'_>, entry: &ServiceEntry) -> LoadBalancing {
    if entry.spec.resolution == Resolution::None {
        return LoadBalancing {
            scopes: Vec::new(),
            mode: Mode::Passthrough,
            health: HealthPolicy::AllowAll,
        };
    }
    let (scopes, mode) = balancing::nearness(None, &entry.metadata, context.namespace).0;
    LoadBalancing {
        scopes,
        mode,
        health: HealthPolicy::OnlyHealthy,
    }
}
