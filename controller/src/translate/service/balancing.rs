//! Pure. How a service's endpoints are chosen, from its policy and its wish for near ones.

use mesh::model::{HealthPolicy, LoadBalancing, Mode, Scope};
use objects::kubernetes::Service;
use objects::meta::Metadata;

use crate::translate::Finding;
use crate::translate::rule::Rule;

/// Wish for near endpoints, on a service or its namespace; the field of a service comes first.
pub const ANNOTATION: &str = "networking.istio.io/traffic-distribution";

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
    let field = spec.traffic_distribution.as_deref();
    let ((scopes, mode), finding) = nearness(field, &service.metadata, namespace);
    (
        LoadBalancing {
            scopes,
            mode,
            health,
        },
        finding,
    )
}

/// Scopes and mode by the wish in `field`, else in the object's annotations, else in its namespace's.
pub fn nearness(
    field: Option<&str>,
    metadata: &Metadata,
    namespace: Option<&Metadata>,
) -> ((Vec<Scope>, Mode), Option<Finding>) {
    let (wish, path): (Option<&str>, &[&str]) = match field {
        Some(wish) => (Some(wish), &["spec", "trafficDistribution"]),
        None => match metadata.annotations.get(ANNOTATION) {
            Some(wish) => (Some(wish), &["metadata", "annotations", ANNOTATION]),
            None => (
                namespace.and_then(|it| it.annotations.get(ANNOTATION)),
                &["metadata", "namespace"],
            ),
        },
    };
    let near = [Scope::Network, Scope::Region, Scope::Zone];
    let chosen = match wish {
        Some("PreferClose" | "PreferSameZone") => (near.to_vec(), Mode::Failover),
        Some("PreferSameNode") => (
            [&near[..], &[Scope::Subzone, Scope::Node]].concat(),
            Mode::Failover,
        ),
        _ => (Vec::new(), Mode::Unspecified),
    };
    let is_unknown = chosen.1 == Mode::Unspecified && wish.is_some_and(|wish| wish != "Any");
    let finding = is_unknown.then(|| {
        let wish = wish.unwrap_or_default();
        Finding::new(
            Rule::InvalidValue,
            path,
            format!("traffic distribution {wish:?} is not known: any endpoint is used"),
        )
    });
    (chosen, finding)
}
