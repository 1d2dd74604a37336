//! A node proxy that asks for addresses one by one: it learns what its pods dial, and nothing else.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use e2e::app::client::{Seen, Task};
use e2e::app::{COLLECT, ECHO};
use e2e::expect::eventually;
use e2e::world::{PATIENCE, World};
use sandbox::Target;

use crate::doors::{arrives, start};
use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 1] = [(
    "a_proxy_on_demand_asks_for_what_is_dialled_and_learns_nothing_else",
    on_demand,
)];

const DUMP: &str = "http://127.0.0.1:15000/config_dump";

fn on_demand() -> Result<()> {
    let world = World::start_with("on-demand", |options| {
        options.program_env = vec![("XDS_ON_DEMAND".to_owned(), "true".to_owned())];
    })?;
    let outcome = prepare(&world).and_then(|()| walk(&world));
    world.finish(outcome)
}

fn prepare(world: &World) -> Result<()> {
    world.namespace("talk", true)?;
    world.namespace("street", false)?;
    for (name, node) in [
        ("talk/client", "node-1"),
        ("talk/server", "node-2"),
        ("talk/other", "node-2"),
        ("street/stranger", "node-2"),
    ] {
        start(world, name, node)?;
    }
    world.wait(&["talk/client", "talk/server", "talk/other"], true)?;
    world.wait(&["street/stranger"], false)
}

/// Names of the workloads that the proxy of node 1 holds.
fn held(world: &World) -> Result<BTreeSet<String>> {
    let dump = world.page(&Target::Node("node-1".to_owned()), DUMP)?;
    let workloads = dump.get("workloads").and_then(|it| it.as_array());
    let workloads = workloads.context("no workloads")?;
    let name = |it: &serde_json::Value| Some(it.get("name")?.as_str()?.to_owned());
    Ok(workloads.iter().filter_map(name).collect())
}

/// Waits until the proxy of node 1 holds these of the pods on the other node, and no others.
fn holds(world: &World, expected: &[&str]) -> Result<()> {
    let elsewhere = ["server", "other", "stranger"];
    eventually(&format!("node-1 holds {expected:?}"), PATIENCE, || {
        let held = held(world)?;
        let is_right = |name: &&str| held.contains(*name) == expected.contains(name);
        Ok((held.contains("client") && elsewhere.iter().all(is_right)).then_some(()))
    })
}

fn walk(world: &World) -> Result<()> {
    let (server, other) = (world.address("talk/server")?, world.address("talk/other")?);
    let stranger = world.address("street/stranger")?;
    // What is on the node comes unasked.
    holds(world, &[])?;

    arrives(world, "talk/client", server)?;
    let authority = format!("dst.hbone_addr={server}:{COLLECT} ");
    world.logged(
        "ztunnel/node-1",
        &["connection complete", "outbound", &authority],
    )?;
    holds(world, &["server"])?;

    // Outside of the mesh, but in its picture; and an address that nobody knows.
    arrives(world, "talk/client", stranger)?;
    holds(world, &["server", "stranger"])?;
    let nodes = world.sandbox.status()?.nodes;
    let node = nodes.into_iter().find(|it| it.name == "node-2");
    let node = node.and_then(|it| it.addresses.into_iter().find(|it| it.is_ipv4()));
    let node = node.context("node-2 has no address")?;
    let _server = world.serve_on("node-2")?;
    eventually("the node's server answers", PATIENCE, || {
        arrives(world, "talk/client", node).map(Some)
    })?;

    by_service(world)?;
    holds(world, &["server", "stranger"])?;
    without_controller(world, server, other)
}

/// A service's address brings the service and its endpoints.
fn by_service(world: &World) -> Result<()> {
    world.apply(&format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: server\n  namespace: talk\nspec:\n  \
         selector:\n    app: server\n  ports:\n    - name: tcp\n      port: {COLLECT}\n"
    ))?;
    let address = eventually("the service has an address", PATIENCE, || {
        let services = world.sandbox.status()?.services;
        let first = services.get("talk/server").and_then(|it| it.first());
        Ok(first.and_then(|it| it.parse().ok()))
    })?;
    let words = [
        "dst.service=\"server.talk.svc.cluster.local\"",
        "dst.hbone_addr=",
    ];
    eventually("the service is reached by a tunnel", PATIENCE, || {
        arrives(world, "talk/client", address)?;
        let log = std::fs::read_to_string(world.log("ztunnel/node-1")?)?;
        let found = log
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)));
        Ok(found.then_some(()))
    })
}

/// What is known goes on; what would have to be asked for is refused by name, after a while.
fn without_controller(
    world: &World,
    server: std::net::IpAddr,
    other: std::net::IpAddr,
) -> Result<()> {
    world.sandbox.stop_program("controller")?;
    arrives(world, "talk/client", server)?;
    let seen = world.client("talk/client", other, &Task::ExpectRefusal { port: ECHO })?;
    ensure(
        matches!(&seen, Seen::Ended { how, received: 0 } if how == "reset"),
        || format!("{seen:?}"),
    )?;
    let to = format!("dst.addr={other}:{ECHO} ");
    world.logged(
        "ztunnel/node-1",
        &["outbound", &to, "reason=\"lookup_timeout\""],
    )?;
    // Asked again as soon as there is somebody to ask.
    world.sandbox.start_program("controller")?;
    eventually("the other pod is reached", PATIENCE, || {
        Ok(arrives(world, "talk/client", other).ok())
    })
}
