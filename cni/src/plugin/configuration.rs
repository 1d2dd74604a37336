//! Pure. The plugin's configuration, and the result of the plugins before it in the chain.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::reply::{DEFAULT_VERSION, Failure, VERSIONS};

/// What stands in the plugin's entry of the network configuration, as far as the plugin reads it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Configuration {
    #[serde(rename = "cniVersion")]
    version: String,
    /// What the plugins before have done.
    #[serde(rename = "prevResult")]
    previous: Option<Value>,
    /// Whether the plugin does anything at all.
    #[serde(default = "enabled")]
    pub(super) ambient_enabled: bool,
    /// Where the agent's socket is.
    #[serde(rename = "cni_agent_run_dir", default = "run_directory")]
    pub(super) run_directory: String,
    /// Namespaces outside the mesh.
    #[serde(default = "kube_system")]
    pub(super) exclude_namespaces: Vec<String>,
    /// The namespace of the mesh's own programs.
    #[serde(default = "system_namespace")]
    pub(super) pod_namespace: String,
}

/// What the plugins before have done.
#[derive(Debug)]
pub(super) struct PreviousResult {
    /// The JSON to hand on.
    pub(super) text: String,
    /// The pod's addresses.
    pub(super) addresses: Vec<ResultAddress>,
}

/// One address of a result.
#[derive(Debug, Deserialize)]
pub(super) struct ResultAddress {
    pub(super) interface: Option<i64>,
    #[serde(deserialize_with = "from_text")]
    pub(super) address: IpNet,
    pub(super) gateway: Option<IpAddr>,
}

impl Configuration {
    pub(super) fn read(input: &[u8]) -> Result<Self, Failure> {
        let configuration: Self =
            serde_json::from_slice(input).map_err(|error| Failure::undecodable(&error))?;
        if VERSIONS.contains(&configuration.version.as_str()) {
            Ok(configuration)
        } else {
            Err(Failure::version(&configuration.version))
        }
    }

    /// The result to hand on. Its version is that of the configuration: the runtime converts it before it calls us.
    pub(super) fn previous_result(&self) -> Result<PreviousResult, Failure> {
        let Some(Value::Object(mut result)) = self.previous.clone() else {
            return Err(Failure::configuration(
                "prevResult is missing: the plugin must be called after the one that makes the interface",
            ));
        };
        let ips = result
            .get("ips")
            .cloned()
            .unwrap_or(Value::Array(Vec::new()));
        let addresses = Vec::<ResultAddress>::deserialize(ips)
            .map_err(|error| Failure::configuration(&format!("prevResult.ips: {error}")))?;
        result.insert("cniVersion".into(), Value::from(self.version.clone()));
        Ok(PreviousResult {
            text: Value::Object(result).to_string(),
            addresses,
        })
    }
}

/// The version that the caller speaks, even when nothing else can be read.
pub(super) fn version_of(input: &[u8]) -> String {
    let version = |value: Value| Some(value.get("cniVersion")?.as_str()?.to_owned());
    serde_json::from_slice(input)
        .ok()
        .and_then(version)
        .unwrap_or_else(|| DEFAULT_VERSION.into())
}

fn from_text<'de, D: Deserializer<'de>>(from: D) -> Result<IpNet, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

fn enabled() -> bool {
    true
}

fn run_directory() -> String {
    "/var/run/istio-cni".into()
}

fn kube_system() -> Vec<String> {
    vec!["kube-system".into()]
}

fn system_namespace() -> String {
    "weft-system".into()
}
