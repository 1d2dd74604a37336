//! Pure. DestinationRule to the traffic policy of a destination. Source: docs/compat.md#destination-rule.
//!
//! A rule with a value that cannot be is not taken over as a whole; what waypoints do not honour is a finding.

pub mod choice;
mod check;
mod balancing;
mod locality;
mod limits;
mod outlier;
mod tls;
mod budget;

use mesh::model::Origin;
use mesh::model::destination::{Subset, TrafficPolicy};
use mesh::names::NamespacedHostname;
use objects::istio::DestinationRule;
use objects::istio::destination_rule as written;
use objects::raw::Path;

use super::remarks::Remarks;
use super::traffic::Traffic;
pub use check::{check, is_rejected};
pub use choice::Rules;

/// What holds for requests to a port of a service, or to a part of it: the rule that is chosen for the
/// service, then the part's own groups of fields instead of the whole's, then the port's instead of both.
///
/// Without a rule it is what the mesh says. A part that no rule has is `None`: a reference to it leads nowhere.
pub fn policy_of(
    rules: &Rules<'_>,
    service: &NamespacedHostname,
    port: u16,
    subset: Option<&str>,
) -> (Option<Subset>, TrafficPolicy) {
    let chosen = choice::choose(rules, service);
    let traffic = &rules.cluster.traffic;
    let whole = chosen.iter().find_map(|rule| {
        let policy = rule.spec.traffic_policy.as_deref()?;
        Some((*rule, policy))
    });
    let part = subset.and_then(|name| {
        chosen.iter().find_map(|rule| {
            let part = rule.spec.subsets.iter().find(|it| it.name == name)?;
            Some((*rule, part))
        })
    });
    let own = part.and_then(|(_, part)| part.traffic_policy.as_deref());
    let groups = Groups::of(whole.map(|(_, policy)| policy), own, port);
    // What is wrong with it, its owner hears when the rule itself is looked at.
    let mut policy = groups.read(&Path::default(), traffic, &mut Remarks::default());
    policy.origin = match (part, whole) {
        (Some((rule, part)), _) => Some(origin(rule, &part.name)),
        (None, Some((rule, _))) => Some(origin(rule, "")),
        (None, None) => None,
    };
    let part = part.map(|(_, part)| Subset {
        name: part.name.as_str().into(),
        labels: part
            .labels
            .iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect(),
    });
    (part, policy)
}

fn origin(rule: &DestinationRule, part: &str) -> Origin {
    let metadata = &rule.metadata;
    Origin {
        rule: part.into(),
        ..Origin::object(
            "DestinationRule",
            metadata.namespace.as_str(),
            metadata.name.as_str(),
        )
    }
}

/// The groups of fields that hold for one port of one part; each comes from one place as a whole.
#[derive(Clone, Copy, Debug, Default)]
struct Groups<'a> {
    load_balancer: Option<&'a written::LoadBalancer>,
    pool: Option<&'a written::ConnectionPool>,
    outlier: Option<&'a written::OutlierDetection>,
    tls: Option<&'a written::Tls>,
    tunnel: Option<&'a written::Tunnel>,
    proxy_protocol: Option<written::ProxyProtocol>,
    budget: Option<written::RetryBudget>,
}

impl<'a> Groups<'a> {
    fn of(
        whole: Option<&'a written::TrafficPolicy>,
        part: Option<&'a written::TrafficPolicy>,
        port: u16,
    ) -> Self {
        let by_port = [part, whole].into_iter().flatten();
        let by_port = by_port.map(|it| &it.port_level_settings);
        let by_port = by_port.clone().find(|list| !list.is_empty());
        let is_it =
            |it: &&written::PortPolicy| it.port.is_some_and(|it| it.number == u32::from(port));
        if let Some(port) = by_port.and_then(|list| list.iter().find(is_it)) {
            return Self::of_port(port);
        }
        let whole = whole.map(Self::of_policy).unwrap_or_default();
        let part = part.map(Self::of_policy).unwrap_or_default();
        Self {
            load_balancer: part.load_balancer.or(whole.load_balancer),
            pool: part.pool.or(whole.pool),
            outlier: part.outlier.or(whole.outlier),
            tls: part.tls.or(whole.tls),
            tunnel: part.tunnel.or(whole.tunnel),
            proxy_protocol: part.proxy_protocol.or(whole.proxy_protocol),
            budget: part.budget.or(whole.budget),
        }
    }

    fn of_policy(policy: &'a written::TrafficPolicy) -> Self {
        Self {
            load_balancer: policy.load_balancer.as_ref(),
            pool: policy.connection_pool.as_ref(),
            outlier: policy.outlier_detection.as_ref(),
            tls: policy.tls.as_ref(),
            tunnel: policy.tunnel.as_ref(),
            proxy_protocol: policy.proxy_protocol,
            budget: policy.retry_budget,
        }
    }

    fn of_port(port: &'a written::PortPolicy) -> Self {
        Self {
            load_balancer: port.load_balancer.as_ref(),
            pool: port.connection_pool.as_ref(),
            outlier: port.outlier_detection.as_ref(),
            tls: port.tls.as_ref(),
            ..Self::default()
        }
    }

    /// In the mesh's words. `path` is where the groups are written.
    fn read(self, path: &Path, traffic: &Traffic, remarks: &mut Remarks) -> TrafficPolicy {
        let at = |key: &str| path.clone().key(key);
        let (balancing, warmup) = balancing::read(self.load_balancer, &at("loadBalancer"), remarks);
        let outlier = self.outlier;
        let outlier = outlier.map(|it| outlier::read(it, &at("outlierDetection"), remarks));
        let setting = self
            .load_balancer
            .and_then(|it| it.locality_lb_setting.as_ref());
        let near = at("loadBalancer").key("localityLbSetting");
        if let Some(setting) = setting {
            locality::check(setting, outlier.is_some(), &near, remarks);
        }
        budget::tunnel(self.tunnel, &at("tunnel"), remarks);
        TrafficPolicy {
            balancing,
            warmup,
            locality: locality::read(setting.unwrap_or(&traffic.locality), outlier.is_some()),
            limits: limits::read(self.pool, &at("connectionPool"), traffic, remarks),
            outlier,
            retry_budget: self
                .budget
                .map(|it| budget::read(&it, &at("retryBudget"), remarks)),
            tls: self.tls.and_then(|it| tls::read(it, &at("tls"), remarks)),
            proxy_protocol: self.proxy_protocol.map(|it| match it.version {
                written::ProxyVersion::V1 => 1,
                written::ProxyVersion::V2 => 2,
            }),
            origin: None,
        }
    }
}

#[cfg(test)]
mod tests;
