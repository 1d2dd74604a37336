//! Pure. Which endpoints are left out for a time because they keep failing.
//!
//! Source: docs/compat.md#balancing. Counting is by atomics; that only one caller at a time ejects or
//! takes back is the caller's part.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mesh::model::destination::Outlier;

use super::endpoint::{Endpoint, Member, NEVER};

/// Ejections last no longer than this, or than the base if that is longer.
const LONGEST: Duration = Duration::from_secs(300);

/// How a request to an endpoint, or a connection, went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It answered with this status.
    Status(u16),
    /// It answered with this gRPC status in its headers; counts as the HTTP status that means the same.
    Grpc(u32),
    /// A connection of opaque bytes was made.
    Connected,
    /// It did not answer.
    Local(LocalFailure),
}

/// Why an endpoint did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LocalFailure {
    /// No connection could be made.
    Connect,
    /// Connecting or answering took too long.
    Timeout,
    /// The connection or stream broke before an answer.
    Reset,
}

/// What an outcome counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Success,
    /// 5xx that is none of a gateway.
    Error,
    Gateway,
    Local,
}

impl Outcome {
    fn kind(self) -> Kind {
        match self {
            Self::Connected => Kind::Success,
            Self::Local(_) => Kind::Local,
            Self::Grpc(status) => Self::of_status(http_status(status)),
            Self::Status(status) => Self::of_status(status),
        }
    }

    fn of_status(status: u16) -> Kind {
        match status {
            502..=504 => Kind::Gateway,
            500.. => Kind::Error,
            _ => Kind::Success,
        }
    }
}

/// The HTTP status that means the same as a gRPC status, as far as counting goes.
fn http_status(grpc: u32) -> u16 {
    match grpc {
        4 => 504,
        14 => 503,
        12 => 501,
        2 | 13 | 15 => 500,
        _ => 200,
    }
}

/// Counts an outcome. Says whether the endpoint should be left out now.
pub(super) fn count(endpoint: &Endpoint, outcome: Outcome, outlier: Option<&Outlier>) -> bool {
    let kind = outcome.kind();
    let Some(outlier) = outlier.filter(|_| kind != Kind::Success) else {
        forget(endpoint);
        return false;
    };
    if kind == Kind::Local && outlier.split_local {
        return reaches(&endpoint.in_a_row_local, outlier.consecutive_local);
    }
    clear(&endpoint.in_a_row_local);
    let is_gateway = if kind == Kind::Error {
        clear(&endpoint.in_a_row_gateway);
        false
    } else {
        reaches(&endpoint.in_a_row_gateway, outlier.consecutive_gateway)
    };
    reaches(&endpoint.in_a_row_5xx, outlier.consecutive_5xx) || is_gateway
}

/// One more in a row; at the threshold the count begins anew. 0 never reaches.
fn reaches(in_a_row: &AtomicU32, threshold: u32) -> bool {
    let count = in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    let reached = threshold > 0 && count >= threshold;
    if reached {
        clear(in_a_row);
    }
    reached
}

/// Writes only when there is something to clear: all workers read these.
fn clear(in_a_row: &AtomicU32) {
    if in_a_row.load(Ordering::Relaxed) != 0 {
        in_a_row.store(0, Ordering::Relaxed);
    }
}

fn forget(endpoint: &Endpoint) {
    clear(&endpoint.in_a_row_5xx);
    clear(&endpoint.in_a_row_gateway);
    clear(&endpoint.in_a_row_local);
}

/// Whether `ejected` of `all` endpoints may be left out.
fn may_be_out(ejected: usize, all: usize, outlier: &Outlier) -> bool {
    ejected as u64 * 100 <= u64::from(outlier.max_ejection_percent) * all as u64
}

/// Leaves an endpoint out, unless it is already or too many would be. Says whether it did.
pub(super) fn eject(endpoint: &Endpoint, members: &[Member], outlier: &Outlier, now: u64) -> bool {
    let is_member = members.iter().any(|m| m.endpoint.id == endpoint.id);
    let ejected = members.iter().filter(|m| m.endpoint.is_ejected()).count();
    if endpoint.is_ejected() || !is_member || !may_be_out(ejected + 1, members.len(), outlier) {
        return false;
    }
    endpoint.ejected_at.store(now, Ordering::Relaxed);
    // Beyond the longest ejection there is nothing to count.
    let step = u32::from(lasts(endpoint, outlier) < longest(outlier));
    endpoint.ejections.fetch_add(step, Ordering::Relaxed);
    true
}

fn take_back(endpoint: &Endpoint) {
    endpoint.ejected_at.store(NEVER, Ordering::Relaxed);
    forget(endpoint);
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NEVER)
}

fn longest(outlier: &Outlier) -> u64 {
    millis(outlier.base_ejection.max(LONGEST))
}

/// How long an endpoint is left out, in milliseconds.
fn lasts(endpoint: &Endpoint, outlier: &Outlier) -> u64 {
    let ejections = u64::from(endpoint.ejections.load(Ordering::Relaxed));
    let whole = millis(outlier.base_ejection).saturating_mul(ejections);
    whole.min(longest(outlier))
}

/// How often the checks are, in milliseconds.
pub(super) fn interval(outlier: &Outlier) -> u64 {
    millis(outlier.interval).max(1)
}

/// Makes up for the checks from `first` on (`checks` of them, an interval apart): those whose time is
/// over are taken back, those that stayed in have one ejection forgotten at each. Says whether any was
/// taken back.
pub(super) fn check(members: &[Member], outlier: &Outlier, first: u64, checks: u64) -> bool {
    let interval = interval(outlier);
    let mut any = false;
    for endpoint in members.iter().map(|m| &m.endpoint) {
        let mut clean = checks;
        if endpoint.is_ejected() {
            let ejected_at = endpoint.ejected_at.load(Ordering::Relaxed);
            let until = ejected_at.saturating_add(lasts(endpoint, outlier));
            let before = until.saturating_sub(first).div_ceil(interval);
            if before >= checks {
                continue;
            }
            take_back(endpoint);
            any = true;
            clean = checks - before - 1;
        }
        let clean = u32::try_from(clean).unwrap_or(u32::MAX);
        let ejections = endpoint.ejections.load(Ordering::Relaxed);
        let left = ejections.saturating_sub(clean);
        endpoint.ejections.store(left, Ordering::Relaxed);
    }
    any
}

/// Takes endpoints back until no more are left out than may be: after others went away, or the
/// policy changed. Those that were left out first come back first. Without a policy all come back.
pub(super) fn keep_within(members: &[Member], outlier: Option<&Outlier>) {
    let mut ejected: Vec<&Endpoint> = members
        .iter()
        .map(|m| &*m.endpoint)
        .filter(|e| e.is_ejected())
        .collect();
    ejected.sort_by_key(|e| e.ejected_at.load(Ordering::Relaxed));
    let mut left = ejected.len();
    for endpoint in ejected {
        if outlier.is_some_and(|outlier| may_be_out(left, members.len(), outlier)) {
            break;
        }
        take_back(endpoint);
        left -= 1;
    }
}

#[cfg(test)]
mod tests;
