//! For which services, ports and waypoints it holds.

use super::{WORLD, World, read, with_route, with_spec};

/// One of a namespace with these fields of its `spec`.
fn applies(namespace: &str, fields: &str, world: &World<'_>) -> bool {
    let text =
        format!("metadata: {{name: v, namespace: {namespace}}}\nspec: {{{fields}, http: [{{}}]}}");
    world.applies(&read(&text)[0])
}

#[test]
fn the_hosts_name_the_service() {
    for (hosts, expected) in [
        ("[web]", true),
        ("[other, web.shop.svc.cluster.local]", true),
        ("['*.shop.svc.cluster.local']", true),
        ("['*']", true),
        ("[other]", false),
        ("[web.shop]", false),
        ("[]", false),
    ] {
        let hosts = format!("hosts: {hosts}");
        assert_eq!(applies("shop", &hosts, &WORLD), expected, "{hosts}");
    }
    let full = "hosts: [web.shop.svc.cluster.local]";
    assert!(!applies(
        "edge",
        "hosts: [web]",
        &World {
            waypoint: "edge",
            ..WORLD
        }
    ));
    assert!(applies(
        "edge",
        full,
        &World {
            waypoint: "edge",
            ..WORLD
        }
    ));
}

#[test]
fn it_stands_in_the_services_or_the_waypoints_namespace_and_is_seen_there() {
    let full = "hosts: [web.shop.svc.cluster.local]";
    for (namespace, more, waypoint, expected) in [
        ("shop", "", "edge", true),
        ("edge", "", "edge", true),
        ("third", "", "edge", false),
        ("third", ", exportTo: ['*']", "edge", false),
        ("shop", ", exportTo: ['.']", "edge", false),
        ("shop", ", exportTo: ['.']", "shop", true),
        ("shop", ", exportTo: [edge]", "edge", true),
        ("shop", ", gateways: [mesh]", "shop", true),
        ("shop", ", gateways: [a/b, mesh]", "shop", true),
        ("shop", ", gateways: [a/b]", "shop", false),
    ] {
        let world = World { waypoint, ..WORLD };
        let fields = format!("{full}{more}");
        assert_eq!(
            applies(namespace, &fields, &world),
            expected,
            "{namespace} {fields} {waypoint}"
        );
    }
    let world = World {
        mesh: "defaultVirtualServiceExportTo: ['.']",
        waypoint: "edge",
        ..WORLD
    };
    assert!(!applies("shop", full, &world));
    assert!(applies("shop", &format!("{full}, exportTo: ['*']"), &world));
}

#[test]
fn alternatives_that_cannot_hold_are_left_out_and_the_route_with_the_last_of_them() {
    for (matches, port, expected) in [
        ("[]", 80, 1),
        ("[{}, {method: {exact: GET}}]", 80, 2),
        ("[{port: 81}]", 80, 0),
        ("[{port: 81}, {}]", 81, 2),
        ("[{sourceLabels: {a: b}}]", 80, 0),
        ("[{sourceLabels: {a: b}}, {port: 80}]", 80, 1),
        ("[{gateways: [a]}]", 80, 0),
        ("[{gateways: [a, mesh]}]", 80, 1),
        ("[{sourceNamespace: shop}]", 80, 1),
        ("[{sourceNamespace: edge}]", 80, 0),
    ] {
        let object = with_route(&format!(
            "{{match: {matches}, route: [{{destination: {{host: web}}}}]}}"
        ));
        let (routes, _) = WORLD.routes(&object, port);
        assert_eq!(routes.http.len(), expected, "{matches}");
        assert_eq!(routes.rules.len(), usize::from(expected > 0), "{matches}");
    }
}

#[test]
fn routes_keep_their_order_and_alternatives_share_a_rule_where_it_is_the_same() {
    let object = with_spec(
        "{hosts: [web], http: [\
           {name: first, match: [{uri: {prefix: /a}}, {uri: {prefix: /b}}], route: [{destination: {host: web}}]}, \
           {match: [{uri: {prefix: /c}}, {uri: {prefix: /d}}], rewrite: {uri: /}, route: [{destination: {host: web}}]}, \
           {route: [{destination: {host: web}}]}]}",
    );
    let (routes, names) = WORLD.routes(&object, 80);
    let rules: Vec<u32> = routes.http.iter().map(|it| it.rule).collect();
    assert_eq!(rules, [0, 0, 1, 2, 3]);
    let origins: Vec<String> = routes
        .rules
        .iter()
        .map(|it| it.origin.to_string())
        .collect();
    let expected = ["first", "1", "1", "2"].map(|it| format!("VirtualService shop/v rule {it}"));
    assert_eq!(origins, expected);
    assert_eq!(names.len(), 1);
}
