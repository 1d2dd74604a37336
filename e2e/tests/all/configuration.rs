//! Configuration in a mesh of two thousand pods: a change costs what it touches, a restart costs nothing.

use std::fmt::Write;

use anyhow::{Context, Result};
use e2e::expect::eventually;
use e2e::world::{PATIENCE, World};
use sandbox::Target;
use serde_json::Value;

use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 1] = [(
    "one_change_among_two_thousand_pods_and_a_restart_resend_nothing_else",
    thousands,
)];

/// Pods that exist only as records, on a node that nobody runs.
const PODS: usize = 2000;

/// Node proxies in the cluster: each is a client of the controller.
const CLIENTS: u64 = 2;

const ADDRESS: &str = "type.googleapis.com/istio.workload.Address";

/// What the controller has counted since it started.
#[derive(Debug)]
struct Counted {
    recomputed: u64,
    changed: u64,
    sent: u64,
    acks: u64,
    open: u64,
}

fn thousands() -> Result<()> {
    let world = World::start("thousands")?;
    let outcome = change_and_restart(&world);
    world.finish(outcome)
}

fn change_and_restart(world: &World) -> Result<()> {
    world.namespace("crowd", false)?;
    let crowd: String = (0..PODS).map(|n| pod(n, "first")).collect();
    world.apply(&crowd)?;
    let full = eventually("both proxies hold every pod", PATIENCE, || {
        let counted = counters(world)?;
        let everything = counted.sent >= CLIENTS * PODS as u64;
        Ok((everything && settled(world)?).then_some(counted))
    })?;

    // One pod changes: it alone is computed, logged and sent, once to each client.
    world.apply(&pod(77, "second"))?;
    let after = eventually("the change has been sent", PATIENCE, || {
        let counted = counters(world)?;
        Ok((counted.sent > full.sent && settled(world)?).then_some(counted))
    })?;
    let recomputed = after.recomputed - full.recomputed;
    ensure((1..=2).contains(&recomputed), || {
        format!("{full:?} -> {after:?}")
    })?;
    ensure(after.changed - full.changed == 1, || {
        format!("{full:?} -> {after:?}")
    })?;
    ensure(after.sent - full.sent == CLIENTS, || {
        format!("{full:?} -> {after:?}")
    })?;

    // The controller is another process now; its clients come back and are sent nothing they hold.
    world.sandbox.kill_program("controller", false)?;
    let restarted = eventually("both proxies are back", PATIENCE, || {
        let counted = counters(world)?;
        Ok(
            (counted.open == CLIENTS && counted.acks + 1 >= CLIENTS && settled(world)?)
                .then_some(counted),
        )
    })?;
    ensure(restarted.sent == 0, || {
        format!("resent after a restart: {restarted:?}")
    })?;

    // And they are really connected: the next change arrives, alone.
    world.apply(&pod(78, "third"))?;
    let last = eventually("a change after the restart has been sent", PATIENCE, || {
        let counted = counters(world)?;
        Ok((counted.sent > 0 && settled(world)?).then_some(counted))
    })?;
    ensure(last.sent == CLIENTS, || format!("{last:?}"))
}

/// A pod as the API server would show it, with its address and the revision it carries.
fn pod(number: usize, revision: &str) -> String {
    let (high, low) = (number / 250, number % 250 + 1);
    let mut text = String::new();
    let _ = write!(
        text,
        "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: pod-{number}\n  namespace: crowd\n  \
         labels:\n    app: crowd\n    version: {revision}\nspec:\n  nodeName: far-away\n  containers:\n    \
         - name: app\n      image: weft.dev/echo\nstatus:\n  phase: Running\n  podIP: 10.100.{high}.{low}\n  \
         podIPs:\n    - ip: 10.100.{high}.{low}\n  conditions:\n    - type: Ready\n      status: 'True'\n"
    );
    text
}

fn counters(world: &World) -> Result<Counted> {
    let page = world.page(
        &Target::ControlPlane,
        "http://127.0.0.1:15014/debug/counters",
    )?;
    // A counter that nobody has touched yet is not on the page.
    let number = |path: &str| {
        page.pointer(path)
            .and_then(Value::as_u64)
            .unwrap_or_default()
    };
    let escaped = ADDRESS.replace('/', "~1");
    let resources = |field| number(&format!("/resources/{escaped}/{field}"));
    let sent = |field| number(&format!("/discovery/types/{escaped}/{field}"));
    page.pointer("/discovery")
        .context("no counters of discovery")?;
    Ok(Counted {
        recomputed: resources("recomputed"),
        changed: resources("changed"),
        sent: sent("resources"),
        acks: sent("acks"),
        open: number("/discovery/open"),
    })
}

/// Whether two looks in a row see the same: nothing is under way.
fn settled(world: &World) -> Result<bool> {
    let (one, two) = (counters(world)?, counters(world)?);
    Ok(one.sent == two.sent && one.changed == two.changed && one.acks == two.acks)
}
