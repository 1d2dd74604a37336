//! What one waypoint is told about itself: settings that hold for all it serves.

use std::time::Duration;

use super::http::Retry;
use super::observe::Telemetry;
use super::provider::ExternalAuthorizer;
use crate::identity::TrustDomain;
use crate::names::NamespacedName;

/// Which traffic a waypoint is for. Source: docs/compat.md#waypoint-selection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WaypointFor {
    /// Traffic to services.
    #[default]
    Service,
    /// Traffic to the addresses of pods.
    Workload,
    /// Both.
    All,
    /// None at all.
    None,
}

/// How request paths are made uniform before policies and routes see them; the result is what
/// goes to the application. Source: docs/compat.md#path-normalization.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PathNormalization {
    /// Not at all.
    None,
    /// Dot segments are resolved, backslashes become slashes, unreserved escapes are decoded.
    #[default]
    Base,
    /// The same, and runs of slashes become one.
    MergeSlashes,
    /// The same, after `%2f` and `%5c` became slashes.
    DecodeAndMergeSlashes,
}

/// One waypoint. Its resource name is the gateway's `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waypoint {
    /// Namespace and name of the Gateway.
    pub key: NamespacedName,
    /// Which traffic it is for.
    pub serves: WaypointFor,
    /// Trust domain of the mesh.
    pub trust_domain: TrustDomain,
    /// How paths are made uniform.
    pub path_normalization: PathNormalization,
    /// Retries of rules that have none of their own.
    pub default_retry: Retry,
    /// How long connecting to an endpoint may take where nothing else is said. Default 10 s.
    pub connect_timeout: Duration,
    /// External authorization servers that policies may name.
    pub authorizers: Vec<ExternalAuthorizer>,
    /// What is logged, counted and traced where a service has no settings of its own.
    pub telemetry: Telemetry,
}
