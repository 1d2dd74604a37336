//! A change costs what it touches, and any order of events ends in the same resources.

use std::collections::BTreeMap;

use objects::kinds::Kind;
use proptest::prelude::*;

#[path = "world/yaml.rs"]
mod yaml;

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
            "a pod's membership",
            pod("n3", "p342", "a5", "node22", 9999),
            1,
            0,
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
    let config = |domain: &str| {
        format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: istio, namespace: weft-system}}, data: {{mesh: \"trustDomain: {domain}\"}}}}"
        )
    };
    keys.push(vec![config("one"), config("two")]);
    keys
}

/// Those of one namespace.
fn in_namespace(namespace: &str, number: u32) -> Vec<Vec<String>> {
    let mut keys = Vec::new();
    for name in ["p1", "p2", "p3"] {
        let of = |app: &str, node: &str| pod(namespace, name, app, node, number * 8 + 7);
        let ended = of("a", "k").replace("podIP", "phase: Failed, podIP");
        keys.push(vec![of("a", "k"), of("b", "k"), of("b", "l"), ended]);
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
    keys.push(vec![labelled(""), labelled("istio.io/use-waypoint: w")]);
    keys
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_events_ends_in_what_the_final_objects_give(
        events in proptest::collection::vec((0usize..64, 0usize..6, any::<bool>()), 1..60)
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
        prop_assert_eq!(&world.resources, &fresh.resources);
        prop_assert_eq!(world.resources, world.index.recompute_all());
        let (residents, expected) = (world.index.residents(), fresh.index.residents());
        prop_assert_eq!(&*residents.read().unwrap(), &*expected.read().unwrap());
        prop_assert_eq!(world.problems.all(), fresh.problems.all());
    }
}
