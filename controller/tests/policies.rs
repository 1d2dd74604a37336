//! Policies among other objects: whom they choose, what stays in force, what is found and said.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what is wrong by failing"
)]

use mesh::model::{Action, Policy, PolicyScope};
use mesh::wire::{Update, address, policy};
use objects::kinds::{Key, Kind};

#[path = "policies/safety.rs"]
mod safety;
#[path = "world/yaml.rs"]
mod yaml;

use yaml::{World, changes, removals};

/// Two namespaces and the root namespace, each with a pod of every app.
fn world() -> World {
    let mut world = World::new();
    let mut text = String::new();
    for (number, namespace) in ["shop", "bank", "weft-system"].into_iter().enumerate() {
        for (place, app) in ["web", "db"].into_iter().enumerate() {
            let address = format!("10.0.{number}.{}", place + 1);
            text += &format!(
                "{{apiVersion: v1, kind: Pod, metadata: {{name: {app}, namespace: {namespace}, \
                 labels: {{app: {app}}}}}, status: {{podIP: {address}}}}}\n---\n"
            );
        }
    }
    world.apply(changes(&text));
    world
}

fn object(kind: &str, namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: security.istio.io/v1, kind: {kind}, \
         metadata: {{name: {name}, namespace: {namespace}}}, spec: {{{spec}}}}}"
    )
}

fn authorization(namespace: &str, name: &str, spec: &str) -> String {
    object("AuthorizationPolicy", namespace, name, spec)
}

fn root_is(namespace: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: istio, namespace: weft-system}}, \
         data: {{mesh: \"rootNamespace: {namespace}\"}}}}"
    )
}

/// The policies that a pod's record names.
fn named(world: &World, namespace: &str, name: &str) -> Vec<String> {
    let bytes = &world.resources[&format!("Kubernetes//Pod/{namespace}/{name}")];
    let Update::Workload(workload) = address::decode(bytes).unwrap() else {
        panic!("{namespace}/{name} is no workload");
    };
    workload.policies.iter().map(ToString::to_string).collect()
}

fn published(world: &World, name: &str) -> Option<Policy> {
    let bytes = world.resources.get(name)?;
    Some(policy::decode(bytes).unwrap())
}

/// Type, status, reason and message of the condition of a policy.
fn said(world: &World, name: &str) -> (bool, &'static str, String) {
    let key = Key::new(Kind::AuthorizationPolicy, "shop", name);
    let condition = &world.statuses[&key].conditions[0];
    (condition.holds, condition.reason, condition.message.clone())
}

/// All findings as rule, object and field.
fn found(world: &World) -> Vec<String> {
    let all = world.problems.all().into_iter();
    let shown = all.map(|it| {
        let (rule, problem) = (it.rule.word(), it.problem);
        format!("{rule} {} {}", problem.key.unwrap(), problem.field)
    });
    shown.collect()
}

const WEB: &str = "selector: {matchLabels: {app: web}}";

#[test]
fn a_selector_chooses_in_its_namespace_and_one_of_the_root_namespace_in_all() {
    let mut world = world();
    world.apply(changes(&authorization("shop", "own", WEB)));
    world.apply(changes(&authorization("weft-system", "all", WEB)));
    world.apply(changes(&authorization("shop", "whole", "rules: [{}]")));
    world.apply(changes(&authorization(
        "shop",
        "audit",
        &format!("{WEB}, action: AUDIT"),
    )));
    assert_eq!(
        named(&world, "shop", "web"),
        ["shop/own", "weft-system/all"]
    );
    assert_eq!(named(&world, "bank", "web"), ["weft-system/all"]);
    assert_eq!(named(&world, "weft-system", "web"), ["weft-system/all"]);
    assert!(named(&world, "shop", "db").is_empty());
    assert_eq!(
        published(&world, "shop/whole").unwrap().scope,
        PolicyScope::Namespace
    );
    assert_eq!(published(&world, "shop/audit"), None);
}

#[test]
fn another_root_namespace_changes_what_is_for_the_mesh() {
    let mut world = world();
    let strict = "mtls: {mode: STRICT}";
    world.apply(changes(&object(
        "PeerAuthentication",
        "bank",
        "all",
        strict,
    )));
    world.apply(changes(&authorization("bank", "all", WEB)));
    world.apply(changes(&authorization("bank", "whole", "rules: [{}]")));
    let policy = "weft-system/istio_converted_static_strict";
    assert_eq!(named(&world, "bank", "web"), ["bank/all", policy]);
    assert!(named(&world, "shop", "web").is_empty());
    assert!(published(&world, policy).is_some());

    world.apply(changes(&root_is("bank")));
    let of_bank = "bank/istio_converted_static_strict";
    assert_eq!(named(&world, "bank", "web"), ["bank/all", of_bank]);
    assert_eq!(named(&world, "shop", "web"), ["bank/all", of_bank]);
    assert_eq!(published(&world, policy), None);
    assert!(published(&world, of_bank).is_some());
    assert_eq!(
        published(&world, "bank/whole").unwrap().scope,
        PolicyScope::Global
    );

    // A setting that is gone leaves the system namespace.
    world.apply(removals(&root_is("bank")));
    assert!(named(&world, "shop", "web").is_empty());
    assert_eq!(
        published(&world, "bank/whole").unwrap().scope,
        PolicyScope::Namespace
    );
}

#[test]
fn a_rejected_policy_leaves_its_last_good_version_in_force_and_without_one_admits_less() {
    let mut world = world();
    let good = format!("{WEB}, rules: [{{to: [{{operation: {{ports: ['80']}}}}]}}]");
    let bad = "selector: {matchLabels: {app: db}}, rules: [{to: [{operation: {ports: ['x']}}]}]";
    world.apply(changes(&authorization("shop", "p", &good)));
    let before = published(&world, "shop/p");
    world.apply(changes(&authorization("shop", "p", bad)));
    let holds = |world: &World| {
        assert_eq!(published(world, "shop/p"), before);
        assert_eq!(named(world, "shop", "web"), ["shop/p"]);
        assert!(named(world, "shop", "db").is_empty());
    };
    holds(&world);
    let (accepted, reason, message) = said(&world, "p");
    assert_eq!((accepted, reason), (false, "UnsupportedValue"));
    assert!(
        message.contains("its last good version stays in force"),
        "{message}"
    );
    let place = "AuthorizationPolicy shop/p spec.rules[0].to[0].operation.ports[0]";
    assert!(
        found(&world).contains(&format!("invalid-value {place}")),
        "{:?}",
        found(&world)
    );

    // A second bad version, another root namespace: the good one is remembered.
    world.apply(changes(&authorization("shop", "p", &bad.replace('x', "y"))));
    world.apply(changes(&root_is("bank")));
    holds(&world);

    // Corrected.
    world.apply(changes(&authorization(
        "shop",
        "p",
        &bad.replace('x', "81"),
    )));
    assert_eq!(named(&world, "shop", "db"), ["shop/p"]);
    assert!(named(&world, "shop", "web").is_empty());
    assert!(said(&world, "p").0);

    // Gone and made again, it has no last good version.
    world.apply(removals(&authorization("shop", "p", bad)));
    world.apply(changes(&authorization("shop", "p", bad)));
    let strictest = published(&world, "shop/p").unwrap();
    assert_eq!(
        (strictest.action, strictest.rules.len()),
        (Action::Allow, 0)
    );
    assert_eq!(named(&world, "shop", "db"), ["shop/p"]);
    let (_, _, message) = said(&world, "p");
    assert!(
        message.contains("there is no last good version"),
        "{message}"
    );
}

#[test]
fn a_rejected_peer_authentication_leaves_its_last_good_version_in_force() {
    let mut world = world();
    let of = |spec: &str| object("PeerAuthentication", "shop", "p", &format!("{WEB}, {spec}"));
    world.apply(changes(&of(
        "mtls: {mode: STRICT}, portLevelMtls: {80: {mode: PERMISSIVE}}",
    )));
    let name = "shop/converted_peer_authentication_p";
    let before = published(&world, name);
    assert!(before.is_some());
    world.apply(changes(&of(
        "mtls: {mode: PERMISSIVE}, portLevelMtls: {http: {mode: STRICT}}",
    )));
    assert_eq!(published(&world, name), before);
    assert_eq!(named(&world, "shop", "web"), [name]);
    let place = "invalid-value PeerAuthentication shop/p spec.portLevelMtls.http";
    assert_eq!(found(&world), [place]);
}

#[test]
fn a_selector_without_workloads_is_found_as_long_as_it_has_none() {
    let mut world = world();
    let nobody = "selector: {matchLabels: {app: cache}}";
    world.apply(changes(&authorization("shop", "p", nobody)));
    world.apply(changes(&object("PeerAuthentication", "shop", "q", nobody)));
    let both = [
        "selects-nothing AuthorizationPolicy shop/p spec.selector.matchLabels",
        "selects-nothing PeerAuthentication shop/q spec.selector.matchLabels",
    ];
    assert_eq!(found(&world), both);
    let (holds, _, message) = said(&world, "p");
    assert!(
        holds && message.contains("no workload carries these labels"),
        "{message}"
    );
    let pod = |phase: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: c, namespace: shop, labels: {{app: cache}}}}, \
             status: {{podIP: 10.0.9.1, phase: {phase}}}}}"
        )
    };
    world.apply(changes(&pod("Running")));
    assert!(found(&world).is_empty());
    world.apply(changes(&pod("Succeeded")));
    assert_eq!(found(&world), both);
    world.apply(changes(&pod("Running")));
    world.apply(removals(&pod("Running")));
    assert_eq!(found(&world), both);
}

#[test]
fn a_policy_for_a_service_is_said_to_be_enforced_by_nobody_and_whether_the_service_is_there() {
    let mut world = world();
    world.apply(changes(&authorization(
        "shop",
        "p",
        "targetRefs: [{kind: Service, name: web}], rules: [{}]",
    )));
    assert_eq!(published(&world, "shop/p"), None);
    assert_eq!(said(&world, "p").1, "TargetNotFound");
    let service = "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {selector: {app: web}, ports: [{port: 80}]}}";
    world.apply(changes(service));
    assert_eq!(said(&world, "p").1, "AncestorNotBound");
    assert_eq!(
        found(&world),
        ["policy-without-waypoint AuthorizationPolicy shop/p spec.targetRefs[0]"]
    );
    world.apply(removals(service));
    assert_eq!(said(&world, "p").1, "TargetNotFound");
}

#[test]
fn what_the_api_server_adds_is_no_finding_and_what_nobody_reads_is() {
    let mut world = world();
    let text = "apiVersion: security.istio.io/v1beta1\nkind: AuthorizationPolicy\nmetadata:\n  name: p\n  namespace: shop\n  \
                generateName: p-\n  managedFields: [{manager: kubectl}]\n  lables: {a: b}\nspec:\n  owner: {name: x}\n  \
                rules: [{}]\nstatus:\n  conditions: [{type: Other, status: 'True'}]\n";
    world.apply(changes(text));
    assert_eq!(
        found(&world),
        [
            "unread-field AuthorizationPolicy shop/p metadata.lables",
            "unread-field AuthorizationPolicy shop/p spec.owner",
        ]
    );
}
