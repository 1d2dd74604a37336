//! Pure. PeerAuthentication.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::WorkloadSelector;
use crate::meta::Metadata;

/// Whether workloads take plain text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PeerAuthentication {
    /// Name and age.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: PeerAuthenticationSpec,
}

/// `spec` of a PeerAuthentication.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PeerAuthenticationSpec {
    /// The workloads it is about; all of the namespace when absent.
    pub selector: Option<WorkloadSelector>,
    /// For every port.
    pub mtls: MutualTls,
    /// For single ports of the workloads, by number in digits.
    pub port_level_mtls: BTreeMap<String, MutualTls>,
}

/// How connections must come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct MutualTls {
    /// How.
    pub mode: Mode,
}

/// How connections must come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Mode {
    /// As the next wider level says.
    #[default]
    Unset,
    /// In plain text.
    Disable,
    /// In either way.
    Permissive,
    /// In mutual TLS only.
    Strict,
}
