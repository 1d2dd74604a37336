//! Pure. What a workload is called in telemetry, and how it is reached, from its labels and annotations.
//! Source: docs/compat.md#workload-record.

use std::sync::Arc;

use mesh::model::TunnelKind;
use objects::labels::Labels;

/// Says that the node agent redirects the pod's traffic.
pub const REDIRECTION: &str = "ambient.istio.io/redirection";
/// `http` says that the workload speaks HBONE itself.
const TUNNEL: &str = "networking.istio.io/tunnel";

/// Its canonical name; the workload's own when no label says it.
pub fn canonical_name(labels: &Labels, workload_name: &Arc<str>) -> Arc<str> {
    let keys = [
        "service.istio.io/canonical-name",
        "app.kubernetes.io/name",
        "app",
    ];
    let label = labels.first_of(&keys);
    label.map_or_else(|| workload_name.clone(), Arc::from)
}

/// Its canonical revision.
pub fn canonical_revision(labels: &Labels) -> Arc<str> {
    let keys = [
        "service.istio.io/canonical-revision",
        "app.kubernetes.io/version",
        "version",
    ];
    labels.first_of(&keys).unwrap_or("latest").into()
}

/// Its labels, by which parts of services are chosen.
pub fn labels(labels: &Labels) -> Vec<(Arc<str>, Arc<str>)> {
    let pairs = labels.iter();
    pairs
        .map(|(key, value)| (key.into(), value.into()))
        .collect()
}

/// How connections to it are opened, and whether it speaks HBONE itself.
pub fn tunnel(labels: &Labels, annotations: &Labels) -> (TunnelKind, bool) {
    let is_native = labels.is(TUNNEL, "http");
    if is_native || annotations.is(REDIRECTION, "enabled") {
        (TunnelKind::Hbone, is_native)
    } else {
        (TunnelKind::None, false)
    }
}
