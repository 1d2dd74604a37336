//! Bytes through two proxies: both ways of finishing, many streams at once, resets.

use anyhow::Result;
use e2e::app::client::{Seen, Task};
use e2e::world::{Pod, World};

use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 5] = [
    (
        "a_client_that_finishes_first_still_gets_its_answer",
        client_finishes_first,
    ),
    (
        "a_server_that_finishes_first_still_gets_every_byte",
        server_finishes_first,
    ),
    ("sixteen_bulk_streams_at_once_arrive_unharmed", bulk),
    ("a_reset_by_the_server_reaches_the_client", server_resets),
    ("a_reset_by_the_client_harms_nobody_else", client_resets),
];

/// A client on one node and a server on the other, both in the mesh.
fn pair(topic: &str, journey: impl FnOnce(&World) -> Result<()>) -> Result<()> {
    let world = World::start(topic)?;
    let outcome = prepare(&world).and_then(|()| journey(&world));
    world.finish(outcome)
}

fn prepare(world: &World) -> Result<()> {
    world.namespace("talk", true)?;
    for (name, node) in [("talk/client", "node-1"), ("talk/server", "node-2")] {
        let account = name.trim_start_matches("talk/");
        world.pod(&Pod {
            name,
            node,
            account,
            labels: &[],
            arguments: &["serve"],
        })?;
    }
    world.wait(&["talk/client", "talk/server"], true)
}

/// Checks digests, and that the other proxy took the connections: they went through a tunnel.
fn arrived(world: &World, task: &Task, connections: usize) -> Result<()> {
    let server = world.address("talk/server")?;
    let Seen::Digests(pairs) = world.client("talk/client", server, task)? else {
        anyhow::bail!("{task:?} ended early");
    };
    ensure(pairs.len() == connections, || {
        format!("{} of {connections}", pairs.len())
    })?;
    for (sent, got) in pairs {
        ensure(sent == got && sent.bytes > 0, || {
            format!("sent {sent:?}, arrived {got:?}")
        })?;
    }
    world.logged(
        "ztunnel/node-2",
        &[
            "inbound",
            "src.identity",
            "spiffe://cluster.local/ns/talk/sa/client",
        ],
    )?;
    Ok(())
}

fn client_finishes_first() -> Result<()> {
    pair("fin-client", |world| {
        arrived(world, &Task::FinishFirst { bytes: 3_000_001 }, 1)
    })
}

fn server_finishes_first() -> Result<()> {
    pair("fin-server", |world| {
        arrived(world, &Task::FinishLast { bytes: 3_000_001 }, 1)
    })
}

fn bulk() -> Result<()> {
    pair("bulk", |world| {
        arrived(
            world,
            &Task::Bulk {
                streams: 16,
                bytes: 8_000_003,
            },
            16,
        )
    })
}

fn server_resets() -> Result<()> {
    pair("rst-server", |world| {
        let server = world.address("talk/server")?;
        let seen = world.client("talk/client", server, &Task::ProvokeReset)?;
        let expected = Seen::Ended {
            how: "reset".to_owned(),
            received: 0,
        };
        ensure(seen == expected, || format!("the client saw {seen:?}"))?;
        world.logged(
            "ztunnel/node-2",
            &["inbound", "reason=\"destination_reset\""],
        )?;
        Ok(())
    })
}

fn client_resets() -> Result<()> {
    pair("rst-client", |world| {
        arrived(world, &Task::Reset, 1)?;
        world.logged("ztunnel/node-1", &["outbound", "reason=\"client_reset\""])?;
        Ok(())
    })
}
