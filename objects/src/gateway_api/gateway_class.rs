//! Pure. Gateway classes.

use serde::Deserialize;

use crate::meta::Metadata;

/// A class of gateways.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GatewayClass {
    /// Labels and annotations stand for those that a gateway of the class lacks.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: GatewayClassSpec,
}

/// `spec` of a class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GatewayClassSpec {
    /// Who looks after gateways of the class.
    pub controller_name: String,
}
