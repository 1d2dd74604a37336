//! Pure. Is this pod the mesh's? Labels and annotations -> enrolled, or why not
//! (contract: eligibility, docs/compat.md#eligibility).

use objects::kubernetes::Pod;
use objects::labels::Labels;

use crate::config::Exclusions;
use crate::rules::PodSettings;

/// The label that enrols a pod or a namespace.
const MODE: &str = "istio.io/dataplane-mode";

/// Why a pod is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotEnrolled {
    /// It shares the node's network, which must not be redirected.
    HostNetwork,
    /// It has a sidecar, which does the mesh's work.
    Sidecar,
    /// Its namespace is outside the mesh.
    ExcludedNamespace,
    /// It is a node proxy, which must not capture itself.
    NodeProxy,
    /// It says that it does not want to.
    OptedOut,
    /// Neither it nor its namespace asks for it.
    NotAsked,
    /// Its programs have ended.
    Ended,
}

/// Whether the pod is enrolled. `namespace` are the labels of its namespace object, if that exists.
///
/// # Errors
/// Why it is not, by the first rule that says so.
pub fn eligible(
    pod: &Pod,
    namespace: Option<&Labels>,
    exclusions: &Exclusions,
) -> Result<(), NotEnrolled> {
    let metadata = &pod.metadata;
    let is_namespace = |name: &String| *name == metadata.namespace;
    if pod.spec.host_network {
        return Err(NotEnrolled::HostNetwork);
    }
    if metadata.annotations.has("sidecar.istio.io/status") {
        return Err(NotEnrolled::Sidecar);
    }
    if exclusions.namespaces.iter().any(is_namespace) {
        return Err(NotEnrolled::ExcludedNamespace);
    }
    if is_namespace(&exclusions.system_namespace) && metadata.labels.is("app", "ztunnel") {
        return Err(NotEnrolled::NodeProxy);
    }
    match metadata.labels.get(MODE) {
        Some("ambient") => {}
        Some("none") => return Err(NotEnrolled::OptedOut),
        _ if namespace.is_some_and(|labels| labels.is(MODE, "ambient")) => {}
        _ => return Err(NotEnrolled::NotAsked),
    }
    if pod.has_ended() {
        Err(NotEnrolled::Ended)
    } else {
        Ok(())
    }
}

/// What the pod's annotations ask of its redirection. A value that is neither `true` nor `false` asks for nothing.
#[must_use]
pub fn settings(annotations: &Labels) -> PodSettings {
    let flag = |name| {
        annotations
            .get(name)
            .and_then(|value| value.parse::<bool>().ok())
    };
    let interfaces = annotations
        .get("istio.io/reroute-virtual-interfaces")
        .unwrap_or_default();
    PodSettings {
        bypass_inbound_capture: flag("ambient.istio.io/bypass-inbound-capture").unwrap_or(false),
        reroute_interfaces: interfaces
            .split(',')
            .map(str::trim)
            // Longer names cannot exist, and would be cut to another's.
            .filter(|name| !name.is_empty() && name.len() < 16)
            .map(str::to_owned)
            .collect(),
        dns_capture: flag("ambient.istio.io/dns-capture"),
    }
}

#[cfg(test)]
mod tests;
