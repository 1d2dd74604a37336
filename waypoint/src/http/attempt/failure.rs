//! Pure. What a try failed of, and what that means to the client, the endpoint and the next try.

use std::error::Error;

use crate::balance::{LocalFailure, retry};
use crate::body::Broken;
use crate::ending::Ending;
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
    /// The client went away in the middle of its body.
    Client,
    /// What the client sent as a body is none.
    BadBody,
    /// The request cannot be written.
    Unwritable,
}

impl Failure {
    /// Sorts an error. `broken`: how the client broke its body off; then it is nobody else's fault.
    pub(super) fn of(error: &SendError, broken: Option<Broken>) -> Self {
        match broken {
            Some(Broken::Cut) => return Self::Client,
            Some(Broken::Malformed) => return Self::BadBody,
            None => {}
        }
        match error {
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
            Self::BadBody => Ending::BadBody,
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
            Self::NoEndpoint | Self::Overflow | Self::Client | Self::BadBody | Self::Unwritable => {
                None
            }
        }
    }

    /// What conditions of retries see in it.
    pub(super) fn for_retry(self) -> retry::Failure {
        match self {
            Self::NoEndpoint | Self::Overflow | Self::Client | Self::BadBody | Self::Unwritable => {
                retry::Failure::Ours
            }
            Self::Connect | Self::ConnectTimeout => retry::Failure::Connect,
            Self::ClosedUnsent => retry::Failure::ResetBeforeRequest,
            Self::Refused => retry::Failure::RefusedStream,
            Self::Closed | Self::Reset => retry::Failure::Reset,
            Self::Protocol => retry::Failure::Protocol,
            Self::TryTimeout => retry::Failure::PerTryTimeout { is_sent: true },
        }
    }
}
