//! Pure. Labels and annotations that ask for something this version does not do: nothing is silent.

use objects::meta::Metadata;

use super::Finding;
use super::rule::Rule;

/// Labels that have no effect yet, on any kind.
const LABELS: &[(&str, &str)] = &[
    (
        "istio.io/global",
        "services are not shared between clusters yet",
    ),
    (
        "weft.dev/waypoint-required",
        "not enforced yet: pods can still be reached directly",
    ),
];

/// Annotations that have no effect yet, on any kind.
const ANNOTATIONS: &[(&str, &str)] = &[(
    "networking.istio.io/exportTo",
    "visibility is not limited yet",
)];

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
