//! One measurement: a load from one pod to another, and the CPU it took.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sandbox::{PodName, Sandbox, Target};
use serde::{Deserialize, Serialize};

use super::cpu;
use super::load::{Load, Measured};

/// A client pod and the server it talks to.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Client pod.
    pub client: PodName,
    /// Server's address.
    pub server: IpAddr,
}

/// What one run of one load cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cost {
    /// What the client measured.
    pub measured: Measured,
    /// CPU-seconds of the proxies.
    pub proxies: f64,
    /// CPU-seconds of the whole machine.
    pub machine: f64,
}

/// Runs a load between two pods. `program` is this executable, which also is the client.
///
/// # Errors
/// When the client fails or a proxy is not running.
pub fn measure(sandbox: &Sandbox, program: &Path, pair: &Pair, load: Load) -> Result<Cost> {
    let load = serde_json::to_string(&load)?;
    let program = program.to_string_lossy();
    let server = pair.server.to_string();
    let pids = proxies(sandbox)?;
    let (proxies, machine) = (total(sandbox, &program, &pids)?, cpu::of_machine()?);
    let target = Target::Pod(pair.client.clone());
    let output = sandbox.exec(&target, &[&program, "load", &server, &load])?;
    let machine = cpu::of_machine()? - machine;
    let proxies = total(sandbox, &program, &pids)? - proxies;
    if !output.exit.is_success() {
        bail!("{load} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let measured = serde_json::from_slice(&output.stdout).context("the client's answer")?;
    Ok(Cost {
        measured,
        proxies,
        machine,
    })
}

/// Process ids of the node proxies, as the sandbox numbers them.
fn proxies(sandbox: &Sandbox) -> Result<Vec<i32>> {
    let programs = sandbox.status()?.programs;
    let found = programs.iter().filter(|p| p.name.starts_with("ztunnel/"));
    found
        .map(|p| p.pid.with_context(|| format!("{} is not running", p.name)))
        .collect()
}

/// CPU-seconds of processes of the sandbox, read from within it.
fn total(sandbox: &Sandbox, program: &str, pids: &[i32]) -> Result<f64> {
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    let mut command = vec![program, "cpu"];
    command.extend(pids.iter().map(String::as_str));
    let output = sandbox.exec(&Target::ControlPlane, &command)?;
    let nanoseconds: u64 = output.text().trim().parse().context("CPU time")?;
    Ok(nanoseconds as f64 / 1e9)
}
