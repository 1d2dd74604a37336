//! Programs die and come back, and pods come while they are away.

use std::net::IpAddr;

use anyhow::{Result, bail};
use e2e::app::COLLECT;
use e2e::app::client::{Seen, Task};
use e2e::expect::eventually;
use e2e::world::{PATIENCE, World};
use sandbox::Target;

use super::journey;
use super::road::{CLIENT, Road, SERVER, STRANGER, Wish, takes, tunnel, whole};
use crate::ensure;

pub(super) fn restarts() -> Result<()> {
    journey("restarts", true, |world| {
        takes(world, CLIENT, SERVER, &tunnel("client"))?;
        agents_die(world)?;
        proxies_die(world)?;
        both_die(world)
    })
}

pub(super) fn away() -> Result<()> {
    journey("away", true, |world| {
        pods_come_meanwhile(world)?;
        controller_is_away(world)
    })
}

/// Nothing is dropped while agents are away or start again.
fn agents_die(world: &World) -> Result<()> {
    let talk = world.talk(CLIENT, world.address(SERVER)?)?;
    for node in ["node-1", "node-2"] {
        let agent = format!("cni-agent/{node}");
        world.sandbox.kill_program(&agent, true)?;
        takes(world, CLIENT, SERVER, &tunnel("client"))?;
        world.sandbox.start_program(&agent)?;
        connected(world, node)?;
    }
    takes(world, CLIENT, SERVER, &tunnel("client"))?;
    whole(&talk.finish()?)
}

/// Waits until an agent has a ztunnel on its socket, and both are ready.
fn connected(world: &World, node: &str) -> Result<()> {
    let target = Target::Node(node.to_owned());
    eventually(&format!("{node} is whole again"), PATIENCE, || {
        world.text(&target, "http://127.0.0.1:15021/healthz/ready")?;
        world.text(&target, "http://127.0.0.1:8000/readyz")?;
        let page = world.text(&target, "http://127.0.0.1:15014/metrics")?;
        Ok(page
            .contains("weft_cni_ztunnels_connected 1\n")
            .then_some(()))
    })
}

/// What a dead proxy carried ends; nothing goes around it; the next one serves all.
fn proxies_die(world: &World) -> Result<()> {
    for (node, dead) in [("node-1", CLIENT), ("node-2", SERVER)] {
        let talk = world.talk(CLIENT, world.address(SERVER)?)?;
        let proxy = format!("ztunnel/{node}");
        world.sandbox.kill_program(&proxy, true)?;
        let seen = talk.ended()?;
        ensure(
            matches!(&seen, Seen::Ended { how, .. } if how != "timeout"),
            || format!("{proxy} was killed, and the client saw {seen:?}"),
        )?;
        nobody_passes(world, dead)?;
        world.sandbox.start_program(&proxy)?;
        takes(world, CLIENT, SERVER, &tunnel("client"))?;
        connected(world, node)?;
    }
    Ok(())
}

/// Without its proxy a pod is neither reached nor reaches anybody: no bytes come through.
fn nobody_passes(world: &World, pod: &str) -> Result<()> {
    let port = COLLECT;
    for (from, to) in [(pod, STRANGER), (STRANGER, pod)] {
        let seen = world.client(from, world.address(to)?, &Task::ExpectRefusal { port })?;
        ensure(
            matches!(&seen, Seen::Ended { how, received: 0 } if how == "refused"),
            || format!("{from} to {to} without a proxy: {seen:?}"),
        )?;
    }
    Ok(())
}

/// Both, in either order of dying and of coming back.
fn both_die(world: &World) -> Result<()> {
    let node = "node-2";
    let (agent, proxy) = ("cni-agent/node-2", "ztunnel/node-2");
    let sandbox = &world.sandbox;
    for (first, second) in [(agent, proxy), (proxy, agent)] {
        for (back_first, back_second) in [(agent, proxy), (proxy, agent)] {
            sandbox.kill_program(first, true)?;
            sandbox.kill_program(second, true)?;
            nobody_passes(world, SERVER)?;
            sandbox.start_program(back_first)?;
            if back_first == proxy {
                not_ready_without_its_agent(world, node)?;
                nobody_passes(world, SERVER)?;
            }
            sandbox.start_program(back_second)?;
            takes(world, CLIENT, SERVER, &tunnel("client"))?;
            connected(world, node)?;
        }
    }
    Ok(())
}

fn not_ready_without_its_agent(world: &World, node: &str) -> Result<()> {
    let target = Target::Node(node.to_owned());
    let url = "http://127.0.0.1:15021/healthz/ready";
    eventually("the proxy runs, and is not ready", PATIENCE, || {
        let said = world.text(&target, url).err().map(|it| format!("{it:#}"));
        Ok(said.filter(|it| it.contains("status 500")).map(drop))
    })
}

/// Pods and labels that come while nobody looks are made up for.
fn pods_come_meanwhile(world: &World) -> Result<()> {
    let agent = "cni-agent/node-2";
    world.sandbox.kill_program(agent, true)?;
    // Without an agent nobody can tell who is the mesh's: pods wait, and say for whom.
    let early = Wish::server("mesh/early", "node-2");
    let outsider = Wish::server("street/early", "node-2");
    for wish in [&early, &outsider] {
        wish.apply(world)?;
        eventually(
            &format!("{} waits for the agent", wish.name),
            PATIENCE,
            || {
                let message = world.status(wish.name)?.message.unwrap_or_default();
                Ok(message.contains("cannot reach the agent").then_some(()))
            },
        )?;
    }
    // Namespaces that the plugin itself passes by do not wait.
    world.namespace("kube-system", false)?;
    let passed_by = Wish::server("kube-system/early", "node-2");
    passed_by.apply(world)?;
    world.wait(&[passed_by.name], false)?;
    Wish::server(STRANGER, "node-2")
        .labelled("ambient")
        .apply(world)?;
    Wish::server(SERVER, "node-2")
        .labelled("none")
        .apply(world)?;

    world.sandbox.start_program(agent)?;
    world.wait(&[early.name, STRANGER], true)?;
    world.wait(&[outsider.name, SERVER], false)?;
    takes(world, CLIENT, early.name, &tunnel("client"))?;
    takes(world, CLIENT, STRANGER, &tunnel("client"))?;
    takes(world, CLIENT, SERVER, &Road::Open)?;
    takes(world, CLIENT, outsider.name, &Road::Open)
}

/// Who is known goes on; who is new waits for the controller.
fn controller_is_away(world: &World) -> Result<()> {
    world.sandbox.kill_program("controller", true)?;
    let late = Wish::server("mesh/late", "node-1");
    late.apply(world)?;
    world.wait(&[late.name], true)?;
    takes(world, CLIENT, "mesh/early", &tunnel("client"))?;
    // Agents do without it.
    world.sandbox.kill_program("cni-agent/node-1", false)?;
    connected(world, "node-1")?;
    takes(world, CLIENT, "mesh/early", &tunnel("client"))?;
    // A proxy that starts again has neither a picture nor keys: it lets nobody pass until the controller is back.
    world.sandbox.kill_program("ztunnel/node-2", false)?;
    // Each of these waits a while for what only the controller can say, so they do it at the same time.
    let refusals = [late.name, CLIENT, "street/early"];
    let early = world.address("mesh/early")?;
    std::thread::scope(|scope| {
        let refusals = refusals.map(|from| scope.spawn(move || refused(world, from, early)));
        refusals.into_iter().try_for_each(|refusal| {
            let ended = refusal.join();
            ended.unwrap_or_else(|_| bail!("a thread panicked"))
        })
    })?;
    world.logged("ztunnel/node-1", &["reason=\"workload_unknown\""])?;
    world.sandbox.start_program("controller")?;
    takes(world, late.name, "mesh/early", &tunnel("late"))
}

/// Not a byte gets through.
fn refused(world: &World, from: &str, to: IpAddr) -> Result<()> {
    let port = COLLECT;
    let seen = world.client(from, to, &Task::ExpectRefusal { port })?;
    ensure(
        matches!(&seen, Seen::Ended { how, received: 0 } if how != "timeout"),
        || format!("{from} to {to}: {seen:?}"),
    )
}
