//! Which waypoint stands in front of what: labels against gateways, row by row.

#![expect(clippy::too_many_lines, reason = "tables are long")]

mod choice;
#[path = "../world/look.rs"]
mod look;
mod settings;
mod special;
mod told;
#[path = "../world/yaml.rs"]
mod yaml;

use mesh::model::{Destination, GatewayAddress};
use objects::kinds::{Key, Kind};

use look::{service, workload};
use yaml::World;

pub(crate) const SERVICE: &str = "n/s.n.svc.cluster.local";

pub(crate) const ENTRY: &str = "n/h.x";

pub(crate) const POD: &str = "Kubernetes//Pod/n/p";

pub(crate) const MACHINE: &str = "Kubernetes/networking.istio.io/WorkloadEntry/n/w";

pub(crate) const ENDPOINT: &str = "Kubernetes/networking.istio.io/ServiceEntry/n/e/192.0.2.1";

/// Where Weft's waypoint `gate` of `n` answers.
pub(crate) const EXPECTED: Option<&str> = Some("n/gate.n.svc.cluster.local");

pub(crate) const IP: &str = "{type: IPAddress, value: 10.2.0.9}";

/// A service, a service entry with an endpoint, a pod and a workload entry with these labels, in a namespace with those.
pub(crate) fn mesh(namespace: &str, own: &str) -> String {
    let labels = format!("namespace: n, labels: {{{own}}}");
    let metadata = format!(
        "namespace: n, labels: {{app: a{}{own}}}",
        if own.is_empty() { "" } else { ", " }
    );
    let istio = "apiVersion: networking.istio.io/v1, kind";
    [
        format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: n, labels: {{{namespace}}}}}}}"),
        format!("{{apiVersion: v1, kind: Service, metadata: {{name: s, {labels}}}, spec: {{selector: {{app: a}}}}}}"),
        format!(
            "{{{istio}: ServiceEntry, metadata: {{name: e, {labels}}}, spec: {{hosts: [h.x], resolution: STATIC, \
             ports: [{{number: 80, name: p}}], endpoints: [{{address: 192.0.2.1, labels: {{{own}}}}}]}}}}"
        ),
        format!("{{apiVersion: v1, kind: Pod, metadata: {{name: p, {metadata}}}, status: {{podIP: 10.0.0.1}}}}"),
        format!("{{{istio}: WorkloadEntry, metadata: {{name: w, {metadata}}}, spec: {{address: 192.0.2.7}}}}"),
    ]
    .join("\n---\n")
}

/// Gateway `gate` with further metadata, `allowedRoutes.namespaces` and status addresses.
pub(crate) fn gateway(namespace: &str, metadata: &str, allowed: &str, addresses: &str) -> String {
    let comma = if metadata.is_empty() { "" } else { ", " };
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: gate, namespace: {namespace}{comma}{metadata}}}, \
         spec: {{gatewayClassName: c, listeners: [{{name: mesh, port: 15008, protocol: HBONE, \
         allowedRoutes: {{namespaces: {{{allowed}}}}}}}]}}, status: {{addresses: [{addresses}]}}}}"
    )
}

pub(crate) fn shown(gateway: Option<&GatewayAddress>) -> Option<String> {
    let gateway = gateway?;
    assert_eq!(gateway.hbone_port, 15008);
    Some(match &gateway.destination {
        Destination::Hostname(key) => key.to_string(),
        Destination::Address(address) => address.to_string(),
    })
}

/// The waypoints of services and service entries, which must agree, and of workloads, which must agree.
pub(crate) fn waypoints(world: &World) -> (Option<String>, Option<String>) {
    let [service, entry] =
        [SERVICE, ENTRY].map(|name| shown(service(world, name).waypoint.as_ref()));
    assert_eq!(service, entry);
    let workloads =
        [POD, MACHINE, ENDPOINT].map(|uid| shown(workload(world, uid).waypoint.as_ref()));
    assert!(
        workloads.iter().all(|it| *it == workloads[0]),
        "{workloads:?}"
    );
    let [pod, _, _] = workloads;
    (service, pod)
}

/// The reason of `istio.io/WaypointBound`, and whether it holds.
pub(crate) fn bound(world: &World, kind: Kind, name: &str) -> Option<(bool, &'static str)> {
    let status = world.statuses.get(&Key::new(kind, "n", name))?;
    let condition = status
        .conditions
        .iter()
        .find(|it| it.kind == "istio.io/WaypointBound")?;
    Some((condition.holds, condition.reason))
}

pub(crate) fn text(value: Option<&str>) -> Option<String> {
    value.map(str::to_owned)
}
