//! What the programs' metrics pages hold is what the reference says, and traffic is counted once at each end.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, anyhow, bail};
use e2e::app::client::Task;
use e2e::expect::eventually;
use e2e::world::{PATIENCE, Pod, World};
use mesh::telemetry::metrics::Described;
use mesh::telemetry::process;
use sandbox::Target;

use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 1] =
    [("every_page_of_metrics_holds_what_the_reference_says", pages)];

const BYTES: usize = 10_000;

fn pages() -> Result<()> {
    let world = World::start("metrics")?;
    let outcome = look(&world);
    world.finish(outcome)
}

fn look(world: &World) -> Result<()> {
    world.namespace("talk", true)?;
    for (name, node, arguments) in [
        ("talk/server", "node-2", &["serve"][..]),
        ("talk/client", "node-1", &["serve"][..]),
    ] {
        let account = name.split_once('/').map_or(name, |(_, it)| it);
        world.pod(&Pod {
            name,
            node,
            account,
            labels: &[],
            arguments,
        })?;
    }
    world.wait(&["talk/server", "talk/client"], true)?;
    let server = world.address("talk/server")?;
    world.client("talk/client", server, &Task::FinishFirst { bytes: BYTES })?;

    let node = |number: u8| Target::Node(format!("node-{number}"));
    for (number, reporter) in [(1, "source"), (2, "destination")] {
        let about_it = format!("istio_tcp_received_bytes_total{{reporter=\"{reporter}\"");
        let line = eventually("the connection is counted", PATIENCE, || {
            let text = world.text(&node(number), "http://127.0.0.1:15020/metrics")?;
            let is_closed = text.contains("\nistio_tcp_connections_closed_total{");
            let mut lines = text.lines();
            let line = lines.find(|line| line.starts_with(&about_it));
            Ok(line.filter(|_| is_closed).map(str::to_owned))
        })?;
        let counted: usize = line.rsplit(' ').next().unwrap_or_default().parse()?;
        ensure(counted >= BYTES, || line.clone())?;
        for part in [
            "source_principal=\"spiffe://cluster.local/ns/talk/sa/client\"",
            "destination_principal=\"spiffe://cluster.local/ns/talk/sa/server\"",
            "connection_security_policy=\"mutual_tls\"",
            "response_flags=\"-\"",
        ] {
            ensure(line.contains(part), || format!("no {part} in {line}"))?;
        }
    }
    compare(
        ztunnel::metrics::reference::METRICS,
        &world.text(&node(1), "http://127.0.0.1:15020/stats/prometheus")?,
    )?;
    compare(
        cni::metrics::METRICS,
        &world.text(&node(1), "http://127.0.0.1:15014/metrics")?,
    )?;
    compare(
        controller::metrics::reference::METRICS,
        &world.text(&Target::ControlPlane, "http://127.0.0.1:15014/metrics")?,
    )
}

/// Holds a page against the reference: every name with its type, every label of every sample.
fn compare(reference: &[Described], page: &str) -> Result<()> {
    let table: BTreeMap<&str, (&str, &str)> = reference
        .iter()
        .chain(process::METRICS)
        .map(|(name, kind, labels, _)| (*name, (*kind, *labels)))
        .collect();
    let mut seen = BTreeSet::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').context("a type")?;
        let known = table.get(name);
        let (expected, _) = known.ok_or_else(|| anyhow!("{name} is not in the reference"))?;
        ensure(*expected == kind, || format!("{name} is a {kind}"))?;
        seen.insert(name);
    }
    for name in table.keys() {
        ensure(seen.contains(*name), || format!("no {name} in\n{page}"))?;
    }
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap_or(line.len());
        let (sample, rest) = line.split_at(end);
        let name = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| {
                sample
                    .strip_suffix(suffix)
                    .filter(|it| table.contains_key(it))
            })
            .unwrap_or(sample);
        let Some((_, labels)) = table.get(name) else {
            bail!("{sample} is not in the reference");
        };
        let inside = rest.strip_prefix('{').and_then(|it| it.split_once('}'));
        let own: Vec<&str> = inside
            .map_or("", |(inside, _)| inside)
            .split("\",")
            .filter_map(|pair| pair.split_once('=').map(|(name, _)| name))
            .filter(|name| *name != "le")
            .collect();
        ensure(own.join(", ") == *labels, || {
            format!("{line}: not {labels}")
        })?;
    }
    Ok(())
}
