//! Steps about requests: a book shop behind a waypoint, its routes, faults, policies.

mod routing;
mod resilience;
mod traces;
mod admission;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use sandbox::app::echo::{Answer, Ask, Seen};
use sandbox::{PodName, Target};

use super::Observed;
use super::cluster::Cluster;
use super::observe::wait_until;

pub(super) use admission::{denied, tokens};
pub(super) use resilience::{ejection, fault, retry, timeout};
pub(super) use routing::{canary, mirror, split};
pub(super) use traces::trace;

const SHOP: &str = include_str!("books/shop.yaml");
const ROUTES: &str = include_str!("books/routes.yaml");
/// Longest time until everything of the shop runs.
const SETTLED: Duration = Duration::from_secs(20);
/// Longest time until the proxies have heard of a change.
const IN_FORCE: Duration = Duration::from_secs(10);
/// Who asks.
const READER: &str = "books/reader";

/// The Gateway is there: a waypoint runs, and requests to the service come from it.
pub(super) fn waypoint(cluster: &mut Cluster) -> Result<Observed> {
    cluster.sandbox().apply(SHOP)?;
    cluster.sandbox().wait_settled(SETTLED)?;
    let pods = cluster.sandbox().status()?.pods;
    let is_waypoint =
        |name: &PodName| name.namespace == "books" && name.name.starts_with("waypoint-");
    let pod = pods.iter().find(|it| is_waypoint(&it.pod));
    let pod = pod.context("the Gateway has no pod")?;
    let seen = wait_until("requests come through the waypoint", IN_FORCE, || {
        let seen = one(cluster, &get("/counted"))?.1?;
        Ok(pod.addresses.contains(&peer(&seen)).then_some(seen))
    })?;
    let text = format!(
        "{} runs on {}; {} was asked by {}, the waypoint's address",
        pod.pod,
        pod.node.as_deref().unwrap_or("no node"),
        seen.pod,
        peer(&seen)
    );
    cluster.sandbox().apply(ROUTES)?;
    wait_until("the routes are in force", IN_FORCE, || {
        let (_, seen) = one(cluster, &get("/split").with("x-reader", "early"))?;
        Ok((seen?.version == "books-v2").then_some(()))
    })?;
    Ok(Observed::new(pod.ready, text))
}

fn peer(seen: &Seen) -> IpAddr {
    seen.peer.ip().to_canonical()
}

/// A GET of the shop's service.
fn get(path: &str) -> Ask {
    Ask::get(&format!("http://books{path}"))
}

/// Asks from the reader's pod, as often as the ask says.
fn answers(cluster: &Cluster, ask: &Ask) -> Result<Vec<Answer>> {
    let script = serde_json::to_string(&[ask])?;
    let target = Target::Pod(PodName::parse(READER));
    let weft = cluster.weft();
    let command = [weft.as_str(), "run", "echo", "--ask", &script];
    let output = cluster.sandbox().exec(&target, &command)?;
    if !output.exit.is_success() {
        bail!(
            "{READER}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let text = output.text();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .collect()
}

/// Asks once; with the answer comes what the server saw, if the answer is a server's.
fn one(cluster: &Cluster, ask: &Ask) -> Result<(Answer, Result<Seen>)> {
    let mut answers = answers(cluster, ask)?;
    let answer = answers
        .pop()
        .ok_or_else(|| anyhow!("{} was not asked", ask.url))?;
    let seen = seen(&answer);
    Ok((answer, seen))
}

fn seen(answer: &Answer) -> Result<Seen> {
    serde_json::from_str(&answer.body).with_context(|| {
        format!(
            "status {}: {:?} {:?}",
            answer.status, answer.body, answer.error
        )
    })
}

/// How many answers there are of each version; those without one by their status.
fn counts(answers: &[Answer]) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        let name = match seen(answer) {
            Ok(seen) if answer.status == 200 => seen.version,
            _ => format!("status {}", answer.status),
        };
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn in_words(counts: &BTreeMap<String, u32>) -> String {
    let words: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    words.join(", ")
}
