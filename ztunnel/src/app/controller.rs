//! The two things that come from the controller: certificates, and the picture of the mesh.

use anyhow::Context;
use mesh::cert::ca_client::{self, CaClient};
use mesh::cert::{self, Keeper, KeeperHandle};
use mesh::lifecycle::ready::Gates;
use mesh::lifecycle::task;
use mesh::state::Store;
use mesh::telemetry::metrics;
use mesh::xds;

use crate::config::{Config, Discovery, Server};
use crate::metrics::collected::Discovery as Discovered;
use crate::picture::{self, Picture};

/// Certificates from the controller's certificate service.
pub(super) fn keeper(config: &Config) -> anyhow::Result<KeeperHandle> {
    let Server {
        address,
        root,
        alternative_hostname,
        headers,
        token,
    } = &config.certificates.server;
    let xds::Root::File(roots) = root else {
        anyhow::bail!("CA_ROOT_CA must name a file");
    };
    let mut extra = Vec::new();
    for (key, value) in headers {
        let bad = || format!("CA_HEADER_{key} is not a header");
        let key = key.parse().ok().with_context(bad)?;
        let value = value.reveal().parse().ok().with_context(bad)?;
        let mut header: ca_client::Header = (key, value);
        header.1.set_sensitive(true);
        extra.push(header);
    }
    let client = CaClient::new(ca_client::Config {
        address: address.to_string().into(),
        server_name: alternative_hostname.as_deref().map(Into::into),
        roots: roots.clone(),
        token: token.clone(),
        cluster_id: config.node.cluster.as_str().into(),
        impersonate: true,
        headers: extra,
    });
    let settings = cert::Settings {
        ttl: config.certificates.lifetime,
        ..cert::Settings::default()
    };
    Ok(Keeper::start(client, settings, cert::system_clock()))
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
    let settings = xds::Config {
        address: server.address.clone(),
        alt_hostname: server.alternative_hostname.clone(),
        root: server.root.clone(),
        token: Some(server.token.clone()),
        cluster_id: node.cluster.clone(),
        headers: server.headers.clone(),
        node: xds::Node::of(&place, node.metadata.clone()),
    };
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
