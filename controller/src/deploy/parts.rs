//! Pure. The documents of what the mesh makes: its class, the roots of a namespace, the parts of a waypoint.
//! Source: docs/compat.md#waypoint-deployment.

use objects::kinds::{Key, Kind};
use serde_json::{Map, Value, json};

use super::overlay::Overlay;
use super::plan::Told;
use super::waypoint::{
    CLASS, CLASS_NAME, CONTROLLER, GATEWAY_NAME, MANAGED, MANAGED_BY, OUR_VERSION, VERSION,
    Waypoint,
};

/// Kinds of the parts of a waypoint.
pub(super) const KINDS: [Kind; 5] = [
    Kind::ServiceAccount,
    Kind::Service,
    Kind::Deployment,
    Kind::HorizontalPodAutoscaler,
    Kind::PodDisruptionBudget,
];

/// The container of a waypoint's pod.
const CONTAINER: &str = "istio-proxy";
const TUNNEL_PORT: u16 = 15008;
const METRICS_PORT: u16 = 15020;
/// Where probes ask.
const STATUS_PORT: u16 = 15021;
/// As whom a waypoint runs.
const USER: u32 = 1337;
/// Audience of the token by which a waypoint is known.
const AUDIENCE: &str = "istio-ca";
const TOKEN_LIFE: u32 = 43_200;
const ROOT_FOLDER: &str = "/run/secrets/istio";
const TOKEN_FOLDER: &str = "/run/secrets/tokens";
/// The file with the roots, and the key of their ConfigMap.
const ROOT_FILE: &str = "root-cert.pem";

/// Names of everything that a waypoint is told by its environment.
pub const TOLD: [&str; 15] = [
    "GATEWAY_NAME",
    "SERVICE_ACCOUNT",
    "XDS_ADDRESS",
    "CA_ADDRESS",
    "XDS_ROOT_CA",
    "CA_ROOT_CA",
    "AUTH_TOKEN",
    "CLUSTER_ID",
    "CLUSTER_DOMAIN",
    "TRUST_DOMAIN",
    "NETWORK",
    "POD_NAME",
    "POD_NAMESPACE",
    "NODE_NAME",
    "INSTANCE_IP",
];

/// The class of waypoints.
pub(super) fn class() -> (Key, Value) {
    let document = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": {"name": CLASS},
        "spec": {"controllerName": CONTROLLER, "description": "waypoints of the mesh"},
    });
    (Key::new(Kind::GatewayClass, "", CLASS), document)
}

/// The roots that the workloads of a namespace trust.
pub(super) fn roots(told: Told<'_>, namespace: &str) -> (Key, Value) {
    let name = &told.settings.root_config_map;
    let document = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"istio.io/config": "true"}},
        "data": {ROOT_FILE: told.roots},
    });
    (Key::new(Kind::ConfigMap, namespace, name), document)
}

/// A waypoint to make documents of.
#[derive(Clone, Copy)]
pub(super) struct Maker<'a> {
    pub(super) waypoint: Waypoint<'a>,
    pub(super) told: Told<'a>,
    /// The network that its pods are in; empty for the default network.
    pub(super) network: &'a str,
    /// What is said of its class, then of itself.
    pub(super) overlays: &'a [Overlay],
}

impl Maker<'_> {
    /// All parts of the waypoint, overlays merged in.
    ///
    /// # Errors
    /// An overlay that cannot be merged.
    pub(super) fn documents(self) -> Result<Vec<(Key, Value)>, String> {
        let mut parts = vec![
            (Kind::Service, "v1", self.service()),
            (Kind::Deployment, "apps/v1", self.deployment()),
        ];
        if self.waypoint.has_own_account() {
            parts.push((Kind::ServiceAccount, "v1", Map::new()));
        }
        let is_asked = |kind| self.overlays.iter().any(|it| it.names(kind));
        if is_asked(Kind::HorizontalPodAutoscaler) {
            let target =
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": self.waypoint.name});
            let spec = fields([("scaleTargetRef", target)]);
            parts.push((Kind::HorizontalPodAutoscaler, "autoscaling/v2", spec));
        }
        if is_asked(Kind::PodDisruptionBudget) {
            let spec = fields([("selector", json!({"matchLabels": self.selector()}))]);
            parts.push((Kind::PodDisruptionBudget, "policy/v1", spec));
        }
        let finished = parts
            .into_iter()
            .map(|(kind, version, spec)| self.finish(kind, version, spec));
        finished.collect()
    }

    /// A whole document. What tells parts apart and leads to them is ours to say, whatever an overlay says.
    fn finish(
        self,
        kind: Kind,
        version: &str,
        spec: Map<String, Value>,
    ) -> Result<(Key, Value), String> {
        let name = match kind {
            Kind::ServiceAccount => self.waypoint.account,
            _ => self.waypoint.name,
        };
        let mut document = json!({
            "apiVersion": version, "kind": kind.facts().word,
            "metadata": {"name": name, "namespace": self.waypoint.namespace()},
        });
        if !spec.is_empty() {
            set(&mut document, &["spec"], Value::Object(spec.clone()));
        }
        extend(
            &mut document,
            &["metadata", "labels"],
            self.infrastructure_labels(),
        );
        extend(
            &mut document,
            &["metadata", "annotations"],
            self.annotations(),
        );
        for overlay in self.overlays {
            overlay.put_over(kind, &mut document)?;
        }
        set(&mut document, &["apiVersion"], version.into());
        set(&mut document, &["kind"], kind.facts().word.into());
        set(&mut document, &["metadata", "name"], name.into());
        set(
            &mut document,
            &["metadata", "namespace"],
            self.waypoint.namespace().into(),
        );
        set(
            &mut document,
            &["metadata", "ownerReferences"],
            self.owner(),
        );
        extend(&mut document, &["metadata", "labels"], self.own_labels());
        let version = fields([(VERSION, OUR_VERSION.to_string().into())]);
        extend(&mut document, &["metadata", "annotations"], version);
        match kind {
            Kind::Service => {
                set(&mut document, &["spec", "selector"], self.selector());
            }
            Kind::Deployment => {
                set(
                    &mut document,
                    &["spec", "selector"],
                    json!({"matchLabels": self.selector()}),
                );
                let labels = ["spec", "template", "metadata", "labels"];
                extend(&mut document, &labels, self.own_labels());
            }
            _ => {}
        }
        Ok((Key::new(kind, self.waypoint.namespace(), name), document))
    }

    fn selector(self) -> Value {
        json!({GATEWAY_NAME: self.waypoint.gateway.metadata.name})
    }

    fn owner(self) -> Value {
        let meta = &self.waypoint.gateway.metadata;
        json!([{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "name": meta.name, "uid": meta.uid, "controller": true}])
    }

    fn infrastructure_labels(self) -> Map<String, Value> {
        let infrastructure = self.waypoint.gateway.spec.infrastructure.iter();
        let labels = infrastructure.flat_map(|it| &it.labels);
        labels
            .map(|(key, value)| (key.clone(), value.as_str().into()))
            .collect()
    }

    fn infrastructure_annotations(self) -> Map<String, Value> {
        let infrastructure = self.waypoint.gateway.spec.infrastructure.iter();
        let annotations = infrastructure.flat_map(|it| &it.annotations);
        annotations
            .map(|(key, value)| (key.clone(), value.as_str().into()))
            .collect()
    }

    fn annotations(self) -> Map<String, Value> {
        let mut annotations = self.infrastructure_annotations();
        // The nearest waypoint saves a hop between nodes.
        let name = "networking.istio.io/traffic-distribution".to_owned();
        annotations.insert(name, "PreferClose".into());
        annotations
    }

    fn own_labels(self) -> Map<String, Value> {
        let gateway = self.waypoint.gateway;
        fields([
            (GATEWAY_NAME, gateway.metadata.name.as_str().into()),
            (CLASS_NAME, gateway.spec.gateway_class_name.as_str().into()),
            (MANAGED, MANAGED_BY.into()),
            ("istio.io/dataplane-mode", "none".into()),
        ])
    }

    /// A port for probes and one for every listener.
    fn service(self) -> Map<String, Value> {
        let mut ports = vec![
            json!({"name": "status-port", "port": STATUS_PORT, "protocol": "TCP", "appProtocol": "tcp"}),
        ];
        let mut taken = vec![STATUS_PORT];
        for listener in &self.waypoint.gateway.spec.listeners {
            if taken.contains(&listener.port) {
                continue;
            }
            taken.push(listener.port);
            ports.push(
                json!({"name": listener.name, "port": listener.port, "protocol": "TCP",
                "appProtocol": listener.protocol.to_lowercase()}),
            );
        }
        fields([
            ("type", "ClusterIP".into()),
            ("ipFamilyPolicy", "PreferDualStack".into()),
            ("ports", ports.into()),
        ])
    }

    /// Without a number of replicas: an autoscaler may set it, and one is what there is without.
    fn deployment(self) -> Map<String, Value> {
        let mut labels = self.infrastructure_labels();
        labels.extend(fields([
            ("service.istio.io/canonical-name", self.waypoint.name.into()),
            ("service.istio.io/canonical-revision", "latest".into()),
            ("sidecar.istio.io/inject", "false".into()),
        ]));
        let mut annotations = self.infrastructure_annotations();
        annotations.extend(fields([
            ("prometheus.io/path", "/stats/prometheus".into()),
            ("prometheus.io/port", METRICS_PORT.to_string().into()),
            ("prometheus.io/scrape", "true".into()),
        ]));
        let token =
            json!({"audience": AUDIENCE, "expirationSeconds": TOKEN_LIFE, "path": "istio-token"});
        let template = json!({
            "metadata": {"labels": labels, "annotations": annotations},
            "spec": {
                "serviceAccountName": self.waypoint.account,
                // It never asks the API server for anything.
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 60,
                "containers": [self.container()],
                "volumes": [
                    {"name": "istio-token", "projected": {"sources": [{"serviceAccountToken": token}]}},
                    {"name": "istiod-ca-cert", "configMap": {"name": self.told.settings.root_config_map}},
                ],
            },
        });
        fields([("template", template)])
    }

    fn container(self) -> Value {
        let ready = json!({"path": "/healthz/ready", "port": STATUS_PORT});
        json!({
            "name": CONTAINER,
            "image": self.told.settings.image,
            "ports": [
                {"name": "mesh", "containerPort": TUNNEL_PORT, "protocol": "TCP"},
                {"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"},
                {"name": "status-port", "containerPort": STATUS_PORT, "protocol": "TCP"},
            ],
            "env": self.environment(),
            "resources": {
                "requests": {"cpu": "100m", "memory": "128Mi"},
                "limits": {"cpu": "2", "memory": "1Gi"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
                "privileged": false,
                "readOnlyRootFilesystem": true,
                "runAsGroup": USER,
                "runAsNonRoot": true,
                "runAsUser": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "startupProbe": {"httpGet": ready, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 30},
            "readinessProbe": {"httpGet": ready, "periodSeconds": 15, "timeoutSeconds": 1, "failureThreshold": 4},
            "volumeMounts": [
                {"name": "istio-token", "mountPath": TOKEN_FOLDER, "readOnly": true},
                {"name": "istiod-ca-cert", "mountPath": ROOT_FOLDER, "readOnly": true},
            ],
        })
    }

    fn environment(self) -> Value {
        let settings = self.told.settings;
        let controller = settings.controller_address.as_str();
        let root = format!("{ROOT_FOLDER}/{ROOT_FILE}");
        let token = format!("{TOKEN_FOLDER}/istio-token");
        let said = [
            ("GATEWAY_NAME", self.waypoint.gateway.metadata.name.as_str()),
            ("SERVICE_ACCOUNT", self.waypoint.account),
            ("XDS_ADDRESS", controller),
            ("CA_ADDRESS", controller),
            ("XDS_ROOT_CA", &root),
            ("CA_ROOT_CA", &root),
            ("AUTH_TOKEN", &token),
            ("CLUSTER_ID", &settings.cluster),
            ("CLUSTER_DOMAIN", &settings.domain),
            ("TRUST_DOMAIN", self.told.trust_domain),
            ("NETWORK", self.network),
        ];
        let of_the_pod = [
            ("POD_NAME", "metadata.name"),
            ("POD_NAMESPACE", "metadata.namespace"),
            ("NODE_NAME", "spec.nodeName"),
            ("INSTANCE_IP", "status.podIP"),
        ];
        let said = said.map(|(name, value)| json!({"name": name, "value": value}));
        let of_the_pod = of_the_pod.map(
            |(name, path)| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}),
        );
        said.into_iter().chain(of_the_pod).collect()
    }
}

fn fields<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

/// The map at `path`, made where there is none.
fn map_at<'v>(document: &'v mut Value, path: &[&str]) -> Option<&'v mut Map<String, Value>> {
    let mut place = document;
    for key in path {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = place.as_object_mut()?.entry(*key).or_insert(Value::Null);
    }
    if !place.is_object() {
        *place = Value::Object(Map::new());
    }
    place.as_object_mut()
}

fn set(document: &mut Value, path: &[&str], value: Value) {
    let Some((last, path)) = path.split_last() else {
        return;
    };
    if let Some(map) = map_at(document, path) {
        map.insert((*last).to_owned(), value);
    }
}

fn extend(document: &mut Value, path: &[&str], more: Map<String, Value>) {
    if let Some(map) = map_at(document, path) {
        map.extend(more);
    }
}
