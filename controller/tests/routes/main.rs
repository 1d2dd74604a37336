//! Routes from objects to resources: which services have them, who is told, what a change costs, what status says.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by failing"
)]

mod costs;
mod served;
mod told;
#[path = "../world/yaml.rs"]
mod yaml;

use controller::index::Type;
use mesh::model::http::{HttpAction, ServiceRoutes};
use mesh::names::NamespacedName;
use mesh::wire;

use yaml::World;

pub(crate) const WEB: &str = "shop/web.shop.svc.cluster.local";

/// A namespace `shop` with a waypoint `gate`, its services `web`, `v1` and `v2`, and `db` in `data` without a waypoint.
pub(crate) fn shop() -> String {
    let service = |namespace: &str, name: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: {namespace}}}, \
             spec: {{clusterIP: 10.1.0.1, selector: {{app: {name}}}, \
             ports: [{{port: 80, name: http}}, {{port: 81, name: other}}]}}}}"
        )
    };
    [
        "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {istio.io/use-waypoint: gate}}}".to_owned(),
        "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gate, namespace: shop}, \
         spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}, \
         status: {addresses: [{type: IPAddress, value: 10.2.0.9}]}}"
            .to_owned(),
        service("shop", "web"),
        service("shop", "v1"),
        service("shop", "v2"),
        service("data", "db"),
    ]
    .join("\n---\n")
}

/// A route for `web` of `shop`.
pub(crate) fn route(kind: &str, metadata: &str, rules: &str) -> String {
    route_to(
        "{group: '', kind: Service, name: web, namespace: shop}",
        kind,
        metadata,
        rules,
    )
}

/// A route for some parent.
pub(crate) fn route_to(parent: &str, kind: &str, metadata: &str, rules: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: {kind}, metadata: {{{metadata}}}, \
         spec: {{parentRefs: [{parent}], rules: {rules}}}}}"
    )
}

/// An HTTPRoute of `shop` that sends to one service.
pub(crate) fn to(name: &str, backend: &str) -> String {
    let rules = format!("[{{backendRefs: [{{name: {backend}, port: 80}}]}}]");
    route(
        "HTTPRoute",
        &format!("name: {name}, namespace: shop"),
        &rules,
    )
}

/// The routes of a service, when any were published, and to whom.
pub(crate) fn published(world: &World, name: &str) -> Option<ServiceRoutes> {
    let upsert = world.published.get(&(Type::Routes, name.to_owned()))?;
    let gate = NamespacedName::new("shop", "gate");
    assert!(upsert.audience.includes(Some(&gate)));
    assert!(
        !upsert
            .audience
            .includes(Some(&NamespacedName::new("shop", "other")))
    );
    assert!(!upsert.audience.includes(None));
    Some(wire::routes::decode(&upsert.bytes).unwrap())
}

/// Where the rules of a service's ports send: port, clients, hosts.
pub(crate) fn sent(world: &World, name: &str) -> Vec<String> {
    let routes = published(world, name).unwrap_or_else(|| panic!("no routes of {name}"));
    let host = |number: Option<u32>| match number {
        None => "nowhere".to_owned(),
        Some(number) => {
            let number = usize::try_from(number).unwrap();
            let to = routes.destinations.get(number).unwrap();
            format!("{}:{}", to.service.hostname, to.port)
        }
    };
    let ports = routes.ports.iter().map(|port| {
        let backends = port.rules.iter().flat_map(|it| match &it.action {
            HttpAction::Forward(backends) => backends.clone(),
            _ => Vec::new(),
        });
        let backends = backends.chain(port.tls.iter().flat_map(|it| it.backends.clone()));
        let backends = backends.chain(port.tcp.iter().flat_map(|it| it.backends.clone()));
        let hosts: Vec<String> = backends.map(|it| host(it.destination)).collect();
        format!(
            "{} {} {}",
            port.port,
            port.client_namespace,
            hosts.join(" ")
        )
    });
    ports.collect()
}

/// The policy of a destination among the routes of a service.
pub(crate) fn policy(
    world: &World,
    name: &str,
    host: &str,
    port: u16,
) -> mesh::model::destination::TrafficPolicy {
    let routes = published(world, name).unwrap();
    let mut found = routes.destinations.iter();
    let found = found.find(|it| &*it.service.hostname == host && it.port == port);
    found.unwrap().policy.clone()
}
