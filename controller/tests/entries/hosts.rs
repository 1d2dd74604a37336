//! Whose a host is, who sees it, and which address it is given.

use controller::translate::rule::Rule;
use mesh::model::Visibility;
use objects::kinds::{Key, Kind};

use crate::look::{found, service, workload, world};
use crate::yaml::{World, changes, removals};
use crate::{PORTS, entry, rival};

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
