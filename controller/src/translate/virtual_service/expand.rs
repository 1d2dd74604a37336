//! Pure. The routes of requests of a VirtualService, with those of its delegates in their places.

use std::borrow::Cow;

use mesh::model::Origin;
use objects::istio::VirtualService;
use objects::istio::virtual_service::{Delegate, HttpRoute};
use objects::raw::Path;

use super::{Others, join};
use crate::translate::remarks::Remarks;
use crate::translate::rule::Rule;
use crate::translate::{Cluster, host};

/// A route, and where it is from.
pub(super) struct One<'a> {
    pub(super) route: Cow<'a, HttpRoute>,
    /// Where the route of the root is written.
    pub(super) path: Path,
    /// Namespace that its short names are of.
    pub(super) namespace: &'a str,
    pub(super) origin: Origin,
}

pub(super) fn all<'a>(
    object: &'a VirtualService,
    others: &'a dyn Others,
    cluster: &Cluster,
    remarks: &mut Remarks,
) -> Vec<One<'a>> {
    let mut all = Vec::new();
    for (index, route) in object.spec.http.iter().enumerate() {
        let path = Path::of_keys(&["spec", "http"]).at(index);
        let Some(delegate) = &route.delegate else {
            all.push(One {
                route: Cow::Borrowed(route),
                path,
                namespace: &object.metadata.namespace,
                origin: origin(object, index, &route.name),
            });
            continue;
        };
        match find(object, delegate, others, cluster) {
            Ok(other) => all.extend(joined((object, route), other, &path, cluster, remarks)),
            Err(reason) => remarks.add(Rule::DestinationMissing, path.key("delegate"), reason),
        }
    }
    all
}

/// The delegate, or why it has no effect.
fn find<'a>(
    root: &VirtualService,
    delegate: &Delegate,
    others: &'a dyn Others,
    cluster: &Cluster,
) -> Result<&'a VirtualService, String> {
    let own = root.metadata.namespace.as_str();
    let namespace = match delegate.namespace.as_str() {
        "" => own,
        given => given,
    };
    let name = format!("VirtualService {namespace}/{}", delegate.name);
    let other = others.find(namespace, &delegate.name);
    let other = other.ok_or_else(|| format!("there is no {name}: the route has no effect"))?;
    if !other.spec.hosts.is_empty() {
        return Err(format!(
            "{name} has hosts of its own and is no delegate: the route has no effect"
        ));
    }
    let default = &cluster.traffic.virtual_service_export;
    if !host::is_exported(&other.spec.export_to, default, namespace, own) {
        return Err(format!(
            "{name} is not exported to this namespace: the route has no effect"
        ));
    }
    Ok(other)
}

fn joined<'a>(
    (root, route): (&VirtualService, &HttpRoute),
    other: &'a VirtualService,
    path: &Path,
    cluster: &Cluster,
    remarks: &mut Remarks,
) -> Vec<One<'a>> {
    let mut all = Vec::new();
    for (index, leaf) in other.spec.http.iter().enumerate() {
        // One level only; the delegate's own finding says so.
        if leaf.delegate.is_some() {
            continue;
        }
        let namespace = (root.metadata.namespace.as_str(), cluster.domain.as_ref());
        match join::routes(route, leaf, namespace) {
            Some(route) => all.push(One {
                route: Cow::Owned(route),
                path: path.clone(),
                namespace: &other.metadata.namespace,
                origin: origin(other, index, &leaf.name),
            }),
            None => {
                let metadata = &other.metadata;
                let reason = format!(
                    "no request can match both this and spec.http[{index}] of VirtualService {}/{}: \
                     that route has no effect here",
                    metadata.namespace, metadata.name
                );
                remarks.add(Rule::NeverMatches, path.clone(), reason);
            }
        }
    }
    all
}

/// A route by its name, else by its place.
pub(super) fn origin(object: &VirtualService, index: usize, name: &str) -> Origin {
    let metadata = &object.metadata;
    let rule = match name {
        "" => index.to_string(),
        name => name.to_owned(),
    };
    Origin {
        rule: rule.into(),
        ..Origin::object(
            "VirtualService",
            metadata.namespace.as_str(),
            metadata.name.as_str(),
        )
    }
}
