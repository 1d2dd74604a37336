//! Pure. What a waypoint is told about itself: its Gateway and MeshConfig.

use std::time::Duration;

use mesh::model::observe::Telemetry;
use mesh::model::waypoint::Waypoint;
use mesh::names::NamespacedName;

use super::gateway::Candidate;
use crate::translate::Cluster;
use crate::translate::virtual_service::retry;

/// How long connecting may take where MeshConfig does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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
        default_retry: retry::of_mesh(&cluster.traffic),
        connect_timeout: connect_timeout.unwrap_or(CONNECT_TIMEOUT),
        authorizers: cluster.authorizers.to_vec(),
        telemetry,
    })
}
