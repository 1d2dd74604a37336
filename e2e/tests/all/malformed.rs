//! Garbage on port 15008: it ends that connection, with a reason, and nothing else.

use anyhow::Result;
use e2e::app::client::{Seen, Task};
use e2e::world::{Pod, World};

use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 1] = [(
    "garbage_on_the_tunnel_port_ends_that_connection_only",
    garbage,
)];

fn garbage() -> Result<()> {
    let world = World::start("garbage")?;
    let outcome = throw(&world);
    world.finish(outcome)
}

fn throw(world: &World) -> Result<()> {
    world.namespace("talk", true)?;
    world.namespace("street", false)?;
    for (name, node) in [("talk/client", "node-1"), ("talk/server", "node-2")] {
        world.pod(&Pod {
            name,
            node,
            account: "app",
            labels: &[],
            arguments: &["serve"],
        })?;
    }
    let vandal = Pod {
        name: "street/vandal",
        node: "node-1",
        account: "default",
        labels: &[],
        arguments: &["serve"],
    };
    world.pod(&vandal)?;
    world.wait(&["talk/client", "talk/server"], true)?;
    world.wait(&["street/vandal"], false)?;
    let server = world.address("talk/server")?;
    // What is thrown: words, a record header that lies, a megabyte of one byte.
    let volleys: [Vec<(Vec<u8>, usize)>; 3] = [
        vec![(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), 1)],
        vec![
            (vec![0x16, 0x03, 0x01, 0xff, 0xff], 1),
            (vec![0x41; 1000], 70),
        ],
        vec![(vec![0x16; 1000], 1000)],
    ];
    for pieces in volleys {
        let seen = world.client(
            "street/vandal",
            server,
            &Task::Raw {
                port: 15008,
                pieces,
            },
        )?;
        let Seen::Ended { how, .. } = &seen else {
            anyhow::bail!("it went on: {seen:?}")
        };
        ensure(how != "timeout", || {
            "the connection was left open".to_owned()
        })?;
    }
    world.logged("ztunnel/node-2", &["inbound", "reason=\"not_tls\""])?;
    let fine = world.client("talk/client", server, &Task::FinishFirst { bytes: 10_000 })?;
    ensure(matches!(fine, Seen::Digests(_)), || {
        format!("others suffered: {fine:?}")
    })?;
    let restarts: u32 = world
        .sandbox
        .status()?
        .programs
        .iter()
        .map(|p| p.restarts)
        .sum();
    ensure(restarts == 0, || format!("{restarts} restarts"))
}
