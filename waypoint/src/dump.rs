//! The configuration dump: what this waypoint knows and does. No private key is in reach of this file.

use serde_json::{Value, json};

use crate::worker::Shared;

/// Where a dump is taken from.
#[derive(Clone)]
pub struct Dump {
    /// State, routes, certificates, settings.
    pub shared: Shared,
}

impl Dump {
    /// Takes one. Each part is consistent in itself.
    pub fn take(&self) -> Value {
        let served = self.shared.served.load();
        let mut services: Vec<_> = served.services().collect();
        services.sort_by_key(|(key, _)| *key);
        let routes = |(key, bound): (
            &mesh::names::NamespacedHostname,
            &std::sync::Arc<crate::served::Bound>,
        )| {
            let ports = bound.routes.iter().flat_map(|it| &it.ports);
            json!({
                "service": key.to_string(),
                "rejected": bound.routes.is_none(),
                "ports": ports.map(|port| json!({
                    "port": port.number,
                    "clientNamespace": &*port.client_namespace,
                    "rules": port.rules.iter().map(|it| it.origin.to_string()).collect::<Vec<_>>(),
                })).collect::<Vec<_>>(),
                "policies": bound.policies.all.iter().map(|it| it.resource_name()).collect::<Vec<_>>(),
            })
        };
        let destinations = self.shared.destinations.all();
        let destination = |it: &std::sync::Arc<crate::destinations::Destination>| {
            let counts = it.cluster.counts();
            json!({
                "service": it.key.service.to_string(),
                "port": it.key.port,
                "subset": it.key.subset.as_ref().map(|subset| &*subset.name),
                "endpoints": counts.endpoints,
                "available": counts.available,
                "ejected": counts.ejected,
                "requests": counts.requests,
                "connections": counts.connections,
            })
        };
        json!({
            "gateway": self.shared.config.node.key().to_string(),
            "complete": served.is_complete,
            "services": services.into_iter().map(routes).collect::<Vec<_>>(),
            "destinations": destinations.iter().map(destination).collect::<Vec<_>>(),
            "version": { "version": env!("CARGO_PKG_VERSION"), "program": "weft" },
        })
    }
}
