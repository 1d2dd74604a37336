//! Fields of entries against fields of records.

use std::net::IpAddr;

use controller::translate::rule::Rule;
use mesh::model::{
    AppProtocol, Health, HealthPolicy, IpFamilies, Mode, NetworkMode, PortPair, Scope, Service,
    TunnelKind, Visibility, Workload, WorkloadKind,
};

use crate::look::{found, service, workload, world};
use crate::yaml::{World, changes, removals};
use crate::{MACHINE, PORTS, entry, machine};

const FULL: &str = r#"
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: db, namespace: n, labels: { app: base, version: v3 } }
spec:
  hosts: [db.example.com, sql.example.com]
  addresses: [10.9.0.1, 10.8.0.0/16, "2001:db8::1"]
  location: MESH_EXTERNAL
  resolution: STATIC
  subjectAltNames: [spiffe://x/ns/n/sa/s]
  ports:
  - { number: 5432, name: sql, protocol: TCP, targetPort: 6543 }
  - { number: 80, name: web, protocol: HTTP }
  - { number: 81, name: h2, protocol: http2 }
  - { number: 82, name: rpc, protocol: GRPC }
  - { number: 443, name: tls, protocol: HTTPS }
  - { number: 444, name: sni, protocol: TLS }
  - { number: 27017, name: mongo, protocol: MONGO }
  - { number: 53, name: dns, protocol: UDP }
  endpoints:
  - { address: 192.0.2.1, weight: 7, serviceAccount: keeper, locality: r/z/s, labels: { app: other }, ports: { sql: 7777 } }
  - { address: "2001:db8::5", network: far }
"#;

const DB: &str = "n/db.example.com";

const ENDPOINT: &str = "Kubernetes/networking.istio.io/ServiceEntry/n/db/192.0.2.1";

fn pair(service_port: u16, target_port: u16) -> PortPair {
    PortPair {
        service_port,
        target_port,
    }
}

#[test]
fn a_service_entry_becomes_one_record_per_host_with_every_field_of_the_contract() {
    let world = world(FULL);
    for host in [DB, "n/sql.example.com"] {
        let service = service(&world, host);
        assert_eq!(service.key.to_string(), host);
        assert_eq!(&*service.name, "db");
        let addresses: Vec<_> = service
            .addresses
            .iter()
            .map(|it| (it.address.to_string(), it.prefix))
            .collect();
        assert_eq!(
            addresses,
            [
                ("10.9.0.1".to_owned(), None),
                ("10.8.0.0".to_owned(), Some(16)),
                ("2001:db8::1".to_owned(), None),
            ]
        );
        let ports: Vec<_> = service
            .ports
            .iter()
            .map(|it| (it.service_port, it.target_port, it.app_protocol))
            .collect();
        assert_eq!(
            ports,
            [
                (5432, 6543, AppProtocol::Tcp),
                (80, 80, AppProtocol::Http11),
                (81, 81, AppProtocol::Http2),
                (82, 82, AppProtocol::Grpc),
                (443, 443, AppProtocol::Tls),
                (444, 444, AppProtocol::Tls),
                (27017, 27017, AppProtocol::Unknown),
            ]
        );
        assert_eq!(&*service.subject_alt_names[0], "spiffe://x/ns/n/sa/s");
        assert_eq!(service.load_balancing.mode, Mode::Unspecified);
        assert_eq!(service.load_balancing.health, HealthPolicy::OnlyHealthy);
        assert_eq!(service.ip_families, IpFamilies::Automatic);
        assert!(service.canonical && service.waypoint.is_none());
        assert_eq!(service.visibility, Visibility::Public);
        assert_eq!(service.origin.unwrap().to_string(), "ServiceEntry n/db");
    }
}

#[test]
fn an_endpoint_of_a_service_entry_becomes_a_workload_with_every_field_of_the_contract() {
    let world = world(FULL);
    let one = workload(&world, ENDPOINT);
    assert_eq!((&*one.name, &*one.namespace), ("db", "n"));
    assert_eq!(one.addresses, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
    assert_eq!((&*one.hostname, &*one.network, &*one.node), ("", "", ""));
    assert_eq!((one.tunnel, one.native_tunnel), (TunnelKind::None, false));
    let identity = one.identity().to_string();
    assert_eq!(identity, "spiffe://cluster.local/ns/n/sa/keeper");
    assert_eq!(
        (&*one.canonical_name, &*one.canonical_revision),
        ("base", "v3"),
        "the labels of the entry, not of the endpoint"
    );
    let label = ("app".into(), "other".into());
    assert_eq!(one.labels, [label], "the endpoint's, for parts of the host");
    assert_eq!(
        (one.workload_kind, &*one.workload_name),
        (WorkloadKind::Pod, "db")
    );
    assert_eq!(one.health, Health::Healthy);
    let locality = &one.locality;
    assert_eq!(
        (&*locality.region, &*locality.zone, &*locality.subzone),
        ("r", "z", "s")
    );
    assert_eq!((one.network_mode, one.capacity), (NetworkMode::Standard, 7));
    let services: Vec<_> = one
        .services
        .iter()
        .map(|it| it.service.to_string())
        .collect();
    assert_eq!(services, [DB, "n/sql.example.com"]);
    assert_eq!(one.services[0].ports[..2], [pair(5432, 7777), pair(80, 80)]);
    assert_eq!(
        one.services[0].ports.len(),
        7,
        "what is not TCP is left out"
    );
    assert_eq!(one.origin.unwrap().to_string(), "ServiceEntry n/db");

    let other = workload(
        &world,
        "Kubernetes/networking.istio.io/ServiceEntry/n/db/2001:db8::5",
    );
    assert_eq!((&*other.network, other.capacity), ("far", 1));
    let unreachable = found(&world, Rule::NotHonoured);
    assert_eq!(unreachable[0].problem.field, "spec.endpoints[1].network");
    assert_eq!(unreachable[0].problem.line, 22);
}

#[test]
fn fields_of_a_service_entry_decide_fields_of_its_record() {
    type Row<'a> = (&'a str, &'a str, fn(&Service) -> bool);
    let near = "annotations: {networking.istio.io/traffic-distribution: PreferClose}";
    let rows: &[Row<'_>] = &[
        ("", "hosts: [h.x], addresses: [10.0.0.1]", |it| {
            it.load_balancing.mode == Mode::Passthrough
                && it.load_balancing.health == HealthPolicy::AllowAll
        }),
        (near, "hosts: [h.x], resolution: NONE", |it| {
            it.load_balancing.mode == Mode::Passthrough && it.addresses.is_empty()
        }),
        (near, "hosts: [h.x], resolution: STATIC", |it| {
            it.load_balancing.scopes == [Scope::Network, Scope::Region, Scope::Zone]
                && it.load_balancing.mode == Mode::Failover
        }),
        (
            "labels: {istio.io/ingress-use-waypoint: 'true'}",
            "hosts: [h.x]",
            |it| it.ingress_use_waypoint,
        ),
        ("", "hosts: [h.x], resolution: DNS", |it| {
            it.addresses.len() == 2
        }),
        (
            "",
            "hosts: [h.x], resolution: DNS, addresses: [10.0.0.1]",
            |it| it.addresses.len() == 1,
        ),
        (
            "labels: {networking.istio.io/enable-autoallocate-ip: 'false'}",
            "hosts: [h.x], resolution: DNS",
            |it| it.addresses.is_empty(),
        ),
        (
            "labels: {networking.istio.io/enable-autoallocate-ip: 'true'}",
            "hosts: [h.x], resolution: DNS",
            |it| it.addresses.len() == 2,
        ),
        ("", "hosts: [h.x], exportTo: [.]", |it| {
            it.visibility == Visibility::Public
        }),
    ];
    for (metadata, spec, holds) in rows {
        let text = entry(metadata, &format!("{spec}, {PORTS}"));
        let service = service(&world(&text), "n/h.x");
        assert!(holds(&service), "{text}: {service:?}");
    }
    for spec in ["hosts: ['*.x'], resolution: STATIC", "hosts: ['*.x']"] {
        let service = service(&world(&entry("", spec)), "n/*.x");
        assert!(
            service.addresses.is_empty(),
            "published, and given no address"
        );
    }
    let dynamic = entry("", "hosts: ['*.x'], resolution: DYNAMIC_DNS");
    assert_eq!(service(&world(&dynamic), "n/*.x").addresses.len(), 2);
}

#[test]
fn endpoints_without_an_address_are_host_names_and_hosts_that_are_resolved_stand_for_themselves() {
    let id = |address: &str| format!("Kubernetes/networking.istio.io/ServiceEntry/n/e/{address}");
    let text = entry(
        "",
        &format!("hosts: [h.x], resolution: DNS, {PORTS}, endpoints: [{{address: a.b}}]"),
    );
    let written = world(&text);
    let one = workload(&written, &id("a.b"));
    assert_eq!((&*one.hostname, one.addresses.len()), ("a.b", 0));
    assert_eq!(
        written.resources.len(),
        2,
        "an endpoint that is named stands for the hosts"
    );
    for resolution in ["DNS", "DNS_ROUND_ROBIN"] {
        let text = entry(
            "",
            &format!("hosts: [h.x, i.x], resolution: {resolution}, {PORTS}"),
        );
        let implied = world(&text);
        assert_eq!(implied.resources.len(), 4);
        for host in ["h.x", "i.x"] {
            let one = workload(&implied, &id(host));
            assert_eq!(&*one.hostname, host);
            let services: Vec<_> = one
                .services
                .iter()
                .map(|it| it.service.to_string())
                .collect();
            assert_eq!(services, [format!("n/{host}")], "each host only for itself");
        }
    }
    for spec in ["hosts: [h.x]", "hosts: [h.x], resolution: STATIC"] {
        assert_eq!(world(&entry("", spec)).resources.len(), 1, "{spec}");
    }
    let tunnel = |metadata: &str| {
        let spec = "hosts: [h.x], resolution: STATIC, endpoints: [{address: 192.0.2.1}]";
        let one = workload(&world(&entry(metadata, spec)), &id("192.0.2.1"));
        (one.tunnel, one.native_tunnel)
    };
    assert_eq!(
        tunnel("labels: {networking.istio.io/tunnel: http}"),
        (TunnelKind::Hbone, true)
    );
    assert_eq!(
        tunnel("annotations: {ambient.istio.io/redirection: enabled}"),
        (TunnelKind::Hbone, false)
    );
}

#[test]
fn fields_of_a_workload_entry_decide_fields_of_its_workload() {
    type Row<'a> = (&'a str, &'a str, fn(&Workload) -> bool);
    let rows: &[Row<'_>] = &[
        ("", "weight: 3", |it| {
            it.capacity == 3 && it.health == Health::Healthy && it.addresses.len() == 1
        }),
        ("", "weight: 0", |it| {
            it.capacity == 1 && it.workload_kind == WorkloadKind::Pod
        }),
        ("", "network: far", |it| &*it.network == "far"),
        ("", "serviceAccount: s", |it| &*it.service_account == "s"),
        ("", "locality: r/z", |it| {
            &*it.locality.zone == "z" && it.locality.subzone.is_empty()
        }),
        ("", "weight: 1", |it| {
            &*it.workload_name == "w"
                && &*it.canonical_name == "w"
                && &*it.canonical_revision == "latest"
        }),
        ("labels: {app: a, version: v}", "weight: 1", |it| {
            &*it.canonical_name == "a" && &*it.canonical_revision == "v"
        }),
        ("labels: {app: a}", "labels: {app: b}", |it| {
            &*it.canonical_name == "b" && it.labels == [("app".into(), "b".into())]
        }),
        (
            "labels: {service.istio.io/workload-name: q}",
            "weight: 1",
            |it| &*it.workload_name == "q",
        ),
        (
            "labels: {service.istio.io/workload-name: q}, annotations: {istio.io/autoRegistrationGroup: g}",
            "weight: 1",
            |it| &*it.workload_name == "g",
        ),
        (
            "labels: {networking.istio.io/tunnel: http}",
            "weight: 1",
            |it| it.tunnel == TunnelKind::Hbone && it.native_tunnel,
        ),
        ("", "labels: {networking.istio.io/tunnel: http}", |it| {
            it.native_tunnel
        }),
        (
            "annotations: {ambient.istio.io/redirection: enabled}",
            "weight: 1",
            |it| it.tunnel == TunnelKind::Hbone && !it.native_tunnel,
        ),
    ];
    for (metadata, spec, holds) in rows {
        let text = machine(metadata, spec);
        let workload = workload(&world(&text), MACHINE);
        assert!(holds(&workload), "{text}: {workload:?}");
        assert_eq!(workload.network_mode, NetworkMode::Standard);
    }
    let named = machine("", "weight: 1").replace("192.0.2.7", "host.example.com");
    let named = workload(&world(&named), MACHINE);
    assert_eq!(
        (&*named.hostname, named.addresses.len()),
        ("host.example.com", 0)
    );
    let behind = machine("", "network: far").replace("address: 192.0.2.7, ", "");
    assert!(workload(&world(&behind), MACHINE).hostname.is_empty());
}

#[test]
fn services_and_service_entries_select_pods_and_workload_entries() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: n, labels: {app: a}}, \
               spec: {containers: [{name: c, ports: [{name: web, containerPort: 8080}]}]}, \
               status: {podIP: 10.0.0.1}}";
    let kubernetes = "{apiVersion: v1, kind: Service, metadata: {name: s, namespace: n}, \
                      spec: {selector: {app: a}, ports: [{name: one, port: 80, targetPort: web}, \
                      {name: two, port: 81, targetPort: 8081}, {name: three, port: 82}]}}";
    let selector = entry(
        "",
        "hosts: [h.x], resolution: STATIC, workloadSelector: {labels: {app: a}}, \
         ports: [{number: 90, name: one, targetPort: 9090}, {number: 91, name: four}]",
    );
    let machine = machine(
        "",
        "labels: {app: a}, ports: {one: 1111, two: 2222, web: 3333}",
    );
    let text = [pod, kubernetes, &selector, &machine].join("\n---\n");
    let mut world = world(&text);
    let (host, local) = ("n/h.x", "n/s.n.svc.cluster.local");
    let ports = |world: &World, uid: &str| {
        let services = workload(world, uid).services.into_iter();
        let pairs = services.map(|it| (it.service.to_string(), it.ports));
        pairs.collect::<Vec<_>>()
    };
    let own = |name: &str, ports: &[PortPair]| (name.to_owned(), ports.to_vec());
    assert_eq!(
        ports(&world, "Kubernetes//Pod/n/p"),
        [
            own(host, &[pair(90, 9090), pair(91, 91)]),
            own(local, &[pair(80, 8080), pair(81, 8081), pair(82, 82)]),
        ]
    );
    assert_eq!(
        ports(&world, MACHINE),
        [
            own(host, &[pair(90, 1111), pair(91, 91)]),
            own(local, &[pair(80, 3333), pair(81, 2222), pair(82, 82)]),
        ],
        "a named target port by its own name, others by the port's name"
    );
    world.apply(changes(&machine.replace(", web: 3333", "")));
    assert_eq!(
        ports(&world, MACHINE)[1],
        own(local, &[pair(81, 2222), pair(82, 82)]),
        "a named target port that the machine does not say is dropped"
    );
    world.apply(removals(&selector));
    assert_eq!(ports(&world, "Kubernetes//Pod/n/p").len(), 1);
    let elsewhere = selector.replace("namespace: n", "namespace: m");
    world.apply(changes(&elsewhere));
    assert_eq!(ports(&world, MACHINE).len(), 1, "only in its own namespace");
    let all = selector.replace("{labels: {app: a}}", "{}");
    world.apply(changes(&all));
    assert_eq!(
        ports(&world, MACHINE).len(),
        1,
        "without labels it selects nobody"
    );
}
