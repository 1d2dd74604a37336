//! Pure. Nodes.

use std::net::IpAddr;

use serde::Deserialize;

use super::Condition;
use crate::meta::Metadata;

/// A machine of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Labels tell its region and zone.
    pub metadata: Metadata,
    /// What was allotted to it.
    pub spec: NodeSpec,
    /// What is.
    pub status: NodeStatus,
}

/// `spec` of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    /// First range of its pods' addresses.
    #[serde(rename = "podCIDR")]
    pub pod_cidr: Option<String>,
    /// All ranges, one per family.
    #[serde(rename = "podCIDRs")]
    pub pod_cidrs: Vec<String>,
}

/// `status` of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NodeStatus {
    /// Addresses and names it is known by.
    pub addresses: Vec<NodeAddress>,
    /// Ready and others.
    pub conditions: Vec<Condition>,
}

/// An address or name of a node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct NodeAddress {
    /// `InternalIP`, `ExternalIP`, `Hostname`, ...
    pub r#type: String,
    /// The address or name.
    pub address: String,
}

impl Node {
    /// Its addresses inside the cluster.
    #[must_use]
    pub fn internal_addresses(&self) -> Vec<IpAddr> {
        let internal = self
            .status
            .addresses
            .iter()
            .filter(|entry| entry.r#type == "InternalIP");
        internal
            .filter_map(|entry| entry.address.parse().ok())
            .collect()
    }
}
