//! Looks at the running programs: what they counted, what they hold, what they used.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use sandbox::{Sandbox, Target};
use serde_json::Value;

use crate::expect::eventually;

/// Longest wait for something to be known.
const PATIENCE: Duration = Duration::from_secs(180);
/// The node proxies of the sandbox.
const CLIENTS: u64 = 2;

const COUNTERS: &str = "http://127.0.0.1:15014/debug/counters";
const READY: &str = "http://127.0.0.1:15021/healthz/ready";

/// What the controller has counted since it started, of all types together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) recomputed: u64,
    pub(super) published: u64,
    pub(super) sent: u64,
    pub(super) acks: u64,
    pub(super) open: u64,
}

/// Memory of a process in MiB, now and at most so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    pub(super) now: f64,
    pub(super) peak: f64,
}

/// The sandbox and this executable, which also runs inside it.
pub(super) struct Look<'a> {
    sandbox: &'a Sandbox,
    program: &'a Path,
}

impl<'a> Look<'a> {
    pub(super) fn new(sandbox: &'a Sandbox, program: &'a Path) -> Self {
        Self { sandbox, program }
    }

    fn text(&self, target: &Target, arguments: &[&str]) -> Result<String> {
        let program = self.program.to_string_lossy();
        let mut command = vec![program.as_ref()];
        command.extend(arguments);
        let output = self.sandbox.exec(target, &command)?;
        anyhow::ensure!(
            output.exit.is_success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(output.text())
    }

    fn counted(&self) -> Result<Counted> {
        let page = self.text(&Target::ControlPlane, &["run", "echo", "--get", COUNTERS])?;
        let page: Value = serde_json::from_str(&page).context(COUNTERS)?;
        let sum = |path: &str, field: &str| {
            let types = page.pointer(path).and_then(Value::as_object);
            let each = types.into_iter().flatten();
            each.filter_map(|(_, one)| one.get(field)?.as_u64()).sum()
        };
        let open = page.pointer("/discovery/open").and_then(Value::as_u64);
        Ok(Counted {
            recomputed: sum("/resources", "recomputed"),
            published: sum("/resources", "changed"),
            sent: sum("/discovery/types", "resources"),
            acks: sum("/discovery/types", "acks"),
            open: open.context("no counter of open streams")?,
        })
    }

    /// Counters that two looks in a row agree on.
    pub(super) fn settled(&self) -> Result<Counted> {
        eventually("nothing is under way", PATIENCE, || {
            let (one, two) = (self.counted()?, self.counted()?);
            Ok((one == two).then_some(two))
        })
    }

    /// Waits until so many resources have been published and sent to every proxy.
    pub(super) fn wait_known(&self, resources: u64) -> Result<()> {
        eventually("everything is known to the proxies", PATIENCE, || {
            let counted = self.counted()?;
            let is_known = counted.published >= resources && counted.sent >= CLIENTS * resources;
            Ok(is_known.then_some(()))
        })?;
        self.settled().map(drop)
    }

    /// Waits until something more was sent to every proxy, and acknowledged.
    pub(super) fn wait_acknowledged(&self, before: Counted) -> Result<Counted> {
        eventually("the change has reached the proxies", PATIENCE, || {
            let now = self.counted()?;
            let is_there = now.sent >= before.sent + CLIENTS && now.acks >= before.acks + CLIENTS;
            Ok(is_there.then_some(now))
        })
    }

    /// Waits until every proxy is the controller's client.
    pub(super) fn wait_clients(&self) -> Result<()> {
        eventually("the proxies are back", PATIENCE, || {
            let now = self.counted()?;
            Ok((now.open >= CLIENTS && now.acks >= CLIENTS).then_some(()))
        })
    }

    /// Waits until a node proxy says that it is ready.
    pub(super) fn wait_proxy(&self, program: &str) -> Result<()> {
        let node = program.rsplit('/').next().unwrap_or_default();
        let target = Target::Node(node.to_owned());
        eventually("the proxy is ready", PATIENCE, || {
            let answer = self.text(&target, &["run", "echo", "--get", READY]);
            Ok(answer.is_ok().then_some(()))
        })
    }

    /// The process of a program.
    pub(super) fn pid(&self, program: &str) -> Result<i32> {
        let programs = self.sandbox.status()?.programs;
        let found = programs.into_iter().find(|it| it.name == program);
        found
            .and_then(|it| it.pid)
            .with_context(|| format!("{program} is not running"))
    }

    /// Waits until a program runs again, as another process.
    pub(super) fn wait_other_pid(&self, program: &str, before: i32) -> Result<()> {
        eventually("the program runs again", PATIENCE, || {
            Ok((self.pid(program).ok() != Some(before) && self.pid(program).is_ok()).then_some(()))
        })
    }

    /// CPU time of a program in nanoseconds.
    pub(super) fn cpu(&self, program: &str) -> Result<u64> {
        let pid = self.pid(program)?.to_string();
        let text = self.text(&Target::ControlPlane, &["cpu", &pid])?;
        text.trim().parse().context("CPU time")
    }

    /// Memory of a program.
    pub(super) fn memory(&self, program: &str) -> Result<Memory> {
        let pid = self.pid(program)?.to_string();
        let text = self.text(&Target::ControlPlane, &["memory", &pid])?;
        let mut kibibytes = text.split_whitespace().map(str::parse::<f64>);
        let mut next = || -> Result<f64> { Ok(kibibytes.next().context("memory")?? / 1024.0) };
        Ok(Memory {
            now: next()?,
            peak: next()?,
        })
    }
}
