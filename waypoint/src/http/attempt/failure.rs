//! Pure. What a try failed of, and whether another one may help.

use std::error::Error;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use mesh::model::http::Retry;

use crate::balance::LocalFailure;
use crate::http::ending::Ending;
use crate::upstream::{ConnectError, SendError};

/// What a try failed of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nobody can take it.
    NoEndpoint,
    /// Too many at once.
    Overflow,
    /// No connection.
    Connect,
    /// No connection in time.
    ConnectTimeout,
    /// The connection ended before the request was sent.
    ClosedUnsent,
    /// The connection ended before the answer.
    Closed,
    /// The stream was reset.
    Reset,
    /// The stream was refused: nothing of it was looked at.
    Refused,
    /// The answer is not HTTP.
    Protocol,
    /// It took too long.
    TryTimeout,
    /// The client broke its own body off.
    Client,
    /// The request cannot be written.
    Unwritable,
}

impl Failure {
    /// Sorts an error. `is_broken`: the client broke its body off.
    pub(super) fn of(error: &SendError, is_broken: bool) -> Self {
        match error {
            _ if is_broken => Self::Client,
            SendError::Overflow(_) => Self::Overflow,
            SendError::Connect(ConnectError::Deadline) => Self::ConnectTimeout,
            SendError::Connect(_) => Self::Connect,
            SendError::Lost { sent: false, .. } => Self::ClosedUnsent,
            SendError::Lost { source, .. } => Self::of_http(source),
        }
    }

    fn of_http(error: &hyper::Error) -> Self {
        if error.is_parse() || error.is_parse_too_large() || error.is_parse_status() {
            return Self::Protocol;
        }
        let h2 = error.source().and_then(|it| it.downcast_ref::<h2::Error>());
        let Some(h2) = h2 else {
            return Self::Closed;
        };
        match h2.reason() {
            Some(h2::Reason::REFUSED_STREAM) => Self::Refused,
            _ if h2.is_reset() && h2.is_remote() => Self::Reset,
            _ if h2.is_io() || h2.is_go_away() => Self::Closed,
            _ => Self::Protocol,
        }
    }

    /// How the request ends when it is not tried again.
    pub(super) fn ending(self) -> Ending {
        match self {
            Self::NoEndpoint => Ending::NoHealthyEndpoint,
            Self::Overflow => Ending::Overflow,
            Self::Connect => Ending::ConnectFailed,
            Self::ConnectTimeout => Ending::ConnectTimeout,
            Self::ClosedUnsent | Self::Closed => Ending::Closed,
            Self::Reset | Self::Refused => Ending::Reset,
            Self::Protocol => Ending::UpstreamProtocol,
            Self::TryTimeout => Ending::TryTimeout,
            Self::Client => Ending::ClientGone,
            Self::Unwritable => Ending::BadPath,
        }
    }

    /// How it counts for the endpoint, if it does.
    pub(super) fn local(self) -> Option<LocalFailure> {
        match self {
            Self::Connect => Some(LocalFailure::Connect),
            Self::ConnectTimeout | Self::TryTimeout => Some(LocalFailure::Timeout),
            Self::ClosedUnsent | Self::Closed | Self::Reset | Self::Refused | Self::Protocol => {
                Some(LocalFailure::Reset)
            }
            Self::NoEndpoint | Self::Overflow | Self::Client | Self::Unwritable => None,
        }
    }

    /// Whether another try may help.
    pub(super) fn wants_retry(self, retry: &Retry) -> bool {
        let on = &retry.on;
        let any = on.any_5xx || on.gateway_error;
        match self {
            Self::NoEndpoint | Self::Overflow | Self::Client | Self::Unwritable => false,
            Self::Connect | Self::ConnectTimeout => {
                any || on.connect_failure || on.reset || on.reset_before_request
            }
            Self::ClosedUnsent => any || on.reset || on.reset_before_request,
            Self::Refused => any || on.reset || on.refused_stream,
            Self::Closed | Self::Reset | Self::Protocol | Self::TryTimeout => any || on.reset,
        }
    }
}

/// Whether an answer is a reason to try again.
pub(super) fn wants_retry(retry: &Retry, status: StatusCode, headers: &HeaderMap) -> bool {
    let on = &retry.on;
    let code = status.as_u16();
    let grpc = headers.get("grpc-status").and_then(|it| it.to_str().ok());
    let by_grpc = match grpc.and_then(|it| it.parse::<u16>().ok()) {
        Some(1) => on.cancelled,
        Some(4) => on.deadline_exceeded,
        Some(8) => on.resource_exhausted,
        Some(13) => on.internal,
        Some(14) => on.unavailable,
        _ => false,
    };
    by_grpc
        || (on.any_5xx && code >= 500)
        || (on.gateway_error && matches!(code, 502..=504))
        || (on.retriable_4xx && code == 409)
        || (on.rate_limited && headers.contains_key("x-envoy-ratelimited"))
        || retry.codes.contains(&code)
}

/// The pause before try `number` (the first retry is 1), from a random number.
pub(super) fn pause(retry: &Retry, number: u32, random: u64) -> Duration {
    const BASE: Duration = Duration::from_millis(25);
    let base = retry.backoff.unwrap_or(BASE);
    let grown = base.saturating_mul((1_u32 << number.min(16)) - 1);
    let most = grown.min(base.saturating_mul(10));
    let least = if retry.backoff_is_minimum {
        base
    } else {
        Duration::ZERO
    };
    let span = most.saturating_sub(least);
    let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    let part = u128::from(random) * u128::from(span);
    least + Duration::from_nanos(u64::try_from(part >> 64).unwrap_or_default())
}
