//! Objects in, resources out: what each rule of the contract makes of a YAML text.

#![expect(clippy::too_many_lines, reason = "tables are long")]

use mesh::model::{
    AppProtocol, Destination, Health, HealthPolicy, IpFamilies, Mode, NetworkMode, PortPair, Scope,
    TunnelKind, Workload, WorkloadKind,
};

use controller::translate::rule::Rule;

#[path = "world/look.rs"]
mod look;
#[path = "world/yaml.rs"]
mod yaml;

use look::{found, service, workload, world};
use yaml::{changes, removals};

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata:
  name: web-5d4f-abcde
  namespace: default
  labels: { app: web, version: v2, pod-template-hash: 5d4f }
  annotations: { ambient.istio.io/redirection: enabled }
  ownerReferences: [{ apiVersion: apps/v1, kind: ReplicaSet, name: web-5d4f, uid: r, controller: true }]
spec:
  nodeName: a
  serviceAccountName: web-account
  containers: [{ name: main, ports: [{ name: http, containerPort: 8080 }, { name: dns, containerPort: 53, protocol: UDP }] }]
  initContainers:
  - { name: side, restartPolicy: Always, ports: [{ name: metrics, containerPort: 9090 }] }
  - { name: once, ports: [{ name: setup, containerPort: 1 }] }
status:
  phase: Running
  podIPs: [{ ip: 10.0.0.1 }, { ip: "fd00::1" }]
  conditions: [{ type: Ready, status: "True" }]
---
apiVersion: v1
kind: Node
metadata: { name: a, labels: { topology.kubernetes.io/region: r1, topology.kubernetes.io/zone: z1, topology.istio.io/subzone: s1 } }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: default }
spec:
  clusterIP: 10.1.0.1
  clusterIPs: [10.1.0.1, "fd01::1"]
  ipFamilies: [IPv4, IPv6]
  selector: { app: web }
  ports:
  - { name: http-main, port: 80, targetPort: http }
  - { name: grpc, port: 81, targetPort: 8081 }
  - { name: other, port: 82, appProtocol: kubernetes.io/h2c }
  - { name: metrics, port: 83, targetPort: metrics }
  - { name: setup, port: 84, targetPort: setup }
  - { name: tls-x, port: 85, targetPort: dns }
  - { name: dns, port: 53, protocol: UDP }
"#;

const UID: &str = "Kubernetes//Pod/default/web-5d4f-abcde";
const WEB: &str = "default/web.default.svc.cluster.local";

#[test]
fn a_pod_becomes_a_workload_with_every_field_of_the_contract() {
    let world = world(POD);
    let workload = workload(&world, UID);
    assert_eq!(&*workload.name, "web-5d4f-abcde");
    assert_eq!(workload.addresses.len(), 2);
    assert_eq!(workload.tunnel, TunnelKind::Hbone);
    assert!(!workload.native_tunnel);
    assert_eq!(
        workload.identity().to_string(),
        "spiffe://cluster.local/ns/default/sa/web-account"
    );
    assert_eq!(&*workload.node, "a");
    assert_eq!(
        (&*workload.canonical_name, &*workload.canonical_revision),
        ("web", "v2")
    );
    assert_eq!(
        (&*workload.workload_name, workload.workload_kind),
        ("web", WorkloadKind::Pod)
    );
    assert_eq!(&*workload.cluster, "Kubernetes");
    let labels = workload.labels.iter();
    let labels: Vec<String> = labels.map(|(key, it)| format!("{key}={it}")).collect();
    assert_eq!(labels, ["app=web", "pod-template-hash=5d4f", "version=v2"]);
    assert_eq!(workload.health, Health::Healthy);
    let locality = &workload.locality;
    assert_eq!(
        (&*locality.region, &*locality.zone, &*locality.subzone),
        ("r1", "z1", "s1")
    );
    assert_eq!(workload.network_mode, NetworkMode::Standard);
    assert_eq!(
        workload.origin.unwrap().to_string(),
        "Pod default/web-5d4f-abcde"
    );
    let pair = |service_port, target_port| PortPair {
        service_port,
        target_port,
    };
    assert_eq!(workload.services.len(), 1);
    assert_eq!(workload.services[0].service.to_string(), WEB);
    assert_eq!(
        workload.services[0].ports,
        [pair(80, 8080), pair(81, 8081), pair(82, 82), pair(83, 9090)],
        "named ports of containers and sidecars, TCP only; what does not resolve is dropped"
    );
}

#[test]
fn a_service_becomes_a_record_with_every_field_of_the_contract() {
    let world = world(POD);
    let service = service(&world, WEB);
    assert_eq!(&*service.name, "web");
    assert_eq!(service.addresses.len(), 2);
    let ports: Vec<_> = service
        .ports
        .iter()
        .map(|it| (it.service_port, it.target_port, it.app_protocol))
        .collect();
    assert_eq!(
        ports,
        [
            (80, 0, AppProtocol::Http11),
            (81, 8081, AppProtocol::Grpc),
            (82, 82, AppProtocol::Http2),
            (83, 0, AppProtocol::Unknown),
            (84, 0, AppProtocol::Unknown),
            (85, 0, AppProtocol::Tls),
        ]
    );
    assert_eq!(service.ip_families, IpFamilies::Dual);
    assert!(service.canonical && service.waypoint.is_none());
    assert_eq!(service.load_balancing.mode, Mode::Unspecified);
    assert_eq!(service.origin.unwrap().to_string(), "Service default/web");
}

#[test]
fn only_pods_with_an_address_that_have_not_ended_are_in_the_mesh() {
    for (phase, address, expected) in [
        ("Running", "podIP: 10.0.0.1", true),
        ("Pending", "podIP: 10.0.0.1", true),
        ("Pending", "podIPs: []", false),
        ("Succeeded", "podIP: 10.0.0.1", false),
        ("Failed", "podIP: 10.0.0.1", false),
    ] {
        let text = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p, namespace: n}}, \
             status: {{phase: {phase}, {address}}}}}"
        );
        let resources = world(&text).resources;
        assert_eq!(
            resources.contains_key("Kubernetes//Pod/n/p"),
            expected,
            "{text}"
        );
    }
}

/// Metadata beyond the name, the rest of the object, and what must hold of its workload.
type Row<'a> = (&'a str, &'a str, fn(&Workload) -> bool);

#[test]
fn fields_of_a_pod_decide_fields_of_its_workload() {
    let owner = |kind: &str, name: &str| {
        format!("ownerReferences: [{{kind: {kind}, name: {name}, controller: true}}]")
    };
    let (job, set, deployment) = (
        owner("Job", "nightly-28473120"),
        owner("StatefulSet", "db"),
        owner("Deployment", "front"),
    );
    let rows: Vec<Row<'_>> = vec![
        ("", "", |it| {
            it.tunnel == TunnelKind::None && it.health == Health::Unhealthy
        }),
        ("", "", |it| {
            &*it.service_account == "default" && &*it.canonical_revision == "latest"
        }),
        ("", "", |it| {
            &*it.workload_name == "p" && &*it.canonical_name == "p"
        }),
        ("labels: {networking.istio.io/tunnel: http}", "", |it| {
            it.tunnel == TunnelKind::Hbone && it.native_tunnel
        }),
        ("labels: {app: a, app.kubernetes.io/name: b}", "", |it| {
            &*it.canonical_name == "b"
        }),
        (
            "labels: {app: a, service.istio.io/canonical-name: c}",
            "",
            |it| &*it.canonical_name == "c" && &*it.workload_name == "p",
        ),
        ("", "spec: {hostNetwork: true}", |it| {
            it.network_mode == NetworkMode::HostNetwork
        }),
        (&job, "", |it| &*it.workload_name == "nightly"),
        (&set, "", |it| &*it.workload_name == "db"),
        (&deployment, "", |it| {
            &*it.workload_name == "front" && &*it.canonical_name == "front"
        }),
    ];
    for (metadata, rest, holds) in rows {
        let (comma, rest_comma) = (
            if metadata.is_empty() { "" } else { ", " },
            if rest.is_empty() { "" } else { ", " },
        );
        let text = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p, namespace: n{comma}{metadata}}}, \
             status: {{podIP: 10.0.0.1}}{rest_comma}{rest}}}"
        );
        let world = world(&text);
        let workload = workload(&world, "Kubernetes//Pod/n/p");
        assert!(holds(&workload), "{text}: {workload:?}");
    }
}

#[test]
fn a_pod_on_its_way_out_is_not_healthy() {
    let text = POD.replace(
        "namespace: default\n  labels: { app: web",
        "namespace: default\n  deletionTimestamp: 2026-01-01T00:00:00Z\n  labels: { app: web",
    );
    assert_eq!(workload(&world(&text), UID).health, Health::Unhealthy);
}

#[test]
fn fields_of_a_service_decide_its_balancing_and_addresses() {
    let near = vec![Scope::Network, Scope::Region, Scope::Zone];
    let nearest = vec![
        Scope::Network,
        Scope::Region,
        Scope::Zone,
        Scope::Subzone,
        Scope::Node,
    ];
    let annotation = "annotations: {networking.istio.io/traffic-distribution: PreferClose}";
    for (metadata, spec, scopes, mode) in [
        (
            "",
            "internalTrafficPolicy: Local",
            vec![Scope::Node],
            Mode::Strict,
        ),
        (
            "",
            "trafficDistribution: PreferClose",
            near.clone(),
            Mode::Failover,
        ),
        (
            "",
            "trafficDistribution: PreferSameZone",
            near.clone(),
            Mode::Failover,
        ),
        (
            "",
            "trafficDistribution: PreferSameNode",
            nearest.clone(),
            Mode::Failover,
        ),
        (
            annotation,
            "trafficDistribution: PreferSameNode",
            nearest,
            Mode::Failover,
        ),
        (annotation, "type: ClusterIP", near, Mode::Failover),
        (
            "",
            "trafficDistribution: Nonsense",
            vec![],
            Mode::Unspecified,
        ),
    ] {
        let comma = if metadata.is_empty() { "" } else { ", " };
        let text = format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: s, namespace: n{comma}{metadata}}}, \
             spec: {{clusterIP: None, publishNotReadyAddresses: true, {spec}}}}}"
        );
        let world = world(&text);
        let service = service(&world, "n/s.n.svc.cluster.local");
        assert_eq!(
            (service.load_balancing.scopes, service.load_balancing.mode),
            (scopes, mode),
            "{text}"
        );
        assert_eq!(service.load_balancing.health, HealthPolicy::AllowAll);
        assert!(service.addresses.is_empty(), "headless");
        assert_eq!(
            found(&world, Rule::InvalidValue).is_empty(),
            !spec.contains("Nonsense")
        );
    }
}

#[test]
fn an_external_name_is_no_service_of_the_mesh() {
    let text = "{apiVersion: v1, kind: Service, metadata: {name: s, namespace: n}, \
                spec: {type: ExternalName, externalName: example.org}}";
    assert!(world(text).resources.is_empty());
}

#[test]
fn a_waypoint_that_is_asked_for_is_published_before_it_exists() {
    let other = "istio.io/use-waypoint-namespace: other";
    for (namespace, own, expected) in [
        (
            "",
            "istio.io/use-waypoint: gate",
            Some("n/gate.n.svc.cluster.local"),
        ),
        (
            "istio.io/use-waypoint: gate",
            "",
            Some("n/gate.n.svc.cluster.local"),
        ),
        (
            "istio.io/use-waypoint: gate",
            "istio.io/use-waypoint: none",
            None,
        ),
        (
            "istio.io/use-waypoint: gate",
            "istio.io/use-waypoint: mine",
            Some("n/mine.n.svc.cluster.local"),
        ),
        (
            &format!("istio.io/use-waypoint: gate, {other}"),
            "",
            Some("other/gate.other.svc.cluster.local"),
        ),
        (
            &format!("istio.io/use-waypoint: gate, {other}"),
            "istio.io/use-waypoint: mine",
            Some("n/mine.n.svc.cluster.local"),
        ),
        (
            "istio.io/use-waypoint: gate, weft.dev/waypoint-failure-mode: open",
            "",
            None,
        ),
        (
            "istio.io/use-waypoint: gate, weft.dev/waypoint-failure-mode: open",
            "weft.dev/waypoint-failure-mode: closed",
            Some("n/gate.n.svc.cluster.local"),
        ),
        ("istio.io/use-waypoint: s", "", None),
        (
            "istio.io/use-waypoint: gate",
            "gateway.istio.io/managed: istio.io-mesh-controller",
            None,
        ),
    ] {
        let text = format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: n, labels: {{{namespace}}}}}}}\n---\n\
             {{apiVersion: v1, kind: Service, metadata: {{name: s, namespace: n, labels: {{{own}}}}}}}"
        );
        let world = world(&text);
        let waypoint = service(&world, "n/s.n.svc.cluster.local").waypoint;
        let shown = waypoint.as_ref().map(|gateway| match &gateway.destination {
            Destination::Hostname(key) => key.to_string(),
            Destination::Address(address) => address.to_string(),
        });
        assert_eq!(shown.as_deref(), expected, "{text}");
        assert!(waypoint.is_none_or(|gateway| gateway.hbone_port == 15008));
        let is_open = namespace.contains("open");
        assert_eq!(
            found(&world, Rule::WaypointMissing).is_empty(),
            expected.is_none() && !is_open,
            "{text}"
        );
    }
}

#[test]
fn what_is_not_honoured_is_named_with_file_line_and_field_until_it_is_gone() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  labels:\n    \
                istio.io/use-waypoint: gate\n    weft.dev/waypoint-required: \"true\"\n";
    let mut world = world(text);
    let problems = world.problems.all();
    let shown: Vec<_> = problems
        .iter()
        .map(|it| {
            (
                it.problem.line,
                it.problem.key.as_ref().unwrap().name.as_str(),
            )
        })
        .collect();
    assert_eq!(shown, [(7, "p"), (6, "p")], "{problems:?}");
    assert!(
        problems
            .iter()
            .all(|it| it.problem.file.ends_with("test.yaml") && it.problem.field.contains("label"))
    );
    world.apply(removals(text));
    assert!(world.problems.all().is_empty());
}

#[test]
fn a_label_that_is_not_honoured_is_named_on_a_namespace_too_until_it_is_gone() {
    let text = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: n\n  labels:\n    \
                istio.io/global: \"true\"\n";
    let mut world = world(text);
    let problems = found(&world, Rule::NotHonoured);
    let shown: Vec<_> = problems.iter().map(|it| it.problem.line).collect();
    assert_eq!(shown, [6], "{problems:?}");
    let field = &problems[0].problem.field;
    assert_eq!(field, "metadata.labels[\"istio.io/global\"]");
    world.apply(removals(text));
    assert!(world.problems.all().is_empty());
}

#[test]
fn endpoints_that_are_no_pods_are_workloads_found_through_their_service_only() {
    let text = r#"
{apiVersion: v1, kind: Service, metadata: {name: db, namespace: n}, spec: {clusterIP: 10.1.0.9, ports: [{name: sql, port: 5432}, {name: x, port: 1}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: db-1, namespace: n, labels: { kubernetes.io/service-name: db } }
addressType: IPv4
ports: [{ name: sql, port: 6543 }]
endpoints:
- { addresses: [192.0.2.1] }
- { addresses: [192.0.2.2], conditions: { ready: false } }
- { addresses: [10.0.0.7], targetRef: { kind: Pod, name: p, namespace: n } }
---
{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: n}, status: {podIP: 10.0.0.7}}
"#;
    let mut world = world(text);
    let external = workload(
        &world,
        "Kubernetes/discovery.k8s.io/EndpointSlice/n/db-1/192.0.2.1",
    );
    assert_eq!(external.network_mode, NetworkMode::HostNetwork);
    assert_eq!(
        (external.tunnel, external.health),
        (TunnelKind::None, Health::Healthy)
    );
    let ports = [PortPair {
        service_port: 5432,
        target_port: 6543,
    }];
    assert_eq!(external.services[0].ports, ports);
    let away = workload(
        &world,
        "Kubernetes/discovery.k8s.io/EndpointSlice/n/db-1/192.0.2.2",
    );
    assert_eq!(away.health, Health::Unhealthy);
    let pod = workload(&world, "Kubernetes//Pod/n/p");
    assert_eq!(
        pod.services[0].ports, ports,
        "a pod that a hand-written slice names is a member"
    );
    assert_eq!(world.resources.len(), 4);

    let shorter = text.replace(
        "- { addresses: [192.0.2.2], conditions: { ready: false } }\n",
        "",
    );
    let changed = world.apply(changes(&shorter));
    assert_eq!(
        changed,
        ["Kubernetes/discovery.k8s.io/EndpointSlice/n/db-1/192.0.2.2"]
    );
}

#[test]
fn the_trust_domain_of_mesh_config_reaches_every_workload_and_a_bad_one_changes_nothing() {
    let config = |text: &str| {
        format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: istio, namespace: weft-system}}, data: {{mesh: \"{text}\"}}}}"
        )
    };
    let mut world = world(POD);
    assert_eq!(
        world.apply(changes(&config("trustDomain: example.org"))),
        [UID]
    );
    assert_eq!(workload(&world, UID).trust_domain.as_str(), "example.org");
    assert!(
        world
            .apply(changes(&config("trustDomain: Not A Domain")))
            .is_empty()
    );
    assert_eq!(found(&world, Rule::MeshConfigRefused).len(), 1);
    assert!(
        world
            .apply(changes(&config(
                "{trustDomain: example.org, ingressClass: x}"
            )))
            .is_empty()
    );
    let unread = found(&world, Rule::NotHonoured);
    assert!(unread[0].problem.reason.contains("ingressClass"));
    assert_eq!(world.apply(removals(&config(""))), [UID]);
    assert_eq!(workload(&world, UID).trust_domain.as_str(), "cluster.local");
    assert!(found(&world, Rule::NotHonoured).is_empty());
}

#[test]
fn the_network_of_the_system_namespace_is_on_every_address() {
    let mut world = world(POD);
    let text = "{apiVersion: v1, kind: Namespace, metadata: {name: weft-system, labels: {topology.istio.io/network: north}}}";
    assert_eq!(world.apply(changes(text)), [UID, WEB]);
    assert_eq!(&*workload(&world, UID).network, "north");
    assert!(
        service(&world, WEB)
            .addresses
            .iter()
            .all(|it| &*it.network == "north")
    );
}
