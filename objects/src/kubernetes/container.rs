//! Pure. Containers: what runs in a pod and which ports it says it has.

use serde::Deserialize;

use super::{IntOrString, Probe, Protocol};

/// An entry of `containers` or `initContainers`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Container {
    /// Unique in the pod.
    pub name: String,
    /// What it is an instance of.
    pub image: String,
    /// Program; replaces the image's entry point.
    pub command: Vec<String>,
    /// Arguments.
    pub args: Vec<String>,
    /// Declared ports.
    pub ports: Vec<ContainerPort>,
    /// Environment.
    pub env: Vec<EnvVar>,
    /// Whether it may get traffic.
    pub readiness_probe: Option<Probe>,
    /// Whether it must be restarted.
    pub liveness_probe: Option<Probe>,
    /// Whether it has started.
    pub startup_probe: Option<Probe>,
    /// `Always` in an init container makes it a sidecar that keeps running.
    pub restart_policy: Option<String>,
}

/// A port a container declares.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerPort {
    /// Its number in the pod.
    pub container_port: u16,
    /// Its name, unique in the pod.
    #[serde(default)]
    pub name: String,
    /// TCP unless said otherwise.
    #[serde(default)]
    pub protocol: Protocol,
}

/// A variable of a container's environment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
}

impl Container {
    /// The number of a port given by number or by one of this container's port names.
    #[must_use]
    pub fn port_number(&self, port: &IntOrString) -> Option<u16> {
        match port {
            IntOrString::Number(number) => Some(*number),
            IntOrString::Name(name) => self
                .ports
                .iter()
                .find(|port| port.name == *name)
                .map(|port| port.container_port),
        }
    }

    /// Whether it is an init container that keeps running beside the others.
    #[must_use]
    pub fn is_sidecar(&self) -> bool {
        self.restart_policy.as_deref() == Some("Always")
    }
}
