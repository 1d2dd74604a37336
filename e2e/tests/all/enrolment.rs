//! A pod's life in the mesh: labels and annotations change, rules are flushed, programs are killed, pods come and go.

use std::net::IpAddr;

use anyhow::{Context, Result};
use e2e::app::ECHO;
use e2e::app::client::{Seen, Task};
use e2e::app::runtime::{Answer, Call};
use e2e::expect::eventually;
use e2e::world::{PATIENCE, World};
use sandbox::Target;
use sandbox::capture::parse::streams;
use sandbox::capture::recording::Recording;
use serde_json::{Value, json};

use crate::{Journey, ensure};
use road::{
    CLIENT, DUMP, Road, SERVER, STRANGER, Wish, identities, on_node, pod_state, probed, takes,
    tunnel,
};

mod restarts;
mod road;

pub(crate) const JOURNEYS: [Journey; 5] = [
    (
        "labels_and_annotations_of_running_pods_take_effect_both_ways",
        labels,
    ),
    (
        "flushed_rules_of_a_pod_and_a_node_are_put_back_and_traffic_is_mutual_tls_again",
        flushed,
    ),
    (
        "agent_and_proxy_may_die_and_come_back_in_any_order_under_traffic",
        restarts::restarts,
    ),
    (
        "pods_and_labels_that_come_while_agent_or_controller_are_away_are_made_up_for",
        restarts::away,
    ),
    (
        "a_successor_at_the_same_address_inherits_nothing",
        successor,
    ),
];

/// A client in the mesh on one node; on the other a server and a stranger who is not.
fn journey(topic: &str, is_in_mesh: bool, walk: impl FnOnce(&World) -> Result<()>) -> Result<()> {
    let world = World::start(topic)?;
    let prepare = || {
        world.namespace("mesh", true)?;
        world.namespace("shop", is_in_mesh)?;
        world.namespace("street", false)?;
        Wish::server(CLIENT, "node-1").apply(&world)?;
        Wish::server(SERVER, "node-2").apply(&world)?;
        Wish::server(STRANGER, "node-2").apply(&world)?;
        world.wait(&[CLIENT], true)?;
        world.wait(&[SERVER], is_in_mesh)?;
        world.wait(&[STRANGER], false)
    };
    let outcome = prepare().and_then(|()| walk(&world));
    world.finish(outcome)
}

fn labels() -> Result<()> {
    journey("labels", false, |world| {
        by_labels(world)?;
        by_annotations(world)?;
        never_or_no_longer(world)
    })
}

fn by_labels(world: &World) -> Result<()> {
    let server = Wish::server(SERVER, "node-2");
    takes(world, CLIENT, SERVER, &Road::Open)?;

    world.namespace("shop", true)?;
    world.wait(&[SERVER], true)?;
    takes(world, CLIENT, SERVER, &tunnel("client"))?;

    // The pod has the last word. A connection that goes on as it leaves the mesh is ended, and says why.
    let talk = world.talk(CLIENT, world.address(SERVER)?)?;
    server.clone().labelled("none").apply(world)?;
    let seen = talk.ended()?;
    ensure(
        matches!(&seen, Seen::Ended { how, .. } if how != "timeout"),
        || format!("{seen:?}"),
    )?;
    world.logged("ztunnel/node-2", &["inbound", "reason=\"drained\""])?;
    let words = ["outbound", "reason=\"destination_reset\""];
    world.logged("ztunnel/node-1", &words)?;
    world.wait(&[SERVER], false)?;
    takes(world, CLIENT, SERVER, &Road::Open)?;

    // Its own label is enough, when its namespace says nothing.
    server.labelled("ambient").apply(world)?;
    world.namespace("shop", false)?;
    world.wait(&[SERVER], true)?;
    takes(world, CLIENT, SERVER, &tunnel("client"))?;
    takes(world, STRANGER, SERVER, &Road::Captured)
}

fn by_annotations(world: &World) -> Result<()> {
    let server = Wish::server(SERVER, "node-2").labelled("ambient");
    let bypassing = server
        .clone()
        .annotated("ambient.istio.io/bypass-inbound-capture", "true");
    bypassing.apply(world)?;
    takes(world, STRANGER, SERVER, &Road::Open)?;
    takes(world, CLIENT, SERVER, &tunnel("client"))?;
    server.apply(world)?;
    takes(world, STRANGER, SERVER, &Road::Captured)?;

    let sidecar = server.clone().annotated("sidecar.istio.io/status", "{}");
    sidecar.apply(world)?;
    world.wait(&[SERVER], false)?;
    takes(world, CLIENT, SERVER, &Road::Open)?;
    server.apply(world)?;
    world.wait(&[SERVER], true)
}

/// Pods that no label brings into the mesh, and one that has done its work.
fn never_or_no_longer(world: &World) -> Result<()> {
    world.namespace("kube-system", true)?;
    let excluded = Wish::server("kube-system/excluded", "node-1");
    excluded.labelled("ambient").apply(world)?;
    let host = Wish::server("mesh/host", "node-1");
    host.with(json!({ "hostNetwork": true })).apply(world)?;
    let task = serde_json::to_string(&Task::FinishFirst { bytes: 1000 })?;
    let server = world.address(SERVER)?.to_string();
    let once = Wish::server("mesh/once", "node-1")
        .with(json!({ "restartPolicy": "Never" }))
        .running(&["client", &server, &task]);
    once.apply(world)?;

    let identity = "src.identity=\"spiffe://cluster.local/ns/mesh/sa/once\"";
    world.logged("ztunnel/node-2", &["connection complete", identity])?;
    eventually("the pod has ended and left the mesh", PATIENCE, || {
        let status = world.status("mesh/once")?;
        let ours = identities(world, "node-1")?;
        let is_out = status.phase == "Succeeded"
            && !status.enrolled
            && pod_state(world, "node-1", "mesh/once")?.is_none()
            && !ours.iter().any(|it| it.ends_with("/sa/once"));
        Ok(is_out.then_some(()))
    })?;
    world.wait(&["kube-system/excluded", "mesh/host"], false)?;
    for pod in ["kube-system/excluded", "mesh/host"] {
        ensure(pod_state(world, "node-1", pod)?.is_none(), || {
            pod.to_owned()
        })?;
    }
    let probed = probed(world, "node-1")?;
    ensure(probed == [world.address(CLIENT)?], || format!("{probed:?}"))
}

fn flushed() -> Result<()> {
    journey("flushed", true, |world| {
        takes(world, CLIENT, SERVER, &tunnel("client"))?;
        for pod in [CLIENT, SERVER] {
            let flushed = world.run(pod, &["flush"])?;
            ensure(flushed.exit.is_success(), || {
                String::from_utf8_lossy(&flushed.stderr).into_owned()
            })?;
        }
        on_node(world, "node-2", &["flush"])?;
        for (node, of) in [("node-1", "pod"), ("node-2", "pod"), ("node-2", "node")] {
            let count = format!("weft_cni_rules_restored_total{{of=\"{of}\"}} 1\n");
            eventually(&format!("{node} has counted {of}"), PATIENCE, || {
                let target = Target::Node(node.to_owned());
                let page = world.text(&target, "http://127.0.0.1:15014/metrics")?;
                Ok(page.contains(&count).then_some(()))
            })?;
        }
        world.logged("cni-agent/node-2", &["somebody changed", "shop/server"])?;
        // By what the wire shows, and not only by what the proxies say.
        let name = sandbox::PodName::parse(SERVER);
        let mut recording = Recording::new(world.sandbox.capture(&name)?)?;
        takes(world, CLIENT, SERVER, &tunnel("client"))?;
        let frames = recording.frames()?;
        let client = world.address(CLIENT)?;
        let ports: Vec<u16> = streams(frames.iter().map(Vec::as_slice))
            .into_iter()
            .filter(|((from, _), bytes)| from.ip() == client && !bytes.is_empty())
            .map(|((_, to), _)| to.port())
            .collect();
        ensure(
            !ports.is_empty() && ports.iter().all(|port| *port == 15008),
            || format!("the client's bytes went to {ports:?}"),
        )?;
        takes(world, STRANGER, SERVER, &Road::Captured)?;
        let probed = probed(world, "node-2")?;
        ensure(probed == [world.address(SERVER)?], || format!("{probed:?}"))?;
        // The kubelet's probes go on to pass.
        ensure(world.status(SERVER)?.ready, || "not ready".to_owned())?;
        checked(world)
    })
}

/// What the real plugin tells a container runtime of the server.
fn checked(world: &World) -> Result<()> {
    let dump = world.page(&Target::Node("node-2".to_owned()), DUMP)?;
    let pods = dump.get("workloadState").and_then(Value::as_object);
    let is_server = |state: &Value| state.pointer("/info/name") == Some(&json!("server"));
    let mut pods = pods.into_iter().flatten();
    let found = pods.find(|(_, state)| is_server(state));
    let uid = found.context("the server is not served")?.0.as_str();
    let run = world.sandbox.place().run();
    let ask = |command: &str, version: &str| -> Result<Answer> {
        let call = Call {
            command: command.to_owned(),
            version: version.to_owned(),
            agent_folder: run.join("nodes/node-2/cni"),
            netns: run.join("netns").join(uid),
            pod: SERVER.to_owned(),
            uid: uid.to_owned(),
        };
        let call = serde_json::to_string(&call)?;
        let text = on_node(world, "node-2", &["plugin", &call])?;
        serde_json::from_str(&text).with_context(|| text.clone())
    };
    let well = Answer {
        is_success: true,
        printed: Value::Null,
    };
    for version in ["0.4.0", "1.0.0", "1.1.0"] {
        let answer = ask("CHECK", version)?;
        ensure(answer == well, || format!("{version}: {answer:?}"))?;
    }
    let status = ask("STATUS", "1.1.0")?;
    ensure(status == well, || format!("{status:?}"))?;

    world.sandbox.kill_program("ztunnel/node-2", true)?;
    eventually("CHECK says that nobody serves the pod", PATIENCE, || {
        let answer = ask("CHECK", "1.1.0")?;
        let text = answer.printed.to_string();
        let is_said = text.contains("\"code\":100") && text.contains("no ztunnel is connected");
        ensure(!answer.is_success && is_said, || text).map(Some)
    })?;
    world.sandbox.kill_program("cni-agent/node-2", true)?;
    let answer = ask("CHECK", "1.1.0")?;
    let text = answer.printed.to_string();
    ensure(!answer.is_success && text.contains("\"code\":11"), || text)?;
    let status = ask("STATUS", "1.1.0")?;
    ensure(status == well, || format!("without an agent: {status:?}"))
}

fn successor() -> Result<()> {
    journey("successor", true, |world| {
        let address = "10.244.2.77";
        let at_address =
            |name| Wish::server(name, "node-2").annotated("weft.dev/ipv4-address", address);
        at_address("mesh/first").apply(world)?;
        world.wait(&["mesh/first"], true)?;
        let address: IpAddr = address.parse()?;
        takes(world, CLIENT, "mesh/first", &tunnel("client"))?;
        let there = format!("dst.hbone_addr={address}:{ECHO} ");
        let of_first = |direction| ["connection complete", direction, &there, "sa/first"];
        let before = [
            lines(world, "ztunnel/node-1", &of_first("outbound"))?,
            lines(world, "ztunnel/node-2", &of_first("inbound"))?,
        ];
        let talk = world.talk(CLIENT, address)?;

        world.sandbox.delete("Pod", "mesh", "first")?;
        at_address("mesh/second").apply(world)?;
        let seen = talk.ended()?;
        ensure(
            matches!(&seen, Seen::Ended { how, .. } if how != "timeout"),
            || format!("the server was deleted, and the client saw {seen:?}"),
        )?;
        // Both proxies say that it is over, and to whom it went.
        eventually("the end is in both logs", PATIENCE, || {
            let now = [
                lines(world, "ztunnel/node-1", &of_first("outbound"))?,
                lines(world, "ztunnel/node-2", &of_first("inbound"))?,
            ];
            Ok((now[0] > before[0] && now[1] > before[1]).then_some(()))
        })?;

        world.wait(&["mesh/second"], true)?;
        ensure(world.address("mesh/second")? == address, || {
            "the successor has another address".to_owned()
        })?;
        takes(world, CLIENT, "mesh/second", &tunnel("client"))?;
        // The client's proxy has asked for the successor's identity, and was shown it.
        let proved = ["connection complete", "outbound", &there, "sa/second"];
        world.logged("ztunnel/node-1", &proved)?;
        nothing_left_of_the_first(world, address)
    })
}

/// How many lines of a program's log have all these words.
fn lines(world: &World, program: &str, words: &[&str]) -> Result<usize> {
    let text = std::fs::read_to_string(world.log(program)?)?;
    let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
    Ok(text.lines().filter(has_all).count())
}

fn nothing_left_of_the_first(world: &World, address: IpAddr) -> Result<()> {
    eventually("the first pod is forgotten", PATIENCE, || {
        let is_served = pod_state(world, "node-2", "mesh/first")?.is_some();
        let identities = identities(world, "node-2")?;
        ensure(
            !is_served && !identities.iter().any(|it| it.ends_with("/sa/first")),
            || format!("served: {is_served}, certificates: {identities:?}"),
        )
        .map(Some)
    })?;
    let mut expected = vec![world.address(SERVER)?, address];
    expected.sort();
    eventually(
        "the probe set is that of the pods that live",
        PATIENCE,
        || {
            let mut probed = probed(world, "node-2")?;
            probed.sort();
            ensure(probed == expected, || format!("{probed:?}")).map(Some)
        },
    )
}
