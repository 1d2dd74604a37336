//! Shapes of Kubernetes' own kinds: exactly the fields Weft reads, so that what is left over is exact.
//!
//! A field is added here on the day code reads it, not before.

pub mod controllers;
pub mod pod;
pub mod container;
pub mod probe;
pub mod service;
pub mod endpoint_slice;
pub mod node;
pub mod data;
pub mod int_or_string;

use serde::Deserialize;

use crate::meta::Metadata;

pub use container::{Container, ContainerPort, EnvVar};
pub use controllers::{
    CronJob, DaemonSet, Deployment, HorizontalPodAutoscaler, Job, PodDisruptionBudget, PodTemplate,
    ReplicaSet, StatefulSet,
};
pub use data::{ConfigMap, Secret};
pub use endpoint_slice::{Endpoint, EndpointSlice};
pub use int_or_string::IntOrString;
pub use node::Node;
pub use pod::{Pod, PodPhase, PodSpec, PodStatus};
pub use probe::Probe;
pub use service::{Service, ServicePort};

/// A namespace; all that Weft reads of it is metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Namespace {
    /// Labels enrol it.
    pub metadata: Metadata,
}

/// What a pod runs as; all that Weft reads of it is metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ServiceAccount {
    /// Its name is the last part of an identity.
    pub metadata: Metadata,
}

/// An entry of `status.conditions`, of any kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    /// What it is about (`Ready`).
    pub r#type: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word of why.
    pub reason: String,
    /// A sentence of why.
    pub message: String,
}

impl Condition {
    /// Whether the condition holds.
    #[must_use]
    pub fn is_true(&self) -> bool {
        self.status == "True"
    }
}

/// The protocol of a port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub enum Protocol {
    /// What a mesh carries; also the default.
    #[default]
    #[serde(rename = "TCP")]
    Tcp,
    /// Not carried.
    #[serde(rename = "UDP")]
    Udp,
    /// Not carried.
    #[serde(rename = "SCTP")]
    Sctp,
}
