//! Which tokens count, both ways.

use proto::waypoint as pb;
use proto::waypoint::jwt_rule::Keys;

use crate::model::attached::{JwtKeys, JwtRule};
use crate::wire::Error;
use crate::wire::field::{Subject, duration_message, pairs, pairs_message, texts, texts_message};

pub(super) fn rule(subject: Subject<'_>, message: pb::JwtRule) -> Result<JwtRule, Error> {
    let keys = match subject.required("authentication.keys", message.keys)? {
        Keys::Inline(text) => JwtKeys::Inline(text.into()),
        Keys::Url(url) => JwtKeys::Url(url.into()),
        Keys::Discovery(pb::Discovery {}) => JwtKeys::Discovery,
    };
    let timeout = message.fetch_timeout;
    Ok(JwtRule {
        issuer: message.issuer.into(),
        audiences: texts(message.audiences),
        keys,
        headers: pairs(message.headers),
        params: texts(message.params),
        cookies: texts(message.cookies),
        payload_header: message.payload_header.into(),
        claim_headers: pairs(message.claim_headers),
        forward: message.forward,
        fetch_timeout: subject.needed_duration("authentication.fetch_timeout", timeout)?,
        space_delimited: texts(message.space_delimited),
    })
}

pub(super) fn rule_message(rule: &JwtRule) -> pb::JwtRule {
    let JwtRule {
        issuer,
        audiences,
        keys,
        headers,
        params,
        cookies,
        payload_header,
        claim_headers,
        forward,
        fetch_timeout,
        space_delimited,
    } = rule;
    let keys = match keys {
        JwtKeys::Inline(text) => Keys::Inline(text.to_string()),
        JwtKeys::Url(url) => Keys::Url(url.to_string()),
        JwtKeys::Discovery => Keys::Discovery(pb::Discovery {}),
    };
    pb::JwtRule {
        issuer: issuer.to_string(),
        audiences: texts_message(audiences),
        keys: Some(keys),
        headers: pairs_message(headers),
        params: texts_message(params),
        cookies: texts_message(cookies),
        payload_header: payload_header.to_string(),
        claim_headers: pairs_message(claim_headers),
        forward: *forward,
        fetch_timeout: Some(duration_message(*fetch_timeout)),
        space_delimited: texts_message(space_delimited),
    }
}
