//! Pure. What the status of a service entry says.

use mesh::model::Visibility;
use objects::istio::ServiceEntry;
use objects::istio::host::is_wildcard;
use objects::raw::Path;

use super::{Context, Made};
use crate::translate::Finding;
use crate::translate::rule::Rule;
use crate::translate::status::Condition;
use crate::translate::visibility::Seen;
use crate::translate::waypoint::bind::Bound;

/// How DNS endpoints are tried.
const CONNECT_STRATEGY: &str = "istio.io/connect-strategy";
const RACE: &str = "RACE_FIRST_TCP_CONNECT";

/// Adds the conditions that apply.
pub(super) fn add(context: &Context<'_>, entry: &ServiceEntry, bound: &Bound, made: &mut Made) {
    made.status.conditions.extend(bound.condition.clone());
    if bound.waypoint.is_none() {
        missing(entry, made);
    }
    if let Seen::As(visibility) = context.seen {
        let (reason, who) = match visibility {
            Visibility::Public => ("Public", "everybody"),
            Visibility::Namespace => ("Namespace", "its own namespace only"),
        };
        made.status.conditions.push(Condition {
            kind: "istio.io/VisibilityApplied",
            holds: true,
            reason,
            message: format!("visible to {who}, by serviceEntryVisibility of MeshConfig"),
        });
    }
}

/// What only a waypoint can do, when there is none.
fn missing(entry: &ServiceEntry, made: &mut Made) {
    let wildcard = entry.spec.hosts.iter().position(|host| is_wildcard(host));
    let races = entry.metadata.annotations.is(CONNECT_STRATEGY, RACE);
    let (reason, path, message) = if let Some(index) = wildcard {
        (
            "NoWaypointForWildcardService",
            Path::of_keys(&["spec", "hosts"]).at(index),
            "a wildcard host is resolved by a waypoint, and there is none",
        )
    } else if races {
        (
            "NoWaypointForRacingConnectStrategy",
            Path::of_keys(&["metadata", "annotations", CONNECT_STRATEGY]),
            "connections are raced by a waypoint, and there is none",
        )
    } else {
        return;
    };
    made.status.conditions.push(Condition {
        kind: "istio.io/WaypointMissing",
        holds: true,
        reason,
        message: message.to_owned(),
    });
    made.findings.push(Finding {
        rule: Rule::NeedsWaypoint,
        path,
        reason: message.to_owned(),
    });
}
