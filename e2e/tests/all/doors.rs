//! Every door of a pod: what may come in, where it leads, and what is turned away; and what becomes
//! of traffic when a proxy is told to stop or a pod is removed.

use anyhow::{Context, Result};
use e2e::app::client::{Seen, Task};
use e2e::app::impostor::Fate;
use e2e::app::{COLLECT, ECHO};
use e2e::expect::eventually;
use e2e::mint::{Minted, Signer};
use e2e::world::{PATIENCE, Pod, World};
use sandbox::{Exit, Target};

use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 4] = [
    (
        "plain_service_passed_through_and_own_traffic_arrives",
        traffic,
    ),
    ("no_door_leads_to_a_port_of_the_proxy_itself", own_ports),
    (
        "a_proxy_told_to_stop_lets_connections_finish_and_takes_no_more",
        drain,
    ),
    (
        "a_removed_pod_takes_its_connections_and_certificate_along",
        removal,
    ),
];

const DUMP: &str = "http://127.0.0.1:15000/config_dump";

/// A client and a server in the mesh, a stranger outside.
fn journey(topic: &str, walk: impl FnOnce(&World) -> Result<()>) -> Result<()> {
    let world = World::start_with(topic, |options| {
        // Long enough for a slow machine: what is drained here finishes when it is told to.
        let deadline = ("CONNECTION_TERMINATION_DEADLINE", "60s");
        options.program_env = vec![(deadline.0.to_owned(), deadline.1.to_owned())];
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
        ("street/stranger", "node-2"),
    ] {
        start(world, name, node)?;
    }
    world.wait(&["talk/client", "talk/server"], true)?;
    world.wait(&["street/stranger"], false)
}

pub(crate) fn start(world: &World, name: &str, node: &str) -> Result<()> {
    let (_, account) = name.split_once('/').context("namespace/name")?;
    world.pod(&Pod {
        name,
        node,
        account,
        labels: &[("app", account)],
        arguments: &["serve"],
    })
}

/// Checks that bytes arrive and come back.
pub(crate) fn arrives(world: &World, from: &str, to: std::net::IpAddr) -> Result<()> {
    let seen = world.client(from, to, &Task::FinishFirst { bytes: 100_000 })?;
    let Seen::Digests(pairs) = &seen else {
        anyhow::bail!("{from} to {to}: {seen:?}");
    };
    let whole = pairs.iter().all(|(sent, got)| sent == got);
    ensure(whole && !pairs.is_empty(), || {
        format!("{from} to {to}: {pairs:?}")
    })
}

fn traffic() -> Result<()> {
    journey("traffic", |world| {
        let server = world.address("talk/server")?;
        let stranger = world.address("street/stranger")?;

        // Addressed to the pod itself: through a tunnel, the same port.
        arrives(world, "talk/client", server)?;
        let authority = format!("dst.hbone_addr={server}:{COLLECT} ");
        world.logged(
            "ztunnel/node-2",
            &["connection complete", &authority, "src.identity"],
        )?;

        // Plain text from outside the mesh: admitted without an identity, for there is no policy.
        arrives(world, "street/stranger", server)?;
        let (from, to) = (
            format!("src.addr={stranger}:"),
            format!("dst.addr={server}:{COLLECT} "),
        );
        let line = world.logged(
            "ztunnel/node-2",
            &["connection complete", "inbound", &from, &to],
        )?;
        ensure(!line.contains("identity"), || line.clone())?;

        // To somebody outside the mesh: plain text.
        arrives(world, "talk/client", stranger)?;
        let to = format!("dst.addr={stranger}:{COLLECT} ");
        let line = world.logged("ztunnel/node-1", &["connection complete", "outbound", &to])?;
        ensure(
            !line.contains("identity") && !line.contains("hbone"),
            || line.clone(),
        )?;

        services(world)?;
        passed_through(world)
    })
}

/// By services: one of another pod, and one that leads a pod to itself.
fn services(world: &World) -> Result<()> {
    for name in ["server", "client"] {
        world.apply(&format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  namespace: talk\nspec:\n  \
             selector:\n    app: {name}\n  ports:\n    - name: tcp\n      port: {COLLECT}\n"
        ))?;
        let service = format!("talk/{name}");
        let address = eventually(&format!("{service} has an address"), PATIENCE, || {
            let services = world.sandbox.status()?.services;
            Ok(services
                .get(&service)
                .and_then(|it| it.first()?.parse().ok()))
        })?;
        let host = format!("dst.service=\"{name}.talk.svc.cluster.local\"");
        // The proxy hears of the service after us, and passes through what it does not know.
        eventually(
            &format!("{service} is reached by a tunnel"),
            PATIENCE,
            || {
                arrives(world, "talk/client", address)?;
                let log = std::fs::read_to_string(world.log("ztunnel/node-1")?)?;
                let mut lines = log.lines().filter(|it| it.contains("outbound"));
                let found = lines.find(|it| it.contains(&host) && it.contains("dst.hbone_addr="));
                Ok(found.map(drop))
            },
        )?;
    }
    let itself = [
        "connection complete",
        "inbound",
        "sa/client",
        "dst.workload=\"client\"",
    ];
    world.logged("ztunnel/node-1", &itself)?;
    // By its own address a pod reaches itself without any proxy.
    arrives(world, "talk/client", world.address("talk/client")?)
}

/// To an address that the mesh knows nothing of: the node's own.
fn passed_through(world: &World) -> Result<()> {
    let nodes = world.sandbox.status()?.nodes;
    let node = nodes.into_iter().find(|it| it.name == "node-2");
    let address = node.and_then(|it| it.addresses.into_iter().find(|it| it.is_ipv4()));
    let address = address.context("node-2 has no address")?;
    let _server = world.serve_on("node-2")?;
    eventually("the node's server answers", PATIENCE, || {
        arrives(world, "talk/client", address).map(Some)
    })?;
    let to = format!("dst.addr={address}:{COLLECT} ");
    world.logged("ztunnel/node-1", &["connection complete", "outbound", &to])?;
    Ok(())
}

fn own_ports() -> Result<()> {
    journey("own-ports", |world| {
        let (client, server) = (world.address("talk/client")?, world.address("talk/server")?);
        let home = std::net::IpAddr::from([127, 0, 0, 1]);
        for (from, to) in [
            ("talk/client", client),
            ("talk/client", home),
            ("talk/client", server),
            ("street/stranger", server),
        ] {
            for port in [15001, 15006, 15008] {
                let seen = world.client(from, to, &Task::ExpectRefusal { port })?;
                let Seen::Ended { how, received } = &seen else {
                    anyhow::bail!("{from} to {to}:{port}: {seen:?}");
                };
                // Who reaches the tunnel's door itself hears an alert of TLS and no more.
                let most = if port == 15008 { 64 } else { 0 };
                ensure(how != "timeout" && *received <= most, || {
                    format!("{from} to {to}:{port}: {seen:?}")
                })?;
            }
        }
        for (program, direction) in [
            ("ztunnel/node-1", "outbound"),
            ("ztunnel/node-2", "inbound"),
        ] {
            let words = [direction, "reason=\"illegal_port\""];
            world.logged(program, &words)?;
        }
        asked_for(world)?;
        arrives(world, "talk/client", server)?;
        let programs = world.sandbox.status()?.programs;
        ensure(programs.iter().all(|it| it.restarts == 0), || {
            format!("{programs:?}")
        })
    })
}

/// What a peer with proper papers may ask a tunnel for.
fn asked_for(world: &World) -> Result<()> {
    let (client, server) = (world.address("talk/client")?, world.address("talk/server")?);
    let papers = world.mint(
        Signer::Mesh,
        "asks",
        &["spiffe://cluster.local/ns/street/sa/stranger"],
    )?;
    for (authority, expected) in [
        (format!("{server}:{ECHO}"), 200),
        (format!("{server}:15001"), 503),
        (format!("{server}:15006"), 503),
        (format!("{server}:15008"), 503),
        // Neither another pod nor the loopback is this pod's to give.
        (format!("{client}:{ECHO}"), 400),
        (format!("127.0.0.1:{ECHO}"), 400),
        (format!("server.talk.svc.cluster.local:{ECHO}"), 503),
    ] {
        let fate = ask(world, &papers, &authority)?;
        ensure(fate == Fate::Status(expected), || {
            format!("{authority}: {fate:?}")
        })?;
    }
    Ok(())
}

fn ask(world: &World, papers: &Minted, authority: &str) -> Result<Fate> {
    let address = world.address("talk/server")?.to_string();
    let files = [&papers.certificate, &papers.key].map(|it| it.display().to_string());
    let [certificate, key] = &files;
    let arguments = [
        "impostor",
        "client",
        &address,
        authority,
        "0",
        certificate,
        key,
    ];
    let output = world.run("street/stranger", &arguments)?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

fn drain() -> Result<()> {
    journey("drain", |world| {
        let server = world.address("talk/server")?;
        for node in ["node-2", "node-1"] {
            let program = format!("ztunnel/{node}");
            let talk = world.talk("talk/client", server)?;
            world.sandbox.stop_program(&program)?;
            let short = Task::FinishFirst { bytes: 10 };
            eventually(&format!("{program} takes no more"), PATIENCE, || {
                let seen = world.client("talk/client", server, &short);
                Ok(seen.is_err().then_some(()))
            })?;
            let seen = talk.finish()?;
            let Seen::Digests(pairs) = &seen else {
                anyhow::bail!("{program} drained: {seen:?}");
            };
            ensure(pairs.iter().all(|(sent, got)| sent == got), || {
                format!("{pairs:?}")
            })?;
            eventually(&format!("{program} has ended by itself"), PATIENCE, || {
                let programs = world.sandbox.status()?.programs;
                let it = programs.into_iter().find(|it| it.name == program);
                Ok(it
                    .filter(|it| it.pid.is_none() && it.last_exit == Some(Exit::Code(0)))
                    .map(drop))
            })?;
            world.sandbox.start_program(&program)?;
            eventually(&format!("{program} serves again"), PATIENCE, || {
                arrives(world, "talk/client", server).map(Some)
            })?;
        }
        Ok(())
    })
}

fn removal() -> Result<()> {
    journey("removal", |world| {
        let server = world.address("talk/server")?;
        let talk = world.talk("talk/client", server)?;
        world.sandbox.delete("Pod", "talk", "server")?;
        let seen = talk.ended()?;
        ensure(
            matches!(&seen, Seen::Ended { how, .. } if how != "timeout"),
            || format!("the server was removed, and the client saw {seen:?}"),
        )?;
        nothing_left(world, "node-2")?;
        let authority = format!("dst.hbone_addr={server}:{ECHO} ");
        world.logged("ztunnel/node-2", &["inbound", &authority])?;

        // Another pod of the same name is another pod.
        start(world, "talk/server", "node-2")?;
        world.wait(&["talk/server"], true)?;
        let server = world.address("talk/server")?;
        eventually("the new server is reached", PATIENCE, || {
            arrives(world, "talk/client", server).map(Some)
        })?;

        let _talk = world.talk("talk/client", server)?;
        world.sandbox.delete("Pod", "talk", "client")?;
        nothing_left(world, "node-1")?;
        let authority = format!("dst.hbone_addr={server}:{ECHO} ");
        world.logged("ztunnel/node-1", &["outbound", &authority])?;
        arrives(world, "street/stranger", server)
    })
}

/// Waits until a node's proxy serves no pod and keeps no certificate.
fn nothing_left(world: &World, node: &str) -> Result<()> {
    let target = Target::Node(node.to_owned());
    eventually(&format!("{node} serves no pod"), PATIENCE, || {
        let dump = world.page(&target, DUMP)?;
        let pods = dump
            .get("workloadState")
            .and_then(|it| Some(it.as_object()?.len()));
        let certificates = dump
            .get("certificates")
            .and_then(|it| Some(it.as_array()?.len()));
        Ok((pods == Some(0) && certificates == Some(0)).then_some(()))
    })
}
