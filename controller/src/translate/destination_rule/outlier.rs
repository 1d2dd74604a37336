//! Pure. When endpoints are left out for a time.

use std::time::Duration;

use mesh::model::destination::Outlier;
use objects::istio::Span;
use objects::istio::destination_rule::OutlierDetection;
use objects::raw::Path;

use crate::translate::remarks::Remarks;
use crate::translate::rule::Rule;

pub(super) fn read(outlier: &OutlierDetection, path: &Path, remarks: &mut Remarks) -> Outlier {
    let at = |key: &str| path.clone().key(key);
    let splits = outlier.split_external_local_origin_errors;
    if !splits && outlier.consecutive_local_origin_failures.unwrap_or(0) > 0 {
        let reason =
            "they are counted by themselves only with splitExternalLocalOriginErrors: true";
        remarks.invalid(at("consecutiveLocalOriginFailures"), reason);
    }
    let read = Outlier {
        consecutive_5xx: outlier.consecutive5xx_errors.unwrap_or(5),
        consecutive_gateway: outlier.consecutive_gateway_errors.unwrap_or(0),
        split_local: splits,
        consecutive_local: outlier.consecutive_local_origin_failures.unwrap_or(5),
        interval: span(outlier.interval, 10, at("interval"), remarks),
        base_ejection: span(
            outlier.base_ejection_time,
            30,
            at("baseEjectionTime"),
            remarks,
        ),
        max_ejection_percent: percent(
            // 0 is as if nothing was said.
            outlier
                .max_ejection_percent
                .filter(|it| *it != 0)
                .unwrap_or(10),
            at("maxEjectionPercent"),
            remarks,
        ),
        min_health_percent: percent(outlier.min_health_percent, at("minHealthPercent"), remarks),
    };
    let counts_local = read.split_local && read.consecutive_local > 0;
    if read.consecutive_5xx == 0 && read.consecutive_gateway == 0 && !counts_local {
        let reason = "every counter is switched off: no endpoint is ever left out";
        remarks.add(Rule::WithoutEffect, path.clone(), reason);
    }
    read
}

fn span(given: Option<Span>, seconds: u64, path: Path, remarks: &mut Remarks) -> Duration {
    let span = given.map_or(Duration::from_secs(seconds), |it| it.0);
    if span < Duration::from_millis(1) {
        remarks.invalid(path, "at least 1ms");
    }
    span
}

fn percent(given: u32, path: Path, remarks: &mut Remarks) -> u32 {
    if given > 100 {
        remarks.invalid(path, "a percentage from 0 to 100");
    }
    given.min(100)
}
