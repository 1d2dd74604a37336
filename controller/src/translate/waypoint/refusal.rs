//! Pure. Why an object does not get the waypoint it asks for, and what happens to its traffic then.

use mesh::names::NamespacedName;

use crate::translate::Finding;
use crate::translate::rule::Rule;
use crate::translate::status::Condition;
use objects::raw::Path;

/// Kind of the condition that says whether an object has its waypoint.
pub const WAYPOINT_BOUND: &str = "istio.io/WaypointBound";

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such gateway.
    Missing,
    /// It has no address yet.
    NotReady,
    /// It is for other traffic.
    OtherTraffic,
    /// It does not admit objects of this namespace.
    NotAdmitted,
    /// What only its own namespace sees may not bind to another one's waypoint.
    Private,
}

/// What becomes of the traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is sent to this host all the same, and refused until a waypoint answers there.
    Closed(String),
    /// It goes without a waypoint, because the owner said so.
    Opened,
    /// It goes without a waypoint, because the waypoint is not meant for it.
    Direct,
}

impl Refusal {
    /// The reason in a condition.
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing | Self::NotReady => "WaypointIsNotReady",
            Self::OtherTraffic => "UnsupportedTrafficType",
            Self::NotAdmitted => "AttachmentDenied",
            Self::Private => "CrossNamespaceWaypointForbidden",
        }
    }

    fn rule(self) -> Rule {
        match self {
            Self::Missing => Rule::WaypointMissing,
            Self::NotReady => Rule::WaypointNotReady,
            Self::OtherTraffic => Rule::WaypointUnsuited,
            Self::NotAdmitted | Self::Private => Rule::WaypointForbidden,
        }
    }

    /// A sentence about `gateway`, for owners.
    pub fn message(self, gateway: &NamespacedName, effect: &Effect) -> String {
        let what = match self {
            Self::Missing => "there is no such Gateway",
            Self::NotReady => "it has no address yet",
            Self::OtherTraffic => {
                "its label istio.io/waypoint-for says that it is for other traffic"
            }
            Self::NotAdmitted => "allowedRoutes of its listener does not admit this namespace",
            Self::Private => {
                "what is visible to its own namespace only cannot use another namespace's waypoint"
            }
        };
        let then = match effect {
            Effect::Closed(host) => format!("traffic is refused until one answers at {host}"),
            Effect::Opened => {
                "traffic goes without one, as weft.dev/waypoint-failure-mode says".to_owned()
            }
            Effect::Direct => "traffic goes without one".to_owned(),
        };
        format!("waypoint {gateway} is asked for, but {what}: {then}")
    }

    /// The finding about it.
    pub fn finding(self, path: Path, message: String) -> Finding {
        Finding {
            rule: self.rule(),
            path,
            reason: message,
        }
    }

    /// The condition that says it.
    pub fn condition(self, message: String) -> Condition {
        Condition {
            kind: WAYPOINT_BOUND,
            holds: false,
            reason: self.word(),
            message,
        }
    }
}
