//! Pure. Where a rule sends: references to services and hosts, with their weights.

use mesh::model::http::Backend;
use mesh::names::NamespacedHostname;
use objects::gateway_api::BackendRef;
use objects::gateway_api::filter::Filter;
use objects::gateway_api::reference::ISTIO;
use objects::raw::Path;

use super::destinations::Destinations;
use super::headers::{self, BadChange};
use super::notes::Notes;

/// What the backends of one rule have in common.
pub(super) struct Wanted<'a> {
    /// Namespace of the route.
    pub(super) namespace: &'a str,
    /// Path of the rule.
    pub(super) path: &'a Path,
    /// What becomes of the share of one that leads nowhere.
    pub(super) effect: &'a str,
}

/// The backends in the order of the document. One that leads nowhere keeps its share.
pub(super) fn read(
    references: &[BackendRef],
    wanted: &Wanted<'_>,
    to: &mut Destinations<'_>,
    notes: &mut Notes,
) -> Vec<Backend> {
    let references = references.iter().enumerate();
    references
        .map(|(index, reference)| {
            let path = wanted.path.clone().key("backendRefs").at(index);
            let mut backend = Backend {
                weight: reference.weight,
                destination: None,
                request_headers: headers::none(),
                response_headers: headers::none(),
            };
            let effect = match reference.weight {
                0 => "it has no share, so that nothing comes of it",
                _ => wanted.effect,
            };
            if let Err((path, reason)) = filters(&reference.filters, &path, &mut backend) {
                notes.unresolved("InvalidFilter", path, &reason, effect);
                return backend;
            }
            match resolve(reference, wanted.namespace, to) {
                Ok(number) => backend.destination = Some(number),
                Err((word, reason)) => notes.unresolved(word, path, &reason, effect),
            }
            backend
        })
        .collect()
}

/// The destination that a reference in a route of `namespace` means.
///
/// # Errors
/// The reason's word, and a sentence, when it leads nowhere.
pub(super) fn resolve(
    reference: &BackendRef,
    namespace: &str,
    to: &mut Destinations<'_>,
) -> Result<u32, (&'static str, String)> {
    let name = &*reference.name;
    let own = reference.namespace.as_deref().unwrap_or(namespace);
    let (known, shown) = match (reference.group.as_str(), reference.kind.as_str()) {
        ("", "Service") => (
            to.around().service(own, name),
            format!("Service {own}/{name}"),
        ),
        (ISTIO, "Hostname") => (to.around().host(name, namespace), format!("host {name}")),
        (group, kind) => {
            let reason = format!("{kind} of group {group:?} is no kind of backend");
            return Err(("InvalidKind", reason));
        }
    };
    let Some(port) = reference.port else {
        let reason = format!("{shown} without a port is no backend");
        return Err(("InvalidDestination", reason));
    };
    let Some(known) = known else {
        return Err(("BackendNotFound", format!("there is no {shown}")));
    };
    if !known.ports.contains(&port) {
        let reason = format!("{shown} has no port {port}");
        return Err(("BackendNotFound", reason));
    }
    let key: &NamespacedHostname = &known.key;
    let too_many = || ("InvalidDestination", "too many destinations".to_owned());
    to.number(key, port, None).ok_or_else(too_many)
}

/// Of filters at a backend, only changes of headers can be made.
fn filters(filters: &[Filter], path: &Path, backend: &mut Backend) -> Result<(), BadChange> {
    let (mut request, mut response) = (false, false);
    for (index, filter) in filters.iter().enumerate() {
        let path = path.clone().key("filters").at(index);
        let once = |seen: &mut bool| match std::mem::replace(seen, true) {
            false => Ok(()),
            true => Err((
                path.clone(),
                "a filter of this type is there twice".to_owned(),
            )),
        };
        match filter.r#type.as_str() {
            "RequestHeaderModifier" => {
                once(&mut request)?;
                let modifier = filter.request_header_modifier.as_ref();
                let path = path.clone().key("requestHeaderModifier");
                backend.request_headers = headers::read(modifier, &path)?;
            }
            "ResponseHeaderModifier" => {
                once(&mut response)?;
                let modifier = filter.response_header_modifier.as_ref();
                let path = path.clone().key("responseHeaderModifier");
                backend.response_headers = headers::read(modifier, &path)?;
            }
            word => {
                let reason = format!("a filter of type {word:?} cannot stand at a backend");
                return Err((path.key("type"), reason));
            }
        }
    }
    Ok(())
}
