//! VirtualServices and DestinationRules from objects to resources: examples with what they come to, changes, last good
//! versions, status.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what is wrong by failing"
)]

mod changes;
mod examples;
mod shown;
#[path = "../world/yaml.rs"]
mod yaml;

use controller::index::Type;
use mesh::model::http::ServiceRoutes;
use mesh::wire;

use yaml::World;

pub(crate) const WEB: &str = "shop/web.shop.svc.cluster.local";

/// Namespace `shop` with a waypoint `gate`, services `web` and `db`; `ext` in `out`, without a waypoint.
pub(crate) const SHOP: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio.io/use-waypoint: gate}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gate, namespace: shop}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
status: {addresses: [{type: IPAddress, value: 10.2.0.9}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.1.0.1, selector: {app: web}, ports: [{port: 80, name: http}, {port: 81, name: other}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: 10.1.0.2, selector: {app: db}, ports: [{port: 5432, name: tcp}]}
---
apiVersion: v1
kind: Service
metadata: {name: ext, namespace: out}
spec: {clusterIP: 10.1.0.3, selector: {app: ext}, ports: [{port: 80, name: http}]}
";

/// The routes of a service.
pub(crate) fn routes(world: &World, name: &str) -> ServiceRoutes {
    let upsert = world.published.get(&(Type::Routes, name.to_owned()));
    let upsert = upsert.unwrap_or_else(|| panic!("no routes of {name}"));
    wire::routes::decode(&upsert.bytes).unwrap()
}

/// A world with the shop and these objects beside it.
pub(crate) fn world(more: &str) -> World {
    let mut world = World::new();
    world.apply(yaml::changes(SHOP));
    world.apply(yaml::changes(more));
    world
}
