//! Which services have routes, of which parents, and where they lead.

use mesh::model::destination::{Reach, TlsRoots, TrafficPolicy};

use crate::yaml::{World, changes, removals};
use crate::{WEB, policy, published, route, route_to, sent, shop, to};

const V1: &str = "v1.shop.svc.cluster.local";

fn world(more: &[String]) -> World {
    let mut world = World::new();
    world.apply(changes(&shop()));
    world.apply(changes(&more.join("\n---\n")));
    world
}

#[test]
fn every_service_with_a_waypoint_has_its_own_ports_and_nobody_else() {
    let mut world = world(&[]);
    for name in ["web", "v1", "v2"] {
        let routes = published(&world, &format!("shop/{name}.shop.svc.cluster.local")).unwrap();
        assert_eq!(routes.own.len(), 2);
        assert!(routes.ports.is_empty());
    }
    assert_eq!(published(&world, "data/db.data.svc.cluster.local"), None);
    let plain = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}";
    world.apply(changes(plain));
    assert_eq!(published(&world, WEB), None);
}

#[test]
fn a_waypoint_that_is_not_ready_is_told_already_and_one_that_is_missing_is_not_there() {
    let not_ready = shop().replace(
        "status: {addresses: [{type: IPAddress, value: 10.2.0.9}]}",
        "status: {}",
    );
    let mut world = World::new();
    world.apply(changes(&not_ready));
    assert!(published(&world, WEB).is_some());
    let gateway = "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gate, namespace: shop}}";
    world.apply(removals(gateway));
    assert_eq!(published(&world, WEB), None);
}

#[test]
fn a_route_is_for_the_ports_of_its_parent_and_follows_what_it_names() {
    let mut world = world(&[to("r", "v1")]);
    let found = || {
        [
            "80  v1.shop.svc.cluster.local:80",
            "81  v1.shop.svc.cluster.local:80",
        ]
    };
    assert_eq!(sent(&world, WEB), found());
    let gone = "{apiVersion: v1, kind: Service, metadata: {name: v1, namespace: shop}}";
    world.apply(removals(gone));
    assert_eq!(sent(&world, WEB), ["80  nowhere", "81  nowhere"]);
    world.apply(changes(&shop()));
    assert_eq!(sent(&world, WEB), found());
    world.apply(removals(&to("r", "v1")));
    assert!(published(&world, WEB).unwrap().ports.is_empty());
}

#[test]
fn routes_of_other_namespaces_are_for_clients_there_and_need_no_grant() {
    let rules = "[{backendRefs: [{name: db, port: 80}]}]";
    let consumer = route("HTTPRoute", "name: c, namespace: data", rules);
    let world = world(&[to("r", "v1"), consumer]);
    let expected = [
        "80 data db.data.svc.cluster.local:80",
        "80  v1.shop.svc.cluster.local:80",
        "81 data db.data.svc.cluster.local:80",
        "81  v1.shop.svc.cluster.local:80",
    ];
    assert_eq!(sent(&world, WEB), expected);
}

#[test]
fn a_service_without_an_address_of_its_own_is_no_parent() {
    let mut world = world(&[to("r", "v1")]);
    let headless = shop().replace("clusterIP: 10.1.0.1", "clusterIP: None");
    world.apply(changes(&headless));
    assert!(published(&world, WEB).unwrap().ports.is_empty());
}

#[test]
fn the_hosts_of_a_service_entry_are_parents_and_backends() {
    let entry = "{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: api, namespace: shop}, \
                 spec: {hosts: [api.example.com, b.example.com], resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}}";
    let parent = "{group: networking.istio.io, kind: ServiceEntry, name: api}";
    let hostname = "{group: networking.istio.io, kind: Hostname, name: b.example.com, port: 443}";
    let tls = route_to(
        parent,
        "TLSRoute",
        "name: t, namespace: shop",
        &format!("[{{backendRefs: [{hostname}]}}]"),
    );
    let http = route(
        "HTTPRoute",
        "name: r, namespace: shop",
        &format!("[{{backendRefs: [{hostname}]}}]"),
    );
    let mut world = world(&[tls, http]);
    assert_eq!(sent(&world, WEB), ["80  nowhere", "81  nowhere"]);
    world.apply(changes(entry));
    for host in ["api", "b"] {
        let name = format!("shop/{host}.example.com");
        assert_eq!(sent(&world, &name), ["443  b.example.com:443"]);
    }
    assert_eq!(sent(&world, WEB)[0], "80  b.example.com:443");
    world.apply(removals(entry));
    assert_eq!(published(&world, "shop/api.example.com"), None);
    assert_eq!(sent(&world, WEB)[0], "80  nowhere");
}

#[test]
fn where_connections_to_a_host_outside_go_follows_its_entry_s_resolution() {
    let entry = |rest: &str| {
        format!(
            "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: api, namespace: shop}}, \
             spec: {{hosts: [api.example.com], ports: [{{number: 443, name: tls, protocol: TLS}}]{rest}}}}}"
        )
    };
    let mut world = world(&[]);
    for (rest, reach) in [
        (", resolution: DNS", Reach::Endpoints),
        ("", Reach::AsDialled),
        (", resolution: DYNAMIC_DNS", Reach::AsAsked),
        (", resolution: NONE", Reach::AsDialled),
        (", workloadSelector: {labels: {app: api}}", Reach::Endpoints),
        (
            ", resolution: STATIC, endpoints: [{address: 192.0.2.1}]",
            Reach::Endpoints,
        ),
    ] {
        world.apply(changes(&entry(rest)));
        let routes = published(&world, "shop/api.example.com").unwrap();
        let reaches: Vec<_> = routes.destinations.iter().map(|it| it.reach).collect();
        assert_eq!(reaches, [reach], "{rest}");
    }
    // What a Kubernetes service is does not hang on entries.
    let routes = published(&world, WEB).unwrap();
    assert!(
        routes
            .destinations
            .iter()
            .all(|it| it.reach == Reach::Endpoints)
    );
}

fn authority() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["ca".to_owned()]).unwrap();
    parameters.self_signed(&key).unwrap().pem()
}

fn map(name: &str, key: &str, pem: &str) -> String {
    let pem = serde_json::to_string(pem).unwrap();
    format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, namespace: shop}}, data: {{{key}: {pem}}}}}"
    )
}

fn tls_policy(name: &str, section: &str, validation: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {{name: {name}, namespace: shop}}, \
         spec: {{targetRefs: [{{group: '', kind: Service, name: v1{section}}}], validation: {{hostname: v1.example{validation}}}}}}}"
    )
}

const BY_MAP: &str = ", caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}]";

#[test]
fn tls_to_an_application_follows_its_policy_and_its_certificates() {
    let mut world = world(&[to("r", "v1")]);
    let roots = |world: &World, port| policy(world, WEB, V1, port).tls.map(|it| it.roots);
    assert_eq!(policy(&world, WEB, V1, 80), TrafficPolicy::default());
    world.apply(changes(&tls_policy("t", "", BY_MAP)));
    assert_eq!(
        roots(&world, 80),
        Some(TlsRoots::Missing),
        "never plain text"
    );
    let pem = authority();
    world.apply(changes(&map("ca", "ca.crt", &pem)));
    let tls = policy(&world, WEB, V1, 80).tls.unwrap();
    assert_eq!(tls.roots, TlsRoots::Pem(pem.as_str().into()));
    assert_eq!((&*tls.sni, tls.subject_alt_names.len()), ("v1.example", 0));
    assert!(!tls.insecure_skip_verify);
    // The service itself is reached that way too.
    let own = policy(&world, &format!("shop/{V1}"), V1, 81);
    assert_eq!(own.tls.map(|it| it.roots), Some(tls.roots));
    assert_eq!(&*own.origin.unwrap().name, "t");
    for bad in [
        "",
        "nonsense",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        world.apply(changes(&map("ca", "ca.crt", bad)));
        assert_eq!(roots(&world, 80), Some(TlsRoots::Missing), "{bad}");
    }
    world.apply(changes(&map("ca", "other", &pem)));
    assert_eq!(roots(&world, 80), Some(TlsRoots::Missing));
    world.apply(changes(&tls_policy(
        "t",
        "",
        ", wellKnownCACertificates: System",
    )));
    assert_eq!(roots(&world, 80), Some(TlsRoots::System));
    world.apply(removals(&tls_policy("t", "", "")));
    assert_eq!(roots(&world, 80), None);
}

#[test]
fn a_policy_for_a_port_stands_before_one_for_all_and_an_older_one_before_a_younger() {
    let system = ", wellKnownCACertificates: System";
    let aged = |name: &str, at: &str, host: &str, section: &str| {
        let text = tls_policy(name, section, system);
        text.replace(
            "namespace: shop}, spec",
            &format!("namespace: shop, creationTimestamp: '{at}'}}, spec"),
        )
        .replace("v1.example", host)
    };
    let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let world = world(&[
        to("r", "v1"),
        aged("a", late, "late", ""),
        aged("b", early, "early", ""),
        aged("c", late, "port", ", sectionName: http"),
    ]);
    let own = format!("shop/{V1}");
    let sni = |port| policy(&world, &own, V1, port).tls.unwrap().sni.to_string();
    assert_eq!((sni(80), sni(81)), ("port".to_owned(), "early".to_owned()));
}

#[test]
fn a_destination_rule_holds_for_backends_and_for_the_service_itself() {
    let rule = |host: &str, connections: u32| {
        format!(
            "{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: d, namespace: shop}}, \
             spec: {{host: {host}, trafficPolicy: {{connectionPool: {{tcp: {{maxConnections: {connections}}}}}}}}}}}"
        )
    };
    let mut world = world(&[to("r", "v1")]);
    let own = format!("shop/{V1}");
    let limit = |world: &World, name: &str| policy(world, name, V1, 80).limits.connections;
    for (host, connections) in [("v1", 5), ("'*.shop.svc.cluster.local'", 6), (V1, 7)] {
        world.apply(changes(&rule(host, connections)));
        assert_eq!(
            [limit(&world, WEB), limit(&world, &own)],
            [connections; 2],
            "{host}"
        );
    }
    world.apply(changes(&rule("v2", 8)));
    assert_eq!(limit(&world, WEB), u32::MAX);
}
