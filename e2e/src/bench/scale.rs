//! A large mesh of records: how long until controller and proxies know it, what they hold, what one change costs.
//!
//! The pods are records on a node that nobody runs; the controller's clients are two real node proxies. Nothing is
//! sent to anybody: this is about knowing. A hundred pods to a namespace, with ten services and five policies.

pub mod api_server;
mod manifests;
mod look;

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use sandbox::Sandbox;

use look::{Counted, Look, Memory};

/// Changes per kind of event.
const EVENTS: usize = 100;
/// What is measured beside the controller.
const PROXY: &str = "ztunnel/node-1";
const CONTROLLER: &str = "controller";

/// Time and memory of a program that starts into a mesh that is there.
struct Start {
    program: &'static str,
    took: Duration,
    grown: Memory,
    fresh: Memory,
}

/// What a kind of event costs, on average.
struct Event {
    what: &'static str,
    recomputed: f64,
    sent: f64,
    controller_us: f64,
    proxy_us: f64,
}

/// Builds a mesh of `namespaces` hundreds of pods and measures; the answer is Markdown.
///
/// # Errors
/// When the cluster cannot be had or something is not known in time.
pub fn run(sandbox: &Sandbox, program: &Path, namespaces: usize) -> Result<String> {
    let look = Look::new(sandbox, program);
    let begun = Instant::now();
    for namespace in 0..namespaces {
        sandbox.apply(&manifests::namespace(namespace))?;
    }
    let written = begun.elapsed();
    let resources = manifests::resources(namespaces);
    look.wait_known(resources)?;
    let grown = [look.memory(CONTROLLER)?, look.memory(PROXY)?];
    let proxy = restart(&look, sandbox, PROXY, || look.wait_proxy(PROXY))?;
    let controller = restart(&look, sandbox, CONTROLLER, || look.wait_clients())?;
    let fresh = [look.memory(CONTROLLER)?, look.memory(PROXY)?];
    let [grown_controller, grown_proxy] = grown;
    let [fresh_controller, fresh_proxy] = fresh;
    let starts = [
        Start {
            program: "controller: read, translated, both proxies back",
            took: controller,
            grown: grown_controller,
            fresh: fresh_controller,
        },
        Start {
            program: "ztunnel: everything received, ready",
            took: proxy,
            grown: grown_proxy,
            fresh: fresh_proxy,
        },
    ];
    let events = [
        events(&look, sandbox, "a pod's revision", |turn| {
            manifests::pod(0, turn % 100, &format!("v{turn}"))
        })?,
        events(&look, sandbox, "a policy's principal", |turn| {
            manifests::policy(0, 0, &format!("caller-{turn}"))
        })?,
        events(
            &look,
            sandbox,
            "a service's target port (10 pods)",
            |turn| manifests::service(0, 0, 9000 + turn),
        )?,
    ];
    Ok(render(namespaces, written, &starts, &events))
}

/// Kills a program and says how long it takes until all is as before.
fn restart(
    look: &Look<'_>,
    sandbox: &Sandbox,
    program: &str,
    wait: impl Fn() -> Result<()>,
) -> Result<Duration> {
    let before = look.pid(program)?;
    let begun = Instant::now();
    sandbox.kill_program(program, false)?;
    look.wait_other_pid(program, before)?;
    wait()?;
    Ok(begun.elapsed())
}

/// Applies changes one by one, each when the one before has reached both proxies.
fn events(
    look: &Look<'_>,
    sandbox: &Sandbox,
    what: &'static str,
    change: impl Fn(usize) -> String,
) -> Result<Event> {
    let (before, cpu) = (look.settled()?, [look.cpu(CONTROLLER)?, look.cpu(PROXY)?]);
    let mut last = before;
    for turn in 0..EVENTS {
        sandbox.apply(&change(turn + 1))?;
        last = look.wait_acknowledged(last)?;
    }
    let after = look.settled()?;
    let each = |before: u64, after: u64| (after - before) as f64 / EVENTS as f64;
    let [controller, proxy] = cpu;
    let Counted {
        recomputed, sent, ..
    } = before;
    Ok(Event {
        what,
        recomputed: each(recomputed, after.recomputed),
        sent: each(sent, after.sent),
        controller_us: each(controller, look.cpu(CONTROLLER)?) / 1e3,
        proxy_us: each(proxy, look.cpu(PROXY)?) / 1e3,
    })
}

fn render(namespaces: usize, written: Duration, starts: &[Start], events: &[Event]) -> String {
    let mut text = format!(
        "{} pods, {} services, {} policies in {} files, written in {:.1} s\n\n\
         | program started into it | time | memory, fresh (peak) | memory, grown up with it (peak) |\n\
         |---|---|---|---|\n",
        namespaces * manifests::PODS,
        namespaces * manifests::SERVICES,
        namespaces * manifests::POLICIES,
        manifests::files(namespaces),
        written.as_secs_f64(),
    );
    for Start {
        program,
        took,
        grown,
        fresh,
    } in starts
    {
        let _ = writeln!(
            text,
            "| {program} | {:.2} s | {:.0} MiB ({:.0}) | {:.0} MiB ({:.0}) |",
            took.as_secs_f64(),
            fresh.now,
            fresh.peak,
            grown.now,
            grown.peak,
        );
    }
    text.push_str(
        "\n| one change of | outputs recomputed | resources sent to two proxies | CPU of the controller | CPU of a proxy |\n\
         |---|---|---|---|---|\n",
    );
    for Event {
        what,
        recomputed,
        sent,
        controller_us,
        proxy_us,
    } in events
    {
        let _ = writeln!(
            text,
            "| {what} | {recomputed:.1} | {sent:.1} | {controller_us:.0} us | {proxy_us:.0} us |"
        );
    }
    text
}
