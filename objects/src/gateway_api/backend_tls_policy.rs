//! Pure. BackendTLSPolicy: TLS to an application that speaks it itself.

use serde::Deserialize;

use super::reference::object;
use crate::kinds::Key;
use crate::meta::Metadata;

/// TLS to an application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct BackendTlsPolicy {
    /// Name, age.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: BackendTlsPolicySpec,
}

/// `spec` of a BackendTLSPolicy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BackendTlsPolicySpec {
    /// Which applications.
    pub target_refs: Vec<TargetRef>,
    /// How they prove who they are.
    pub validation: Validation,
}

/// An application, of the policy's namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TargetRef {
    /// Its API group; empty for the legacy group.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Name of a port; all ports when absent.
    pub section_name: Option<String>,
}

impl TargetRef {
    /// The service or service entry that it means in a policy of `namespace`; `None` for everything else.
    #[must_use]
    pub fn object(&self, namespace: &str) -> Option<Key> {
        object(&self.group, &self.kind, namespace, &self.name)
    }
}

/// How an application proves who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Validation {
    /// Authorities that vouch for it.
    pub ca_certificate_refs: Vec<CaRef>,
    /// `System`: those of the operating system.
    #[serde(rename = "wellKnownCACertificates")]
    pub well_known_ca_certificates: Option<String>,
    /// Its name in the handshake.
    pub hostname: String,
    /// Names that its certificate may have instead.
    pub subject_alt_names: Vec<SubjectAltName>,
}

/// Where certificates of authorities are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct CaRef {
    /// API group; empty for the legacy group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
}

/// A name in a certificate. Which field counts, the type says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SubjectAltName {
    /// `Hostname` or `URI`.
    pub r#type: String,
    /// Of `Hostname`.
    pub hostname: Option<String>,
    /// Of `URI`.
    pub uri: Option<String>,
}
