//! Pure. Which DestinationRules hold for a service at a waypoint.

use std::cmp::Reverse;

use mesh::names::NamespacedHostname;
use objects::istio::DestinationRule;

use crate::translate::{Cluster, age, host};

/// Where rules are looked for.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// Rules in force that may be about the service; others do no harm.
    pub all: &'a [&'a DestinationRule],
    /// Namespace of the waypoint, which is the client.
    pub client: &'a str,
    /// Facts of the cluster.
    pub cluster: &'a Cluster,
}

/// The rules for a service: those of the client's namespace, else of the service's, else of the root
/// namespace; of these the ones with the nearest host, older ones first. All have the same host, and add up.
pub fn choose<'a>(rules: &Rules<'a>, service: &NamespacedHostname) -> Vec<&'a DestinationRule> {
    let places = [
        rules.client,
        &*service.namespace,
        &*rules.cluster.root_namespace,
    ];
    let here = |place: &str| {
        let all = rules.all.iter().copied();
        let mut here: Vec<_> = all
            .filter(|it| *it.metadata.namespace == *place && is_for(it, service, rules))
            .collect();
        here.sort_by_cached_key(|it| (Reverse(host::rank(&it.spec.host)), age::of(&it.metadata)));
        here
    };
    let mut chosen = places.iter().map(|place| here(place));
    let mut chosen = chosen.find(|it| !it.is_empty()).unwrap_or_default();
    if let Some(nearest) = chosen.first().map(|it| host_of(it, rules.cluster)) {
        chosen.retain(|it| host_of(it, rules.cluster) == nearest);
    }
    chosen
}

fn host_of(rule: &DestinationRule, cluster: &Cluster) -> String {
    host::full_name(&rule.spec.host, &rule.metadata.namespace, &cluster.domain).into_owned()
}

/// Whether a rule is about a service, seen by the client, and not for certain other clients only.
fn is_for(rule: &DestinationRule, service: &NamespacedHostname, rules: &Rules<'_>) -> bool {
    let own = &*rule.metadata.namespace;
    let default = &rules.cluster.traffic.destination_rule_export;
    host::covers(&host_of(rule, rules.cluster), &service.hostname)
        && host::is_exported(&rule.spec.export_to, default, own, rules.client)
        && !has_selector(rule)
}

/// Whether a rule is for clients with certain labels, which a waypoint never is.
pub(super) fn has_selector(rule: &DestinationRule) -> bool {
    let selector = rule.spec.workload_selector.as_ref();
    selector.is_some_and(|it| !it.match_labels.is_empty())
}
