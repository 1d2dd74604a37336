//! What becomes of a request, both ways.

use proto::waypoint as pb;
use proto::waypoint::http_rule::Action;

use super::{backends, backends_message};
use crate::model::http::{HttpAction, HttpRule};
use crate::wire::field::{Subject, all, duration_message, origin_message, origin_of};
use crate::wire::{Error, change, retry};

/// `destinations` is how many there are.
pub(super) fn rule(
    subject: Subject<'_>,
    message: pb::HttpRule,
    destinations: usize,
) -> Result<HttpRule, Error> {
    let action = match subject.required("rules.action", message.action)? {
        Action::Forward(forward) => {
            HttpAction::Forward(backends(subject, forward.backends, destinations)?)
        }
        Action::Redirect(redirect) => HttpAction::Redirect(change::redirect(subject, redirect)?),
        Action::Reply(reply) => HttpAction::Reply {
            status: subject.status("reply.status", reply.status)?,
            body: reply.body.into(),
        },
    };
    let mirror = |it: pb::Mirror| change::mirror(subject, &it, destinations);
    let cors = message.cors.map(|it| change::cors(subject, it));
    let retry = message.retry.map(|it| retry::retry(subject, it));
    let session = message.session.map(|it| retry::session(subject, it));
    Ok(HttpRule {
        origin: origin_of(subject.required("rules.origin", message.origin)?),
        action,
        request_headers: change::headers(message.request_headers),
        response_headers: change::headers(message.response_headers),
        rewrite: change::rewrite(subject, message.rewrite)?,
        mirrors: all(message.mirrors, mirror)?,
        cors: cors.transpose()?,
        fault: retry::fault(subject, message.fault)?,
        timeout: subject.duration("rules.timeout", message.timeout)?,
        retry: retry.transpose()?,
        session: session.transpose()?,
    })
}

pub(super) fn rule_message(rule: &HttpRule) -> pb::HttpRule {
    let HttpRule {
        origin,
        action,
        request_headers,
        response_headers,
        rewrite,
        mirrors,
        cors,
        fault,
        timeout,
        retry,
        session,
    } = rule;
    let action = match action {
        HttpAction::Forward(backends) => Action::Forward(pb::Forward {
            backends: backends_message(backends),
        }),
        HttpAction::Redirect(redirect) => Action::Redirect(change::redirect_message(redirect)),
        HttpAction::Reply { status, body } => Action::Reply(pb::Reply {
            status: (*status).into(),
            body: body.to_string(),
        }),
    };
    pb::HttpRule {
        origin: Some(origin_message(origin)),
        action: Some(action),
        request_headers: change::headers_message(request_headers),
        response_headers: change::headers_message(response_headers),
        rewrite: change::rewrite_message(rewrite),
        mirrors: mirrors.iter().map(change::mirror_message).collect(),
        cors: cors.as_ref().map(change::cors_message),
        fault: retry::fault_message(fault),
        timeout: timeout.map(duration_message),
        retry: retry.as_ref().map(retry::retry_message),
        session: session.as_ref().map(retry::session_message),
    }
}
