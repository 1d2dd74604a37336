//! Pure. What a policy's owner hears: findings, and the conditions in its status.

use mesh::model::PolicyScope;
use mesh::model::attached::RequestAction;

use super::Translated;
use crate::translate::Finding;
use crate::translate::attachment::{self, Place};
use crate::translate::rule::Rule;
use crate::translate::status::{Condition, Status};

/// What decides what becomes of a policy beside its own words.
#[derive(Clone, Debug, Default)]
pub struct Situation {
    /// Whether its selector chooses any workload.
    pub selects_any: bool,
    /// Whether a value in it cannot be read and an earlier version is in force instead.
    pub has_last_good: bool,
    /// Where each of its targets leads.
    pub places: Vec<Place>,
    /// Whether MeshConfig has the provider of a CUSTOM policy.
    pub has_provider: bool,
    /// Another CUSTOM policy of its targets, with another provider.
    pub rival: Option<String>,
}

/// Findings and status of a policy as it is written now.
pub fn report(written: &Translated, situation: &Situation) -> (Vec<Finding>, Status) {
    let mut findings = written.findings.clone();
    let condition = if written.targets.is_empty() {
        if written.selector.is_some() && !written.is_rejected && !situation.selects_any {
            findings.push(Finding::new(
                Rule::SelectsNothing,
                &["spec", "selector", "matchLabels"],
                "no workload carries these labels",
            ));
        }
        Condition::ztunnel_accepted(&findings, effect(written, situation))
    } else {
        let references = written.targets.iter().map(|(it, path)| (it, path.clone()));
        findings.extend(attachment::findings(references, &situation.places));
        findings.extend(of_provider(written, situation));
        attachment::waypoint_accepted(
            &findings,
            &situation.places,
            written.is_rejected,
            effect_at_waypoints(written, situation),
        )
    };
    let status = Status {
        conditions: vec![condition],
        ..Status::default()
    };
    (findings, status)
}

/// What is in force, in words.
fn effect(written: &Translated, situation: &Situation) -> &'static str {
    match &written.policy {
        _ if written.is_rejected && situation.has_last_good => {
            "rejected: its last good version stays in force"
        }
        None => "not in force",
        Some(_) if written.is_rejected => {
            "rejected, and there is no last good version: until it is corrected it admits less than it says"
        }
        Some(policy) if policy.dry_run => "reported, not enforced",
        Some(policy) => match policy.scope {
            PolicyScope::Global => "in force for every workload of the mesh",
            PolicyScope::Namespace => "in force for every workload of the namespace",
            PolicyScope::WorkloadSelector => "in force for the workloads that it selects",
        },
    }
}

/// What waypoints enforce, in words.
fn effect_at_waypoints(written: &Translated, situation: &Situation) -> &'static str {
    let is_bound = |it: &Place| matches!(it, Place::Bound { .. });
    if !situation.places.iter().any(is_bound) {
        return "not in force";
    }
    let is_dry_run = written.attached.as_ref().is_some_and(|it| it.dry_run);
    match (written.is_rejected, situation.has_last_good, is_dry_run) {
        (true, true, _) => "rejected: its last good version stays in force",
        (true, false, _) => {
            "rejected, and there is no last good version: until it is corrected it admits less than it says"
        }
        (false, _, true) => "reported, not enforced",
        (false, _, false) => "in force at the waypoints of its targets",
    }
}

/// What is wrong with whom a CUSTOM policy wants asked.
fn of_provider(written: &Translated, situation: &Situation) -> Vec<Finding> {
    let path = ["spec", "provider", "name"];
    let Some(RequestAction::Custom(name)) = written.attached.as_ref().map(|it| &it.action) else {
        return Vec::new();
    };
    let unknown = (!situation.has_provider && !name.is_empty()).then(|| {
        let reason = format!(
            "MeshConfig has no external authorization server {name:?}: requests that this policy is about are refused"
        );
        Finding::new(Rule::UnknownProvider, &path, reason)
    });
    let several = situation.rival.as_ref().map(|rival| {
        let reason = format!(
            "AuthorizationPolicy {rival} names another server for the same target: requests that either is about are refused"
        );
        Finding::new(Rule::SeveralProviders, &path, reason)
    });
    unknown.into_iter().chain(several).collect()
}
