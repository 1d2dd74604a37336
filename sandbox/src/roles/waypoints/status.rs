//! Pure. What a Gateway's status says of its waypoint.

use objects::kinds::{Key, Kind};
use objects::kubernetes::Pod;
use serde_json::{Value, json};

use super::{GATEWAY_NAME, Waypoint};
use crate::cluster::View;
use crate::mesh_names::CLUSTER_DOMAIN;

/// Address and conditions. The address is there while a waypoint is ready: without it nothing is bound to the Gateway.
pub(super) fn fields(view: &View, waypoint: &Waypoint<'_>, strangers: &[Key]) -> Value {
    let meta = &waypoint.gateway.metadata;
    let pods = pods(view, waypoint);
    let ready = pods.iter().filter(|pod| pod.is_ready()).count();
    let deployed = view.get(&waypoint.key(Kind::Service)).is_some();
    let host = format!("{}.{}.svc.{CLUSTER_DOMAIN}", waypoint.name, meta.namespace);
    let (reason, message) = match strangers {
        [] if ready > 0 && deployed => (
            "Programmed",
            format!("{ready} of {} ready at {host}:15008", pods.len()),
        ),
        [] => (
            "AddressNotAssigned",
            format!("{ready} of {} ready", pods.len().max(1)),
        ),
        strangers => {
            let names: Vec<String> = strangers.iter().map(ToString::to_string).collect();
            let names = names.join(", ");
            (
                "DeploymentFailed",
                format!("not deployed: {names} is there and was not made for a Gateway"),
            )
        }
    };
    let is_programmed = reason == "Programmed";
    let condition = |kind: &str, is_true: bool, reason: &str, message: &str| {
        json!({"type": kind, "status": if is_true { "True" } else { "False" }, "reason": reason,
            "message": message, "observedGeneration": meta.generation})
    };
    let addresses = match is_programmed {
        true => json!([{"type": "Hostname", "value": host}]),
        false => json!([]),
    };
    json!({"status": {
        "addresses": addresses,
        "conditions": [
            condition("Accepted", true, "Accepted", "a waypoint of this cluster"),
            condition("Programmed", is_programmed, reason, &message),
        ],
    }})
}

/// The pods that are the waypoint now.
pub(super) fn pods<'v>(view: &'v View, waypoint: &Waypoint<'_>) -> Vec<&'v Pod> {
    view.pods().filter(|pod| is_part(waypoint, pod)).collect()
}

/// Whether the waypoint's service leads to the pod.
fn is_part(waypoint: &Waypoint<'_>, pod: &Pod) -> bool {
    let meta = &pod.metadata;
    meta.namespace == waypoint.namespace()
        && meta
            .labels
            .is(GATEWAY_NAME, &waypoint.gateway.metadata.name)
        && !pod.has_ended()
        && !meta.is_being_deleted()
}
