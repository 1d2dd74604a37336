//! Pure. Nodes.

use serde::Deserialize;

use crate::meta::Metadata;

/// A machine of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Labels tell its region and zone.
    pub metadata: Metadata,
}
