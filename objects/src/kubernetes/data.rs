//! Pure. ConfigMaps and Secrets: named pieces of text or bytes.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::meta::Metadata;

/// Plain configuration data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ConfigMap {
    /// Name and labels.
    pub metadata: Metadata,
    /// Text by key.
    pub data: BTreeMap<String, String>,
}

/// Data that is never printed.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Secret {
    /// Name and labels.
    pub metadata: Metadata,
    /// What it holds (`kubernetes.io/tls`).
    pub r#type: String,
    /// Base64 text by key.
    pub data: BTreeMap<String, SecretText>,
    /// Plain text by key; wins over `data`.
    pub string_data: BTreeMap<String, SecretText>,
}

/// A value of a secret; prints as `***`.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// The value itself: for use, not for printing.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&String> = self.data.keys().chain(self.string_data.keys()).collect();
        f.debug_struct("Secret")
            .field("name", &self.metadata.name)
            .field("namespace", &self.metadata.namespace)
            .field("type", &self.r#type)
            .field("keys", &keys)
            .finish_non_exhaustive()
    }
}
