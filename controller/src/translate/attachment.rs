//! Pure. Policies that are attached to what waypoints serve: which references they may have, what becomes of each,
//! and what is said about it. Source: docs/compat.md#policy-attachment.

use mesh::model::attached::Target;
use mesh::names::NamespacedName;
use objects::istio::authorization_policy::TargetRef;
use objects::raw::Path;

use super::Finding;
use super::rule::Rule;
use super::status::Condition;

/// Class of the gateways that are waypoints.
pub const WAYPOINT_CLASS: &str = "istio-waypoint";

/// Kinds that a policy can be attached to, with their groups.
const TARGETS: [(&str, &[&str]); 4] = [
    ("Service", &["", "core"]),
    ("ServiceEntry", &["networking.istio.io"]),
    ("Gateway", &["gateway.networking.k8s.io"]),
    ("GatewayClass", &["gateway.networking.k8s.io"]),
];

/// Why a policy of `namespace` cannot be attached to this: the field and the reason.
pub fn complaint(
    root: &str,
    namespace: &str,
    target: &TargetRef,
) -> Option<(&'static str, &'static str)> {
    let known = TARGETS.iter().find(|(kind, _)| *kind == target.kind);
    let Some((_, groups)) = known else {
        return Some(("kind", "nothing that a policy can be attached to"));
    };
    if !groups.contains(&target.group.as_str()) {
        return Some(("group", "not the group of this kind"));
    }
    if target.kind == "GatewayClass" {
        if namespace != root {
            return Some((
                "kind",
                "for a whole class a policy stands in the root namespace",
            ));
        }
        if target.name != WAYPOINT_CLASS {
            return Some(("name", "waypoints are of the class istio-waypoint"));
        }
    }
    let elsewhere = target.namespace.as_deref().filter(|it| *it != namespace);
    elsewhere.map(|_| ("namespace", "a policy is for what is in its own namespace"))
}

/// References, the older spelling first, each with where it is written.
pub fn references<'a>(
    one: Option<&'a TargetRef>,
    several: &'a [TargetRef],
) -> impl Iterator<Item = (&'a TargetRef, Path)> {
    let one = one.map(|it| (it, Path::of_keys(&["spec", "targetRef"])));
    let path = Path::of_keys(&["spec", "targetRefs"]);
    let several = several.iter().enumerate();
    one.into_iter()
        .chain(several.map(move |(index, it)| (it, path.clone().at(index))))
}

/// What a reference leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing of that name.
    Missing,
    /// Something that no waypoint serves.
    Unbound,
    /// Something that waypoints serve.
    Bound {
        /// What it is to them.
        targets: Vec<Target>,
        /// Their gateways.
        gateways: Vec<NamespacedName>,
    },
}

impl Place {
    /// The same when no waypoint serves it; else bound.
    pub fn of(targets: Vec<Target>, gateways: Vec<NamespacedName>) -> Self {
        match gateways.is_empty() {
            true => Self::Unbound,
            false => Self::Bound { targets, gateways },
        }
    }
}

/// Everything that places are to waypoints: targets, and the gateways that must know.
pub fn reach(places: &[Place]) -> (Vec<Target>, Vec<NamespacedName>) {
    let (mut all, mut told) = (Vec::new(), Vec::new());
    for place in places {
        if let Place::Bound { targets, gateways } = place {
            all.extend(targets.iter().cloned());
            told.extend(gateways.iter().cloned());
        }
    }
    (all, told)
}

/// What is found about references that no waypoint enforces anything for.
pub fn findings<'a>(
    references: impl IntoIterator<Item = (&'a TargetRef, Path)>,
    places: &[Place],
) -> Vec<Finding> {
    let references = references.into_iter().zip(places);
    let finding = |((target, path), place): ((&TargetRef, Path), &Place)| {
        let what = format!("{} {}", target.kind, target.name);
        let reason = match place {
            Place::Bound { .. } => return None,
            Place::Unbound => {
                format!("no waypoint serves {what}: nothing of this policy is enforced there")
            }
            Place::Missing => format!("there is no {what}: nothing of this policy is enforced"),
        };
        Some(Finding {
            rule: Rule::PolicyWithoutWaypoint,
            path,
            reason,
        })
    };
    references.filter_map(finding).collect()
}

/// Whether waypoints enforce a policy; `effect` says what is in force, `is_rejected` that a value in it cannot be read.
pub fn waypoint_accepted(
    findings: &[Finding],
    places: &[Place],
    is_rejected: bool,
    effect: &str,
) -> Condition {
    let is_bound = |it: &Place| matches!(it, Place::Bound { .. });
    let (bound, all) = (places.iter().any(is_bound), places.iter().all(is_bound));
    let is_missing = places.contains(&Place::Missing);
    let (holds, reason) = match (is_rejected, bound, all, is_missing) {
        (true, ..) => (false, "Invalid"),
        (false, true, true, _) => (true, "Accepted"),
        (false, true, false, _) => (false, "PartiallyInvalid"),
        (false, false, _, true) => (false, "TargetNotFound"),
        (false, false, _, false) => (false, "AncestorNotBound"),
    };
    Condition {
        kind: "WaypointAccepted",
        holds,
        reason,
        message: Condition::message(effect, findings),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_tells_what_kind_of_fault_it_is() {
        let gateway = NamespacedName::new("shop", "waypoint");
        let bound = Place::of(vec![Target::Gateway(gateway.clone())], vec![gateway]);
        let unbound = Place::of(Vec::new(), Vec::new());
        for (places, is_rejected, expected) in [
            (vec![bound.clone()], false, (true, "Accepted")),
            (vec![bound.clone()], true, (false, "Invalid")),
            (
                vec![bound.clone(), unbound.clone()],
                false,
                (false, "PartiallyInvalid"),
            ),
            (
                vec![bound, Place::Missing],
                false,
                (false, "PartiallyInvalid"),
            ),
            (vec![unbound.clone()], false, (false, "AncestorNotBound")),
            (
                vec![unbound, Place::Missing],
                false,
                (false, "TargetNotFound"),
            ),
        ] {
            let condition = waypoint_accepted(&[], &places, is_rejected, "");
            assert_eq!((condition.holds, condition.reason), expected, "{places:?}");
        }
    }
}
