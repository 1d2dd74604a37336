//! Pure. The plugin's entry of the network configuration, as the runtime gives it on standard input.

use serde::Deserialize;
use serde_json::Value;

use super::reply::{DEFAULT_VERSION, Failure, VERSIONS};
use super::result::PreviousResult;

/// What stands in the plugin's entry of the network configuration, as far as the plugin reads it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Configuration {
    #[serde(rename = "cniVersion", default)]
    version: String,
    #[serde(default)]
    name: String,
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

impl Configuration {
    pub(super) fn read(input: &[u8]) -> Result<Self, Failure> {
        let configuration: Self =
            serde_json::from_slice(input).map_err(|error| Failure::undecodable(&error))?;
        if configuration.version.is_empty() {
            return Err(Failure::configuration("cniVersion is missing"));
        }
        if !VERSIONS.contains(&configuration.version.as_str()) {
            return Err(Failure::version(&configuration.version));
        }
        if configuration.name.is_empty() {
            return Err(Failure::configuration(
                "name is missing: a network has a name",
            ));
        }
        Ok(configuration)
    }

    /// The result of the plugins before, in the version of this configuration.
    pub(super) fn previous_result(&self) -> Result<PreviousResult, Failure> {
        let Some(Value::Object(result)) = self.previous.clone() else {
            return Err(Failure::configuration(
                "prevResult is missing: the plugin must be called after the one that makes the interface",
            ));
        };
        PreviousResult::read(result, &self.version)
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
