//! The two things that come from the controller: certificates, and the picture of the mesh.

use mesh::cert::KeeperHandle;
use mesh::lifecycle::ready::Gates;
use mesh::lifecycle::task;
use mesh::state::Store;
use mesh::telemetry::metrics;
use mesh::xds;
use mesh::xds::server::BadServer;

use crate::config::{Certificates, Config, Discovery};
use crate::metrics::collected::Discovery as Discovered;
use crate::picture::{self, Picture};

/// Certificates from the controller's certificate service.
pub(super) fn keeper(config: &Config) -> Result<KeeperHandle, BadServer> {
    let Certificates { server, lifetime } = &config.certificates;
    server.certificates(&config.node.cluster, *lifetime, true)
}

/// Starts the discovery client; its first complete answer opens the gate. Says whom to ask for single
/// names, where that is how addresses are learnt.
pub(super) fn follow(
    config: &Config,
    store: Store,
    gates: &Gates,
    registry: &metrics::Metrics,
) -> Option<xds::Demand> {
    let Discovery::Controller { server, on_demand } = &config.discovery else {
        return None;
    };
    let node = &config.node;
    let place = xds::Place {
        kind: "ztunnel",
        ip: node.instance_ip.map(|ip| ip.to_string()),
        pod: node.pod_name.clone(),
        namespace: node.pod_namespace.clone(),
        service_account: node.service_account.clone(),
        node: node.name.clone(),
        domain: node.cluster_domain.clone(),
    };
    let node_id = xds::Node::of(&place, node.metadata.clone());
    let settings = server.discovery(&node.cluster, node_id);
    let (client, mut handle) = xds::Client::new(
        settings,
        picture::subscriptions(*on_demand),
        Picture::new(store, &node.pod_namespace),
    );
    let demand = Some(handle.demand().clone());
    let counters = Box::new(Discovered(handle.clone()));
    registry.register(|registry| registry.register_collector(counters));
    let gate = gates.add("xds");
    task::spawn("xds", client.run());
    task::spawn("xds readiness", async move {
        handle.ready().await;
        gate.done();
    });
    demand.filter(|_| *on_demand)
}
