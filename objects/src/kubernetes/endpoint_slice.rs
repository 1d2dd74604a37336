//! Pure. Endpoint slices.

use serde::Deserialize;

use super::Protocol;
use crate::meta::Metadata;

/// The label that names a slice's service.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// Some of the endpoints of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EndpointSlice {
    /// Its label [`SERVICE_NAME_LABEL`] names the service.
    pub metadata: Metadata,
    /// `IPv4`, `IPv6` or `FQDN`.
    pub address_type: String,
    /// The endpoints.
    pub endpoints: Vec<Endpoint>,
    /// The ports every one of them has.
    pub ports: Vec<EndpointPort>,
}

/// One endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Endpoint {
    /// Its addresses; one in practice. Text because the address type may be `FQDN`.
    pub addresses: Vec<String>,
    /// Whether it is ready.
    pub conditions: EndpointConditions,
    /// The pod behind it.
    pub target_ref: Option<TargetRef>,
    /// The node it is on.
    pub node_name: Option<String>,
    /// The zone it is in.
    pub zone: Option<String>,
}

/// State of an endpoint; what is absent is unknown and reads as Kubernetes asks consumers to read it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct EndpointConditions {
    /// May get new traffic.
    pub ready: Option<bool>,
}

/// The object behind an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TargetRef {
    /// Its kind, as text.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// A port of all endpoints of a slice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EndpointPort {
    /// The service port's name.
    pub name: String,
    /// Its number at the endpoint; absent means every port.
    pub port: Option<u16>,
    /// TCP unless said otherwise.
    pub protocol: Protocol,
    /// What is spoken on it.
    pub app_protocol: Option<String>,
}

impl EndpointSlice {
    /// The service it belongs to, in its own namespace.
    #[must_use]
    pub fn service_name(&self) -> Option<&str> {
        self.metadata.labels.get(SERVICE_NAME_LABEL)
    }
}

impl EndpointConditions {
    /// Unknown reads as ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.unwrap_or(true)
    }
}
