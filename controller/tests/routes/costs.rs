//! A change costs the routes that it touches.

use objects::kinds::Kind;

use crate::yaml::{World, changes, removals};
use crate::{route, route_to, to};

/// 40 services with a waypoint, each with a route to the next one.
fn ring() -> World {
    let mut text = crate::shop();
    for number in 0..40 {
        text += &format!(
            "\n---\n{{apiVersion: v1, kind: Service, metadata: {{name: s{number}, namespace: shop}}, \
             spec: {{clusterIP: 10.1.1.{number}, selector: {{app: s{number}}}, ports: [{{port: 80, name: http}}]}}}}"
        );
        let next = (number + 1) % 40;
        text += "\n---\n";
        text += &route_to(
            &format!("{{group: '', kind: Service, name: s{number}}}"),
            "HTTPRoute",
            &format!("name: r{number}, namespace: shop"),
            &format!("[{{backendRefs: [{{name: s{next}, port: 80}}]}}]"),
        );
    }
    let mut world = World::new();
    world.apply(changes(&text));
    world
}

fn service(name: &str, metadata: &str, ports: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: shop{metadata}}}, \
         spec: {{clusterIP: 10.1.1.7, selector: {{app: {name}}}, ports: [{ports}]}}}}"
    )
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn one_change_among_forty_services_recomputes_only_the_routes_that_depend_on_it() {
    let mut world = ring();
    let counts = |world: &World| {
        let metrics = world.index.metrics();
        [
            metrics.recomputed_as("ServiceRoutes"),
            metrics.recomputed(Kind::HTTPRoute),
        ]
    };
    assert_eq!(counts(&world), [44, 40], "each once, whatever the batch");
    let next = "[{backendRefs: [{name: s8, port: 80}]}]";
    let of_7 = |rules: &str| {
        let parent = "{group: '', kind: Service, name: s7}";
        route_to(parent, "HTTPRoute", "name: r7, namespace: shop", rules)
    };
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop, labels: {app: s7}}, status: {podIP: 10.0.0.1}}";
    let port = "{port: 80, name: http}";
    let policy = "{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {name: t, namespace: shop}, \
                  spec: {targetRefs: [{group: '', kind: Service, name: s7}], validation: {hostname: h, \
                  caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}]}}}";
    let map = |name: &str| {
        format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, namespace: shop}}, data: {{ca.crt: x}}}}"
        )
    };
    for (what, batch, expected) in [
        ("another rule", changes(&of_7("[{}]")), [1, 1]),
        ("the same again", changes(&of_7(next)), [1, 1]),
        ("a pod of a service", changes(pod), [0, 0]),
        (
            "a service's selector",
            changes(&service("s7", "", port).replace("app: s7", "app: s8")),
            [0, 0],
        ),
        // Its own, and those of s6, which sends there; what is said of the routes of both.
        (
            "a service's ports",
            changes(&service("s7", "", "{port: 90}")),
            [2, 2],
        ),
        ("they are back", changes(&service("s7", "", port)), [2, 2]),
        (
            "a service's waypoint",
            changes(&service(
                "s7",
                ", labels: {istio.io/use-waypoint: none}",
                port,
            )),
            [1, 1],
        ),
        ("it is back", changes(&service("s7", "", port)), [1, 1]),
        ("a second route", changes(&to("x", "v1")), [1, 1]),
        (
            "a third: what is said of its sibling may turn",
            changes(&route("GRPCRoute", "name: y, namespace: shop", "[{}]")),
            [1, 1],
        ),
        (
            "it is gone",
            removals(&route("GRPCRoute", "name: y, namespace: shop", "[{}]")),
            [1, 1],
        ),
        ("TLS to a service", changes(policy), [2, 1]),
        ("its certificates", changes(&map("ca")), [2, 1]),
        ("others", changes(&map("ca2")), [0, 0]),
        (
            "a service of another namespace",
            changes(&service("s7", "", port).replace("namespace: shop", "namespace: data")),
            [1, 0],
        ),
    ] {
        let before = counts(&world);
        world.apply(batch);
        let after = counts(&world);
        let found = [after[0] - before[0], after[1] - before[1]];
        assert_eq!(found, expected, "{what}");
    }
}
