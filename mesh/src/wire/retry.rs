//! Trying again, breaking on purpose, staying with an endpoint, both ways.

use proto::waypoint as pb;

use super::Error;
use super::change::{fraction, fraction_message};
use super::field::{Subject, all, duration_message, some_unless_default};
use crate::model::http::{Abort, Fault, Retry, RetryOn, SessionBy, SessionPersistence};

pub(super) fn retry(subject: Subject<'_>, message: pb::Retry) -> Result<Retry, Error> {
    let code = |code| subject.status("retry.codes", code);
    Ok(Retry {
        attempts: message.attempts,
        on: on(message.on.unwrap_or_default()),
        codes: all(message.codes, code)?,
        per_try_timeout: subject.duration("retry.per_try_timeout", message.per_try_timeout)?,
        backoff: subject.duration("retry.backoff", message.backoff)?,
        backoff_is_minimum: message.backoff_is_minimum,
        same_endpoint: message.same_endpoint,
        remote_localities: message.remote_localities,
    })
}

pub(super) fn retry_message(retry: &Retry) -> pb::Retry {
    let Retry {
        attempts,
        on,
        codes,
        per_try_timeout,
        backoff,
        backoff_is_minimum,
        same_endpoint,
        remote_localities,
    } = retry;
    pb::Retry {
        attempts: *attempts,
        on: some_unless_default(on_message(*on)),
        codes: codes.iter().copied().map(u32::from).collect(),
        per_try_timeout: per_try_timeout.map(duration_message),
        backoff: backoff.map(duration_message),
        backoff_is_minimum: *backoff_is_minimum,
        same_endpoint: *same_endpoint,
        remote_localities: *remote_localities,
    }
}

fn on(message: pb::RetryOn) -> RetryOn {
    let pb::RetryOn {
        any_5xx,
        gateway_error,
        reset,
        reset_before_request,
        connect_failure,
        refused_stream,
        retriable_4xx,
        rate_limited,
        cancelled,
        deadline_exceeded,
        internal,
        resource_exhausted,
        unavailable,
    } = message;
    RetryOn {
        any_5xx,
        gateway_error,
        reset,
        reset_before_request,
        connect_failure,
        refused_stream,
        retriable_4xx,
        rate_limited,
        cancelled,
        deadline_exceeded,
        internal,
        resource_exhausted,
        unavailable,
    }
}

fn on_message(on: RetryOn) -> pb::RetryOn {
    let RetryOn {
        any_5xx,
        gateway_error,
        reset,
        reset_before_request,
        connect_failure,
        refused_stream,
        retriable_4xx,
        rate_limited,
        cancelled,
        deadline_exceeded,
        internal,
        resource_exhausted,
        unavailable,
    } = on;
    pb::RetryOn {
        any_5xx,
        gateway_error,
        reset,
        reset_before_request,
        connect_failure,
        refused_stream,
        retriable_4xx,
        rate_limited,
        cancelled,
        deadline_exceeded,
        internal,
        resource_exhausted,
        unavailable,
    }
}

pub(super) fn fault(subject: Subject<'_>, message: Option<pb::Fault>) -> Result<Fault, Error> {
    use pb::abort::Status;
    let message = message.unwrap_or_default();
    let delay = |message: pb::Delay| {
        let field = "fault.delay.wait";
        let wait = subject.duration(field, message.wait)?;
        let share = fraction(subject, "fault.delay.share", message.share)?;
        Ok((subject.required(field, wait)?, share))
    };
    let abort = |message: pb::Abort| {
        let share = fraction(subject, "fault.abort.share", message.share)?;
        let field = "fault.abort.status";
        let abort = match subject.required(field, message.status)? {
            Status::Http(status) => Abort::Http(subject.status(field, status)?),
            Status::Grpc(status) => Abort::Grpc(subject.short(field, status)?),
        };
        Ok((abort, share))
    };
    Ok(Fault {
        delay: message.delay.map(delay).transpose()?,
        abort: message.abort.map(abort).transpose()?,
    })
}

pub(super) fn fault_message(fault: &Fault) -> Option<pb::Fault> {
    use pb::abort::Status;
    let Fault { delay, abort } = fault;
    let status = |abort: &Abort| match abort {
        Abort::Http(status) => Status::Http((*status).into()),
        Abort::Grpc(status) => Status::Grpc((*status).into()),
    };
    some_unless_default(pb::Fault {
        delay: delay.map(|(wait, share)| pb::Delay {
            wait: Some(duration_message(wait)),
            share: Some(fraction_message(share)),
        }),
        abort: abort.map(|(abort, share)| pb::Abort {
            status: Some(status(&abort)),
            share: Some(fraction_message(share)),
        }),
    })
}

pub(super) fn session(
    subject: Subject<'_>,
    message: pb::SessionPersistence,
) -> Result<SessionPersistence, Error> {
    use pb::session_persistence::By;
    let by = match subject.required("session.by", message.by)? {
        By::Cookie(cookie) => SessionBy::Cookie {
            name: cookie.name.into(),
            path: cookie.path.into(),
            permanent: cookie.permanent,
        },
        By::Header(name) => SessionBy::Header(name.into()),
    };
    let absolute = message.absolute_timeout;
    Ok(SessionPersistence {
        by,
        absolute_timeout: subject.duration("session.absolute_timeout", absolute)?,
    })
}

pub(super) fn session_message(session: &SessionPersistence) -> pb::SessionPersistence {
    use pb::session_persistence::By;
    let SessionPersistence {
        by,
        absolute_timeout,
    } = session;
    let by = match by {
        SessionBy::Cookie {
            name,
            path,
            permanent,
        } => By::Cookie(pb::SessionCookie {
            name: name.to_string(),
            path: path.to_string(),
            permanent: *permanent,
        }),
        SessionBy::Header(name) => By::Header(name.to_string()),
    };
    pb::SessionPersistence {
        by: Some(by),
        absolute_timeout: absolute_timeout.map(duration_message),
    }
}
