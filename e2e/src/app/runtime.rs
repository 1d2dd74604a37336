//! A container runtime's call of the real CNI plugin for a pod that runs, from the pod's node.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Which pod, and what is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    /// `CHECK`, `STATUS`, ...
    pub command: String,
    /// Version of the CNI specification.
    pub version: String,
    /// The agent's run directory.
    pub agent_folder: PathBuf,
    /// The pod's network namespace.
    pub netns: PathBuf,
    /// `namespace/name`.
    pub pod: String,
    /// The pod's uid.
    pub uid: String,
}

/// What the plugin said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether it ended well.
    pub is_success: bool,
    /// What it printed, read as JSON; null when it printed nothing.
    pub printed: Value,
}

/// Calls the plugin.
///
/// # Errors
/// When it cannot be run, or prints what is not JSON.
pub fn call(call: &Call) -> Result<Answer> {
    let (namespace, name) = call.pod.split_once('/').context("namespace/name")?;
    let (version, uid) = (&call.version, &call.uid);
    let configuration = json!({
        "cniVersion": version, "name": "weft", "type": "weft-cni",
        "cni_agent_run_dir": call.agent_folder,
        "prevResult": { "cniVersion": version, "ips": [] },
    });
    let mut plugin = Command::new("/proc/self/exe")
        .args(["run", "cni-plugin"])
        .env("CNI_COMMAND", &call.command)
        .env("CNI_CONTAINERID", uid)
        .env("CNI_NETNS", &call.netns)
        .env("CNI_IFNAME", "eth0")
        .env(
            "CNI_ARGS",
            format!("K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={name};K8S_POD_UID={uid}"),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = plugin.stdin.take().context("a pipe")?;
    input.write_all(configuration.to_string().as_bytes())?;
    drop(input);
    let output = plugin.wait_with_output()?;
    let printed = match output.stdout.as_slice() {
        [] => Value::Null,
        text => serde_json::from_slice(text).context("the plugin's answer")?,
    };
    Ok(Answer {
        is_success: output.status.success(),
        printed,
    })
}
