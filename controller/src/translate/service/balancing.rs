//! Pure. How a service's endpoints are chosen, from its policy and its wish for near ones.

use mesh::model::{HealthPolicy, LoadBalancing, Mode, Scope};
use objects::kubernetes::Service;
use objects::meta::Metadata;

use crate::translate::Finding;
use crate::translate::rule::Rule;

/// Wish for near endpoints, on a service or its namespace; the field of a service comes first.
pub(super) const ANNOTATION: &str = "networking.istio.io/traffic-distribution";

/// The choice of endpoints, and what its owner should know.
pub(super) fn of(
    service: &Service,
    namespace: Option<&Metadata>,
) -> (LoadBalancing, Option<Finding>) {
    let spec = &service.spec;
    let health = match spec.publish_not_ready_addresses {
        true => HealthPolicy::AllowAll,
        false => HealthPolicy::OnlyHealthy,
    };
    if spec.internal_traffic_policy.as_deref() == Some("Local") {
        return (
            LoadBalancing {
                scopes: vec![Scope::Node],
                mode: Mode::Strict,
                health,
            },
            None,
        );
    }
    let (wish, path): (Option<&str>, &[&str]) = match spec.traffic_distribution.as_deref() {
        Some(wish) => (Some(wish), &["spec", "trafficDistribution"]),
        None => match service.metadata.annotations.get(ANNOTATION) {
            Some(wish) => (Some(wish), &["metadata", "annotations", ANNOTATION]),
            None => (
                namespace.and_then(|it| it.annotations.get(ANNOTATION)),
                &["metadata", "namespace"],
            ),
        },
    };
    let near = [Scope::Network, Scope::Region, Scope::Zone];
    let (scopes, mode) = match wish {
        Some("PreferClose" | "PreferSameZone") => (near.to_vec(), Mode::Failover),
        Some("PreferSameNode") => (
            [&near[..], &[Scope::Subzone, Scope::Node]].concat(),
            Mode::Failover,
        ),
        _ => (Vec::new(), Mode::Unspecified),
    };
    let is_unknown = mode == Mode::Unspecified && wish.is_some_and(|wish| wish != "Any");
    let finding = is_unknown.then(|| {
        let wish = wish.unwrap_or_default();
        Finding::new(
            Rule::InvalidValue,
            path,
            format!("traffic distribution {wish:?} is not known: any endpoint is used"),
        )
    });
    (
        LoadBalancing {
            scopes,
            mode,
            health,
        },
        finding,
    )
}
