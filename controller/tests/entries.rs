//! Service entries and workload entries in, resources, findings and statuses out: every row of the contract.

#![expect(clippy::too_many_lines, reason = "tables are long")]

use std::net::IpAddr;

use controller::translate::rule::Rule;
use mesh::model::{
    AppProtocol, Health, HealthPolicy, IpFamilies, Mode, NetworkMode, PortPair, Scope, Service,
    TunnelKind, Visibility, Workload, WorkloadKind,
};
use objects::kinds::{Key, Kind};

#[path = "world/look.rs"]
mod look;
#[path = "world/yaml.rs"]
mod yaml;

use look::{found, service, workload, world};
use yaml::{World, changes, removals};

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

/// Labels, annotations and the specification of a service entry `e` in `n`.
fn entry(metadata: &str, spec: &str) -> String {
    let comma = if metadata.is_empty() { "" } else { ", " };
    format!(
        "{{apiVersion: networking.istio.io/v1beta1, kind: ServiceEntry, \
         metadata: {{name: e, namespace: n{comma}{metadata}}}, spec: {{{spec}}}}}"
    )
}

const PORTS: &str = "ports: [{number: 80, name: p, protocol: TCP}]";

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

/// A workload entry `w` in `n`.
fn machine(metadata: &str, spec: &str) -> String {
    let comma = if metadata.is_empty() { "" } else { ", " };
    format!(
        "{{apiVersion: networking.istio.io/v1alpha3, kind: WorkloadEntry, \
         metadata: {{name: w, namespace: n{comma}{metadata}}}, spec: {{address: 192.0.2.7, {spec}}}}}"
    )
}

const MACHINE: &str = "Kubernetes/networking.istio.io/WorkloadEntry/n/w";

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
            &*it.canonical_name == "b"
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

/// A service entry of one host, created in a second of its own.
fn rival(namespace: &str, name: &str, second: u8, host: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: {name}, \
         namespace: {namespace}, creationTimestamp: '2026-01-01T00:00:{second:02}Z'}}, \
         spec: {{hosts: [{host}], {PORTS}, resolution: STATIC}}}}"
    )
}

#[test]
fn of_several_objects_with_one_host_a_kubernetes_service_has_it_or_else_the_oldest_entry() {
    let origin = |world: &World, name: &str| service(world, name).origin.unwrap().to_string();
    let mut world = world(&rival("n", "young", 9, "h.x"));
    world.apply(changes(&rival("n", "old", 1, "h.x")));
    assert_eq!(origin(&world, "n/h.x"), "ServiceEntry n/old");
    let duplicates = found(&world, Rule::DuplicateHost);
    assert_eq!(duplicates.len(), 1);
    assert_eq!(duplicates[0].problem.key.as_ref().unwrap().name, "young");
    assert_eq!(duplicates[0].problem.field, "spec.hosts[0]");
    assert_eq!(
        world.apply(removals(&rival("n", "old", 1, "h.x"))),
        ["n/h.x"]
    );
    assert_eq!(origin(&world, "n/h.x"), "ServiceEntry n/young");
    assert!(found(&world, Rule::DuplicateHost).is_empty());

    let host = "s.n.svc.cluster.local";
    let kubernetes = "{apiVersion: v1, kind: Service, metadata: {name: s, namespace: n}, spec: {clusterIP: 10.1.0.1}}";
    world.apply(changes(&rival("n", "shadow", 0, host)));
    world.apply(changes(&rival("m", "other", 0, host)));
    assert_eq!(
        origin(&world, &format!("n/{host}")),
        "ServiceEntry n/shadow"
    );
    assert!(
        !service(&world, &format!("n/{host}")).canonical,
        "the other comes first by its namespace"
    );
    assert!(service(&world, &format!("m/{host}")).canonical);
    world.apply(changes(kubernetes));
    assert_eq!(origin(&world, &format!("n/{host}")), "Service n/s");
    assert!(service(&world, &format!("n/{host}")).canonical);
    assert!(
        !service(&world, &format!("m/{host}")).canonical,
        "a Kubernetes service is preferred in every namespace"
    );
    world.apply(removals(kubernetes));
    assert_eq!(
        origin(&world, &format!("n/{host}")),
        "ServiceEntry n/shadow"
    );
    world.apply(changes(
        &kubernetes.replace("clusterIP: 10.1.0.1", "type: ExternalName"),
    ));
    assert_eq!(
        origin(&world, &format!("n/{host}")),
        "ServiceEntry n/shadow"
    );
}

#[test]
fn only_the_oldest_entry_that_everybody_sees_is_canonical() {
    let config = "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: weft-system}, data: {mesh: \
                  'serviceEntryVisibility: {policies: [{visibility: NAMESPACE, matchingRules: [{namespaceSelector: \
                  {matchLabels: {kubernetes.io/metadata.name: a}}}]}, {visibility: NONE, matchingRules: \
                  [{namespaceSelector: {matchLabels: {see: none}}}]}]}'}}";
    let hidden = "{apiVersion: v1, kind: Namespace, metadata: {name: d, labels: {see: none}}}";
    let entries = [("a", 1), ("d", 2), ("c", 3), ("b", 4)];
    let entries = entries.map(|(namespace, second)| rival(namespace, "e", second, "h.x"));
    let mut world = world(&entries.join("\n---\n"));
    let canonical = |world: &World| {
        let names = ["a/h.x", "b/h.x", "c/h.x", "d/h.x"].into_iter();
        let there = names.filter(|name| world.resources.contains_key(*name));
        let preferred = there.filter(|name| service(world, name).canonical);
        preferred.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(canonical(&world), ["a/h.x"]);
    assert!(
        world.statuses.values().all(|it| it.conditions.is_empty()),
        "nobody said anything"
    );
    world.apply(changes(config));
    assert_eq!(canonical(&world), ["d/h.x"]);
    assert_eq!(service(&world, "a/h.x").visibility, Visibility::Namespace);
    assert_eq!(service(&world, "b/h.x").visibility, Visibility::Public);
    let reasons = |world: &World, namespace: &str| {
        let status = &world.statuses[&Key::new(Kind::ServiceEntry, namespace, "e")];
        let shown = status.conditions.iter();
        shown
            .map(|it| (it.kind, it.holds, it.reason))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        reasons(&world, "a"),
        [("istio.io/VisibilityApplied", true, "Namespace")]
    );
    assert_eq!(
        reasons(&world, "b"),
        [("istio.io/VisibilityApplied", true, "Public")]
    );
    world.apply(changes(hidden));
    assert_eq!(canonical(&world), ["c/h.x"]);
    assert!(!world.resources.contains_key("d/h.x"), "seen by nobody");
    assert!(reasons(&world, "d").is_empty());
    assert_eq!(found(&world, Rule::Hidden).len(), 1);
}

#[test]
fn namespaces_that_discovery_selectors_do_not_choose_do_not_exist() {
    let config = |mesh: &str| {
        format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: istio, namespace: weft-system}}, data: {{mesh: '{mesh}'}}}}"
        )
    };
    let label = |labels: &str| {
        format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: n, labels: {{{labels}}}}}}}")
    };
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: n}, \
               spec: {nodeName: k}, status: {podIP: 10.0.0.1}}";
    let text = [
        pod,
        &entry("", &format!("hosts: [h.x], {PORTS}, resolution: DNS")),
    ]
    .join("\n---\n");
    let mut world = world(&text);
    let all = world.resources.clone();
    assert_eq!(all.len(), 3);
    world.apply(changes(&config(
        "discoverySelectors: [{matchLabels: {mesh: yes}}, {matchLabels: {mesh: too}}]",
    )));
    assert!(world.resources.is_empty() && world.problems.all().is_empty());
    assert!(world.statuses.is_empty(), "what was said is taken back");
    assert!(
        world
            .index
            .residents()
            .read()
            .unwrap()
            .pod("n", "p")
            .is_none()
    );
    world.apply(changes(&pod.replace("podIP: 10.0.0.1", "podIP: 10.0.0.2")));
    assert!(world.resources.is_empty());
    world.apply(changes(&label("mesh: too")));
    assert_eq!(world.resources.len(), 3);
    let pod = workload(&world, "Kubernetes//Pod/n/p");
    assert_eq!(
        pod.addresses[0].to_string(),
        "10.0.0.2",
        "what it became meanwhile"
    );
    assert!(
        world
            .index
            .residents()
            .read()
            .unwrap()
            .pod("n", "p")
            .is_some()
    );
    world.apply(changes(&label("")));
    assert!(world.resources.is_empty());
    world.apply(removals(&config("x: y")));
    assert_eq!(world.resources.len(), 3);
}

#[test]
fn given_addresses_are_in_status_and_gone_with_the_need_for_them() {
    let text = entry("", &format!("hosts: [h.x, i.x], {PORTS}, resolution: DNS"));
    let mut world = world(&text);
    let key = Key::new(Kind::ServiceEntry, "n", "e");
    let listed = world.statuses[&key].fields["addresses"]
        .as_array()
        .unwrap()
        .clone();
    let hosts: Vec<_> = listed
        .iter()
        .map(|it| it["host"].as_str().unwrap())
        .collect();
    assert_eq!(hosts, ["h.x", "h.x", "i.x", "i.x"]);
    let published: Vec<String> = ["n/h.x", "n/i.x"]
        .iter()
        .flat_map(|host| service(&world, host).addresses)
        .map(|it| it.address.to_string())
        .collect();
    let values: Vec<_> = listed
        .iter()
        .map(|it| it["value"].as_str().unwrap())
        .collect();
    assert_eq!(values, published, "an IPv4 and an IPv6 address each");
    assert!(values[0].starts_with("240.240.") && values[1].starts_with("2001:2:"));

    let other = "status: {addresses: [{host: h.x, value: 240.240.77.77}]}";
    let remembered = format!("{}, {other}}}", text.strip_suffix('}').unwrap());
    world.apply(changes(&remembered));
    let addresses = service(&world, "n/h.x").addresses;
    assert_eq!(
        addresses[0].address.to_string(),
        "240.240.77.77",
        "status is the memory"
    );
    assert_eq!(
        addresses.len(),
        2,
        "what it does not remember is given anew"
    );

    world.apply(changes(
        &rival("m", "user", 1, "u.x")
            .replace("resolution", "addresses: [240.240.77.77], resolution"),
    ));
    let addresses = service(&world, "n/h.x").addresses;
    assert_ne!(
        addresses[0].address.to_string(),
        "240.240.77.77",
        "what a user wrote is the user's"
    );

    world.apply(changes(&entry(
        "",
        &format!("hosts: [h.x, i.x], {PORTS}, addresses: [10.0.0.1], resolution: DNS"),
    )));
    assert!(!world.statuses.contains_key(&key), "taken back");
    assert_eq!(service(&world, "n/h.x").addresses.len(), 1);
}

#[test]
fn what_owners_of_entries_should_know_is_found_at_its_field() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: n, labels: {app: a}}, status: {podIP: 10.0.0.1}}";
    let service = |spec: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: s, namespace: n}}, spec: {{{spec}}}}}"
        )
    };
    let slice = "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {name: e1, \
                 namespace: n, labels: {kubernetes.io/service-name: s}}, ports: [{name: m, port: 8}], endpoints: []}";
    for (rule, field, text) in [
        (
            Rule::SelectsNothing,
            "spec.workloadSelector",
            entry(
                "",
                &format!(
                    "hosts: [h.x], resolution: STATIC, {PORTS}, workloadSelector: {{labels: {{app: b}}}}"
                ),
            ),
        ),
        (
            Rule::SelectsNothing,
            "spec",
            entry("", &format!("hosts: [h.x], resolution: STATIC, {PORTS}")),
        ),
        (
            Rule::SelectsNothing,
            "spec.selector",
            service("selector: {app: b}, ports: [{port: 80}]"),
        ),
        (Rule::SelectsNothing, "spec", service("ports: [{port: 80}]")),
        (
            Rule::PortWithoutEndpoint,
            "spec.ports[1].targetPort",
            service("selector: {app: a}, ports: [{port: 80}, {port: 81, targetPort: web}]"),
        ),
        (
            Rule::PortWithoutEndpoint,
            "spec.ports[1].name",
            [
                slice,
                &service("ports: [{port: 80, name: m}, {port: 81, name: q}]"),
            ]
            .join("\n---\n"),
        ),
        (
            Rule::NotCarried,
            "spec.ports[0].protocol",
            service(
                "selector: {app: a}, ports: [{port: 53, protocol: UDP, name: u}, {port: 54, name: t}]",
            ),
        ),
        (
            Rule::NotCarried,
            "spec.ports[1].protocol",
            entry(
                "",
                "hosts: [h.x], resolution: DNS, ports: [{number: 1, name: a}, {number: 2, name: b, protocol: UDP}]",
            ),
        ),
        (
            Rule::NoPort,
            "spec.ports",
            entry("", "hosts: [h.x], resolution: DNS"),
        ),
        (
            Rule::NoAddress,
            "spec.hosts[0]",
            entry("", &format!("hosts: [h.x], {PORTS}")),
        ),
        (
            Rule::NoAddress,
            "spec.hosts[0]",
            entry(
                "labels: {networking.istio.io/enable-autoallocate-ip: 'false'}",
                &format!("hosts: [h.x], {PORTS}, resolution: DNS"),
            ),
        ),
        (
            Rule::NotHonoured,
            "spec.exportTo",
            entry(
                "",
                &format!("hosts: [h.x], {PORTS}, resolution: DNS, exportTo: [.]"),
            ),
        ),
        (
            Rule::UnreadField,
            "spec.nonsense",
            entry(
                "",
                &format!("hosts: [h.x], {PORTS}, resolution: DNS, nonsense: 1"),
            ),
        ),
        (
            Rule::DuplicateEndpoint,
            "spec.endpoints[1].address",
            entry(
                "",
                &format!(
                    "hosts: [h.x], {PORTS}, resolution: STATIC, endpoints: [{{address: 192.0.2.1}}, {{address: '::ffff:192.0.2.1'}}]"
                ),
            ),
        ),
        (
            Rule::InvalidValue,
            "metadata.annotations[\"networking.istio.io/traffic-distribution\"]",
            entry(
                "annotations: {networking.istio.io/traffic-distribution: Nonsense}",
                &format!("hosts: [h.x], {PORTS}, resolution: DNS"),
            ),
        ),
        (
            Rule::NobodySelects,
            "spec.labels",
            machine("", "labels: {app: b}"),
        ),
        (
            Rule::NobodySelects,
            "metadata.labels",
            machine("", "weight: 1"),
        ),
        (
            Rule::NotHonoured,
            "spec.network",
            machine("", "network: far"),
        ),
    ] {
        let world = world(&[pod, &text].join("\n---\n"));
        let fields: Vec<String> = found(&world, rule)
            .into_iter()
            .map(|it| it.problem.field)
            .collect();
        assert_eq!(fields, [field], "{rule:?}: {text}");
    }
}

#[test]
fn entries_that_are_right_are_found_nothing_in() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: n, labels: {app: a}}, status: {podIP: 10.0.0.1}}";
    for text in [
        entry(
            "",
            &format!(
                "hosts: [h.x], {PORTS}, resolution: DNS, location: MESH_EXTERNAL, exportTo: ['*']"
            ),
        ),
        entry(
            "",
            &format!("hosts: [h.x], {PORTS}, addresses: [10.0.0.0/8]"),
        ),
        entry(
            "",
            &format!(
                "hosts: [h.x], {PORTS}, resolution: STATIC, endpoints: [{{address: 192.0.2.1}}]"
            ),
        ),
        entry(
            "",
            &format!(
                "hosts: [h.x], {PORTS}, location: MESH_INTERNAL, resolution: STATIC, workloadSelector: {{labels: {{app: a}}}}"
            ),
        ),
    ] {
        let text = format!(
            "{}, status: {{conditions: [{{type: x}}]}}}}",
            text.strip_suffix('}').unwrap()
        );
        let world = world(&[pod, &text].join("\n---\n"));
        assert!(
            world.problems.all().is_empty(),
            "{text}: {:?}",
            world.problems.all()
        );
    }
}
