//! Pure. Service entries: services that Kubernetes does not know.

mod check;

use std::net::IpAddr;

use serde::Deserialize;

use super::{Refused, WorkloadEntrySpec, host};
use crate::labels::Labels;
use crate::meta::Metadata;

/// A service that Kubernetes does not know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ServiceEntry {
    /// Name, labels, annotations.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: ServiceEntrySpec,
    /// What was given.
    pub status: ServiceEntryStatus,
}

/// `spec` of a service entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceEntrySpec {
    /// Its names, each a service of its own.
    pub hosts: Vec<String>,
    /// Addresses and ranges it is found by.
    pub addresses: Vec<String>,
    /// Its ports.
    pub ports: Vec<EntryPort>,
    /// Whose it is.
    pub location: Location,
    /// How its endpoints are found.
    pub resolution: Resolution,
    /// Its endpoints, written out.
    pub endpoints: Vec<WorkloadEntrySpec>,
    /// Or which pods and workload entries are behind it.
    pub workload_selector: Option<WorkloadSelector>,
    /// Namespaces that may see it; ambient meshes do not honour it.
    pub export_to: Vec<String>,
    /// Identities that its endpoints may also prove.
    pub subject_alt_names: Vec<String>,
}

/// Which pods and workload entries of its namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct WorkloadSelector {
    /// Labels they must have.
    pub labels: Labels,
}

/// A port of a service entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EntryPort {
    /// Its number at the entry's addresses.
    pub number: u16,
    /// Its name, by which endpoints say a number of their own.
    pub name: String,
    /// What is spoken on it; empty when that is not said.
    pub protocol: String,
    /// The endpoints' port; 0 means the same.
    pub target_port: u16,
}

/// Whose service it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Location {
    /// Somebody else's.
    #[default]
    #[serde(rename = "MESH_EXTERNAL")]
    External,
    /// Part of the mesh.
    #[serde(rename = "MESH_INTERNAL")]
    Internal,
}

/// How endpoints are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Resolution {
    /// The caller has resolved the name already: the dialled address is the endpoint.
    #[default]
    #[serde(rename = "NONE")]
    None,
    /// They have addresses.
    #[serde(rename = "STATIC")]
    Static,
    /// They, or the hosts, are resolved: all addresses.
    #[serde(rename = "DNS")]
    Dns,
    /// They, or the hosts, are resolved: one address at a time.
    #[serde(rename = "DNS_ROUND_ROBIN")]
    DnsRoundRobin,
    /// The host that a request names is resolved.
    #[serde(rename = "DYNAMIC_DNS")]
    DynamicDns,
}

/// `status` of a service entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ServiceEntryStatus {
    /// Addresses that were given to hosts.
    pub addresses: Vec<HostAddress>,
}

/// An address that was given to a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HostAddress {
    /// The host.
    pub host: String,
    /// The address.
    pub value: String,
}

impl ServiceEntry {
    /// Whether a controller may give addresses to its hosts: it has none, needs some and does not object.
    #[must_use]
    pub fn wants_addresses(&self) -> bool {
        let objects = self
            .metadata
            .labels
            .is("networking.istio.io/enable-autoallocate-ip", "false");
        self.spec.addresses.is_empty() && self.spec.resolution != Resolution::None && !objects
    }

    /// The hosts that addresses are given to: a wildcard has one only when it is resolved per request.
    pub fn addressable_hosts(&self) -> impl Iterator<Item = &str> {
        let is_dynamic = self.spec.resolution == Resolution::DynamicDns;
        let hosts = self.spec.hosts.iter().map(String::as_str);
        hosts.filter(move |host| is_dynamic || !host::is_wildcard(host))
    }

    /// Whether its hosts stand for their own endpoints, because it names none and they can be resolved.
    #[must_use]
    pub fn resolves_its_hosts(&self) -> bool {
        matches!(
            self.spec.resolution,
            Resolution::Dns | Resolution::DnsRoundRobin
        ) && self.spec.endpoints.is_empty()
            && self.spec.workload_selector.is_none()
    }

    pub(crate) fn check(&self) -> Result<(), Refused> {
        check::all(&self.spec)
    }
}

impl EntryPort {
    /// Whether it is not TCP, which is all a mesh carries.
    #[must_use]
    pub fn is_udp(&self) -> bool {
        self.protocol.eq_ignore_ascii_case("UDP")
    }

    /// Where it leads on endpoints that do not say otherwise.
    #[must_use]
    pub fn target(&self) -> u16 {
        match self.target_port {
            0 => self.number,
            given => given,
        }
    }
}

impl HostAddress {
    /// The address, if it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        let address: IpAddr = self.value.parse().ok()?;
        Some(address.to_canonical())
    }
}
