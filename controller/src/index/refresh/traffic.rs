//! Pure. What is to be said about Istio's networking kinds.

use mesh::names::NamespacedName;

use super::{Computed, View};
use crate::index::links::Output;
use crate::translate::destination_rule;
use crate::translate::status::{Condition, Status};

pub(super) fn destination_rule(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let key = Output::DestinationRule(name.clone()).key();
    let written = view.shelf.find(&key)?.destination_rule()?;
    let findings = destination_rule::check(written);
    let is_rejected = destination_rule::is_rejected(written);
    let effect = match (is_rejected, view.book.has_last_good(&key)) {
        (false, _) => "in force at waypoints",
        (true, true) => "rejected: its last good version stays in force",
        (true, false) => "rejected: not in force",
    };
    let status = Status {
        conditions: vec![Condition::accepted(&findings, effect)],
        ..Status::default()
    };
    Some(Computed {
        findings,
        status: Some(status),
        ..Computed::default()
    })
}
