//! Pure. Labels and annotations that ask for something this version does not do: nothing is silent.

use objects::meta::Metadata;

use super::Finding;
use super::rule::Rule;

/// Labels that have no effect yet, on any kind.
const LABELS: &[(&str, &str)] = &[
    (
        "istio.io/use-waypoint-canary",
        "canary waypoints are not supported yet",
    ),
    (
        "istio.io/global",
        "services are not shared between clusters yet",
    ),
    (
        "weft.dev/waypoint-required",
        "not enforced yet: pods can still be reached directly",
    ),
    (
        "networking.istio.io/enable-autoallocate-ip",
        "addresses are not allocated automatically yet",
    ),
];

/// Annotations that have no effect yet, on any kind.
const ANNOTATIONS: &[(&str, &str)] = &[
    (
        "istio.io/use-waypoint-canary-weight",
        "canary waypoints are not supported yet",
    ),
    (
        "networking.istio.io/exportTo",
        "visibility is not limited yet",
    ),
    (
        "ambient.istio.io/waypoint-inbound-binding",
        "application tunnels are not supported yet",
    ),
];

/// What in `metadata` is not honoured.
pub fn findings(metadata: &Metadata) -> Vec<Finding> {
    let labels = LABELS.iter().filter(|(key, _)| metadata.labels.has(key));
    let annotations = ANNOTATIONS
        .iter()
        .filter(|(key, _)| metadata.annotations.has(key));
    labels
        .map(|(key, reason)| Finding::new(Rule::NotHonoured, &["metadata", "labels", key], *reason))
        .chain(annotations.map(|(key, reason)| {
            Finding::new(
                Rule::NotHonoured,
                &["metadata", "annotations", key],
                *reason,
            )
        }))
        .collect()
}
