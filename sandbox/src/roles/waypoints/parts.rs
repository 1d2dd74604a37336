//! Pure. The documents that deploy one waypoint: service account, service, deployment, and the root it trusts.

use objects::kinds::{Key, Kind};
use serde_json::{Map, Value, json};

use super::{CLASS, CONTAINER, Deployer, GATEWAY_NAME, MANAGED, Waypoint};
use crate::mesh_names::{CLUSTER_DOMAIN, CLUSTER_ID, CONTROLLER_ADDRESS, WAYPOINT_IMAGE};
use crate::roles::tokens::MESH_AUDIENCE;

/// Where probes ask.
const STATUS_PORT: u16 = 15021;
/// The ConfigMap with the authority's root, as in every namespace of a mesh.
const ROOT: &str = "istio-ca-root-cert";
/// Below `/run`, which is a container's own: mount points can be made there.
const ROOT_FOLDER: &str = "/run/secrets/istio";
const TOKEN_FOLDER: &str = "/run/secrets/tokens";

impl Deployer {
    /// All of them, by key.
    pub(super) fn documents(&self, waypoint: &Waypoint<'_>, gateway: &Value) -> Vec<(Key, Value)> {
        let root_key = Key::new(Kind::ConfigMap, waypoint.namespace(), ROOT);
        let root = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": ROOT, "namespace": waypoint.namespace()},
            "data": {"root-cert.pem": self.root}});
        let head = |name: &str| metadata(waypoint, gateway, name);
        let mut documents = vec![
            (root_key, root),
            (
                waypoint.key(Kind::Service),
                json!({"apiVersion": "v1", "kind": "Service", "metadata": head(waypoint.name),
                    "spec": service(waypoint, gateway)}),
            ),
            (
                waypoint.key(Kind::Deployment),
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": head(waypoint.name),
                "spec": {
                    "selector": {"matchLabels": {GATEWAY_NAME: waypoint.gateway.metadata.name}},
                    "template": self.template(waypoint, gateway),
                }}),
            ),
        ];
        if waypoint.has_own_account() {
            documents.push((
                Key::new(Kind::ServiceAccount, waypoint.namespace(), waypoint.account),
                json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": head(waypoint.account)}),
            ));
        }
        documents
    }

    fn template(&self, waypoint: &Waypoint<'_>, gateway: &Value) -> Value {
        let mut labels = labels(waypoint, gateway);
        let name = Value::from(waypoint.name);
        labels.insert("service.istio.io/canonical-name".to_owned(), name);
        let revision = Value::from("latest");
        labels.insert("service.istio.io/canonical-revision".to_owned(), revision);
        labels.insert("sidecar.istio.io/inject".to_owned(), Value::from("false"));
        let mut annotations = infrastructure(gateway, "annotations");
        for (name, value) in [
            ("prometheus.io/path", "/stats/prometheus"),
            ("prometheus.io/port", "15020"),
            ("prometheus.io/scrape", "true"),
        ] {
            annotations.insert(name.to_owned(), Value::from(value));
        }
        json!({
            "metadata": {"labels": labels, "annotations": annotations},
            "spec": {
                "serviceAccountName": waypoint.account,
                "terminationGracePeriodSeconds": 30,
                "containers": [self.container(waypoint)],
                "volumes": [
                    {"name": "istio-token", "projected": {"sources": [{"serviceAccountToken": {
                        "audience": MESH_AUDIENCE, "expirationSeconds": 43_200, "path": "istio-token"}}]}},
                    {"name": "istiod-ca-cert", "configMap": {"name": ROOT}},
                ],
            },
        })
    }

    fn container(&self, waypoint: &Waypoint<'_>) -> Value {
        let root = format!("{ROOT_FOLDER}/root-cert.pem");
        let mut environment = self.environment.clone();
        for (name, value) in [
            ("GATEWAY_NAME", waypoint.gateway.metadata.name.as_str()),
            ("SERVICE_ACCOUNT", waypoint.account),
            ("XDS_ADDRESS", CONTROLLER_ADDRESS),
            ("CA_ADDRESS", CONTROLLER_ADDRESS),
            ("XDS_ROOT_CA", &root),
            ("CA_ROOT_CA", &root),
            ("AUTH_TOKEN", &format!("{TOKEN_FOLDER}/istio-token")),
            ("CLUSTER_ID", CLUSTER_ID),
            ("CLUSTER_DOMAIN", CLUSTER_DOMAIN),
            ("NETWORK", ""),
            // The machine is shared by all nodes.
            ("WEFT_WORKER_THREADS", "1"),
        ] {
            // What the sandbox's user says comes first and stays.
            if environment.iter().all(|(one, _)| one != name) {
                environment.push((name.to_owned(), value.to_owned()));
            }
        }
        let mut environment: Vec<Value> = environment
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        // The pod's name, namespace and node are in every pod's environment.
        let address = json!({"fieldRef": {"fieldPath": "status.podIP"}});
        environment.push(json!({"name": "INSTANCE_IP", "valueFrom": address}));
        json!({
            "name": CONTAINER,
            "image": WAYPOINT_IMAGE,
            "ports": [
                {"name": "mesh", "containerPort": 15008},
                {"name": "metrics", "containerPort": 15020},
                {"name": "status-port", "containerPort": STATUS_PORT},
            ],
            "env": environment,
            // No startup probe: a sandbox asks a readiness probe often until the first good answer.
            "readinessProbe": {
                "httpGet": {"path": "/healthz/ready", "port": STATUS_PORT},
                "periodSeconds": 15, "timeoutSeconds": 1, "failureThreshold": 4,
            },
            "volumeMounts": [
                {"name": "istio-token", "mountPath": TOKEN_FOLDER},
                {"name": "istiod-ca-cert", "mountPath": ROOT_FOLDER},
            ],
        })
    }
}

/// Ports for probes and for every listener.
fn service(waypoint: &Waypoint<'_>, gateway: &Value) -> Value {
    let mut ports = vec![
        json!({"name": "status-port", "port": STATUS_PORT, "protocol": "TCP",
        "appProtocol": "tcp"}),
    ];
    let listeners = gateway.pointer("/spec/listeners").and_then(Value::as_array);
    let mut taken = vec![Some(u64::from(STATUS_PORT))];
    for listener in listeners.into_iter().flatten() {
        let port = listener.get("port").and_then(Value::as_u64);
        if taken.contains(&port) {
            continue;
        }
        taken.push(port);
        let protocol = listener.get("protocol").and_then(Value::as_str);
        let protocol = protocol.unwrap_or("HBONE").to_lowercase();
        ports.push(
            json!({"name": listener.get("name"), "port": port, "protocol": "TCP",
            "appProtocol": protocol}),
        );
    }
    json!({
        "type": "ClusterIP",
        "ipFamilyPolicy": "PreferDualStack",
        "selector": {GATEWAY_NAME: waypoint.gateway.metadata.name},
        "ports": ports,
    })
}

/// Name, labels, annotations and owner of everything that is deployed.
fn metadata(waypoint: &Waypoint<'_>, gateway: &Value, name: &str) -> Value {
    let mut annotations = infrastructure(gateway, "annotations");
    let version = Value::from("5");
    annotations.insert("gateway.istio.io/controller-version".to_owned(), version);
    let preference = Value::from("PreferClose");
    let distribution = "networking.istio.io/traffic-distribution";
    annotations.insert(distribution.to_owned(), preference);
    let meta = &waypoint.gateway.metadata;
    json!({
        "name": name,
        "namespace": waypoint.namespace(),
        "labels": labels(waypoint, gateway),
        "annotations": annotations,
        "ownerReferences": [{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "name": meta.name, "uid": meta.uid, "controller": true}],
    })
}

fn labels(waypoint: &Waypoint<'_>, gateway: &Value) -> Map<String, Value> {
    let mut labels = infrastructure(gateway, "labels");
    for (name, value) in [
        (GATEWAY_NAME, waypoint.gateway.metadata.name.as_str()),
        ("gateway.networking.k8s.io/gateway-class-name", CLASS),
        MANAGED,
        ("istio.io/dataplane-mode", "none"),
    ] {
        labels.insert(name.to_owned(), Value::from(value));
    }
    labels
}

/// What a Gateway wants on everything that is deployed for it.
fn infrastructure(gateway: &Value, part: &str) -> Map<String, Value> {
    let wished = gateway.pointer(&format!("/spec/infrastructure/{part}"));
    wished
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}
