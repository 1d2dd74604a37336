//! Pure. Kinds that make pods. Of those that only a cluster's own controllers deal with, just the metadata is read.

use serde::Deserialize;

use super::PodSpec;
use crate::meta::Metadata;
use crate::selector::Selector;

/// Interchangeable pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// Name and labels.
    pub metadata: Metadata,
    /// How many, of what.
    pub spec: ReplicaSpec,
}

/// Pods with stable names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct StatefulSet {
    /// Name and labels.
    pub metadata: Metadata,
    /// How many, of what.
    pub spec: ReplicaSpec,
}

/// `spec` of a Deployment or StatefulSet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ReplicaSpec {
    /// How many pods; 1 when absent.
    pub replicas: Option<u32>,
    /// Which pods are its own.
    pub selector: Selector,
    /// What its pods look like.
    pub template: PodTemplate,
}

/// Pods that run to an end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Job {
    /// Name and labels.
    pub metadata: Metadata,
    /// How many, of what.
    pub spec: JobSpec,
}

/// A pod on every node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct DaemonSet {
    /// Name and labels.
    pub metadata: Metadata,
}

/// What a Deployment makes its pods by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ReplicaSet {
    /// Name and labels.
    pub metadata: Metadata,
}

/// How many pods a Deployment has, by load.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HorizontalPodAutoscaler {
    /// Name and labels.
    pub metadata: Metadata,
}

/// How many pods may be gone at once, by somebody's wish.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PodDisruptionBudget {
    /// Name and labels.
    pub metadata: Metadata,
}

/// Jobs by the clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct CronJob {
    /// Name and labels.
    pub metadata: Metadata,
}

/// `spec` of a Job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct JobSpec {
    /// How many pods at a time; 1 when absent.
    pub parallelism: Option<u32>,
    /// How many must end well; 1 when absent.
    pub completions: Option<u32>,
    /// Which pods are its own; usually absent.
    pub selector: Option<Selector>,
    /// What its pods look like.
    pub template: PodTemplate,
}

/// What pods made from it look like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PodTemplate {
    /// Labels and annotations of the pods.
    pub metadata: Metadata,
    /// Their specification.
    pub spec: PodSpec,
}
