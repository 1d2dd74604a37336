//! A change costs what it touches, and any order of events ends in the same resources.

#![expect(
    clippy::too_many_lines,
    reason = "the documents that may stand under one key are tables"
)]

use std::collections::BTreeMap;

use objects::kinds::Kind;
use proptest::prelude::*;

#[path = "world/about_requests.rs"]
mod about_requests;
#[path = "world/yaml.rs"]
mod yaml;

use about_requests::{guides_in, routes_in};
use yaml::{World, changes, removals};

fn pod(namespace: &str, name: &str, app: &str, node: &str, address: u32) -> String {
    let [_, a, b, c] = address.to_be_bytes();
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}, \
         labels: {{app: {app}}}}}, spec: {{nodeName: {node}}}, status: {{podIP: 10.{a}.{b}.{c}}}}}"
    )
}

fn service(namespace: &str, name: &str, app: &str, port: u16) -> String {
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: {namespace}}}, \
         spec: {{selector: {{app: {app}}}, ports: [{{port: {port}}}]}}}}"
    )
}

/// 2 000 pods in 20 namespaces, each with 10 services of 10 pods.
fn large() -> World {
    let mut text = String::new();
    for number in 0..2000 {
        let (namespace, app) = (number / 100, (number / 10) % 10);
        let node = number % 40;
        text += &pod(
            &format!("n{namespace}"),
            &format!("p{number}"),
            &format!("a{app}"),
            &format!("node{node}"),
            number,
        );
        text += "\n---\n";
    }
    for number in 0..200 {
        let (namespace, app) = (number / 10, number % 10);
        text += &service(
            &format!("n{namespace}"),
            &format!("s{app}"),
            &format!("a{app}"),
            80,
        );
        text += "\n---\n";
    }
    let mut world = World::new();
    world.apply(changes(&text));
    world
}

#[test]
fn one_change_among_two_thousand_pods_recomputes_only_what_depends_on_it() {
    let mut world = large();
    assert_eq!(world.resources.len(), 2200);
    assert_eq!(
        world.index.metrics().recomputed(Kind::Pod),
        2000,
        "each output once, whatever the batch"
    );
    let node = "{apiVersion: v1, kind: Node, metadata: {name: node7, labels: {topology.kubernetes.io/zone: z}}}";
    let same_node = node.replace("labels: {", "labels: {other: x, ");
    let namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: n3, labels: {istio.io/use-waypoint: w}}}";
    let same_namespace = namespace.replace("labels: {", "labels: {other: x, ");
    for (what, text, pods, services, changed) in [
        ("a pod", pod("n3", "p342", "a4", "node22", 9999), 1, 0, 1),
        (
            "a pod's membership, and with it whom two services select",
            pod("n3", "p342", "a5", "node22", 9999),
            1,
            2,
            1,
        ),
        (
            "a service's ports",
            service("n3", "s7", "a7", 81),
            10,
            1,
            11,
        ),
        (
            "a service's selector",
            service("n3", "s7", "a8", 81),
            20,
            1,
            20,
        ),
        ("a node's zone", node.to_owned(), 50, 0, 50),
        ("a node's other labels", same_node, 0, 0, 0),
        ("a namespace's waypoint", namespace.to_owned(), 0, 10, 10),
        ("a namespace's other labels", same_namespace, 0, 0, 0),
    ] {
        let before = [Kind::Pod, Kind::Service].map(|kind| world.index.metrics().recomputed(kind));
        let names = world.apply(changes(&text));
        let after = [Kind::Pod, Kind::Service].map(|kind| world.index.metrics().recomputed(kind));
        assert_eq!(
            [after[0] - before[0], after[1] - before[1]],
            [pods, services],
            "{what}"
        );
        assert_eq!(names.len(), changed, "{what}: {names:?}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "the table is long")]
fn a_policy_among_two_thousand_pods_recomputes_itself_and_the_pods_that_name_it_or_no_longer_do() {
    let mut world = large();
    let a4 = "selector: {matchLabels: {app: a4}}";
    let a5 = "selector: {matchLabels: {app: a5}}";
    let strict = "mtls: {mode: STRICT}";
    let root = "weft-system";
    let moved = |app: &str| pod("n3", "p342", app, "node22", 342);
    let gone = |text: String| (text, true);
    let new = |text: String| (text, false);
    for (what, (text, is_gone), counts) in [
        // Pods, policies and peer authentications computed anew, and resources that differ.
        (
            "one with a selector",
            new(policy("n3", "p", a4)),
            [10, 1, 0, 11],
        ),
        (
            "other rules",
            new(policy("n3", "p", &format!("{a4}, rules: [{{}}]"))),
            [0, 1, 0, 1],
        ),
        (
            "another selector",
            new(policy("n3", "p", a5)),
            [20, 1, 0, 21],
        ),
        (
            "one of its pods gets other labels",
            new(moved("a5")),
            [1, 0, 0, 1],
        ),
        ("it is gone", gone(policy("n3", "p", a5)), [11, 1, 0, 12]),
        (
            "one for a namespace",
            new(policy("n3", "q", "rules: [{}]")),
            [0, 1, 0, 1],
        ),
        (
            "one that selects in the whole mesh",
            new(policy(root, "p", a4)),
            [199, 1, 0, 200],
        ),
        (
            "strict for some",
            new(peer("n3", "r", &format!("{a5}, {strict}"))),
            [11, 0, 2, 12],
        ),
        (
            "strict for a namespace",
            new(peer("n3", "s", strict)),
            [89, 0, 2, 89],
        ),
        (
            "strict for some is told by the namespace",
            gone(peer("n3", "r", a5)),
            [0, 0, 2, 0],
        ),
        (
            "strict for the mesh",
            new(peer(root, "s", strict)),
            [1900, 0, 2, 1900],
        ),
        (
            "strict for a namespace is told by the mesh",
            gone(peer("n3", "s", strict)),
            [0, 0, 1, 0],
        ),
        (
            "the last one is gone",
            gone(peer(root, "s", strict)),
            [2000, 0, 2, 2001],
        ),
    ] {
        let kinds = [
            Kind::Pod,
            Kind::AuthorizationPolicy,
            Kind::PeerAuthentication,
        ];
        let before = kinds.map(|kind| world.index.metrics().recomputed(kind));
        let names = world.apply(if is_gone {
            removals(&text)
        } else {
            changes(&text)
        });
        let after = kinds.map(|kind| world.index.metrics().recomputed(kind));
        let [pods, policies, peers, changed] = counts;
        let counted = [
            after[0] - before[0],
            after[1] - before[1],
            after[2] - before[2],
        ];
        assert_eq!(counted, [pods, policies, peers], "{what}");
        assert_eq!(names.len() as u64, changed, "{what}: {names:?}");
    }
}

/// The documents that may stand under one key; small worlds collide often.
fn variants() -> Vec<Vec<String>> {
    let mut keys = in_namespace("x", 0);
    keys.extend(in_namespace("y", 1));
    for node in ["k", "l"] {
        let zone = |zone: &str| {
            format!(
                "{{apiVersion: v1, kind: Node, metadata: {{name: {node}, labels: {{topology.kubernetes.io/zone: {zone}}}}}}}"
            )
        };
        keys.push(vec![zone("z1"), zone("z2")]);
    }
    let system = "{apiVersion: v1, kind: Namespace, metadata: {name: weft-system, labels: {topology.istio.io/network: t}}}";
    keys.push(vec![
        system.to_owned(),
        system.replace("network: t", "other: t"),
    ]);
    let config = |mesh: &str| {
        format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: istio, namespace: weft-system}}, data: {{mesh: '{mesh}'}}}}"
        )
    };
    let private = "serviceEntryVisibility: {defaultVisibility: PUBLIC, policies: [\
                   {visibility: NAMESPACE, matchingRules: [{namespaceSelector: {matchLabels: {see: own}}}]}, \
                   {visibility: NONE, matchingRules: [{namespaceSelector: {matchLabels: {see: none}}}]}]}";
    let chosen = "discoverySelectors: [{matchExpressions: [{key: hide, operator: DoesNotExist}]}]";
    keys.push(vec![
        config("trustDomain: one"),
        config("trustDomain: two"),
        config(private),
        config(chosen),
        config(&format!("{{{private}, {chosen}}}")),
        config("rootNamespace: y"),
    ]);
    for namespace in ["x", "y", "weft-system"] {
        keys.extend(policies(namespace));
    }
    let class = |labels: &str| {
        format!(
            "{{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {{name: c, labels: {{{labels}}}}}}}"
        )
    };
    keys.push(vec![
        class(""),
        class("istio.io/waypoint-for: all"),
        class("istio.io/waypoint-for: none"),
    ]);
    keys
}

/// Service entries, workload entries and gateways of one namespace.
fn entries_in(namespace: &str) -> Vec<Vec<String>> {
    let object = |kind: &str, name: &str, metadata: &str, rest: &str| {
        let group = match kind {
            "Gateway" => "gateway.networking.k8s.io/v1",
            _ => "networking.istio.io/v1",
        };
        format!(
            "{{apiVersion: {group}, kind: {kind}, metadata: {{name: {name}, namespace: {namespace}{metadata}}}, {rest}}}"
        )
    };
    let entry = |name, metadata, rest: &str| object("ServiceEntry", name, metadata, rest);
    let (old, bound) = (
        ", creationTimestamp: '2026-01-01T00:00:00Z'",
        ", labels: {istio.io/use-waypoint: w}",
    );
    let ports = "ports: [{number: 80, name: p}]";
    let first = vec![
        entry(
            "e1",
            "",
            &format!(
                "spec: {{hosts: [a.b], {ports}, resolution: STATIC, \
               endpoints: [{{address: 192.0.2.1, labels: {{istio.io/use-waypoint: w}}}}]}}"
            ),
        ),
        entry(
            "e1",
            old,
            &format!("spec: {{hosts: [c.d, a.b], {ports}, resolution: DNS}}"),
        ),
        entry(
            "e1",
            "",
            &format!(
                "spec: {{hosts: [s1.{namespace}.svc.cluster.local, a.b], {ports}, \
               resolution: STATIC, workloadSelector: {{labels: {{app: a}}}}}}"
            ),
        ),
        entry(
            "e1",
            bound,
            "spec: {hosts: ['*.b'], ports: [{number: 1, name: u, protocol: UDP}]}",
        ),
        entry(
            "e1",
            bound,
            "spec: {hosts: [s1.x.svc.cluster.local], resolution: DNS, exportTo: [.]}",
        ),
    ];
    let second = vec![
        entry(
            "e2",
            "",
            &format!(
                "spec: {{hosts: [a.b], {ports}, resolution: STATIC, \
               workloadSelector: {{labels: {{app: b}}}}}}, status: {{addresses: [{{host: a.b, value: 240.240.0.7}}]}}"
            ),
        ),
        entry(
            "e2",
            old,
            &format!("spec: {{hosts: [a.b], {ports}, addresses: [240.240.0.7, 10.0.0.0/8]}}"),
        ),
        entry(
            "e2",
            "",
            "spec: {hosts: [c.d], resolution: DNS}, status: {addresses: [{host: c.d, value: 240.240.0.7}]}",
        ),
    ];
    let workload = |metadata, rest: &str| object("WorkloadEntry", "w1", metadata, rest);
    let machine = vec![
        workload(
            "",
            "spec: {address: 192.0.2.7, labels: {app: a}, ports: {p: 8}}",
        ),
        workload(
            ", labels: {app: b}",
            "spec: {address: some.host, weight: 3}",
        ),
        workload(
            bound,
            "spec: {address: 192.0.2.7, network: far, locality: r/z}",
        ),
    ];
    let gateway = |metadata, status: &str, from: &str| {
        object(
            "Gateway",
            "w",
            metadata,
            &format!(
                "spec: {{gatewayClassName: c, listeners: [{{port: 15008, protocol: HBONE, allowedRoutes: \
             {{namespaces: {{{from}}}}}}}]}}, status: {{addresses: [{status}]}}"
            ),
        )
    };
    let address = "{type: IPAddress, value: 10.2.0.9}";
    let all = ", labels: {istio.io/waypoint-for: all}";
    let waypoint = vec![
        gateway("", "", "from: Same"),
        gateway(
            all,
            address,
            "from: Selector, selector: {matchLabels: {team: t}}",
        ),
        gateway(
            ", labels: {istio.io/waypoint-for: workload}",
            address,
            "from: All",
        ),
        gateway("", "{type: Hostname, value: w.example}", "from: All"),
    ];
    vec![first, second, machine, waypoint]
}

fn policy(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, \
         metadata: {{name: {name}, namespace: {namespace}}}, spec: {{{spec}}}}}"
    )
}

fn peer(namespace: &str, name: &str, spec: &str) -> String {
    policy(namespace, name, spec).replace("AuthorizationPolicy", "PeerAuthentication")
}

/// The policies that may stand in one namespace.
fn policies(namespace: &str) -> Vec<Vec<String>> {
    let (a, b) = (
        "selector: {matchLabels: {app: a}}",
        "selector: {matchLabels: {app: b}}",
    );
    let one = |spec: &str| policy(namespace, "q1", spec);
    let two = |spec: &str| policy(namespace, "q2", spec);
    let of = |name: &'static str| move |spec: &str| peer(namespace, name, spec);
    let (first, second) = (of("r1"), of("r2"));
    let ports = format!("{a}, portLevelMtls: {{80: {{mode: STRICT}}}}");
    vec![
        vec![one(a), one(b), one("rules: [{}]"), one("action: AUDIT")],
        vec![
            two(a),
            two("targetRefs: [{kind: Service, name: s1}]"),
            two("rules: [{from: [{source: {principals: [one/ns/x/sa/y]}}]}]"),
        ],
        vec![
            first("mtls: {mode: STRICT}"),
            first("mtls: {mode: PERMISSIVE}"),
            first(&ports),
        ],
        vec![
            second(&format!("{a}, mtls: {{mode: STRICT}}")),
            second(&ports),
            second(&format!("{b}, mtls: {{mode: PERMISSIVE}}")),
        ],
    ]
}

/// Those of one namespace.
fn in_namespace(namespace: &str, number: u32) -> Vec<Vec<String>> {
    let mut keys = Vec::new();
    for name in ["p1", "p2", "p3"] {
        let of = |app: &str, node: &str| pod(namespace, name, app, node, number * 8 + 7);
        let ended = of("a", "k").replace("podIP", "phase: Failed, podIP");
        let bound = of("a", "k").replace("app: a", "app: a, istio.io/use-waypoint: w");
        let waypoint = of("b", "k").replace("app: b", "gateway.networking.k8s.io/gateway-name: w");
        keys.push(vec![
            of("a", "k"),
            of("b", "k"),
            of("b", "l"),
            ended,
            bound,
            waypoint,
        ]);
    }
    let by_hand = format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: s1, namespace: {namespace}}}, \
         spec: {{ports: [{{name: m, port: 80}}]}}}}"
    );
    let external = by_hand.replace("ports", "type: ExternalName, ports");
    keys.push(vec![service(namespace, "s1", "a", 80), by_hand, external]);
    let named = service(namespace, "s2", "b", 90).replace("{port", "{targetPort: 7, port");
    keys.push(vec![
        service(namespace, "s2", "a", 80),
        service(namespace, "s2", "b", 90),
        named,
    ]);
    let slice = |service: &str, endpoints: &str| {
        format!(
            "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, \
             metadata: {{name: e1, namespace: {namespace}, labels: \
             {{kubernetes.io/service-name: {service}}}}}, ports: [{{name: m, port: 8}}], \
             endpoints: [{endpoints}]}}"
        )
    };
    let to_pod = "{addresses: [10.0.0.9], targetRef: {kind: Pod, name: p1}}";
    let (one, two) = (
        "{addresses: [192.0.2.1]}",
        "{addresses: [192.0.2.2, 192.0.2.3]}",
    );
    keys.push(vec![
        slice("s1", &format!("{to_pod}, {one}")),
        slice("s1", two),
        slice("s2", one),
        slice("gone", one),
    ]);
    let labelled = |labels: &str| {
        format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}, labels: {{{labels}}}}}}}"
        )
    };
    let elsewhere = "istio.io/use-waypoint: w, istio.io/use-waypoint-namespace: x, team: t";
    keys.push(vec![
        labelled(""),
        labelled("istio.io/use-waypoint: w, see: own"),
        labelled(elsewhere),
        labelled(&elsewhere.replace("team: t", "see: none")),
        labelled("hide: y, istio.io/use-waypoint: w"),
    ]);
    keys.extend(entries_in(namespace));
    keys.extend(routes_in(namespace));
    keys.extend(guides_in(namespace));
    keys
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_events_ends_in_what_the_final_objects_give(
        events in proptest::collection::vec((0usize..128, 0usize..7, any::<bool>()), 1..80)
    ) {
        let keys = variants();
        let mut world = World::new();
        let mut last: BTreeMap<usize, &String> = BTreeMap::new();
        let mut pending = Vec::new();
        let is_last = events.len() - 1;
        for (position, (key, variant, is_end_of_batch)) in events.into_iter().enumerate() {
            let key = key % keys.len();
            let documents = &keys[key];
            pending.retain(|(other, _)| *other != key);
            match documents.get(variant) {
                Some(text) => {
                    last.insert(key, text);
                    pending.push((key, changes(text)));
                }
                None => {
                    last.remove(&key);
                    pending.push((key, removals(&documents[0])));
                }
            }
            if is_end_of_batch || position == is_last {
                world.apply(pending.drain(..).flat_map(|(_, change)| change).collect());
            }
        }
        let mut fresh = World::new();
        fresh.apply(last.values().flat_map(|text| changes(text)).collect());
        prop_assert_eq!(&world.published, &fresh.published);
        prop_assert_eq!(world.published, world.index.recompute_all());
        let (residents, expected) = (world.index.residents(), fresh.index.residents());
        prop_assert_eq!(&*residents.read().unwrap(), &*expected.read().unwrap());
        prop_assert_eq!(world.problems.all(), fresh.problems.all());
        prop_assert_eq!(&world.statuses, &fresh.statuses);
    }

    #[test]
    fn whatever_stays_in_force_of_rejected_policies_all_agree_on_it(
        events in proptest::collection::vec((0usize..128, 0usize..4), 1..40)
    ) {
        let bad = "selector: {matchLabels: {app: b}}, rules: [{to: [{operation: {ports: [x]}}]}]";
        let strict = "selector: {matchLabels: {app: a}}, portLevelMtls: {http: {mode: STRICT}}";
        let mut keys = variants();
        for documents in &mut keys {
            let kind = documents[0].clone();
            let in_x = kind.contains("namespace: x");
            let d1 = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, \
                      metadata: {name: d1, namespace: x}, spec: {host: 'a b'}}";
            let q1 = policy("x", "q1", bad);
            let r2 = peer("x", "r2", strict);
            match kind {
                it if in_x && it.contains("name: q1") => documents.insert(1, q1),
                it if in_x && it.contains("name: r2") => documents.insert(1, r2),
                it if in_x && it.contains("name: d1") => documents.insert(1, d1.to_owned()),
                _ => {}
            }
        }
        let mut world = World::new();
        for (key, variant) in events {
            let documents = &keys[key % keys.len()];
            world.apply(match documents.get(variant) {
                Some(text) => changes(text),
                None => removals(&documents[0]),
            });
        }
        prop_assert_eq!(world.published, world.index.recompute_all());
    }
}
