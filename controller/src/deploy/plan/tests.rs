//! Gateways against pictures.

use std::collections::BTreeSet;
use std::path::Path;

use objects::change::Change;
use objects::object::{Parts, identify};
use objects::raw::Document;
use serde_json::json;

use super::*;

fn settings() -> Settings {
    Settings {
        image: "example.com/waypoint:1".to_owned(),
        controller_address: "https://controller:15012".to_owned(),
        root_config_map: "istio-ca-root-cert".to_owned(),
        cluster: "Kubernetes".into(),
        domain: "cluster.local".into(),
        system_namespace: "weft-system".into(),
    }
}

/// A picture to put documents into.
struct Scene {
    settings: Settings,
    picture: Picture,
}

impl Scene {
    fn new(documents: &[Value]) -> Self {
        let settings = settings();
        let mut scene = Self {
            picture: Picture::new(&settings),
            settings,
        };
        for document in documents {
            scene.see(document.clone());
        }
        scene
    }

    /// Who is concerned by a document that is new or different.
    fn see(&mut self, document: Value) -> BTreeSet<Subject> {
        let document = Document::without_lines(document);
        let key = identify(&document).unwrap();
        let parts = Parts::new(Path::new("test").into(), Arc::new(document.pack()));
        let object = Some(Arc::new(Object::read(key.clone(), parts, 0).unwrap()));
        self.change(Change { key, object })
    }

    fn lose(&mut self, kind: Kind, name: &str) -> BTreeSet<Subject> {
        let key = Key::new(kind, "shop", name);
        self.change(Change { key, object: None })
    }

    fn change(&mut self, change: Change) -> BTreeSet<Subject> {
        let mut touched = BTreeSet::new();
        self.picture.take(change, &mut touched);
        touched
    }

    fn plan(&self, subject: &Subject) -> Plan {
        let told = Told {
            settings: &self.settings,
            roots: "PEM",
            trust_domain: "example.org",
        };
        plan(&self.picture, told, subject)
    }

    fn waypoint(&self) -> Plan {
        self.plan(&gate())
    }

    /// Everything that the plan wants is there.
    fn settle(&mut self) {
        for (_, document) in self.waypoint().documents {
            self.see(document);
        }
    }
}

fn gate() -> Subject {
    Subject::Waypoint("shop".to_owned(), "gate".to_owned())
}

fn gateway(class: &str) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": "gate", "namespace": "shop", "uid": "u1"},
        "spec": {"gatewayClassName": class,
            "infrastructure": {"labels": {"team": "red"}, "annotations": {"note": "x"}},
            "listeners": [{"name": "mesh", "port": 15008, "protocol": "HBONE"}]}})
}

fn class(name: &str, controller: &str) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": {"name": name}, "spec": {"controllerName": controller}})
}

fn config_map(namespace: &str, labels: Value, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "wishes", "namespace": namespace, "labels": labels}, "data": data})
}

fn asking(group: &str, kind: &str) -> Value {
    let mut gateway = gateway("istio-waypoint");
    gateway["spec"]["infrastructure"]["parametersRef"] =
        json!({"group": group, "kind": kind, "name": "wishes"});
    gateway
}

fn pod(ready: bool) -> Value {
    let ready = if ready { "True" } else { "False" };
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "gate-1", "namespace": "shop",
        "labels": {"gateway.networking.k8s.io/gateway-name": "gate"}},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}})
}

fn part(plan: &Plan, kind: Kind) -> &Value {
    let found = plan.documents.iter().find(|(key, _)| key.kind == kind);
    &found.unwrap_or_else(|| panic!("no {kind}: {plan:?}")).1
}

fn kinds(plan: &Plan) -> Vec<Kind> {
    plan.documents.iter().map(|(key, _)| key.kind).collect()
}

/// Status, reason and message of a condition, and how many addresses there are.
fn said(plan: &Plan, kind: &str) -> (bool, &'static str, String, usize) {
    let wish = plan.wishes("cluster.local").next().unwrap();
    let addresses = wish.status.fields.get("addresses");
    let addresses = addresses.map_or(0, |it| it.as_array().unwrap().len());
    let mut conditions = wish.status.conditions.into_iter();
    let one = conditions.find(|it| it.kind == kind).unwrap();
    (one.holds, one.reason, one.message, addresses)
}

#[test]
fn a_gateway_is_deployed_by_its_class() {
    for (name, classes, is_deployed) in [
        ("istio-waypoint", vec![], true),
        ("istio", vec![], false),
        (
            "istio-waypoint",
            vec![class("istio-waypoint", "istio.io/mesh-controller")],
            true,
        ),
        (
            "istio-waypoint",
            vec![class("istio-waypoint", "example.com/other")],
            false,
        ),
        ("own", vec![class("own", "istio.io/mesh-controller")], true),
    ] {
        let mut scene = Scene::new(&classes);
        scene.see(gateway(name));
        let plan = scene.waypoint();
        let expected = [Kind::Service, Kind::Deployment, Kind::ServiceAccount];
        let expected = if is_deployed { &expected[..] } else { &[] };
        assert_eq!(kinds(&plan), expected, "{name} {classes:?}");
    }
}

#[test]
fn the_parts_have_the_names_labels_and_ports_of_the_contract() {
    let plan = Scene::new(&[gateway("istio-waypoint")]).waypoint();
    let deployment = part(&plan, Kind::Deployment);
    let template = &deployment["spec"]["template"];
    for meta in [&deployment["metadata"], &template["metadata"]] {
        let labels = &meta["labels"];
        assert_eq!(labels["gateway.networking.k8s.io/gateway-name"], "gate");
        assert_eq!(
            labels["gateway.networking.k8s.io/gateway-class-name"],
            "istio-waypoint"
        );
        assert_eq!(
            labels["gateway.istio.io/managed"],
            "istio.io-mesh-controller"
        );
        assert_eq!(labels["istio.io/dataplane-mode"], "none");
        assert_eq!(labels["team"], "red");
        assert_eq!(meta["annotations"]["note"], "x");
    }
    assert_eq!(
        deployment["metadata"]["annotations"]["gateway.istio.io/controller-version"],
        "5"
    );
    let owner = json!([{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "name": "gate", "uid": "u1", "controller": true}]);
    for kind in [Kind::Deployment, Kind::Service, Kind::ServiceAccount] {
        assert_eq!(part(&plan, kind)["metadata"]["ownerReferences"], owner);
    }
    assert!(deployment["spec"].get("replicas").is_none());
    assert_eq!(template["spec"]["serviceAccountName"], "gate");
    let container = &template["spec"]["containers"][0];
    assert_eq!(container["name"], "istio-proxy");
    assert_eq!(container["image"], "example.com/waypoint:1");
    let context = &container["securityContext"];
    assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}));
    assert_eq!(context["runAsUser"], 1337);
    assert_eq!(context["readOnlyRootFilesystem"], true);
    let service = part(&plan, Kind::Service);
    let ports = service["spec"]["ports"].as_array().unwrap();
    let ports: Vec<_> = ports
        .iter()
        .map(|it| (it["port"].as_u64().unwrap(), it["appProtocol"].clone()))
        .collect();
    assert_eq!(ports, [(15021, json!("tcp")), (15008, json!("hbone"))]);
    let distribution =
        &service["metadata"]["annotations"]["networking.istio.io/traffic-distribution"];
    assert_eq!(distribution, "PreferClose");
}

#[test]
fn waypoints_are_told_what_the_mesh_is_told() {
    let space = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "weft-system", "labels": {"topology.istio.io/network": "east"}}});
    let plan = Scene::new(&[gateway("istio-waypoint"), space]).waypoint();
    let deployment = part(&plan, Kind::Deployment);
    let environment = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let value = |name: &str| {
        let environment = environment.as_array().unwrap();
        let one = environment.iter().find(|one| one["name"] == name);
        one.unwrap_or_else(|| panic!("no {name}"))["value"].clone()
    };
    // That a waypoint reads each of them is asserted where both are known, in `cli`.
    let names = environment.as_array().unwrap().iter();
    let names: Vec<&str> = names.map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, parts::TOLD);
    for (name, expected) in [
        ("GATEWAY_NAME", "gate"),
        ("SERVICE_ACCOUNT", "gate"),
        ("XDS_ADDRESS", "https://controller:15012"),
        ("TRUST_DOMAIN", "example.org"),
        ("NETWORK", "east"),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
}

#[test]
fn names_may_be_overridden() {
    let mut gateway = gateway("istio-waypoint");
    gateway["metadata"]["annotations"] = json!({"gateway.istio.io/name-override": "door",
        "gateway.istio.io/service-account": "keeper"});
    let plan = Scene::new(&[gateway]).waypoint();
    assert_eq!(kinds(&plan), [Kind::Service, Kind::Deployment]);
    let deployment = part(&plan, Kind::Deployment);
    assert_eq!(deployment["metadata"]["name"], "door");
    let spec = &deployment["spec"]["template"]["spec"];
    assert_eq!(spec["serviceAccountName"], "keeper");
}

#[test]
fn the_address_is_there_while_a_pod_is_ready() {
    let mut scene = Scene::new(&[gateway("istio-waypoint")]);
    let not_yet = (false, "AddressNotAssigned", "0 of 1 ready".to_owned(), 0);
    assert_eq!(said(&scene.waypoint(), "Programmed"), not_yet);
    scene.settle();
    assert_eq!(scene.see(pod(true)), BTreeSet::from([gate()]));
    let message = "1 of 1 ready at gate.shop.svc.cluster.local:15008".to_owned();
    let ready = (true, "Programmed", message, 1);
    assert_eq!(said(&scene.waypoint(), "Programmed"), ready);
    scene.see(pod(false));
    assert_eq!(said(&scene.waypoint(), "Programmed"), not_yet);
    let wish = scene.waypoint().wishes("cluster.local").next().unwrap();
    let listed = wish.status.listed.unwrap();
    assert_eq!(listed.list, "listeners");
    assert_eq!(listed.entries[0].about, "mesh");
}

#[test]
fn what_somebody_else_made_is_left_alone_and_named() {
    let foreign = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "gate", "namespace": "shop"}, "spec": {"ports": [{"port": 80}]}});
    let mut later = foreign.clone();
    later["metadata"]["labels"] = json!({"gateway.istio.io/managed": "istio.io-mesh-controller"});
    later["metadata"]["annotations"] = json!({"gateway.istio.io/controller-version": "6"});
    for (document, reason) in [
        (foreign, "was not made for a Gateway"),
        (later, "was made by a later controller"),
    ] {
        let plan = Scene::new(&[gateway("istio-waypoint"), document]).waypoint();
        assert!(
            plan.documents.is_empty() && plan.gone.is_empty(),
            "{plan:?}"
        );
        let (holds, word, message, addresses) = said(&plan, "Programmed");
        assert_eq!((holds, word, addresses), (false, "DeploymentFailed", 0));
        assert!(message.contains("Service shop/gate"), "{message}");
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn overlays_of_the_class_come_before_those_of_the_gateway() {
    let label = json!({"gateway.istio.io/defaults-for-class": "istio-waypoint"});
    let class = json!({"deployment": "spec: {replicas: 2, template: {spec: {nodeSelector: {disk: ssd}}}}",
        "podDisruptionBudget": "spec: {minAvailable: 1}"});
    let own = json!({"deployment": "spec: {replicas: 3}",
        "horizontalPodAutoscaler": "spec: {minReplicas: 2, maxReplicas: 5}"});
    let scene = Scene::new(&[
        asking("", "ConfigMap"),
        config_map("weft-system", label, class),
        config_map("shop", json!({}), own),
    ]);
    let plan = scene.waypoint();
    let deployment = part(&plan, Kind::Deployment);
    assert_eq!(deployment["spec"]["replicas"], 3);
    let spec = &deployment["spec"]["template"]["spec"];
    assert_eq!(spec["nodeSelector"], json!({"disk": "ssd"}));
    let scaler = part(&plan, Kind::HorizontalPodAutoscaler);
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "gate"});
    let expected = json!({"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 5});
    assert_eq!(scaler["spec"], expected);
    let budget = part(&plan, Kind::PodDisruptionBudget);
    let expected = json!({"minAvailable": 1, "selector": {"matchLabels":
        {"gateway.networking.k8s.io/gateway-name": "gate"}}});
    assert_eq!(budget["spec"], expected);
}

#[test]
fn an_overlay_cannot_take_a_part_away_from_its_gateway() {
    let own = json!({"deployment": "{metadata: {name: x, ownerReferences: null, labels: null}, spec: {selector: null, template: {metadata: {labels: {gateway.networking.k8s.io/gateway-name: x}}}}}",
        "service": "{metadata: {namespace: x}, spec: {selector: {a: b}, type: LoadBalancer}}"});
    let scene = Scene::new(&[asking("", "ConfigMap"), config_map("shop", json!({}), own)]);
    let plan = scene.waypoint();
    let deployment = part(&plan, Kind::Deployment);
    assert_eq!(deployment["metadata"]["name"], "gate");
    assert_eq!(deployment["metadata"]["ownerReferences"][0]["uid"], "u1");
    let selector = json!({"gateway.networking.k8s.io/gateway-name": "gate"});
    assert_eq!(deployment["spec"]["selector"]["matchLabels"], selector);
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["gateway.networking.k8s.io/gateway-name"], "gate");
    let service = part(&plan, Kind::Service);
    assert_eq!(service["metadata"]["namespace"], "shop");
    assert_eq!(service["spec"]["selector"], selector);
    assert_eq!(service["spec"]["type"], "LoadBalancer");
}

#[test]
fn parameters_that_cannot_be_meant_leave_everything_as_it_is() {
    let bad = config_map("shop", json!({}), json!({"deployments": "{}"}));
    for (documents, reason) in [
        (
            vec![asking("", "ConfigMap")],
            "ConfigMap shop/wishes does not exist",
        ),
        (vec![asking("", "Secret")], "parametersRef names a Secret"),
        (
            vec![asking("example.com", "ConfigMap")],
            "parametersRef names a ConfigMap",
        ),
        (
            vec![asking("", "ConfigMap"), bad],
            "ConfigMap shop/wishes: deployments: no such part",
        ),
    ] {
        let mut scene = Scene::new(&[gateway("istio-waypoint")]);
        scene.settle();
        for document in documents {
            scene.see(document);
        }
        let plan = scene.waypoint();
        assert!(
            plan.documents.is_empty() && plan.gone.is_empty(),
            "{plan:?}"
        );
        let (holds, word, message, _) = said(&plan, "Accepted");
        assert_eq!((holds, word), (false, "InvalidParameters"));
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn what_nobody_wants_any_more_goes() {
    let own = json!({"horizontalPodAutoscaler": "spec: {maxReplicas: 5}"});
    let mut scene = Scene::new(&[asking("", "ConfigMap"), config_map("shop", json!({}), own)]);
    scene.settle();
    assert!(scene.waypoint().gone.is_empty());
    let scaler = Key::new(Kind::HorizontalPodAutoscaler, "shop", "gate");
    let touched = scene.see(config_map("shop", json!({}), json!({})));
    assert_eq!(touched, BTreeSet::from([gate()]));
    assert_eq!(scene.waypoint().gone, [scaler]);
    let touched = scene.lose(Kind::Gateway, "gate");
    assert!(touched.contains(&gate()), "{touched:?}");
    let plan = scene.waypoint();
    assert!(plan.documents.is_empty() && plan.said.is_empty());
    let gone: BTreeSet<Kind> = plan.gone.iter().map(|key| key.kind).collect();
    let expected = [
        Kind::Service,
        Kind::Deployment,
        Kind::ServiceAccount,
        Kind::HorizontalPodAutoscaler,
    ];
    assert_eq!(gone, BTreeSet::from(expected));
}

#[test]
fn a_gateway_that_changes_its_class_is_let_go() {
    let mut scene = Scene::new(&[gateway("istio-waypoint")]);
    scene.settle();
    scene.see(gateway("istio"));
    let plan = scene.waypoint();
    assert_eq!(plan.gone.len(), 3);
    let wish = plan.wishes("cluster.local").next().unwrap();
    assert!(wish.status.is_empty(), "what was said is taken back");
}

#[test]
fn the_class_is_made_where_it_is_missing_and_never_touched_again() {
    let plan = Scene::new(&[]).plan(&Subject::Class);
    assert_eq!(kinds(&plan), [Kind::GatewayClass]);
    let ours = class("istio-waypoint", "istio.io/mesh-controller");
    let scene = Scene::new(&[ours, class("other", "example.com/other")]);
    let plan = scene.plan(&Subject::Class);
    assert!(plan.documents.is_empty() && plan.gone.is_empty());
    assert_eq!(plan.said.len(), 1);
    assert!(said(&plan, "Accepted").0);
}

#[test]
fn every_namespace_gets_the_roots_but_those_of_nobody() {
    let space =
        |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let mut scene = Scene::new(&[space("kube-public"), space("kube-system")]);
    scene.see(gateway("istio-waypoint"));
    for (name, is_wanted) in [
        ("kube-public", false),
        ("kube-system", true),
        ("shop", true),
        ("nowhere", false),
    ] {
        let plan = scene.plan(&Subject::Roots(name.to_owned()));
        assert_eq!(plan.documents.len(), usize::from(is_wanted), "{name}");
        if is_wanted {
            let roots = part(&plan, Kind::ConfigMap);
            assert_eq!(roots["data"], json!({"root-cert.pem": "PEM"}));
        }
    }
    let roots = scene.plan(&Subject::Roots("shop".to_owned())).documents;
    scene.see(roots[0].1.clone());
    scene.lose(Kind::Gateway, "gate");
    let plan = scene.plan(&Subject::Roots("shop".to_owned()));
    assert_eq!(plan.gone, [roots[0].0.clone()]);
}
