//! Pure. Pods.

use std::net::IpAddr;

use serde::Deserialize;

use super::{Condition, Container, IntOrString, Protocol};
use crate::meta::Metadata;

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Name, labels, annotations.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: PodSpec,
    /// What is.
    pub status: PodStatus,
}

/// `spec` of a pod or of a pod template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    /// Where it runs; empty until it is placed.
    pub node_name: String,
    /// Whether it shares its node's network; such pods are never enrolled.
    pub host_network: bool,
    /// What it runs as; empty means `default`, see [`PodSpec::service_account`].
    pub service_account_name: String,
    /// Programs.
    pub containers: Vec<Container>,
    /// Programs that run before, or beside when they are sidecars.
    pub init_containers: Vec<Container>,
    /// `Always` (default), `OnFailure` or `Never`.
    pub restart_policy: Option<String>,
}

/// `status` of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodStatus {
    /// Where in its life it is.
    pub phase: PodPhase,
    /// Its first address.
    #[serde(rename = "podIP")]
    pub pod_ip: Option<IpAddr>,
    /// All its addresses, one per family.
    #[serde(rename = "podIPs")]
    pub pod_ips: Vec<PodIp>,
    /// Ready and others.
    pub conditions: Vec<Condition>,
}

/// An entry of `podIPs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct PodIp {
    /// The address.
    pub ip: IpAddr,
}

/// Where in its life a pod is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum PodPhase {
    /// Not all containers were started yet; also what a missing status means.
    #[default]
    Pending,
    /// At least one container runs.
    Running,
    /// All ended well.
    Succeeded,
    /// All ended, one badly.
    Failed,
    /// Its node does not answer.
    Unknown,
}

impl Pod {
    /// Its addresses: `podIPs`, or `podIP` where only that is set.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        if self.status.pod_ips.is_empty() {
            self.status.pod_ip.into_iter().collect()
        } else {
            self.status.pod_ips.iter().map(|entry| entry.ip).collect()
        }
    }

    /// Whether its `Ready` condition is true.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.status
            .condition("Ready")
            .is_some_and(Condition::is_true)
    }

    /// Whether it has ended for good and holds no address any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.status.phase, PodPhase::Succeeded | PodPhase::Failed)
    }
}

impl PodSpec {
    /// The service account it runs as.
    #[must_use]
    pub fn service_account(&self) -> &str {
        if self.service_account_name.is_empty() {
            "default"
        } else {
            &self.service_account_name
        }
    }

    /// Containers and sidecars: everything that runs while the pod does.
    pub fn running_containers(&self) -> impl Iterator<Item = &Container> {
        let sidecars = self
            .init_containers
            .iter()
            .filter(|container| container.is_sidecar());
        self.containers.iter().chain(sidecars)
    }

    /// The number behind a target port: itself, or that of the first container port of this name and
    /// protocol. (A Service's named target port may so differ from pod to pod.)
    #[must_use]
    pub fn port_number(&self, port: &IntOrString, protocol: Protocol) -> Option<u16> {
        match port {
            IntOrString::Number(number) => Some(*number),
            IntOrString::Name(name) => self
                .running_containers()
                .flat_map(|container| &container.ports)
                .find(|port| port.name == *name && port.protocol == protocol)
                .map(|port| port.container_port),
        }
    }
}

impl PodStatus {
    /// The condition of this type.
    #[must_use]
    pub fn condition(&self, r#type: &str) -> Option<&Condition> {
        self.conditions
            .iter()
            .find(|condition| condition.r#type == r#type)
    }
}
