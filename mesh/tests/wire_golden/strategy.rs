//! Random values of the model, within what the wire can say.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use mesh::identity::TrustDomain;
use mesh::model::{
    Action, AppProtocol, ApplicationTunnel, Clause, Destination, GatewayAddress, Health,
    HealthPolicy, IpFamilies, IpRange, LoadBalancing, Locality, Match, Mode, NetworkMode, Origin,
    Policy, PolicyScope, Port, PortPair, Rule, Scope, Service, ServiceAccountMatch, ServiceAddress,
    ServiceEndpoint, StringMatch, TunnelKind, Visibility, WeightedWaypoint, Workload, WorkloadKind,
};
use mesh::names::{NamespacedHostname, NamespacedName, NetworkAddress, WorkloadUid};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

const KINDS: [WorkloadKind; 4] = [
    WorkloadKind::Deployment,
    WorkloadKind::CronJob,
    WorkloadKind::Pod,
    WorkloadKind::Job,
];

fn text() -> impl Strategy<Value = Arc<str>> {
    "[a-z0-9.-]{0,12}".prop_map(Arc::from)
}

fn word() -> impl Strategy<Value = Arc<str>> {
    "[a-z0-9.-]{1,12}".prop_map(Arc::from)
}

fn address() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>().prop_map(|it| it.to_canonical())
}

fn range() -> impl Strategy<Value = (IpAddr, u8)> {
    (address(), any::<u8>())
        .prop_map(|(it, prefix)| (it, prefix % if it.is_ipv4() { 33 } else { 129 }))
}

fn gateway() -> impl Strategy<Value = GatewayAddress> {
    let destination = prop_oneof![
        (word(), word()).prop_map(|(n, h)| Destination::Hostname(NamespacedHostname::new(n, h))),
        (text(), address()).prop_map(|(n, a)| Destination::Address(NetworkAddress::new(n, a))),
    ];
    (destination, any::<u16>()).prop_map(|(destination, hbone_port)| GatewayAddress {
        destination,
        hbone_port,
    })
}

fn origin() -> impl Strategy<Value = Option<Origin>> {
    option::of(
        (text(), text(), text(), text()).prop_map(|(kind, namespace, name, rule)| Origin {
            kind,
            namespace,
            name,
            rule,
        }),
    )
}

fn endpoints() -> impl Strategy<Value = Vec<ServiceEndpoint>> {
    let pair = any::<(u16, u16)>().prop_map(|(service_port, target_port)| PortPair {
        service_port,
        target_port,
    });
    btree_map((word(), word()), vec(pair, 0..3), 0..4).prop_map(
        |map: BTreeMap<(Arc<str>, Arc<str>), Vec<PortPair>>| {
            map.into_iter()
                .map(|((namespace, hostname), ports)| ServiceEndpoint {
                    service: NamespacedHostname::new(namespace, hostname),
                    ports,
                })
                .collect()
        },
    )
}

fn application_tunnel() -> impl Strategy<Value = ApplicationTunnel> {
    any::<(bool, u16)>().prop_map(|(proxy_protocol, port)| ApplicationTunnel {
        proxy_protocol,
        port,
    })
}

pub(crate) fn workload() -> impl Strategy<Value = Workload> {
    let names = (word(), text(), text(), text(), text(), text(), text());
    let place = (text(), text(), text(), text(), word(), word(), text());
    let plain = (
        vec(address(), 0..3),
        select(vec![TunnelKind::None, TunnelKind::Hbone]),
        select(vec![Health::Healthy, Health::Unhealthy]),
        select(vec![NetworkMode::Standard, NetworkMode::HostNetwork]),
        select(KINDS.to_vec()),
        any::<(bool, u32)>(),
        "[a-z0-9._-]{1,9}",
    );
    let links = (
        endpoints(),
        option::of(gateway()),
        option::of(gateway()),
        option::of(application_tunnel()),
        vec(
            (word(), word()).prop_map(|(a, b)| NamespacedName::new(a, b)),
            0..3,
        ),
        origin(),
        btree_map(text(), text(), 0..3),
    );
    (names, place, plain, links).prop_map(|(names, place, plain, links)| Workload {
        uid: WorkloadUid(names.0),
        name: names.1,
        namespace: names.2,
        canonical_name: names.3,
        canonical_revision: names.4,
        workload_name: names.5,
        hostname: names.6,
        locality: Locality {
            region: place.0,
            zone: place.1,
            subzone: place.2,
        },
        network: place.3,
        cluster: place.4,
        service_account: place.5,
        node: place.6,
        addresses: plain.0,
        tunnel: plain.1,
        health: plain.2,
        network_mode: plain.3,
        workload_kind: plain.4,
        native_tunnel: plain.5.0,
        capacity: plain.5.1,
        labels: links.6.into_iter().collect(),
        trust_domain: TrustDomain::parse(&plain.6).unwrap(),
        services: links.0,
        waypoint: links.1,
        network_gateway: links.2,
        application_tunnel: links.3,
        policies: links.4,
        origin: links.5,
    })
}

fn load_balancing() -> impl Strategy<Value = LoadBalancing> {
    let scopes = vec![
        Scope::Region,
        Scope::Zone,
        Scope::Subzone,
        Scope::Node,
        Scope::Cluster,
        Scope::Network,
    ];
    let modes = vec![
        Mode::Unspecified,
        Mode::Strict,
        Mode::Failover,
        Mode::Passthrough,
    ];
    let health = vec![HealthPolicy::OnlyHealthy, HealthPolicy::AllowAll];
    (vec(select(scopes), 0..5), select(modes), select(health)).prop_map(|(scopes, mode, health)| {
        LoadBalancing {
            scopes,
            mode,
            health,
        }
    })
}

pub(crate) fn service() -> impl Strategy<Value = Service> {
    let protocol = select(vec![
        AppProtocol::Unknown,
        AppProtocol::Http11,
        AppProtocol::Http2,
        AppProtocol::Grpc,
        AppProtocol::Tcp,
        AppProtocol::Tls,
    ]);
    let port = (any::<(u16, u16)>(), protocol).prop_map(|((service_port, target_port), it)| Port {
        service_port,
        target_port,
        app_protocol: it,
    });
    let single = (text(), address()).prop_map(|(network, address)| ServiceAddress {
        network,
        address,
        prefix: None,
    });
    let ranged = (text(), range()).prop_map(|(network, (address, prefix))| ServiceAddress {
        network,
        address,
        prefix: Some(prefix),
    });
    let weighted = (gateway(), any::<u32>())
        .prop_map(|(gateway, weight)| WeightedWaypoint { gateway, weight });
    let families = select(vec![
        IpFamilies::Automatic,
        IpFamilies::Ipv4Only,
        IpFamilies::Ipv6Only,
        IpFamilies::Dual,
    ]);
    let names = (word(), word(), text(), vec(text(), 0..3), origin());
    let parts = (
        vec(prop_oneof![single, ranged], 0..3),
        vec(port, 0..3),
        option::of(gateway()),
        vec(weighted, 0..3),
        load_balancing(),
        families,
        any::<(bool, bool, bool)>(),
    );
    (names, parts).prop_map(|(names, parts)| Service {
        key: NamespacedHostname::new(names.0, names.1),
        name: names.2,
        subject_alt_names: names.3,
        origin: names.4,
        addresses: parts.0,
        ports: parts.1,
        waypoint: parts.2,
        weighted_waypoints: parts.3,
        load_balancing: parts.4,
        ip_families: parts.5,
        canonical: parts.6.0,
        ingress_use_waypoint: parts.6.1,
        visibility: if parts.6.2 {
            Visibility::Namespace
        } else {
            Visibility::Public
        },
    })
}

pub(crate) fn one_match() -> impl Strategy<Value = Match> {
    let string = || {
        let pattern = prop_oneof![
            text().prop_map(StringMatch::Exact),
            text().prop_map(StringMatch::Prefix),
            text().prop_map(StringMatch::Suffix),
            Just(StringMatch::Presence),
        ];
        vec(pattern, 0..3)
    };
    let account = || {
        vec(
            (text(), text()).prop_map(|(namespace, service_account)| ServiceAccountMatch {
                namespace,
                service_account,
            }),
            0..3,
        )
    };
    let ip = || {
        vec(
            range().prop_map(|(address, prefix)| IpRange { address, prefix }),
            0..3,
        )
    };
    let port = || vec(any::<u16>(), 0..3);
    (
        (string(), string(), string(), string(), account(), account()),
        (ip(), ip(), ip(), ip(), port(), port()),
    )
        .prop_map(|(who, place)| Match {
            namespaces: who.0,
            not_namespaces: who.1,
            principals: who.2,
            not_principals: who.3,
            service_accounts: who.4,
            not_service_accounts: who.5,
            source_ips: place.0,
            not_source_ips: place.1,
            destination_ips: place.2,
            not_destination_ips: place.3,
            destination_ports: place.4,
            not_destination_ports: place.5,
            request: None,
        })
}

pub(crate) fn policy() -> impl Strategy<Value = Policy> {
    let clause = vec(one_match(), 0..3).prop_map(|matches| Clause { matches });
    let rule = vec(clause, 0..3).prop_map(|clauses| Rule { clauses });
    let scopes = vec![
        PolicyScope::Global,
        PolicyScope::Namespace,
        PolicyScope::WorkloadSelector,
    ];
    (
        (word(), word()),
        select(scopes),
        select(vec![Action::Allow, Action::Deny]),
        vec(rule, 0..3),
        any::<bool>(),
        origin(),
    )
        .prop_map(
            |((namespace, name), scope, action, rules, dry_run, origin)| Policy {
                key: NamespacedName::new(namespace, name),
                scope,
                action,
                rules,
                dry_run,
                origin,
            },
        )
}
