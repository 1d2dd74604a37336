//! Pure. Whether a request is tried again, and after which wait.
//!
//! How many retries a destination may have under way is `Cluster::enter_retry`'s part.
//! Source: docs/compat.md#retries.

use std::time::Duration;

use http::HeaderMap;
use mesh::model::http::{Retry, RetryOn};

/// Base of the wait where the policy has none.
const BASE: Duration = Duration::from_millis(25);

/// A wait is never longer than so many times its base.
const LONGEST: u32 = 10;

/// Why a try has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No connection could be made: refused, too late, or the peer is not who it should be.
    Connect,
    /// The connection broke before anything of the request was sent.
    ResetBeforeRequest,
    /// The connection or the stream broke after that.
    Reset,
    /// The peer refused the HTTP/2 stream: it did not begin to work on the request.
    RefusedStream,
    /// The answer was no HTTP.
    Protocol,
    /// The try took too long.
    PerTryTimeout {
        /// Whether anything of the request was sent.
        is_sent: bool,
    },
    /// No endpoint is to blame: the destination has too much under way, nobody takes requests, or the
    /// client went away.
    Ours,
}

/// How a try went.
#[derive(Clone, Copy, Debug)]
pub enum Tried<'a> {
    /// Without answer.
    Failed(Failure),
    /// With the head of an answer from the endpoint. What the waypoint answers itself is a failure,
    /// whatever status the client will see.
    Answered {
        /// Status.
        status: u16,
        /// Headers.
        headers: &'a HeaderMap,
    },
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is no case for a retry.
    Keep,
    /// It would be tried again, but was often enough: flag `URX`.
    Exhausted,
    /// It is tried again after this wait.
    Again(Duration),
}

/// The policy of requests whose route says nothing of retries: twice, when nothing can have begun or
/// the gRPC answer says so. A plain 5xx is not tried again.
pub fn default_policy() -> Retry {
    Retry {
        attempts: 2,
        on: RetryOn {
            connect_failure: true,
            refused_stream: true,
            unavailable: true,
            cancelled: true,
            ..RetryOn::default()
        },
        ..Retry::default()
    }
}

/// What follows after `retries` retries (0 after the first try). `random` should be uniform.
pub fn decide(policy: &Retry, retries: u32, tried: Tried<'_>, random: u64) -> Decision {
    if policy.attempts == 0 || !is_retriable(policy, tried) {
        Decision::Keep
    } else if retries >= policy.attempts {
        Decision::Exhausted
    } else {
        Decision::Again(wait(policy, retries.saturating_add(1), random))
    }
}

/// Whether the policy names what happened.
pub fn is_retriable(policy: &Retry, tried: Tried<'_>) -> bool {
    match tried {
        Tried::Failed(failure) => is_failure_retriable(policy.on, failure),
        Tried::Answered { status, headers } => is_answer_retriable(policy, status, headers),
    }
}

fn is_failure_retriable(on: RetryOn, failure: Failure) -> bool {
    let unanswered = on.any_5xx || on.gateway_error || on.reset;
    match failure {
        Failure::Connect => unanswered || on.connect_failure || on.reset_before_request,
        Failure::ResetBeforeRequest => unanswered || on.reset_before_request,
        Failure::RefusedStream => unanswered || on.refused_stream,
        Failure::Reset | Failure::Protocol => unanswered,
        Failure::PerTryTimeout { is_sent } => unanswered || (!is_sent && on.reset_before_request),
        // A retry would make both worse.
        Failure::Ours => false,
    }
}

fn is_answer_retriable(policy: &Retry, status: u16, headers: &HeaderMap) -> bool {
    let on = policy.on;
    // Who refuses for overload is not asked again; who limits rates only when told so.
    if headers.contains_key("x-envoy-overloaded") {
        return false;
    }
    if headers.contains_key("x-envoy-ratelimited") {
        return on.rate_limited;
    }
    let by_status = match status {
        502..=504 => on.any_5xx || on.gateway_error,
        500..=599 => on.any_5xx,
        409 => on.retriable_4xx,
        _ => false,
    };
    by_status || policy.codes.contains(&status) || is_grpc_retriable(on, headers)
}

/// By the gRPC status in the answer's head; one in trailers comes too late.
fn is_grpc_retriable(on: RetryOn, headers: &HeaderMap) -> bool {
    let status = headers.get("grpc-status").map(|status| status.as_bytes());
    match status {
        Some(b"1") => on.cancelled,
        Some(b"4") => on.deadline_exceeded,
        Some(b"8") => on.resource_exhausted,
        Some(b"13") => on.internal,
        Some(b"14") => on.unavailable,
        _ => false,
    }
}

/// Wait before the n-th retry, from 1 on: anything up to `base * (2^n - 1)`, or from the base up to
/// that, at most ten times the base.
fn wait(policy: &Retry, retry: u32, random: u64) -> Duration {
    let base = policy.backoff.unwrap_or(BASE);
    let times = 2_u32.saturating_pow(retry).saturating_sub(1).min(LONGEST);
    let most = base.saturating_mul(times);
    let least = if policy.backoff_is_minimum {
        base.min(most)
    } else {
        Duration::ZERO
    };
    let range = most.saturating_sub(least).as_nanos();
    let jitter = (range.min(u128::from(u64::MAX)) * u128::from(random)) >> 64;
    least.saturating_add(Duration::from_nanos(jitter as u64))
}

#[cfg(test)]
mod tests;
