//! Pure. Policies that are attached to something, when that or its waypoint may have turned.

use objects::istio::authorization_policy::TargetRef;
use objects::kinds::{Key, Kind};
use objects::meta::Metadata;

use super::{Dirty, Output, name};
use crate::shelf::Shelf;
use crate::translate::{Cluster, rate_limit};

/// The kind of routes that limits can be attached to.
const ROUTE: &str = "HTTPRoute";

/// A policy's metadata, its references, and what it is as an output.
type Attachment<'a> = (&'a Metadata, Vec<&'a TargetRef>, fn(&Metadata) -> Output);

/// Adds the policies that are attached to what is dirty: its waypoint is worked out anew with it.
pub fn attached(shelf: &Shelf, cluster: &Cluster, dirty: &mut Dirty) {
    let targets: Vec<Key> = dirty.outputs().filter_map(target).collect();
    for key in targets {
        let kind = key.kind.facts().word;
        let is_meant = |it: &TargetRef| it.kind == kind && it.name == key.name;
        attachments(shelf, &key.namespace, is_meant, dirty);
        if key.kind == Kind::Gateway {
            let is_class = |it: &TargetRef| it.kind == "GatewayClass";
            attachments(shelf, &cluster.root_namespace, is_class, dirty);
        }
    }
}

/// What policies can be attached to.
fn target(output: &Output) -> Option<Key> {
    match output {
        Output::Service(_) | Output::ServiceEntry(_) | Output::Gateway(_) => Some(output.key()),
        _ => None,
    }
}

fn attachments(
    shelf: &Shelf,
    namespace: &str,
    is_meant: impl Fn(&TargetRef) -> bool,
    dirty: &mut Dirty,
) {
    let policies = shelf.policies_in(namespace).map(|it| {
        let targets = it.spec.target_ref.iter().chain(&it.spec.target_refs);
        let output: fn(&Metadata) -> Output = |it| Output::Policy(name(it));
        (&it.metadata, targets.collect(), output)
    });
    let tokens = shelf.request_authentications_in(namespace).map(|it| {
        let targets = it.spec.target_ref.iter().chain(&it.spec.target_refs);
        let output: fn(&Metadata) -> Output = |it| Output::Authentication(name(it));
        (&it.metadata, targets.collect(), output)
    });
    for limits in shelf.rate_limits_in(namespace) {
        let targets = limits.spec.target_refs.iter().map(rate_limit::reference);
        // A route's waypoints are those of its services.
        let mut targets = targets.filter(|it| it.kind == ROUTE || is_meant(it));
        if targets.next().is_some() {
            dirty.add(Output::RateLimit(name(&limits.metadata)));
        }
    }
    let telemetries = shelf.telemetries_in(namespace).map(|it| {
        let output: fn(&Metadata) -> Output = |it| Output::Telemetry(name(it));
        (&it.metadata, it.spec.targets().collect(), output)
    });
    let all: Vec<Attachment<'_>> = policies.chain(tokens).chain(telemetries).collect();
    for (metadata, targets, output) in all {
        if targets.into_iter().any(&is_meant) {
            dirty.add(output(metadata));
        }
    }
}
