//! Pure. Requests that are broken on purpose.

use std::time::Duration;

use mesh::model::http::{Abort, Fault, Fraction};
use objects::istio::virtual_service::http_action::{Abort as WrittenAbort, Delay};
use objects::istio::virtual_service::{Fault as Written, Percent};
use objects::raw::Path;

use super::Reader;
use crate::translate::rule::Rule;

/// Names of gRPC's status codes, by their number.
const GRPC: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Parts of a million make a share.
const WHOLE: u32 = 1_000_000;

pub(super) fn read(written: &Written, path: &Path, reader: &mut Reader<'_>) -> Fault {
    let at = |key: &str| path.clone().key(key);
    if written.delay.is_none() && written.abort.is_none() {
        reader.invalid(path.clone(), "one of delay and abort");
    }
    let delay = written.delay.as_ref();
    let abort = written.abort.as_ref();
    Fault {
        delay: delay.and_then(|it| delayed(it, &at("delay"), reader)),
        abort: abort.and_then(|it| aborted(it, &at("abort"), reader)),
    }
}

fn delayed(delay: &Delay, path: &Path, reader: &mut Reader<'_>) -> Option<(Duration, Fraction)> {
    let Some(duration) = delay.fixed_delay.map(|it| it.0).filter(|it| !it.is_zero()) else {
        reader.invalid(path.clone().key("fixedDelay"), "how long");
        return None;
    };
    if !(0..=100).contains(&delay.percent) {
        let path = path.clone().key("percent");
        reader.invalid(path, "a percentage from 0 to 100");
    }
    let older = (delay.percent > 0).then(|| Percent {
        value: f64::from(delay.percent),
    });
    let share = some_share(delay.percentage.or(older), path, reader);
    Some((duration, share))
}

fn aborted(
    abort: &WrittenAbort,
    path: &Path,
    reader: &mut Reader<'_>,
) -> Option<(Abort, Fraction)> {
    let at = |key: &str| path.clone().key(key);
    let answer = match (abort.http_status, abort.grpc_status.as_deref()) {
        (Some(status), None) => match u16::try_from(status) {
            Ok(status @ 200..=599) => Some(Abort::Http(status)),
            _ => {
                reader.invalid(at("httpStatus"), "a status from 200 to 599");
                None
            }
        },
        (None, Some(name)) => {
            let number = GRPC.iter().position(|it| *it == name);
            let number = number.and_then(|it| u16::try_from(it).ok());
            if number.is_none() {
                let reason = format!("`{name}` is no status of gRPC: write it like UNAVAILABLE");
                reader.invalid(at("grpcStatus"), reason);
            }
            number.map(Abort::Grpc)
        }
        _ => {
            reader.invalid(path.clone(), "one of httpStatus and grpcStatus");
            None
        }
    };
    let share = some_share(abort.percentage, path, reader);
    Some((answer?, share))
}

/// A share that is nothing when it is not said.
fn some_share(percent: Option<Percent>, path: &Path, reader: &mut Reader<'_>) -> Fraction {
    let share = share(percent.unwrap_or_default(), path, reader);
    if share.numerator == 0 {
        let reason = "without a percentage above 0 no request is broken";
        let path = path.clone().key("percentage");
        reader.remarks.add(Rule::WithoutEffect, path, reason);
    }
    share
}

/// A share of requests.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "kept within 0 to a million"
)]
pub(super) fn share(percent: Percent, path: &Path, reader: &mut Reader<'_>) -> Fraction {
    if !(0.0..=100.0).contains(&percent.value) {
        let path = path.clone().key("percentage");
        reader.invalid(path, "a percentage from 0 to 100");
    }
    let parts = percent.value.clamp(0.0, 100.0) * f64::from(WHOLE) / 100.0;
    Fraction {
        numerator: parts.round() as u32,
        denominator: WHOLE,
    }
}
