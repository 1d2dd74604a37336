//! Shapes of Istio's kinds: exactly the fields Weft reads, so that what is left over is exact.

pub mod authorization_policy;
pub mod peer_authentication;

use serde::Deserialize;

use crate::labels::Labels;

pub use authorization_policy::AuthorizationPolicy;
pub use peer_authentication::PeerAuthentication;

/// Which workloads an object is about: those that carry all these labels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WorkloadSelector {
    /// Labels that must be there with these values; none of them means every workload.
    pub match_labels: Labels,
}
