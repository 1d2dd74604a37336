//! Pure. What being near counts.

use mesh::model::destination::{Distribution, LocalityPolicy};
use objects::istio::destination_rule::balancing::{Distribute, LocalitySetting};
use objects::raw::Path;

use crate::translate::remarks::Remarks;
use crate::translate::rule::Rule;

/// In the mesh's words. Nearness alone counts only where sick endpoints are left out: without that nobody
/// would ever go farther. Shares by place always count.
pub(super) fn read(setting: &LocalitySetting, leaves_out: bool) -> LocalityPolicy {
    let is_on = setting.enabled != Some(false);
    let has_shares = !setting.distribute.is_empty();
    if !is_on || !(leaves_out || has_shares) {
        return LocalityPolicy::default();
    }
    let to = |it: &Distribute| {
        let to = it.to.iter();
        to.map(|(place, share)| (place.as_str().into(), *share))
            .collect()
    };
    LocalityPolicy {
        enabled: true,
        distribute: setting
            .distribute
            .iter()
            .map(|it| Distribution {
                from: it.from.as_str().into(),
                to: to(it),
            })
            .collect(),
        failover: setting
            .failover
            .iter()
            .map(|it| (it.from.as_str().into(), it.to.as_str().into()))
            .collect(),
        failover_priority: setting
            .failover_priority
            .iter()
            .map(|it| it.as_str().into())
            .collect(),
    }
}

pub(super) fn check(
    setting: &LocalitySetting,
    leaves_out: bool,
    path: &Path,
    remarks: &mut Remarks,
) {
    let lists = [
        !setting.distribute.is_empty(),
        !setting.failover.is_empty(),
        !setting.failover_priority.is_empty(),
    ];
    if lists.iter().filter(|is_there| **is_there).count() > 1 {
        let reason = "only one of distribute, failover and failoverPriority";
        remarks.invalid(path.clone(), reason);
    }
    for (index, one) in setting.distribute.iter().enumerate() {
        let path = path.clone().key("distribute").at(index);
        if one.from.is_empty() {
            remarks.invalid(path.clone().key("from"), "a place of callers");
        }
        let sum: u64 = one.to.values().map(|it| u64::from(*it)).sum();
        if sum != 100 {
            let reason = format!("the percentages add up to {sum}, not to 100");
            remarks.invalid(path.key("to"), reason);
        }
    }
    for (index, one) in setting.failover.iter().enumerate() {
        let is_region = |text: &str| !text.is_empty() && !text.contains(['/', '*']);
        if !is_region(&one.from) || !is_region(&one.to) || one.from == one.to {
            let path = path.clone().key("failover").at(index);
            remarks.invalid(path, "two different regions, without `/` and `*`");
        }
    }
    let fails_over = !setting.failover.is_empty() || !setting.failover_priority.is_empty();
    if fails_over && !leaves_out {
        let reason = "without outlierDetection beside it nobody goes farther";
        remarks.add(Rule::WithoutEffect, path.clone(), reason);
    }
}
