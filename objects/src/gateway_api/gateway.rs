//! Pure. Gateways, as far as it matters which of them can be a waypoint of what.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::meta::Metadata;
use crate::selector::Selector;

/// A gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Gateway {
    /// Name, labels, annotations.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: GatewaySpec,
    /// What is.
    pub status: GatewayStatus,
}

/// `spec` of a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GatewaySpec {
    /// Its class.
    pub gateway_class_name: String,
    /// Its doors.
    pub listeners: Vec<Listener>,
    /// What is wished of what is deployed for it.
    pub infrastructure: Option<Infrastructure>,
}

/// What is wished of what is deployed for a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Infrastructure {
    /// Labels of everything that is deployed.
    pub labels: BTreeMap<String, String>,
    /// Annotations of everything that is deployed.
    pub annotations: BTreeMap<String, String>,
    /// An object that says more.
    pub parameters_ref: Option<ParametersRef>,
}

/// Names an object of the gateway's namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ParametersRef {
    /// Its API group; empty for the legacy group.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// A door of a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Listener {
    /// Its name, unique among the gateway's.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// What is spoken there.
    pub protocol: String,
    /// Whose routes, and for a waypoint whose objects, may use it.
    pub allowed_routes: Option<AllowedRoutes>,
}

/// Whose routes may use a door.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AllowedRoutes {
    /// Those of these namespaces.
    pub namespaces: Option<RouteNamespaces>,
}

/// Which namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RouteNamespaces {
    /// How they are told.
    pub from: From,
    /// Which, where they are selected.
    pub selector: Option<Selector>,
}

/// How namespaces are told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum From {
    /// The gateway's own.
    #[default]
    Same,
    /// Every one.
    All,
    /// Those with labels.
    Selector,
    /// None, not even its own.
    None,
}

/// `status` of a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GatewayStatus {
    /// Where it is reached; none while it is not ready.
    pub addresses: Vec<GatewayAddress>,
}

/// Where a gateway is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GatewayAddress {
    /// `IPAddress` (also when absent) or `Hostname`.
    pub r#type: Option<String>,
    /// The address.
    pub value: String,
}
