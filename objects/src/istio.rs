//! Shapes of Istio's kinds: exactly the fields Weft reads, so that what is left over is exact.
//!
//! What Istio's admission would refuse is refused here, with the field: [`Refused`].

pub mod request_authentication;
pub mod authorization_policy;
pub mod virtual_service;
pub mod destination_rule;
pub mod peer_authentication;
pub mod telemetry;
pub mod service_entry;
pub mod workload_entry;
pub mod host;
pub mod subnet;
pub mod string_match;
pub mod span;

use serde::Deserialize;

use crate::labels::Labels;
use crate::raw::Path;

pub use authorization_policy::AuthorizationPolicy;
pub use destination_rule::DestinationRule;
pub use peer_authentication::PeerAuthentication;
pub use request_authentication::RequestAuthentication;
pub use service_entry::{EntryPort, Location, Resolution, ServiceEntry};
pub use span::Span;
pub use string_match::StringMatch;
pub use subnet::Subnet;
pub use telemetry::Telemetry;
pub use virtual_service::VirtualService;
pub use workload_entry::{WorkloadEntry, WorkloadEntrySpec};

/// Which workloads an object is about: those that carry all these labels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WorkloadSelector {
    /// Labels that must be there with these values; none of them means every workload.
    pub match_labels: Labels,
}

/// A value that can be read and that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which field.
    pub path: Path,
    /// Why not.
    pub reason: String,
}

impl Refused {
    pub(crate) fn new(path: Path, reason: impl Into<String>) -> Refused {
        Refused {
            path,
            reason: reason.into(),
        }
    }
}
