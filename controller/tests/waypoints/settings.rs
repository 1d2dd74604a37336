//! What waypoints are told about themselves, and who is told.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use controller::index::Type;
use controller::resources::Audience;
use mesh::model::http::RetryOn;
use mesh::model::provider::{AuthorizerProtocol, ProviderHost};
use mesh::model::waypoint::{PathNormalization, Waypoint, WaypointFor};
use mesh::names::NamespacedName;
use mesh::wire::waypoint;

use crate::yaml::{World, changes, removals};

fn gateway(class: &str, metadata: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: gate, namespace: n{metadata}}}, \
         spec: {{gatewayClassName: {class}, listeners: [{{name: mesh, port: 15008, protocol: HBONE}}]}}}}"
    )
}

fn mesh_config(text: &str) -> String {
    let lines: String = text.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: weft-system}}\ndata:\n  mesh: |\n{lines}"
    )
}

/// What the waypoint `gate` of `n` is told.
fn told(world: &World) -> Option<Waypoint> {
    let upsert = world.published.get(&(Type::Waypoint, "n/gate".into()))?;
    let itself = Audience::gateways([NamespacedName::new("n", "gate")]);
    assert_eq!(upsert.audience, itself, "nobody else");
    Some(waypoint::decode(&upsert.bytes).unwrap())
}

#[test]
fn a_gateway_of_a_class_of_waypoints_is_told_about_itself() {
    let class = "{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: ours}, \
                 spec: {controllerName: istio.io/mesh-controller}}";
    let of = |word: &str| format!(", labels: {{istio.io/waypoint-for: {word}}}");
    for (class_name, metadata, expected) in [
        ("istio-waypoint", String::new(), Some(WaypointFor::Service)),
        ("ours", of("all"), Some(WaypointFor::All)),
        ("ours", of("workload"), Some(WaypointFor::Workload)),
        ("ours", of("none"), Some(WaypointFor::None)),
        ("ours", of("service"), Some(WaypointFor::Service)),
        ("somebody-elses", of("all"), None),
    ] {
        let mut world = World::new();
        world.apply(changes(&gateway(class_name, &metadata)));
        world.apply(changes(class));
        let serves = told(&world).map(|it| it.serves);
        assert_eq!(serves, expected, "{class_name} {metadata}");
        world.apply(removals(&gateway(class_name, &metadata)));
        assert_eq!(told(&world), None);
    }
}

#[test]
fn mesh_config_says_the_rest_and_has_defaults() {
    let mut world = World::new();
    world.apply(changes(&gateway("istio-waypoint", "")));
    let plain = told(&world).unwrap();
    assert_eq!(plain.key, NamespacedName::new("n", "gate"));
    assert_eq!(plain.trust_domain.as_str(), "cluster.local");
    assert_eq!(plain.path_normalization, PathNormalization::Base);
    assert_eq!(plain.connect_timeout, Duration::from_secs(10));
    assert_eq!(plain.default_retry.attempts, 2);
    let on = RetryOn {
        connect_failure: true,
        refused_stream: true,
        unavailable: true,
        cancelled: true,
        ..RetryOn::default()
    };
    assert_eq!(plain.default_retry.on, on);
    assert!(plain.default_retry.codes.is_empty() && plain.authorizers.is_empty());

    world.apply(changes(&mesh_config(
        "trustDomain: td
connectTimeout: 3s
pathNormalization: {normalization: DECODE_AND_MERGE_SLASHES}
defaultHttpRetryPolicy: {attempts: 5, retryOn: 'reset,503,retriable-headers'}",
    )));
    let found = world.problems.all();
    let found: Vec<&str> = found.iter().map(|it| it.problem.reason.as_str()).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("defaultHttpRetryPolicy.retryOn: `retriable-headers` has no effect")
    );
    let told = told(&world).unwrap();
    assert_eq!(told.trust_domain.as_str(), "td");
    assert_eq!(told.connect_timeout, Duration::from_secs(3));
    let expected = PathNormalization::DecodeAndMergeSlashes;
    assert_eq!(told.path_normalization, expected);
    let retry = &told.default_retry;
    assert!(retry.attempts == 5 && retry.on.reset && !retry.on.connect_failure);
    assert_eq!(retry.codes, [503]);
}

#[test]
fn servers_of_mesh_config_are_found_where_they_are() {
    let mut world = World::new();
    world.apply(changes(&gateway("istio-waypoint", "")));
    world.apply(changes(&mesh_config(
        "extensionProviders:
- name: grpc
  envoyExtAuthzGrpc: {service: x.n.svc.cluster.local, port: 9000}
- name: http
  envoyExtAuthzHttp:
    service: h.x
    port: 80
    timeout: 1s
    failOpen: true
    statusOnError: '503'
    pathPrefix: /check
    includeRequestHeadersInCheck: [x-a]
    includeAdditionalHeadersInCheck: {x-b: c}
    includeRequestBodyInCheck: {maxRequestBytes: 8, allowPartialMessage: true}
    headersToUpstreamOnAllow: [x-d]
- name: named
  envoyExtAuthzGrpc: {service: q/outside, port: 1}
- name: address
  envoyExtAuthzGrpc: {service: 192.0.2.1, port: 1}
- name: bad
  envoyExtAuthzGrpc: {service: x, port: 0}",
    )));
    let hosts = |world: &World| -> Vec<String> {
        let authorizers = told(world).unwrap().authorizers.into_iter();
        authorizers
            .map(|it| match it.server.host {
                ProviderHost::Service(key) => format!("{} {key}", it.name),
                ProviderHost::Name(name) => format!("{} by name {name}", it.name),
                ProviderHost::Address(address) => format!("{} at {address}", it.name),
            })
            .collect()
    };
    let expected = [
        "grpc n/x.n.svc.cluster.local",
        "http by name h.x",
        "named q/outside",
        "address at 192.0.2.1",
    ];
    assert_eq!(hosts(&world), expected);
    let authorizers = told(&world).unwrap().authorizers;
    let (grpc, http) = (&authorizers[0], &authorizers[1]);
    assert_eq!(
        (grpc.timeout, grpc.status_on_error),
        (Duration::from_secs(600), 403)
    );
    assert!(!grpc.fail_open && grpc.body.is_none());
    assert_eq!(
        (http.timeout, http.status_on_error),
        (Duration::from_secs(1), 503)
    );
    assert!(http.fail_open && http.body.unwrap().max_bytes == 8);
    let AuthorizerProtocol::Http {
        path_prefix,
        forwarded,
        added,
        ..
    } = &http.protocol
    else {
        panic!("{:?}", http.protocol)
    };
    assert_eq!((&**path_prefix, &*forwarded[0]), ("/check", "x-a"));
    assert_eq!(added[..], [("x-b".into(), "c".into())]);
}
