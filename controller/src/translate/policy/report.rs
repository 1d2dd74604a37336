//! Pure. What a policy's owner hears: findings, and the conditions in its status.

use mesh::model::PolicyScope;
use objects::istio::authorization_policy::TargetRef;
use objects::raw::Path;

use super::Translated;
use crate::translate::Finding;
use crate::translate::rule::Rule;
use crate::translate::status::{Condition, Status};

/// What decides what becomes of a policy beside its own words.
#[derive(Clone, Debug, Default)]
pub struct Situation {
    /// Whether its selector chooses any workload.
    pub selects_any: bool,
    /// Whether a value in it cannot be read and an earlier version is in force instead.
    pub has_last_good: bool,
    /// Of each of its targets, whether it exists.
    pub targets: Vec<bool>,
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
        findings.extend(unattached(written, situation));
        waypoint_accepted(&findings, situation, written.is_rejected)
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

/// Each target, as long as no waypoint can enforce anything for it.
fn unattached(written: &Translated, situation: &Situation) -> Vec<Finding> {
    let targets = written.targets.iter().zip(&written.target_paths);
    let finding = |((target, path), exists): ((&TargetRef, &Path), &bool)| {
        let what = format!("{} {}", target.kind, target.name);
        let reason = match exists {
            true => format!("no waypoint serves {what}: nothing of this policy is enforced there"),
            false => format!("there is no {what}: nothing of this policy is enforced"),
        };
        Finding {
            rule: Rule::PolicyWithoutWaypoint,
            path: path.clone(),
            reason,
        }
    };
    targets.zip(&situation.targets).map(finding).collect()
}

fn waypoint_accepted(findings: &[Finding], situation: &Situation, is_rejected: bool) -> Condition {
    let is_missing = situation.targets.iter().any(|exists| !exists);
    Condition {
        kind: "WaypointAccepted",
        holds: false,
        reason: match (is_rejected, is_missing) {
            (true, _) => "Invalid",
            (false, true) => "TargetNotFound",
            (false, false) => "AncestorNotBound",
        },
        message: Condition::message("not in force", findings),
    }
}
