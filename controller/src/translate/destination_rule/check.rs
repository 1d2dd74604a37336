//! Pure. What the owner of a DestinationRule should know of the rule by itself.

use std::collections::BTreeSet;

use objects::istio::DestinationRule;
use objects::istio::destination_rule::{PortPolicy, TrafficPolicy};
use objects::raw::Path;

use super::{Groups, choice};
use crate::translate::remarks::Remarks;
use crate::translate::rule::Rule;
use crate::translate::traffic::Traffic;
use crate::translate::{Finding, host};

/// Everything that is invalid or has no effect at waypoints.
pub fn check(rule: &DestinationRule) -> Vec<Finding> {
    remarks(rule).into_findings()
}

/// Whether a value in it cannot be: its last good version stays in force.
pub fn is_rejected(rule: &DestinationRule) -> bool {
    remarks(rule).is_rejected()
}

fn remarks(rule: &DestinationRule) -> Remarks {
    let (spec, mut remarks) = (&rule.spec, Remarks::default());
    if let Some(complaint) = host::complaint(&spec.host) {
        remarks.invalid(Path::of_keys(&["spec", "host"]), complaint);
    }
    if choice::has_selector(rule) {
        let reason = "it is for clients with these labels, which a waypoint never is: \
                      waypoints do not apply the rule";
        let path = Path::of_keys(&["spec", "workloadSelector"]);
        remarks.add(Rule::NotAtWaypoint, path, reason);
    }
    if let Some(whole) = spec.traffic_policy.as_deref() {
        policy(
            whole,
            &Path::of_keys(&["spec", "trafficPolicy"]),
            &mut remarks,
        );
    }
    let mut names = BTreeSet::new();
    for (index, part) in spec.subsets.iter().enumerate() {
        let path = Path::of_keys(&["spec", "subsets"]).at(index);
        if part.name.is_empty() {
            remarks.invalid(path.clone().key("name"), "a subset has a name");
        } else if !names.insert(&part.name) {
            let reason = format!("`{}` is there twice", part.name);
            remarks.invalid(path.clone().key("name"), reason);
        }
        if let Some(own) = part.traffic_policy.as_deref() {
            policy(own, &path.key("trafficPolicy"), &mut remarks);
        }
    }
    remarks
}

fn policy(policy: &TrafficPolicy, path: &Path, remarks: &mut Remarks) {
    let mesh = Traffic::default();
    Groups::of_policy(policy).read(path, &mesh, remarks);
    let mut numbers = BTreeSet::new();
    for (index, one) in policy.port_level_settings.iter().enumerate() {
        let path = path.clone().key("portLevelSettings").at(index);
        port(one, &mut numbers, &path, remarks);
        Groups::of_port(one).read(&path, &mesh, remarks);
    }
}

fn port(port: &PortPolicy, numbers: &mut BTreeSet<u32>, path: &Path, remarks: &mut Remarks) {
    let path = path.clone().key("port");
    match port.port.map(|it| it.number) {
        Some(number @ 1..=65535) => {
            if !numbers.insert(number) {
                let reason = format!("port {number} is there twice");
                remarks.invalid(path.key("number"), reason);
            }
        }
        _ => remarks.invalid(path, "a port is a number from 1 to 65535"),
    }
}
