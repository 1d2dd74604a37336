//! Pure. ReferenceGrant: which references into its namespace are allowed.

use serde::Deserialize;

use crate::meta::Metadata;

/// Allows references from other namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ReferenceGrant {
    /// Name and namespace.
    pub metadata: Metadata,
    /// What is allowed.
    pub spec: ReferenceGrantSpec,
}

/// `spec` of a ReferenceGrant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ReferenceGrantSpec {
    /// Who may refer.
    pub from: Vec<From>,
    /// To what.
    pub to: Vec<To>,
}

/// Who may refer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct From {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
}

/// To what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct To {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name; any when absent.
    pub name: Option<String>,
}
