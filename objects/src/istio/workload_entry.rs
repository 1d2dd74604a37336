//! Pure. Workload entries: machines that are no pods.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use super::{Refused, host};
use crate::labels::Labels;
use crate::meta::Metadata;
use crate::raw::Path;

/// A machine that is no pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct WorkloadEntry {
    /// Name, labels, annotations.
    pub metadata: Metadata,
    /// What it is.
    pub spec: WorkloadEntrySpec,
}

/// `spec` of a workload entry, and an entry of a service entry's `endpoints`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WorkloadEntrySpec {
    /// An address, or a host name to resolve; empty only on another network.
    pub address: String,
    /// Its ports by the name of a service's port.
    pub ports: BTreeMap<String, u16>,
    /// Labels: for selecting.
    pub labels: Labels,
    /// The network its address is on; the cluster's own when empty.
    pub network: String,
    /// `region/zone/subzone`, as far as it is known.
    pub locality: String,
    /// Its share of traffic; 0 means not said.
    pub weight: u32,
    /// What it runs as.
    pub service_account: String,
}

impl WorkloadEntry {
    /// Labels of the object and of its specification; of two with one key the specification's.
    #[must_use]
    pub fn labels(&self) -> Labels {
        let all = self.metadata.labels.iter().chain(self.spec.labels.iter());
        all.collect()
    }

    pub(crate) fn check(&self) -> Result<(), Refused> {
        self.spec.check(&Path::of_keys(&["spec"]))
    }
}

impl WorkloadEntrySpec {
    /// Its address, unless it has a host name or none.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        let address: IpAddr = self.address.parse().ok()?;
        Some(address.to_canonical())
    }

    /// The host name to resolve; empty when there is an address or nothing.
    #[must_use]
    pub fn hostname(&self) -> &str {
        match self.ip() {
            Some(_) => "",
            None => &self.address,
        }
    }

    /// `at` is the way to it.
    pub(super) fn check(&self, at: &Path) -> Result<(), Refused> {
        let address = || at.clone().key("address");
        if self.address.is_empty() && self.network.is_empty() {
            let reason = "needed, unless it is on another network";
            return Err(Refused::new(address(), reason));
        }
        if self.address.starts_with("unix:") {
            let reason = "unix sockets are not reached over a mesh of nodes";
            return Err(Refused::new(address(), reason));
        }
        if !self.hostname().is_empty() {
            let complaint = match host::is_wildcard(&self.address) {
                true => Some("an endpoint is one host, not many"),
                false => host::complaint(&self.address),
            };
            if let Some(complaint) = complaint {
                return Err(Refused::new(address(), complaint));
            }
        }
        if let Some((name, _)) = self.ports.iter().find(|(_, number)| **number == 0) {
            let path = at.clone().key("ports").key(name);
            return Err(Refused::new(path, "a port is a number from 1 to 65535"));
        }
        if self.locality.split('/').count() > 3 {
            let path = at.clone().key("locality");
            let reason = "at most region, zone and subzone, with `/` between";
            return Err(Refused::new(path, reason));
        }
        Ok(())
    }
}
