//! What a change touches, what stays in force, what the status says.

use controller::translate::rule::Rule;
use objects::kinds::{Key, Kind};

use crate::shown::lines;
use crate::yaml::{World, changes, removals};
use crate::{WEB, routes, world};

const ROUTES: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: shop}
spec: {hosts: [web], http: [{route: [{destination: {host: ext.out.svc.cluster.local, subset: v1}}]}]}
";

const RULE: &str = "\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: r, namespace: out}
spec: {host: ext, subsets: [{name: v1, labels: {version: v1}}]}
";

fn first(world: &World) -> String {
    let lines = lines(&routes(world, WEB));
    let line = lines.iter().find_map(|it| it.strip_prefix("http 80 any: "));
    let line = line.unwrap_or("none");
    line.split(" (").next().unwrap_or_default().to_owned()
}

fn told(world: &World, rule: Rule) -> usize {
    let all = world.problems.all();
    all.iter().filter(|it| it.rule == rule).count()
}

fn accepted(world: &World, kind: Kind, namespace: &str, name: &str) -> (bool, String, String) {
    let status = &world.statuses[&Key::new(kind, namespace, name)];
    let condition = &status.conditions[0];
    assert_eq!(condition.kind, "Accepted");
    let reason = condition.reason.to_owned();
    (condition.holds, reason, condition.message.clone())
}

const THERE: &str =
    "1 x ext.out.svc.cluster.local:80#v1[version=v1] by DestinationRule out/r rule v1";

#[test]
fn routes_follow_rules_and_services_in_other_namespaces() {
    let mut world = world(ROUTES);
    assert_eq!(first(&world), "1 x nowhere", "there is no such subset");
    assert_eq!(told(&world, Rule::DestinationMissing), 1);
    world.apply(changes(RULE));
    assert_eq!(first(&world), THERE);
    assert_eq!(told(&world, Rule::DestinationMissing), 0);
    let service = "{apiVersion: v1, kind: Service, metadata: {name: ext, namespace: out}}";
    world.apply(removals(service));
    assert_eq!(first(&world), "1 x nowhere");
    let (holds, reason, message) = accepted(&world, Kind::VirtualService, "shop", "v");
    assert!(!holds && reason == "UnsupportedValue");
    assert!(
        message.contains("spec.http[0].route[0].destination"),
        "{message}"
    );
    world.apply(changes(crate::SHOP));
    assert_eq!(first(&world), THERE);
    world.apply(removals(RULE));
    assert_eq!(first(&world), "1 x nowhere");
    world.apply(removals(ROUTES));
    assert_eq!(first(&world), "none");
}

#[test]
fn a_bad_version_leaves_the_last_good_one_in_force_and_the_first_one_nothing() {
    let bad = |text: &str| text.replace("{route:", "{timeout: 1ns, route:");
    let mut world = world(RULE);
    world.apply(changes(&bad(ROUTES)));
    assert_eq!(first(&world), "none");
    let (holds, reason, message) = accepted(&world, Kind::VirtualService, "shop", "v");
    assert!(
        !holds && reason == "Invalid" && message.contains("not in force"),
        "{message}"
    );
    world.apply(changes(ROUTES));
    assert_eq!(first(&world), THERE);
    // Also when the bad version names another host, or none.
    let elsewhere = bad(ROUTES).replace("hosts: [web]", "hosts: [db]");
    world.apply(changes(&elsewhere));
    assert_eq!(first(&world), THERE);
    let (holds, _, message) = accepted(&world, Kind::VirtualService, "shop", "v");
    assert!(!holds && message.contains("last good version"), "{message}");
    assert_eq!(told(&world, Rule::InvalidValue), 1);
    let bad_rule = RULE.replace(
        "{host: ext",
        "{trafficPolicy: {retryBudget: {percent: 101}}, host: ext",
    );
    world.apply(changes(&bad_rule));
    assert_eq!(first(&world), THERE);
    world.apply(removals(&elsewhere));
    assert_eq!(first(&world), "none");
}

#[test]
fn only_the_services_concerned_are_computed_anew() {
    let mut world = world(&format!("{ROUTES}---\n{RULE}"));
    let count = |world: &World| world.index.metrics().recomputed_as("ServiceRoutes");
    for (text, expected) in [
        (ROUTES.replace("[{route", "[{timeout: 1s, route"), 1),
        // `ext` itself and `web`, which sends there.
        (RULE.replace("{host: ext", "{exportTo: ['*'], host: ext"), 2),
        (
            RULE.replace("name: r,", "name: other,")
                .replace("host: ext", "host: unknown"),
            1,
        ),
    ] {
        let before = count(&world);
        world.apply(changes(&text));
        assert_eq!(count(&world) - before, expected, "{text}");
    }
}

#[test]
fn a_delegate_is_followed_and_routes_of_the_gateway_api_come_behind() {
    let root = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: root, namespace: shop}
spec: {hosts: [web], http: [{match: [{uri: {prefix: /d}}], delegate: {name: leaf, namespace: out}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: h, namespace: shop}
spec: {parentRefs: [{group: '', kind: Service, name: web, port: 80}], rules: [{backendRefs: [{name: db, port: 5432}]}]}
";
    let leaf = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: leaf, namespace: out}
spec: {http: [{route: [{destination: {host: ext}}]}]}
";
    let mut world = world(root);
    let of_port_80 = |world: &World| -> Vec<String> {
        let lines = lines(&routes(world, WEB)).into_iter();
        lines.filter(|it| it.starts_with("http 80")).collect()
    };
    assert_eq!(of_port_80(&world).len(), 1);
    assert_eq!(told(&world, Rule::DestinationMissing), 1);
    world.apply(changes(leaf));
    let lines = of_port_80(&world);
    assert_eq!(
        lines[0],
        "http 80 /d*: 1 x ext.out.svc.cluster.local:80 (VirtualService out/leaf rule 0)"
    );
    assert!(lines[1].contains("HTTPRoute shop/h"), "{lines:?}");
    assert_eq!(told(&world, Rule::DestinationMissing), 0);
    world.apply(removals(leaf));
    assert_eq!(of_port_80(&world).len(), 1);
}
