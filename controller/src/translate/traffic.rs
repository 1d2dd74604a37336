//! Pure. What MeshConfig says of traffic through waypoints where objects say nothing.
//! Source: docs/compat.md#mesh-config.

use std::time::Duration;

use mesh::model::waypoint::PathNormalization;
use objects::istio::destination_rule::balancing::LocalitySetting;
use objects::istio::virtual_service::Retries;

/// Settings of MeshConfig.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// `connectTimeout`: how long connecting may take where no rule says; `None` as the waypoint says.
    pub connect_timeout: Option<Duration>,
    /// `localityLbSetting`: what being near counts, for destinations whose rule does not say.
    pub locality: LocalitySetting,
    /// `h2UpgradePolicy`: whether HTTP/2 is spoken to ports that do not declare it, where no rule says.
    pub upgrades: bool,
    /// `defaultHttpRetryPolicy`: retries of routes that have none of their own.
    pub retries: Option<Retries>,
    /// `defaultVirtualServiceExportTo`: who sees VirtualServices that do not say.
    pub virtual_service_export: Vec<String>,
    /// `defaultDestinationRuleExportTo`: who sees DestinationRules that do not say.
    pub destination_rule_export: Vec<String>,
    /// `pathNormalization`: how waypoints make paths uniform.
    pub path_normalization: PathNormalization,
}
