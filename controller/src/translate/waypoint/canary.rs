//! Pure. A second waypoint for a share of the traffic.

use mesh::model::{GatewayAddress, WeightedWaypoint};
use objects::raw::Path;

use super::refusal::WAYPOINT_BOUND;
use super::{Asked, CANARY, CANARY_WEIGHT};
use crate::translate::Finding;
use crate::translate::rule::Rule;
use crate::translate::status::Condition;

/// Why the first waypoint gets everything.
#[derive(Debug)]
pub struct Unused {
    reason: &'static str,
    label: (&'static str, &'static str),
    message: String,
}

/// Both waypoints by weight; `second` is the second one's address, or why it has none. `None` when there is only one.
pub fn split(
    asked: &Asked<'_>,
    first: &GatewayAddress,
    second: Option<Result<GatewayAddress, String>>,
) -> Option<Result<Vec<WeightedWaypoint>, Unused>> {
    let canary = asked.canary.as_ref()?;
    let unused = |reason, label, message| {
        Some(Err(Unused {
            reason,
            label,
            message,
        }))
    };
    if *canary == asked.gateway {
        let message = format!("the canary {canary} is the waypoint itself");
        return unused("CanarySameAsPrimary", ("labels", CANARY), message);
    }
    let weight = asked.weight.and_then(|text| text.parse::<u32>().ok());
    let Some(weight) = weight.filter(|weight| *weight <= 100) else {
        let message = match asked.weight {
            Some(text) => format!("canary weight {text:?} is no number from 0 to 100"),
            None => format!("the canary has no weight: annotation {CANARY_WEIGHT} is missing"),
        };
        return unused(
            "CanaryInvalidWeight",
            ("annotations", CANARY_WEIGHT),
            message,
        );
    };
    let second = match second? {
        Ok(second) => second,
        Err(message) => return unused("WaypointIsNotReady", ("labels", CANARY), message),
    };
    let share = |gateway: &GatewayAddress, weight| WeightedWaypoint {
        gateway: gateway.clone(),
        weight,
    };
    Some(Ok(vec![share(first, 100 - weight), share(&second, weight)]))
}

impl Unused {
    fn message(&self) -> String {
        format!("{}: the other waypoint gets all traffic", self.message)
    }

    /// The condition that says it.
    pub fn condition(&self) -> Condition {
        Condition {
            kind: WAYPOINT_BOUND,
            holds: false,
            reason: self.reason,
            message: self.message(),
        }
    }

    /// The finding about it, on the object's own metadata at `metadata` or on its namespace.
    pub fn finding(&self, metadata: Option<Path>) -> Finding {
        let (map, key) = self.label;
        let path = match metadata {
            Some(metadata) => metadata.key(map).key(key),
            None => Path::of_keys(&["metadata", "namespace"]),
        };
        Finding {
            rule: Rule::CanaryUnused,
            path,
            reason: self.message(),
        }
    }
}
