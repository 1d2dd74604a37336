//! Pure. Services.

use std::net::IpAddr;

use serde::Deserialize;

use super::{IntOrString, Protocol};
use crate::labels::Labels;
use crate::meta::Metadata;

/// A service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Name, labels, annotations.
    pub metadata: Metadata,
    /// What was asked for, and the addresses it was given.
    pub spec: ServiceSpec,
}

/// `spec` of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceSpec {
    /// How it is reached.
    pub r#type: ServiceType,
    /// First address as text, `None` for a headless service; empty until allocated. See [`Service::addresses`].
    #[serde(rename = "clusterIP")]
    pub cluster_ip: String,
    /// All addresses, one per family, in the same notation.
    #[serde(rename = "clusterIPs")]
    pub cluster_ips: Vec<String>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// Which pods are behind it; empty when someone else writes its endpoints.
    pub selector: Labels,
    /// `Cluster` (default) or `Local`: only endpoints on the caller's node.
    pub internal_traffic_policy: Option<String>,
    /// Whether pods count that are not ready.
    pub publish_not_ready_addresses: bool,
    /// `IPv4` and `IPv6` in order of preference.
    pub ip_families: Vec<String>,
    /// `SingleStack`, `PreferDualStack` or `RequireDualStack`.
    pub ip_family_policy: Option<String>,
    /// `PreferClose`, `PreferSameZone` or `PreferSameNode`.
    pub traffic_distribution: Option<String>,
    /// The name it stands for, of type `ExternalName`.
    pub external_name: String,
}

/// How a service is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum ServiceType {
    /// An address inside the cluster.
    #[default]
    #[serde(rename = "ClusterIP")]
    ClusterIp,
    /// Also a port on every node.
    NodePort,
    /// Also a load balancer.
    LoadBalancer,
    /// A DNS alias.
    ExternalName,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// Its number at the service's address.
    pub port: u16,
    /// Its name; may be empty when it is the only one.
    #[serde(default)]
    pub name: String,
    /// TCP unless said otherwise.
    #[serde(default)]
    pub protocol: Protocol,
    /// The pods' port; the same number when absent.
    #[serde(default)]
    pub target_port: Option<IntOrString>,
    /// What is spoken on it (`http`, `kubernetes.io/h2c`, ...).
    #[serde(default)]
    pub app_protocol: Option<String>,
}

impl Service {
    /// Whether it has no address of its own on purpose.
    #[must_use]
    pub fn is_headless(&self) -> bool {
        self.spec.cluster_ip == "None"
    }

    /// Its allocated addresses; what is not an address (`None`, nothing yet) is left out.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        if self.spec.cluster_ips.is_empty() {
            self.spec.cluster_ip.parse().into_iter().collect()
        } else {
            self.spec
                .cluster_ips
                .iter()
                .filter_map(|text| text.parse().ok())
                .collect()
        }
    }
}
