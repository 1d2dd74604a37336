//! Pure. The objects that a cluster has before its user applies anything: namespaces, nodes, and the mesh's own.

use std::net::IpAddr;

use objects::kubernetes::endpoint_slice::SERVICE_NAME_LABEL;
use serde_json::{Value, json};

use super::SYSTEM_NAMESPACE;
use crate::network::addresses::{CONTROL_PLANE_V4, DNS_PORT, DNS_V4};
use crate::node::Node;
use crate::roles::waypoints;

/// Marks pods that stand for a program of the mesh: no kubelet runs them.
pub(crate) const PROGRAM_ANNOTATION: &str = "weft.dev/sandbox-program";
/// The controller's cluster address.
const CONTROLLER_ADDRESS: &str = "10.96.0.15";

/// All of them; those of the mesh only with `mesh`. Waypoints get `environment` on top of their own.
pub(crate) fn cluster_objects(
    nodes: &[&Node],
    mesh: bool,
    environment: &[(String, String)],
) -> Vec<Value> {
    let mut objects: Vec<Value> = ["default", "kube-system", SYSTEM_NAMESPACE]
        .map(namespace)
        .into();
    objects.extend(nodes.iter().map(|node| self::node(node)));
    let ports = [("dns", "UDP", DNS_PORT), ("dns-tcp", "TCP", DNS_PORT)];
    objects.extend(service(
        "kube-system",
        "kube-dns",
        &DNS_V4.to_string(),
        &ports,
    ));
    if mesh {
        let ports = [("grpc", "TCP", 15012)];
        objects.extend(service(
            SYSTEM_NAMESPACE,
            "weft-controller",
            CONTROLLER_ADDRESS,
            &ports,
        ));
        objects.push(waypoint_defaults(environment));
        for name in ["ztunnel", "weft-controller", "weft-cni"] {
            objects.push(json!({"apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": name, "namespace": SYSTEM_NAMESPACE}}));
        }
    }
    objects
}

/// What the controller shall say of every waypoint it deploys here: `environment` on top of its own, no other user
/// than the sandbox's, and no startup probe, because the sandbox asks a readiness probe often until its first good answer.
fn waypoint_defaults(environment: &[(String, String)]) -> Value {
    // The machine is shared by all nodes.
    let own = [("WEFT_WORKER_THREADS".to_owned(), "1".to_owned())];
    let environment = own.iter().chain(environment);
    let environment = environment.map(|(name, value)| json!({"name": name, "value": value}));
    let environment: Vec<Value> = environment.collect();
    let deployment = json!({"spec": {"template": {"spec": {"containers": [{
        "name": waypoints::CONTAINER, "env": environment, "securityContext": null, "startupProbe": null,
    }]}}}});
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "waypoint-defaults", "namespace": SYSTEM_NAMESPACE,
            "labels": {"gateway.istio.io/defaults-for-class": "istio-waypoint"}},
        "data": {"deployment": deployment.to_string()},
    })
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}})
}

fn node(node: &Node) -> Value {
    let addresses = node.addresses;
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": {
            "kubernetes.io/hostname": node.name,
            "kubernetes.io/os": "linux",
            "topology.kubernetes.io/region": "sandbox",
            "topology.kubernetes.io/zone": format!("zone-{}", addresses.number),
        }},
        "spec": {
            "podCIDR": addresses.pods_v4().to_string(),
            "podCIDRs": [addresses.pods_v4().to_string(), addresses.pods_v6().to_string()],
        },
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": addresses.internal_v4()},
                {"type": "InternalIP", "address": addresses.internal_v6()},
                {"type": "Hostname", "address": node.name},
            ],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

/// A service whose endpoint is the control plane, which is no pod.
fn service(namespace: &str, name: &str, address: &str, ports: &[(&str, &str, u16)]) -> [Value; 2] {
    let ports: Vec<Value> = ports
        .iter()
        .map(|(name, protocol, port)| json!({"name": name, "protocol": protocol, "port": port}))
        .collect();
    [
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterIP": address, "clusterIPs": [address], "ports": ports},
        }),
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": name, "namespace": namespace, "labels": {SERVICE_NAME_LABEL: name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [CONTROL_PLANE_V4], "conditions": {"ready": true}}],
            "ports": ports,
        }),
    ]
}

/// The pod that stands for a program: what the authority looks for when the program asks for certificates.
pub(crate) fn program_pod(
    name: &str,
    account: &str,
    node: Option<&str>,
    address: IpAddr,
    is_ready: bool,
) -> Value {
    let ready = if is_ready { "True" } else { "False" };
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": SYSTEM_NAMESPACE,
            "labels": {"app": account, "istio.io/dataplane-mode": "none"},
            "annotations": {PROGRAM_ANNOTATION: "true"},
        },
        "spec": {
            "nodeName": node.unwrap_or_default(),
            "hostNetwork": true,
            "serviceAccountName": account,
            "containers": [{"name": account, "image": "weft.dev/weft"}],
        },
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": ready}],
        },
    })
}
