//! How often, both ways.

use proto::waypoint as pb;
use proto::waypoint::limit_by::Kind;

use crate::model::attached::{LimitBy, RateLimit};
use crate::wire::field::{Subject, all, duration_message};
use crate::wire::{Error, Problem, matches};

pub(super) fn limit(subject: Subject<'_>, message: pb::RateLimit) -> Result<RateLimit, Error> {
    let principal = |it| matches::text(subject, "rate_limits.principals", it);
    let per = subject.needed_duration("rate_limits.per", message.per)?;
    if per.is_zero() {
        return Err(subject.error("rate_limits.per", Problem::Number(0.0)));
    }
    Ok(RateLimit {
        name: message.name.into(),
        matches: all(message.matches, |it| matches::http(subject, it))?,
        principals: all(message.principals, principal)?,
        by: all(message.by, |it| by(subject, it))?,
        requests: message.requests,
        per,
        burst: message.burst,
    })
}

pub(super) fn limit_message(limit: &RateLimit) -> pb::RateLimit {
    let RateLimit {
        name,
        matches,
        principals,
        by,
        requests,
        per,
        burst,
    } = limit;
    pb::RateLimit {
        name: name.to_string(),
        matches: matches.iter().map(matches::http_message).collect(),
        principals: principals.iter().map(matches::text_message).collect(),
        by: by.iter().map(by_message).collect(),
        requests: *requests,
        per: Some(duration_message(*per)),
        burst: *burst,
    }
}

fn by(subject: Subject<'_>, message: pb::LimitBy) -> Result<LimitBy, Error> {
    Ok(match subject.required("rate_limits.by", message.kind)? {
        Kind::Header(name) => LimitBy::Header(name.into()),
        Kind::Query(name) => LimitBy::Query(name.into()),
        Kind::Principal(pb::Principal {}) => LimitBy::Principal,
        Kind::SourceIp(pb::ClientAddress {}) => LimitBy::SourceIp,
        Kind::Claim(path) => LimitBy::Claim(path.into()),
    })
}

fn by_message(by: &LimitBy) -> pb::LimitBy {
    let kind = match by {
        LimitBy::Header(name) => Kind::Header(name.to_string()),
        LimitBy::Query(name) => Kind::Query(name.to_string()),
        LimitBy::Principal => Kind::Principal(pb::Principal {}),
        LimitBy::SourceIp => Kind::SourceIp(pb::ClientAddress {}),
        LimitBy::Claim(path) => Kind::Claim(path.to_string()),
    };
    pb::LimitBy { kind: Some(kind) }
}
