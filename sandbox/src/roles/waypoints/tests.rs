//! Gateways against pictures.

use serde_json::{Value, json};

use super::*;

fn deployer() -> Deployer {
    Deployer {
        root: "PEM".to_owned(),
        environment: vec![("RUST_LOG".to_owned(), "debug".to_owned())],
    }
}

fn gateway(class: &str) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": "gate", "namespace": "shop"},
        "spec": {"gatewayClassName": class,
            "infrastructure": {"labels": {"team": "red"}},
            "listeners": [{"name": "mesh", "port": 15008, "protocol": "HBONE"}]}})
}

fn document(wanted: &Wanted, kind: Kind, name: &str) -> Value {
    match wanted.get(&Key::new(kind, "shop", name)) {
        Some(Words::Apply(document)) => document.clone(),
        Some(Words::Patch { fields, .. }) => fields.clone(),
        None => panic!("no {kind} {name}"),
    }
}

fn programmed(wanted: &Wanted) -> (String, usize, String) {
    let fields = document(wanted, Kind::Gateway, "gate");
    let conditions = fields["status"]["conditions"].as_array().unwrap().clone();
    let one = conditions.iter().find(|it| it["type"] == "Programmed");
    let addresses = fields["status"]["addresses"].as_array().unwrap().len();
    let one = one.unwrap();
    let text = |field: &str| one[field].as_str().unwrap().to_owned();
    (text("status"), addresses, text("message"))
}

#[test]
fn only_gateways_of_the_waypoint_class_are_deployed() {
    let mut view = View::default();
    view.see(gateway("istio"));
    assert!(deployer().plan(&view, &Wanted::new()).is_empty());
    view.see(gateway(CLASS));
    let wanted = deployer().plan(&view, &Wanted::new());
    let kinds: Vec<Kind> = wanted.keys().map(|key| key.kind).collect();
    let expected = [
        Kind::Service,
        Kind::ConfigMap,
        Kind::ServiceAccount,
        Kind::Deployment,
        Kind::Gateway,
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn a_waypoint_has_the_names_labels_and_ports_of_the_contract() {
    let mut view = View::default();
    view.see(gateway(CLASS));
    let wanted = deployer().plan(&view, &Wanted::new());
    let deployment = document(&wanted, Kind::Deployment, "gate");
    let template = &deployment["spec"]["template"];
    for labels in [
        &deployment["metadata"]["labels"],
        &template["metadata"]["labels"],
    ] {
        assert_eq!(labels["gateway.networking.k8s.io/gateway-name"], "gate");
        assert_eq!(
            labels["gateway.istio.io/managed"],
            "istio.io-mesh-controller"
        );
        assert_eq!(labels["istio.io/dataplane-mode"], "none");
        assert_eq!(labels["team"], "red");
    }
    assert_eq!(template["spec"]["serviceAccountName"], "gate");
    let environment = template["spec"]["containers"][0]["env"].as_array().unwrap();
    let value = |name: &str| {
        let found = environment.iter().find(|one| one["name"] == name).unwrap();
        found["value"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(value("GATEWAY_NAME"), "gate");
    assert_eq!(value("RUST_LOG"), "debug");
    let service = document(&wanted, Kind::Service, "gate");
    let ports = service["spec"]["ports"].as_array().unwrap();
    let numbers: Vec<u64> = ports
        .iter()
        .map(|it| it["port"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [15021, 15008]);
    assert_eq!(ports[1]["appProtocol"], "hbone");
}

#[test]
fn names_may_be_overridden() {
    let mut view = View::default();
    let mut gateway = gateway(CLASS);
    gateway["metadata"]["annotations"] = json!({NAME_OVERRIDE: "door", ACCOUNT_OVERRIDE: "keeper"});
    view.see(gateway);
    let wanted = deployer().plan(&view, &Wanted::new());
    let deployment = document(&wanted, Kind::Deployment, "door");
    let spec = &deployment["spec"]["template"]["spec"];
    assert_eq!(spec["serviceAccountName"], "keeper");
    let made = wanted.keys().any(|key| key.kind == Kind::ServiceAccount);
    assert!(!made, "the account is somebody else's");
}

#[test]
fn the_address_is_there_while_a_waypoint_is_ready() {
    let mut view = View::default();
    view.see(gateway(CLASS));
    let first = deployer().plan(&view, &Wanted::new());
    assert_eq!(
        programmed(&first),
        ("False".to_owned(), 0, "0 of 1 ready".to_owned())
    );
    view.see(document(&first, Kind::Service, "gate"));
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "gate-1", "namespace": "shop",
        "labels": {"gateway.networking.k8s.io/gateway-name": "gate"}},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    view.see(pod.clone());
    let second = deployer().plan(&view, &first);
    let host = "1 of 1 ready at gate.shop.svc.cluster.local:15008";
    assert_eq!(programmed(&second), ("True".to_owned(), 1, host.to_owned()));
    pod["status"]["conditions"][0]["status"] = json!("False");
    view.see(pod);
    let (status, addresses, _) = programmed(&deployer().plan(&view, &second));
    assert_eq!((status.as_str(), addresses), ("False", 0));
}

#[test]
fn an_object_of_somebody_else_is_left_alone_and_named() {
    let mut view = View::default();
    view.see(gateway(CLASS));
    view.see(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "gate", "namespace": "shop"},
        "spec": {"ports": [{"port": 80}]}}),
    );
    let wanted = deployer().plan(&view, &Wanted::new());
    assert_eq!(wanted.len(), 1, "nothing but the status: {wanted:?}");
    let (status, addresses, message) = programmed(&wanted);
    assert_eq!((status.as_str(), addresses), ("False", 0));
    assert!(message.contains("shop/gate"), "{message}");
}
