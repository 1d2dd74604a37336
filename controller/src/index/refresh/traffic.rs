//! Pure. What is to be said about VirtualServices and DestinationRules.

mod places;

use mesh::names::NamespacedName;

use super::{Computed, View};
use crate::index::links::Output;
use crate::translate::rule::Rule;
use crate::translate::status::{Condition, Status};
use crate::translate::{Finding, destination_rule, virtual_service};
use places::Places;

pub(super) fn virtual_service(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let output = Output::VirtualService(name.clone());
    let written = view.shelf.find(&output.key())?.virtual_service()?;
    // It is of its own namespace's waypoints above all.
    let mut places = Places {
        view,
        client: &name.namespace,
        dialled: None,
    };
    let findings = virtual_service::check(written, view.cluster, view.guides, &mut places);
    Some(computed(view, &output, findings))
}

pub(super) fn destination_rule(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let output = Output::DestinationRule(name.clone());
    let written = view.shelf.find(&output.key())?.destination_rule()?;
    Some(computed(view, &output, destination_rule::check(written)))
}

fn computed(view: View<'_>, output: &Output, findings: Vec<Finding>) -> Computed {
    let is_rejected = findings.iter().any(|it| it.rule == Rule::InvalidValue);
    let is_in_force = view.guides.in_force(&output.key()).is_some();
    let effect = match (is_rejected, is_in_force) {
        (false, _) => "in force at waypoints",
        (true, true) => "rejected: its last good version stays in force",
        (true, false) => "rejected: not in force",
    };
    let status = Status {
        conditions: vec![Condition::accepted(&findings, effect)],
        ..Status::default()
    };
    Computed {
        findings,
        status: Some(status),
        ..Computed::default()
    }
}
