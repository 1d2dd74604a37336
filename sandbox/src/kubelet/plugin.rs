//! Calls the real CNI plugin, chained after the sandbox's own set-up of the pod's link.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::exec::Spec;
use crate::network::topology::{PodAddresses, UPLINK, pod_port};
use crate::process::{Children, Streams};

/// Version of the CNI specification that the configuration and result are written in.
const VERSION: &str = "1.0.0";
/// Longest a call may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a pod's network was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot run the CNI plugin")]
    Run(#[from] std::io::Error),
    #[error("CNI {command}: {reason}")]
    Refused {
        command: &'static str,
        reason: String,
    },
    #[error("CNI {command} took longer than {PATIENCE:?}")]
    Slow { command: &'static str },
}

/// Everything a call needs.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) children: &'a Children,
    /// The node's namespace, where plugins run.
    pub(crate) node_network: &'a Path,
    /// Environment of the node's agent: where its socket is.
    pub(crate) environment: &'a [(String, String)],
    /// The agent's run directory.
    pub(crate) agent_folder: &'a Path,
    /// A folder of the pod for the call's files.
    pub(crate) folder: &'a Path,
    pub(crate) log: &'a Path,
    pub(crate) pod_network: &'a Path,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) uid: &'a str,
    pub(crate) slot: u8,
    pub(crate) addresses: PodAddresses,
}

impl Call<'_> {
    /// `ADD` or `DEL`.
    pub(crate) async fn make(&self, command: &'static str) -> Result<(), Error> {
        fs::create_dir_all(self.folder)?;
        let (input, output) = (self.folder.join("cni.in"), self.folder.join("cni.out"));
        fs::write(&input, self.configuration().to_string())?;
        let streams = Streams::Given([
            File::open(&input)?.into(),
            File::create(&output)?.into(),
            File::options()
                .create(true)
                .append(true)
                .open(self.log)?
                .into(),
        ]);
        let spec = Spec {
            network: Some(self.node_network.to_owned()),
            command: ["/proc/self/exe", "run", "cni-plugin"]
                .map(str::to_owned)
                .into(),
            name: Some("weft".to_owned()),
            ..Spec::default()
        };
        let process = self
            .children
            .start(&spec, &self.variables(command), streams)?;
        let ended = tokio::time::timeout(PATIENCE, process.wait()).await;
        let Ok(exit) = ended else {
            process.signal_group(nix::sys::signal::Signal::SIGKILL);
            return Err(Error::Slow { command });
        };
        if exit.is_success() {
            return Ok(());
        }
        let said: Value = serde_json::from_slice(&fs::read(&output)?).unwrap_or_default();
        let part = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default();
        let reason = match (part("msg"), part("details")) {
            ("", _) => format!("{exit:?} without a reason"),
            (message, "") => message.to_owned(),
            (message, details) => format!("{message}: {details}"),
        };
        Err(Error::Refused { command, reason })
    }

    fn variables(&self, command: &str) -> Vec<(String, String)> {
        let identity = format!(
            "IgnoreUnknown=1;K8S_POD_NAMESPACE={};K8S_POD_NAME={};K8S_POD_UID={};K8S_POD_INFRA_CONTAINER_ID={}",
            self.namespace, self.name, self.uid, self.uid
        );
        let mut variables = self.environment.to_vec();
        for (name, value) in [
            ("CNI_COMMAND", command.to_owned()),
            ("CNI_CONTAINERID", self.uid.to_owned()),
            ("CNI_NETNS", self.pod_network.display().to_string()),
            ("CNI_IFNAME", UPLINK.to_owned()),
            ("CNI_ARGS", identity),
            ("CNI_PATH", "/".to_owned()),
        ] {
            variables.push((name.to_owned(), value));
        }
        variables
    }

    fn configuration(&self) -> Value {
        let ips: Vec<Value> = self
            .addresses
            .all()
            .map(|address| {
                let length = if address.is_ipv4() { 32 } else { 128 };
                json!({"interface": 1, "address": format!("{address}/{length}")})
            })
            .collect();
        json!({
            "cniVersion": VERSION,
            "name": "weft",
            "type": "weft-cni",
            "plugin_log_level": "info",
            "cni_agent_run_dir": self.agent_folder,
            "ambient_enabled": true,
            "prevResult": {
                "cniVersion": VERSION,
                "interfaces": [
                    {"name": pod_port(self.slot)},
                    {"name": UPLINK, "sandbox": self.pod_network},
                ],
                "ips": ips,
                "routes": [{"dst": "0.0.0.0/0"}],
                "dns": {},
            },
        })
    }
}
