//! Services that Kubernetes does not know: reached by addresses the controller gave them, while their entries change.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use e2e::app::client::{Seen, Task};
use e2e::expect::eventually;
use e2e::world::{PATIENCE, Pod, World};
use sandbox::Target;
use serde_json::Value;

use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 1] = [(
    "a_host_outside_the_mesh_is_reached_by_the_address_it_was_given_while_its_entry_changes",
    outside,
)];

const PROBLEMS: &str = "http://127.0.0.1:15014/debug/problems";
/// Where the client's connections are logged.
const NODE: &str = "ztunnel/node-1";

fn outside() -> Result<()> {
    let world = World::start("entries")?;
    let outcome = walk(&world);
    world.finish(outcome)
}

fn walk(world: &World) -> Result<()> {
    world.namespace("talk", true)?;
    world.namespace("street", false)?;
    for (name, node) in [("talk/client", "node-1"), ("street/server", "node-2")] {
        world.pod(&Pod {
            name,
            node,
            account: "anyone",
            labels: &[],
            arguments: &["serve"],
        })?;
    }
    world.wait(&["talk/client"], true)?;
    world.wait(&["street/server"], false)?;
    let server = world.address("street/server")?;

    // A static endpoint: the host is given an address, and connections to it arrive as the host's.
    let fixed = format!("  endpoints:\n  - address: {server}\n");
    apply(world, &entry("", &fixed))?;
    let given = given(world)?;
    arrives(world, given)?;
    let host = "dst.service=\"outside.example\"";
    world.logged(NODE, &["outbound", host, &format!("dst.addr={server}:")])?;

    duplicate(world, given)?;
    broken(world, given)?;
    selected(world, server, given)?;
    bound(world, given)
}

/// The entry, with these labels and this end of its specification.
fn entry(labels: &str, rest: &str) -> String {
    let mut ports = String::new();
    for port in [9001, 9002, 9003, 9004, 9005] {
        ports += &format!("  - number: {port}\n    name: p{port}\n    protocol: TCP\n");
    }
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: outside\n  \
         namespace: talk\n  labels: {{{labels}}}\nspec:\n  hosts:\n  - outside.example\n  \
         resolution: STATIC\n  ports:\n{ports}{rest}"
    )
}

/// Applies a document: no word of it may be passed over.
fn apply(world: &World, yaml: &str) -> Result<()> {
    let lines = world.sandbox.apply(yaml)?;
    let is_taken = lines.iter().all(|line| !line.contains("ignored"));
    ensure(is_taken && !lines.is_empty(), || format!("{lines:?}"))
}

fn arrives(world: &World, to: IpAddr) -> Result<()> {
    let seen = world.client("talk/client", to, &Task::FinishFirst { bytes: 10_000 })?;
    let Seen::Digests(pairs) = &seen else {
        anyhow::bail!("{seen:?}");
    };
    let whole = pairs.iter().all(|(sent, got)| sent == got);
    ensure(whole && !pairs.is_empty(), || format!("{pairs:?}"))
}

fn status_file(world: &World) -> PathBuf {
    let folder = world.sandbox.place().cluster().join("status");
    folder.join("serviceentries.networking.istio.io_talk_outside@weft-controller.json")
}

/// What the status file says, when it is there.
fn status(world: &World) -> Result<Option<Value>> {
    match std::fs::read(status_file(world)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The IPv4 address in the status file; node proxies have heard of it when a connection arrives.
fn given(world: &World) -> Result<IpAddr> {
    let address = eventually("the host has an address", PATIENCE, || {
        let Some(status) = status(world)? else {
            return Ok(None);
        };
        let listed = find(&status, "addresses").and_then(Value::as_array);
        let of_host = |it: &&Value| it.get("host").is_some_and(|it| it == "outside.example");
        let values = listed.into_iter().flatten().filter(of_host);
        let mut values = values.filter_map(|it| it.get("value")?.as_str()?.parse().ok());
        Ok(values.find(IpAddr::is_ipv4))
    })?;
    let text = address.to_string();
    ensure(text.starts_with("240.240."), || text.clone())?;
    eventually("the address is known", PATIENCE, || {
        Ok(arrives(world, address).ok())
    })?;
    Ok(address)
}

/// The first value under a key, however deep.
fn find<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => match map.get(key) {
            Some(found) => Some(found),
            None => map.values().find_map(|it| find(it, key)),
        },
        Value::Array(items) => items.iter().find_map(|it| find(it, key)),
        _ => None,
    }
}

/// Waits for a problem on the controller's page.
fn problem(world: &World, rule: &str, object: &str, field: &str) -> Result<Value> {
    eventually(&format!("{rule} {field} is reported"), PATIENCE, || {
        let page = world.page(&Target::ControlPlane, PROBLEMS)?;
        let problems = page.as_array().into_iter().flatten();
        let mut found = problems.filter(|it| {
            let is = |key: &str, value: &str| it.get(key).and_then(Value::as_str) == Some(value);
            is("rule", rule) && is("field", field) && is("object", object)
        });
        Ok(found.next().cloned())
    })
}

/// A second entry of the same host: the first one keeps it.
fn duplicate(world: &World, given: IpAddr) -> Result<()> {
    let second = entry("", "  endpoints:\n  - address: 192.0.2.1\n");
    apply(
        world,
        &second.replace("name: outside\n", "name: zz-second\n"),
    )?;
    problem(
        world,
        "duplicate-host",
        "ServiceEntry talk/zz-second",
        "spec.hosts[0]",
    )?;
    arrives(world, given)
}

/// What cannot be meant is refused with its line, and the last good version keeps serving.
fn broken(world: &World, given: IpAddr) -> Result<()> {
    let file = world.sandbox.place().cluster();
    let file = file.join("serviceentries_talk_outside.yaml");
    let good = std::fs::read_to_string(&file)?;
    let bad = entry("", "  endpoints:\n  - address: not-an-address\n");
    std::fs::write(&file, &bad)?;
    let field = "spec.endpoints[0].address";
    let found = problem(world, "unreadable", "ServiceEntry talk/outside", field)?;
    let position = bad.lines().position(|line| line.contains("not-an-address"));
    let line = position.context("it is in there")? as u64 + 1;
    ensure(
        found.get("line").and_then(Value::as_u64) == Some(line),
        || found.to_string(),
    )?;
    arrives(world, given)?;
    std::fs::write(&file, good)?;
    Ok(())
}

/// A machine instead of a written endpoint: the address stays, and a connection that lives stays whole.
fn selected(world: &World, server: IpAddr, given: IpAddr) -> Result<()> {
    let talk = world.talk("talk/client", given)?;
    let machine = format!(
        "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata:\n  name: machine\n  \
         namespace: talk\nspec:\n  address: {server}\n  labels: {{app: machine}}\n"
    );
    apply(world, &machine)?;
    apply(
        world,
        &entry("", "  workloadSelector:\n    labels: {app: machine}\n"),
    )?;
    let machine = "dst.workload=\"machine\"";
    eventually("connections go to the machine", PATIENCE, || {
        arrives(world, given)?;
        let log = std::fs::read_to_string(world.log(NODE)?)?;
        Ok(log.contains(machine).then_some(()))
    })?;
    let seen = talk.finish()?;
    ensure(
        matches!(&seen, Seen::Digests(pairs) if pairs.iter().all(|(sent, got)| sent == got)),
        || format!("{seen:?}"),
    )
}

/// A waypoint that is not there: traffic is refused, and the status says why; without the label it flows again.
fn bound(world: &World, given: IpAddr) -> Result<()> {
    let selector = "  workloadSelector:\n    labels: {app: machine}\n";
    apply(world, &entry("istio.io/use-waypoint: gate", selector))?;
    eventually(
        "the status says that there is no waypoint",
        PATIENCE,
        || {
            let status = status(world)?.context("there is a status")?;
            let text = status.to_string();
            let says =
                text.contains("istio.io/WaypointBound") && text.contains("WaypointIsNotReady");
            Ok((says && text.contains(&given.to_string())).then_some(()))
        },
    )?;
    eventually("traffic is refused", PATIENCE, || {
        Ok(arrives(world, given).err().map(drop))
    })?;
    apply(world, &entry("", selector))?;
    eventually("traffic flows", PATIENCE, || Ok(arrives(world, given).ok()))?;
    eventually("the status is taken back", PATIENCE, || {
        let status = status(world)?.context("the address is still in it")?;
        Ok((!status.to_string().contains("WaypointBound")).then_some(()))
    })
}
