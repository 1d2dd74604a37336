//! Certificates are renewed under traffic, and their root is replaced: nothing is lost, and nothing new is
//! done with the old ones.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::app::client::{Seen, Task};
use e2e::expect::eventually;
use e2e::world::{Pod, World};
use mesh::testing::ca::Ca;
use sandbox::Target;
use serde_json::Value;

use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 2] = [
    (
        "certificates_are_renewed_under_traffic_without_a_lost_byte",
        renewals,
    ),
    (
        "a_root_is_replaced_under_traffic_without_a_lost_byte",
        another_root,
    ),
];

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

/// A client and a server that talk; then `journey`, and not a byte may be lost meanwhile.
fn under_traffic(world: &World, journey: impl FnOnce() -> Result<()>) -> Result<()> {
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
    journey()?;
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
        ensure(result == "ok" && *count > 1, || {
            format!("{node}: {results:?}")
        })?;
    }
    Ok(())
}

fn renew(world: &World) -> Result<()> {
    let mut seen = [BTreeSet::new(), BTreeSet::new()];
    let mut calls = 0;
    let look = || {
        let mut is_new = false;
        for ((node, identity), serials) in ENDS.iter().zip(&mut seen) {
            let serial = certificate(world, node, identity)?.serial;
            is_new |= serials.insert(serial);
        }
        // Who comes after a renewal is served like who came before.
        if is_new {
            calls += 1;
            arrives(world, calls)?;
        }
        Ok(seen.iter().all(|it| it.len() > RENEWALS).then_some(()))
    };
    under_traffic(world, || {
        eventually("certificates are renewed", PATIENCE, look)
    })
}

fn another_root() -> Result<()> {
    let (old, new) = (Ca::named("old"), Ca::named("new"));
    let signers = (old.intermediate("first"), new.intermediate("second"));
    let (before, after) = (old.root_pem(), new.root_pem());
    let both = format!("{before}{after}");
    let directory = tempfile::tempdir()?;
    plug(directory.path(), &signers.0, &before)?;
    let world = World::start_with("roots", |options| {
        let place = directory.path().display().to_string();
        for (name, value) in [("SECRET_TTL", LIFE), ("WEFT_CA_DIR", &place)] {
            options
                .program_env
                .push((name.to_owned(), value.to_owned()));
        }
    })?;
    let outcome = under_traffic(&world, || {
        // As every handbook has it: trust the new root, sign with it, let go of the old one.
        for (number, (signer, roots, trusted)) in [
            (&signers.0, &both, 2),
            (&signers.1, &both, 2),
            (&signers.1, &after, 1),
        ]
        .into_iter()
        .enumerate()
        {
            plug(directory.path(), signer, roots)?;
            let expected = bare(&signer.plug_pem().0);
            let what = format!("step {number} has reached both ends");
            eventually(&what, PATIENCE, || {
                for (node, identity) in ENDS {
                    let own = certificate(&world, node, identity)?;
                    if own.roots != trusted || own.signer != expected {
                        return Ok(None);
                    }
                }
                Ok(Some(()))
            })?;
            arrives(&world, number)?;
        }
        Ok(())
    });
    world.finish(outcome)
}

/// The operator's files.
fn plug(directory: &Path, signer: &Ca, roots: &str) -> Result<()> {
    let (certificate, key) = signer.plug_pem();
    for (name, text) in [
        ("ca-cert.pem", &*certificate),
        ("ca-key.pem", &key),
        ("root-cert.pem", roots),
    ] {
        std::fs::write(directory.join(name), text)?;
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

/// What serves an identity.
struct Served {
    serial: String,
    /// The certificate that signed it, PEM without white space; empty when a root did.
    signer: String,
    /// How many roots are trusted.
    roots: usize,
}

/// What serves an identity on a node, by the configuration dump.
fn certificate(world: &World, node: &str, identity: &str) -> Result<Served> {
    let target = Target::Node(node.to_owned());
    let dump = world.page(&target, "http://127.0.0.1:15000/config_dump")?;
    let all = dump.get("certificates").and_then(Value::as_array);
    let mut all = all.context("no certificates in the dump")?.iter();
    let own = all.find(|it| it.get("identity").is_some_and(|it| it == identity));
    let own = own.with_context(|| format!("{identity} has no certificate"))?;
    let text = |path| own.pointer(path).and_then(Value::as_str);
    let roots = own.get("rootCerts").and_then(Value::as_array);
    let signer = STANDARD.decode(text("/certChain/1/pem").unwrap_or_default())?;
    Ok(Served {
        serial: text("/certChain/0/serialNumber")
            .with_context(|| own.to_string())?
            .to_owned(),
        signer: bare(&String::from_utf8(signer)?),
        roots: roots.map_or(0, Vec::len),
    })
}

/// A text without what may differ between two ways to write the same.
fn bare(pem: &str) -> String {
    pem.split_whitespace().collect()
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
