//! Which rule, which part, which port.

use std::time::Duration;

use mesh::model::destination::{Balancing, TrafficPolicy};

use super::{World, rules};

/// The limit of connections tells rules apart.
fn rule(namespace: &str, name: &str, host: &str, connections: u32) -> String {
    format!(
        "metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  host: {host}\n  \
         trafficPolicy: {{connectionPool: {{tcp: {{maxConnections: {connections}}}}}}}\n"
    )
}

fn connections(documents: &[String], client: &str) -> u32 {
    let rules = rules(&documents.join("---\n"));
    let world = World {
        rules: &rules,
        client,
        mesh: "",
    };
    world.of(80, None).1.limits.connections
}

#[test]
fn the_clients_namespace_comes_first_then_the_services_then_the_root() {
    let full = "web.shop.svc.cluster.local";
    let all = [
        rule("root", "r", full, 1),
        rule("shop", "s", "web", 2),
        rule("edge", "e", full, 3),
    ];
    for (documents, client, expected) in [
        (&all[..], "edge", 3),
        (&all[..2], "edge", 2),
        (&all[..1], "edge", 1),
        (&all[..], "shop", 2),
        (&all[..], "root", 1),
        (&all[..0], "shop", u32::MAX),
    ] {
        assert_eq!(connections(documents, client), expected, "{client}");
    }
}

#[test]
fn the_nearest_host_counts_and_short_names_are_of_the_rules_namespace() {
    let all = [
        rule("shop", "a", "\"*\"", 1),
        rule("shop", "b", "\"*.cluster.local\"", 2),
        rule("shop", "c", "\"*.shop.svc.cluster.local\"", 3),
        rule("shop", "d", "web", 4),
    ];
    for count in 1..=all.len() {
        assert_eq!(connections(&all[..count], "shop") as usize, count);
    }
    let other = [rule("edge", "a", "web", 1)];
    assert_eq!(connections(&other, "edge"), u32::MAX, "that is web of edge");
}

#[test]
fn a_rule_that_is_not_exported_to_the_waypoint_or_is_for_certain_clients_does_not_count() {
    for (more, client, expected) in [
        ("exportTo: ['.']", "shop", 5),
        ("exportTo: ['.']", "edge", u32::MAX),
        ("exportTo: [edge]", "edge", 5),
        ("exportTo: [edge]", "shop", u32::MAX),
        ("exportTo: ['*']", "edge", 5),
        ("workloadSelector: {matchLabels: {a: b}}", "shop", u32::MAX),
        ("workloadSelector: {matchLabels: {}}", "shop", 5),
    ] {
        let documents = [format!("{}  {more}\n", rule("shop", "r", "web", 5))];
        assert_eq!(connections(&documents, client), expected, "{more} {client}");
    }
    let rules = rules(&rule("shop", "r", "web", 5));
    let world = World {
        rules: &rules,
        client: "edge",
        mesh: "defaultDestinationRuleExportTo: ['.']",
    };
    assert_eq!(world.of(80, None).1.limits.connections, u32::MAX);
}

#[test]
fn rules_of_one_host_add_up_and_the_older_one_comes_first() {
    let documents = "\
metadata: {name: a, namespace: shop, creationTimestamp: '2026-02-01T00:00:00Z'}
spec:
  host: web
  trafficPolicy: {loadBalancer: {simple: RANDOM}}
  subsets:
    - {name: v1, labels: {version: younger}}
    - {name: v2, labels: {version: v2}}
---
metadata: {name: b, namespace: shop, creationTimestamp: '2026-01-01T00:00:00Z'}
spec:
  host: web.shop.svc.cluster.local
  subsets:
    - {name: v1, labels: {version: older}}
";
    let rules = rules(documents);
    let world = World {
        rules: &rules,
        client: "shop",
        mesh: "",
    };
    let labels = |name| -> Vec<String> {
        let (part, _) = world.of(80, Some(name));
        let labels = part.into_iter().flat_map(|it| it.labels);
        labels.map(|(_, value)| value.to_string()).collect()
    };
    assert_eq!(labels("v1"), ["older"]);
    assert_eq!(labels("v2"), ["v2"]);
    let (missing, policy) = world.of(80, Some("v3"));
    assert_eq!(missing, None);
    assert_eq!(policy.balancing, Balancing::Random);
}

const LAYERS: &str = "\
metadata: {name: r, namespace: shop}
spec:
  host: web
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN}
    connectionPool: {tcp: {maxConnections: 1}, http: {maxRetries: 1}}
    portLevelSettings:
      - port: {number: 81}
        loadBalancer: {simple: RANDOM}
  subsets:
    - name: v1
      trafficPolicy:
        connectionPool: {tcp: {maxConnections: 2}}
    - name: v2
      trafficPolicy:
        portLevelSettings:
          - port: {number: 80}
            connectionPool: {tcp: {maxConnections: 3}}
    - name: v3
";

#[test]
fn a_part_replaces_groups_and_a_port_replaces_everything() {
    let rules = rules(LAYERS);
    let world = World {
        rules: &rules,
        client: "shop",
        mesh: "",
    };
    let none = u32::MAX;
    for (port, subset, balancing, connections, retries) in [
        (80, None, Balancing::RoundRobin, 1, 1),
        (81, None, Balancing::Random, none, none),
        (80, Some("v1"), Balancing::RoundRobin, 2, none),
        (81, Some("v1"), Balancing::Random, none, none),
        (80, Some("v2"), Balancing::LeastRequest, 3, none),
        (81, Some("v2"), Balancing::RoundRobin, 1, 1),
        (80, Some("v3"), Balancing::RoundRobin, 1, 1),
    ] {
        let (part, policy) = world.of(port, subset);
        assert_eq!(part.as_ref().map(|it| &*it.name), subset);
        let limits = policy.limits;
        let shown = (policy.balancing, limits.connections, limits.retries);
        let expected = (balancing, connections, retries);
        assert_eq!(shown, expected, "{port} {subset:?}");
        let origin = policy.origin.unwrap();
        assert_eq!(&*origin.rule, subset.unwrap_or_default());
        assert_eq!(
            origin.to_string().split(" rule").next(),
            Some("DestinationRule shop/r")
        );
    }
}

#[test]
fn without_a_rule_it_is_what_the_mesh_says() {
    let world = |mesh| World {
        rules: &[],
        client: "shop",
        mesh,
    };
    let (part, policy) = world("").of(80, None);
    assert_eq!((part, policy), (None, TrafficPolicy::default()));
    let mesh = "connectTimeout: 3s\nlocalityLbSetting: {distribute: [{from: a, to: {b: 100}}]}";
    let (_, policy) = world(mesh).of(80, None);
    let timeout = policy.limits.connect_timeout;
    assert_eq!(timeout, Some(Duration::from_secs(3)));
    assert_eq!(policy.locality.distribute.len(), 1);
    assert!(policy.locality.enabled);
}
