//! Pure. Labels and annotations that ask for something this version does not do: nothing is silent.

use objects::meta::Metadata;
use objects::raw::Path;

use super::Finding;
use super::rule::Rule;
use super::waypoint::required::REQUIRED;

/// Labels that have no effect yet, on any kind.
const LABELS: &[(&str, &str)] = &[
    (
        "istio.io/global",
        "services are not shared between clusters yet",
    ),
    (
        REQUIRED,
        "read on services and namespaces only: what carries it can be reached directly",
    ),
];

/// Annotations that have no effect yet, on any kind.
const ANNOTATIONS: &[(&str, &str)] = &[(
    "networking.istio.io/exportTo",
    "visibility is not limited yet",
)];

/// What in the `metadata` of a service or a namespace is not honoured.
pub fn of_service_or_namespace(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = findings(metadata);
    let required = Path::of_keys(&["metadata", "labels", REQUIRED]);
    findings.retain(|it| it.path != required);
    findings
}

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
