//! Pure. The waypoints that the controller deploys, as the sandbox sees them: which are awaited, which pods are theirs.

use objects::gateway_api::Gateway;
use objects::kinds::Kind;
use objects::kubernetes::Pod;
use objects::object::Object;

use crate::cluster::View;

/// The class whose Gateways become waypoints.
const CLASS: &str = "istio-waypoint";
/// Which Gateway a pod belongs to.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
/// Name of the container in a waypoint's pod.
pub(crate) const CONTAINER: &str = "istio-proxy";

/// Whether this object is a Gateway that shall become a waypoint and is none yet, where a mesh is there to deploy it.
pub(crate) fn is_awaited(object: &Object) -> bool {
    let gateway = object.gateway().filter(|it| is_waypoint(it));
    gateway.is_some_and(|it| it.status.addresses.is_empty())
}

/// Every Gateway that is a waypoint, and its pods now.
pub(crate) fn deployed(view: &View) -> impl Iterator<Item = (&Gateway, Vec<&Pod>)> {
    let gateways = view.of(Kind::Gateway).filter_map(|object| object.gateway());
    let waypoints = gateways.filter(|it| is_waypoint(it));
    waypoints.map(|gateway| {
        let pods = view.pods().filter(|pod| is_part(gateway, pod));
        (gateway, pods.collect())
    })
}

fn is_waypoint(gateway: &Gateway) -> bool {
    gateway.spec.gateway_class_name == CLASS
}

/// Whether the waypoint's service leads to the pod.
fn is_part(gateway: &Gateway, pod: &Pod) -> bool {
    let meta = &pod.metadata;
    meta.namespace == gateway.metadata.namespace
        && meta.labels.is(GATEWAY_NAME, &gateway.metadata.name)
        && !pod.has_ended()
        && !meta.is_being_deleted()
}

#[cfg(test)]
mod tests {
    use super::*;
    use objects::kinds::Key;
    use serde_json::json;

    #[test]
    fn a_gateway_is_awaited_until_it_has_an_address() {
        let mut view = View::default();
        let mut gateway = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": {"name": "gate", "namespace": "shop"},
            "spec": {"gatewayClassName": CLASS, "listeners": []}});
        view.see(gateway.clone());
        let key = Key::new(Kind::Gateway, "shop", "gate");
        let awaited = |view: &View| is_awaited(view.get(&key).unwrap());
        assert!(awaited(&view));
        gateway["status"] =
            json!({"addresses": [{"type": "Hostname", "value": "gate.shop.svc.cluster.local"}]});
        view.see(gateway.clone());
        assert!(!awaited(&view));
        gateway["spec"]["gatewayClassName"] = json!("other");
        gateway["status"] = json!({});
        view.see(gateway);
        assert!(!awaited(&view), "somebody else's");
    }

    #[test]
    fn pods_are_told_by_their_label_and_namespace() {
        let mut view = View::default();
        view.see(
            json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": {"name": "gate", "namespace": "shop"},
            "spec": {"gatewayClassName": CLASS, "listeners": []}}),
        );
        for (namespace, name, gateway) in [
            ("shop", "a", "gate"),
            ("shop", "b", "other"),
            ("elsewhere", "c", "gate"),
        ] {
            view.see(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace,
                "labels": {GATEWAY_NAME: gateway}}}));
        }
        let found: Vec<Vec<&str>> = deployed(&view)
            .map(|(_, pods)| pods.iter().map(|pod| &*pod.metadata.name).collect())
            .collect();
        assert_eq!(found, [["a"]]);
    }
}
