//! Certificates are renewed under traffic: nothing is lost, and nothing new is done with the old ones.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::app::client::{Seen, Task};
use e2e::expect::eventually;
use e2e::world::{Pod, World};
use sandbox::Target;
use serde_json::Value;

use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 1] = [(
    "certificates_are_renewed_under_traffic_without_a_lost_byte",
    renewals,
)];

/// Life of certificates: each serves for half of it, then for as long again nothing new is done with it.
const LIFE: &str = "6s";
/// Renewals that are waited for, at each end.
const RENEWALS: usize = 4;
/// Time in which they must be over.
const PATIENCE: Duration = Duration::from_secs(60);

fn renewals() -> Result<()> {
    let world = World::start_with("renewals", |options| {
        let life = ("SECRET_TTL".to_owned(), LIFE.to_owned());
        options.program_env.push(life);
    })?;
    let outcome = renew(&world);
    world.finish(outcome)
}

/// Both ends: the node and whose certificate is looked at there.
const ENDS: [(&str, &str); 2] = [
    ("node-1", "spiffe://cluster.local/ns/talk/sa/client"),
    ("node-2", "spiffe://cluster.local/ns/talk/sa/server"),
];

fn renew(world: &World) -> Result<()> {
    world.namespace("talk", true)?;
    for (name, node, account) in [
        ("talk/client", "node-1", "client"),
        ("talk/server", "node-2", "server"),
    ] {
        world.pod(&Pod {
            name,
            node,
            account,
            labels: &[],
            arguments: &["serve"],
        })?;
    }
    world.wait(&["talk/client", "talk/server"], true)?;
    let server = world.address("talk/server")?;
    let flood = world.flood("talk/client", server)?;
    let talk = world.talk("talk/client", server)?;

    let mut seen = [BTreeSet::new(), BTreeSet::new()];
    let mut calls = 0;
    eventually("certificates are renewed", PATIENCE, || {
        let mut is_new = false;
        for ((node, identity), serials) in ENDS.iter().zip(&mut seen) {
            is_new |= serials.insert(serial(world, node, identity)?);
        }
        // Who comes after a renewal is served like who came before.
        if is_new {
            calls += 1;
            arrives(world, calls)?;
        }
        Ok(seen.iter().all(|it| it.len() > RENEWALS).then_some(()))
    })?;
    for (what, running) in [("flood", flood), ("talk", talk)] {
        whole(&running.finish()?).context(what)?;
    }

    // The streams went through to their end in the tunnel they began in; later ones got others, and no
    // handshake failed.
    for (node, direction) in [("node-1", "outbound"), ("node-2", "inbound")] {
        let results = handshakes(world, node, direction)?;
        let [(result, count)] = &results[..] else {
            bail!("{node}: {results:?}")
        };
        ensure(result == "ok" && *count > 2, || {
            format!("{node}: {results:?}")
        })?;
    }
    Ok(())
}

/// A connection made now carries its bytes both ways.
fn arrives(world: &World, number: usize) -> Result<()> {
    let server = world.address("talk/server")?;
    let bytes = 100_000 + number;
    let seen = world.client("talk/client", server, &Task::FinishFirst { bytes })?;
    whole(&seen).with_context(|| format!("call {number}"))
}

fn whole(seen: &Seen) -> Result<()> {
    let Seen::Digests(pairs) = seen else {
        bail!("it ended early: {seen:?}")
    };
    for (sent, got) in pairs {
        ensure(sent == got && sent.bytes > 0, || {
            format!("sent {sent:?}, came back {got:?}")
        })?;
    }
    Ok(())
}

/// Serial number of the certificate that serves an identity on a node; the dump holds no key.
fn serial(world: &World, node: &str, identity: &str) -> Result<String> {
    let target = Target::Node(node.to_owned());
    let dump = world.page(&target, "http://127.0.0.1:15000/config_dump")?;
    let all = dump.get("certificates").and_then(Value::as_array);
    let mut all = all.context("no certificates in the dump")?.iter();
    let own = all.find(|it| it.get("identity").is_some_and(|it| it == identity));
    let leaf = own.and_then(|it| it.pointer("/certChain/0/serialNumber"));
    let serial = leaf.and_then(Value::as_str);
    Ok(serial.with_context(|| format!("{own:?}"))?.to_owned())
}

/// How handshakes at a door ended, and how often.
fn handshakes(world: &World, node: &str, direction: &str) -> Result<Vec<(String, u64)>> {
    let target = Target::Node(node.to_owned());
    let page = world.text(&target, "http://127.0.0.1:15020/metrics")?;
    let start = format!("weft_ztunnel_handshakes_total{{direction=\"{direction}\",result=\"");
    let lines = page.lines().filter_map(|it| it.strip_prefix(&start));
    lines
        .map(|line| {
            let (result, count) = line.split_once("\"} ").context("a sample")?;
            Ok((result.to_owned(), count.parse()?))
        })
        .collect()
}
