//! Policies with targetRefs among other objects: which waypoints are told what, what stays in force, what is said;
//! and pods that only their waypoint reaches.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what is wrong by failing"
)]

use controller::index::Type;
use mesh::model::attached::{AttachedPolicy, PolicyBody, Target};
use mesh::model::{Policy, StringMatch};
use mesh::names::NamespacedName;
use mesh::wire::{self, Update, address};
use objects::kinds::{Key, Kind};

#[path = "world/yaml.rs"]
mod yaml;

use yaml::{World, changes, removals};

const GATEWAY: &str = "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gate, namespace: shop}, \
    spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}, \
    status: {addresses: [{type: IPAddress, value: 10.2.0.9}]}}";

fn service(name: &str, labels: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: shop, labels: {{{labels}}}}}, \
         spec: {{selector: {{app: web}}, ports: [{{port: 80}}]}}}}"
    )
}

const BOUND: &str = "istio.io/use-waypoint: gate";

fn pod(name: &str, app: &str, address: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop, labels: {{app: {app}}}}}, \
         status: {{podIP: {address}}}}}"
    )
}

fn object(kind: &str, namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: security.istio.io/v1, kind: {kind}, \
         metadata: {{name: {name}, namespace: {namespace}}}, spec: {{{spec}}}}}"
    )
}

fn world(texts: &[&str]) -> World {
    let mut world = World::new();
    world.apply(changes(&texts.join("\n---\n")));
    world
}

/// What waypoints are told of a policy, and whether that of `shop/gate` is.
fn told(world: &World, name: &str) -> Option<(AttachedPolicy, bool)> {
    let upsert = world.published.get(&(Type::Attached, name.to_owned()))?;
    let gate = NamespacedName::new("shop", "gate");
    assert!(
        !upsert.audience.includes(None),
        "node proxies are never told"
    );
    let policy = wire::attached::decode(&upsert.bytes).unwrap();
    Some((policy, upsert.audience.includes(Some(&gate))))
}

fn reason(world: &World, kind: Kind, name: &str) -> (&'static str, &'static str) {
    let condition = &world.statuses[&Key::new(kind, "shop", name)].conditions[0];
    (condition.kind, condition.reason)
}

fn web() -> Target {
    let name = mesh::names::NamespacedHostname::new("shop", "web.shop.svc.cluster.local");
    Target::Service(name)
}

#[test]
fn a_policy_follows_its_service_and_the_services_waypoint() {
    let policy = object(
        "AuthorizationPolicy",
        "shop",
        "p",
        "targetRefs: [{kind: Service, name: web}], rules: [{to: [{operation: {methods: [GET]}}]}]",
    );
    let name = "AuthorizationPolicy/shop/p";
    let mut world = world(&[&policy]);
    let said = |world: &World| reason(world, Kind::AuthorizationPolicy, "p");
    assert_eq!(said(&world), ("WaypointAccepted", "TargetNotFound"));
    world.apply(changes(&service("web", "")));
    assert_eq!(said(&world).1, "AncestorNotBound");
    world.apply(changes(&service("web", BOUND)));
    assert_eq!(
        said(&world).1,
        "AncestorNotBound",
        "there is no gateway yet"
    );
    assert!(told(&world, name).is_none());
    world.apply(changes(GATEWAY));
    assert_eq!(said(&world).1, "Accepted");
    let (policy, for_gate) = told(&world, name).unwrap();
    assert_eq!((policy.targets, for_gate), (vec![web()], true));
    let PolicyBody::Authorization(body) = policy.body else {
        panic!("{:?}", policy.body);
    };
    let request = body.rules[0].clauses[0].matches[0]
        .request
        .as_ref()
        .unwrap();
    assert_eq!(request.methods, [StringMatch::Exact("GET".into())]);
    world.apply(removals(GATEWAY));
    assert!(told(&world, name).is_none());
    assert_eq!(said(&world).1, "AncestorNotBound");
}

#[test]
fn gateways_and_their_class_are_targets_too() {
    let gateway = "targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: gate}, {kind: Service, name: none}], rules: [{}]";
    let class = "targetRefs: [{kind: GatewayClass, group: gateway.networking.k8s.io, name: istio-waypoint}], rules: [{}]";
    let texts = [
        GATEWAY.to_owned(),
        object("AuthorizationPolicy", "shop", "g", gateway),
        object("AuthorizationPolicy", "weft-system", "c", class),
        object("AuthorizationPolicy", "shop", "c", class),
    ];
    let mut world = world(&texts.each_ref().map(String::as_str));
    let target = Target::Gateway(NamespacedName::new("shop", "gate"));
    for name in [
        "AuthorizationPolicy/shop/g",
        "AuthorizationPolicy/weft-system/c",
    ] {
        let (policy, for_gate) = told(&world, name).unwrap();
        assert_eq!((policy.targets, for_gate), (vec![target.clone()], true));
    }
    let said = |world: &World, name| reason(world, Kind::AuthorizationPolicy, name).1;
    assert_eq!(said(&world, "g"), "PartiallyInvalid");
    assert_eq!(
        said(&world, "c"),
        "Invalid",
        "only the root namespace speaks for a class"
    );
    let second = GATEWAY.replace("shop", "bank");
    world.apply(changes(&second));
    let (policy, _) = told(&world, "AuthorizationPolicy/weft-system/c").unwrap();
    assert_eq!(policy.targets.len(), 2);
    assert!(told(&world, "AuthorizationPolicy/shop/c").is_none());
}

#[test]
fn a_bad_version_leaves_the_last_good_one_and_a_bad_first_one_is_closed() {
    let spec =
        |rules: &str| format!("targetRefs: [{{kind: Service, name: web}}], rules: [{rules}]");
    let policy = |rules: &str| object("AuthorizationPolicy", "shop", "p", &spec(rules));
    let name = "AuthorizationPolicy/shop/p";
    let mut world = world(&[GATEWAY, &service("web", BOUND), &policy("{}")]);
    let good = told(&world, name).unwrap().0;
    let bad = policy("{to: [{operation: {paths: ['/{x}']}}]}");
    world.apply(changes(&bad));
    assert_eq!(told(&world, name).unwrap().0, good);
    assert_eq!(reason(&world, Kind::AuthorizationPolicy, "p").1, "Invalid");
    world.apply(removals(&bad));
    world.apply(changes(&bad));
    let PolicyBody::Authorization(closed) = told(&world, name).unwrap().0.body else {
        panic!("no authorization");
    };
    assert!(closed.rules.is_empty(), "ALLOW without rules admits nobody");
}

#[test]
fn tokens_are_told_to_the_waypoint_of_their_target() {
    let spec = "targetRefs: [{kind: Service, name: web}], jwtRules: [{issuer: 'https://issuer', audiences: [a]}]";
    let tokens = object("RequestAuthentication", "shop", "jwt", spec);
    let mut world = world(&[GATEWAY, &service("web", BOUND), &tokens]);
    let name = "RequestAuthentication/shop/jwt";
    let (policy, for_gate) = told(&world, name).unwrap();
    assert_eq!((policy.targets, for_gate), (vec![web()], true));
    let PolicyBody::Authentication(rules) = policy.body else {
        panic!("{:?}", policy.body);
    };
    assert_eq!(&*rules[0].issuer, "https://issuer");
    let said = reason(&world, Kind::RequestAuthentication, "jwt");
    assert_eq!(said, ("WaypointAccepted", "Accepted"));
    world.apply(changes(&service("web", "")));
    assert!(told(&world, name).is_none());
    world.apply(changes(&service("web", BOUND)));
    assert!(told(&world, name).is_some());
    world.apply(removals(&tokens));
    assert!(told(&world, name).is_none());
}

#[test]
fn custom_policies_hear_whether_there_is_somebody_to_ask() {
    let custom = |name: &str, provider: &str| {
        let spec = format!(
            "targetRefs: [{{kind: Service, name: web}}], action: CUSTOM, provider: {{name: {provider}}}, rules: [{{}}]"
        );
        object("AuthorizationPolicy", "shop", name, &spec)
    };
    let mut world = world(&[GATEWAY, &service("web", BOUND), &custom("a", "one")]);
    let found = |world: &World| -> Vec<String> {
        let all = world.problems.all().into_iter();
        let all = all.filter(|it| it.problem.field == "spec.provider.name");
        let mut all: Vec<_> = all.map(|it| it.rule.word().to_owned()).collect();
        all.sort();
        all
    };
    assert_eq!(found(&world), ["unknown-provider"]);
    let config = "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: weft-system}, data: {mesh: \
        \"extensionProviders: [{name: one, envoyExtAuthzGrpc: {service: authz.shop.svc.cluster.local, port: 9000}}, \
        {name: two, envoyExtAuthzHttp: {service: authz.example, port: 80, failOpen: true, statusOnError: '503'}}]\"}}";
    world.apply(changes(config));
    assert_eq!(found(&world), [""; 0]);
    let servers = &world.index.cluster().authorizers;
    assert_eq!(servers.len(), 2);
    assert!(servers[1].fail_open && servers[1].status_on_error == 503);
    world.apply(changes(&custom("b", "two")));
    assert_eq!(found(&world), ["several-providers", "several-providers"]);
    world.apply(removals(&custom("a", "one")));
    assert_eq!(found(&world), [""; 0]);
}

/// The policies that a pod's record names.
fn named(world: &World, pod: &str) -> Vec<String> {
    let bytes = &world.resources[&format!("Kubernetes//Pod/shop/{pod}")];
    let Update::Workload(workload) = address::decode(bytes).unwrap() else {
        panic!("{pod} is no workload");
    };
    workload.policies.iter().map(ToString::to_string).collect()
}

fn closed(world: &World, name: &str) -> Option<Policy> {
    let bytes = world.resources.get(name)?;
    Some(wire::policy::decode(bytes).unwrap())
}

#[test]
fn pods_of_a_closed_service_name_a_policy_that_admits_their_waypoint_only() {
    let required = format!("{BOUND}, weft.dev/waypoint-required: 'true'");
    let texts = [
        GATEWAY.to_owned(),
        service("web", &required),
        pod("web", "web", "10.0.0.1"),
        pod("other", "other", "10.0.0.2"),
    ];
    let mut world = world(&texts.each_ref().map(String::as_str));
    let name = "shop/weft_waypoint_required_web";
    assert_eq!(named(&world, "web"), [name]);
    assert_eq!(named(&world, "other"), [""; 0]);
    let m = &closed(&world, name).unwrap().rules[0].clauses[0].matches[0];
    let gate = StringMatch::Exact("cluster.local/ns/shop/sa/gate".into());
    assert_eq!(m.not_principals, [gate]);
    world.apply(removals(GATEWAY));
    let rules = closed(&world, name).unwrap().rules;
    assert!(
        rules[0].clauses.is_empty(),
        "required, and none bound: nobody"
    );
    world.apply(changes(&service("web", BOUND)));
    assert_eq!((named(&world, "web"), closed(&world, name)), (vec![], None));
}

#[test]
fn a_closed_namespace_closes_its_services_and_the_pods_of_none() {
    let namespace = |labels: &str| {
        format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: shop, labels: {{{labels}}}}}}}"
        )
    };
    let closing = namespace(&format!("{BOUND}, weft.dev/waypoint-required: 'true'"));
    let texts = [
        closing,
        GATEWAY.to_owned(),
        service("web", ""),
        pod("web", "web", "10.0.0.1"),
        pod("other", "other", "10.0.0.2"),
    ];
    let mut world = world(&texts.each_ref().map(String::as_str));
    assert_eq!(named(&world, "web"), ["shop/weft_waypoint_required_web"]);
    assert_eq!(named(&world, "other"), ["shop/weft_waypoint_required"]);
    assert!(closed(&world, "shop/weft_waypoint_required").is_some());
    world.apply(changes(&service(
        "web",
        "weft.dev/waypoint-required: 'false'",
    )));
    assert_eq!(
        named(&world, "web"),
        [""; 0],
        "its own word stands against the namespace's"
    );
    world.apply(changes(&namespace("")));
    assert_eq!(named(&world, "other"), [""; 0]);
    assert!(closed(&world, "shop/weft_waypoint_required").is_none());
}

#[test]
fn limits_are_told_to_the_waypoint_of_their_target() {
    let limits = |per: &str| {
        format!(
            "{{apiVersion: policy.weft.dev/v1alpha1, kind: RateLimitPolicy, metadata: {{name: l, namespace: shop}}, \
             spec: {{targetRefs: [{{kind: Service, name: web}}], limits: [{{requests: 5, per: {per}, by: [{{header: x-user}}]}}]}}}}"
        )
    };
    let mut world = world(&[GATEWAY, &service("web", BOUND), &limits("1m")]);
    let name = "RateLimitPolicy/shop/l";
    let (good, for_gate) = told(&world, name).unwrap();
    assert_eq!((&good.targets, for_gate), (&vec![web()], true));
    let PolicyBody::RateLimit(all) = &good.body else {
        panic!("{:?}", good.body);
    };
    assert_eq!((all[0].requests, all[0].per.as_secs()), (5, 60));
    world.apply(changes(&limits("0s")));
    assert_eq!(
        told(&world, name).unwrap().0,
        good,
        "the last good version stays"
    );
    assert_eq!(reason(&world, Kind::RateLimitPolicy, "l").1, "Invalid");
    world.apply(changes(&limits("1m")));
    world.apply(changes(&service("web", "")));
    assert!(told(&world, name).is_none());
    assert_eq!(
        reason(&world, Kind::RateLimitPolicy, "l").1,
        "AncestorNotBound"
    );
}
