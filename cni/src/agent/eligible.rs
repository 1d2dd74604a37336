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

const BYPASS: &str = "ambient.istio.io/bypass-inbound-capture";
const DNS: &str = "ambient.istio.io/dns-capture";
const REROUTE: &str = "istio.io/reroute-virtual-interfaces";

/// What the pod's annotations ask of its redirection, and what in them cannot be understood and asks for nothing.
#[must_use]
pub fn settings(annotations: &Labels) -> (PodSettings, Vec<String>) {
    let mut odd = Vec::new();
    let mut flag = |name: &str| {
        let value = annotations.get(name)?;
        let flag = value.parse::<bool>().ok();
        if flag.is_none() {
            odd.push(format!(
                "annotation {name}: {value:?} is neither true nor false"
            ));
        }
        flag
    };
    let bypass_inbound_capture = flag(BYPASS).unwrap_or(false);
    let dns_capture = flag(DNS);
    let names = annotations.get(REROUTE).unwrap_or_default().split(',');
    let mut reroute_interfaces = Vec::new();
    for name in names.map(str::trim).filter(|name| !name.is_empty()) {
        // Longer names cannot exist, and would be cut to another's.
        if name.len() < 16 {
            reroute_interfaces.push(name.to_owned());
        } else {
            odd.push(format!(
                "annotation {REROUTE}: {name:?} is too long for an interface"
            ));
        }
    }
    let settings = PodSettings {
        bypass_inbound_capture,
        reroute_interfaces,
        dns_capture,
    };
    (settings, odd)
}

#[cfg(test)]
mod tests;
