//! Pure. What a waypoint is told about itself: its Gateway and MeshConfig.

use std::time::Duration;

use mesh::model::http::{Retry, RetryOn};
use mesh::model::observe::Telemetry;
use mesh::model::waypoint::Waypoint;
use mesh::names::NamespacedName;

use super::gateway::Candidate;
use crate::translate::Cluster;

/// How long connecting may take where MeshConfig does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Tries after the first where nobody says.
const ATTEMPTS: u32 = 2;

/// The settings of a gateway, if it is a waypoint.
pub fn of_gateway(
    cluster: &Cluster,
    candidate: &Candidate<'_>,
    telemetry: Telemetry,
) -> Option<Waypoint> {
    if !candidate.is_waypoint() {
        return None;
    }
    let metadata = &candidate.gateway.metadata;
    let connect_timeout = cluster.traffic.connect_timeout;
    Some(Waypoint {
        key: NamespacedName::new(&*metadata.namespace, &*metadata.name),
        serves: candidate.for_traffic(),
        trust_domain: cluster.trust_domain.clone(),
        path_normalization: cluster.traffic.path_normalization,
        default_retry: default_retry(),
        connect_timeout: connect_timeout.unwrap_or(CONNECT_TIMEOUT),
        authorizers: cluster.authorizers.to_vec(),
        telemetry,
    })
}

/// Retries where nobody says: of what has certainly not been acted upon. Source: docs/compat.md#retries.
fn default_retry() -> Retry {
    Retry {
        attempts: ATTEMPTS,
        on: RetryOn {
            connect_failure: true,
            refused_stream: true,
            unavailable: true,
            cancelled: true,
            ..RetryOn::default()
        },
        ..Retry::default()
    }
}
