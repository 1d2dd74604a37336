//! Pure. How many retries at once; and the tunnel that nobody opens.

use mesh::model::destination::RetryBudget;
use objects::istio::destination_rule::{self as written, Tunnel};
use objects::raw::Path;

use crate::translate::remarks::Remarks;
use crate::translate::rule::Rule;

/// Retries at once as a share of requests under way; 20 % unless said otherwise.
pub(super) fn read(
    budget: &written::RetryBudget,
    path: &Path,
    remarks: &mut Remarks,
) -> RetryBudget {
    let percent = budget.percent.unwrap_or(20.0);
    if !(0.0..=100.0).contains(&percent) {
        let path = path.clone().key("percent");
        remarks.invalid(path, "a percentage from 0 to 100");
    }
    if budget.budget_interval.is_some_and(|it| !it.0.is_zero()) {
        let reason = "requests count while they are under way";
        let path = path.clone().key("budgetInterval");
        remarks.add(Rule::NotHonoured, path, reason);
    }
    RetryBudget {
        percent_milli: thousandths(percent),
        min_concurrency: budget.min_retry_concurrency.unwrap_or(3),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "kept within 0 to 100 000 just before"
)]
fn thousandths(percent: f64) -> u32 {
    (percent.clamp(0.0, 100.0) * 1000.0).round() as u32
}

pub(super) fn tunnel(tunnel: Option<&Tunnel>, path: &Path, remarks: &mut Remarks) {
    if tunnel.is_some() {
        let reason = "waypoints open no tunnels through other proxies: connections go to the destination itself";
        remarks.add(Rule::NotHonoured, path.clone(), reason);
    }
}
