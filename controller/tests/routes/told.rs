//! What is said in the status of routes and of BackendTLSPolicies, as things are.

use objects::kinds::{Key, Kind};

use crate::yaml::{World, changes, removals};
use crate::{route, route_to, shop, to};

/// The conditions of every entry that is ours: who it is about, and what holds.
fn said(world: &World, kind: Kind, name: &str) -> Vec<String> {
    let Some(status) = world.statuses.get(&Key::new(kind, "shop", name)) else {
        return Vec::new();
    };
    let entries = status.listed.iter().flat_map(|it| &it.entries);
    let entry = |it: &controller::translate::status::Spoken| {
        let conditions = it.conditions.iter().map(|it| {
            let sign = if it.holds { "+" } else { "-" };
            format!("{sign}{}", it.reason)
        });
        let conditions: Vec<String> = conditions.collect();
        let name = it.about.get("name").and_then(|it| it.as_str());
        format!("{}: {}", name.unwrap(), conditions.join(" "))
    };
    entries.map(entry).collect()
}

#[test]
fn the_status_of_a_route_follows_its_parents_its_rivals_and_its_backends() {
    let mut world = World::new();
    let said = |world: &World| said(world, Kind::HTTPRoute, "r");
    world.apply(changes(&to("r", "v1")));
    assert_eq!(said(&world), ["web: -NoMatchingParent -BackendNotFound"]);
    world.apply(changes(&shop()));
    let good = ["web: +Accepted +ResolvedRefs +ResolvedWaypoints"];
    assert_eq!(said(&world), good);
    let grpc = route("GRPCRoute", "name: g, namespace: shop", "[{}]");
    world.apply(changes(&grpc));
    assert_eq!(
        said(&world),
        ["web: -Conflicted +ResolvedRefs +ResolvedWaypoints"]
    );
    // One for a single port leaves it the other.
    world.apply(changes(
        &grpc.replace("namespace: shop}]", "namespace: shop, port: 80}]"),
    ));
    assert_eq!(said(&world), good);
    world.apply(removals(&grpc));
    assert_eq!(said(&world), good);
    let web = "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}}";
    world.apply(removals(web));
    assert_eq!(said(&world), ["web: -NoMatchingParent +ResolvedRefs"]);
    world.apply(changes(
        &shop().replace("clusterIP: 10.1.0.1", "clusterIP: None"),
    ));
    assert_eq!(said(&world), ["web: -NoMatchingParent +ResolvedRefs"]);
    world.apply(removals(&to("r", "v1")));
    assert_eq!(said(&world), [] as [&str; 0]);
}

#[test]
fn only_the_meshs_parents_are_spoken_of() {
    let parents = "{name: gate}, {group: '', kind: Service, name: web, port: 80}, {group: '', kind: Service, name: web, port: 7}";
    let mixed = route_to(
        parents,
        "HTTPRoute",
        "name: r, namespace: shop",
        "[{backendRefs: []}]",
    );
    let foreign = route_to(
        "{name: gate}",
        "HTTPRoute",
        "name: f, namespace: shop",
        "[{}]",
    );
    let mut world = World::new();
    world.apply(changes(&shop()));
    world.apply(changes(&[mixed, foreign].join("\n---\n")));
    let expected = [
        "web: +Accepted +ResolvedRefs +ResolvedWaypoints",
        "web: -NoMatchingParent +ResolvedRefs",
    ];
    assert_eq!(said(&world, Kind::HTTPRoute, "r"), expected);
    assert_eq!(said(&world, Kind::HTTPRoute, "f"), [] as [&str; 0]);
}

#[test]
fn the_status_of_a_tls_policy_follows_its_targets_and_its_rivals() {
    let policy = |name: &str, service: &str, validation: &str| {
        format!(
            "{{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {{name: {name}, namespace: shop}}, \
             spec: {{targetRefs: [{{group: '', kind: Service, name: {service}}}], validation: {{{validation}}}}}}}"
        )
    };
    let system = "hostname: h, wellKnownCACertificates: System";
    let mut world = World::new();
    let said = |world: &World, name: &str| said(world, Kind::BackendTLSPolicy, name);
    world.apply(changes(&policy("b", "v1", system)));
    assert_eq!(said(&world, "b"), ["v1: -TargetNotFound +ResolvedRefs"]);
    world.apply(changes(&shop()));
    assert_eq!(said(&world, "b"), ["v1: +Accepted +ResolvedRefs"]);
    // Neither has a date: the name decides.
    world.apply(changes(&policy("a", "v1", system)));
    assert_eq!(said(&world, "b"), ["v1: -Conflicted +ResolvedRefs"]);
    assert_eq!(said(&world, "a"), ["v1: +Accepted +ResolvedRefs"]);
    world.apply(removals(&policy("a", "v1", system)));
    assert_eq!(said(&world, "b"), ["v1: +Accepted +ResolvedRefs"]);
    for (validation, expected) in [
        ("hostname: h", "-NoValidCACertificate +ResolvedRefs"),
        (
            "hostname: h, wellKnownCACertificates: Mine",
            "-NoValidCACertificate +ResolvedRefs",
        ),
        (
            "hostname: h, caCertificateRefs: [{kind: ConfigMap, name: x}]",
            "-NoValidCACertificate -InvalidCACertificateRef",
        ),
        (
            "hostname: h, caCertificateRefs: [{kind: Secret, name: x}]",
            "-NoValidCACertificate -InvalidKind",
        ),
        (
            "hostname: '', wellKnownCACertificates: System",
            "-Invalid +ResolvedRefs",
        ),
        (
            "hostname: h, wellKnownCACertificates: System, subjectAltNames: [{type: URI, uri: none}]",
            "-Invalid +ResolvedRefs",
        ),
    ] {
        world.apply(changes(&policy("b", "v1", validation)));
        assert_eq!(
            said(&world, "b"),
            [format!("v1: {expected}")],
            "{validation}"
        );
    }
}

#[test]
fn owners_hear_of_what_has_no_effect() {
    let mut world = World::new();
    world.apply(changes(&shop()));
    let parent = "{group: '', kind: Service, name: db, namespace: data}";
    let lost = route_to(
        parent,
        "HTTPRoute",
        "name: r, namespace: shop",
        "[{backendRefs: []}]",
    );
    let more = lost.replace("rules:", "useDefaultGateways: All, rules:");
    world.apply(changes(&more));
    let found: Vec<(&str, String)> = world
        .problems
        .all()
        .into_iter()
        .map(|it| (it.rule.word(), it.problem.field))
        .collect();
    let expected = [
        ("route-without-waypoint", "spec.parentRefs[0]".to_owned()),
        ("unread-field", "spec.useDefaultGateways".to_owned()),
    ];
    assert!(expected.iter().all(|it| found.contains(it)), "{found:?}");
}
