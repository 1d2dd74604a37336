//! Pure. Gateway classes.

use serde::Deserialize;

use crate::meta::Metadata;

/// A class of gateways; all that Weft reads of it is metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GatewayClass {
    /// Labels and annotations stand for those that a gateway of the class lacks.
    pub metadata: Metadata,
}
