//! Pure. Whether a token is good: its times, whom it is for, who signed it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mesh::model::attached::JwtRule;
use serde_json::{Map, Value};

use super::key_set::KeySet;
use super::rejection::Rejection;
use super::token::Unverified;

/// Clocks of issuer and waypoint may differ by this much, as with Envoy.
const LEEWAY: Duration = Duration::from_secs(60);

/// A token whose signature is good.
pub(crate) struct Verified {
    /// What it says.
    pub(crate) payload: Map<String, Value>,
    /// The same in base64, as it was sent.
    pub(crate) payload_text: String,
}

/// Checks times and audience.
pub(crate) fn claims(
    rule: &JwtRule,
    token: &Unverified<'_>,
    now: SystemTime,
) -> Result<(), Rejection> {
    let now = now
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64();
    let leeway = LEEWAY.as_secs_f64();
    if time(token, "nbf")?.is_some_and(|start| now + leeway < start) {
        return Err(Rejection::NotYetValid);
    }
    if time(token, "exp")?.is_some_and(|end| now > end + leeway) {
        return Err(Rejection::Expired);
    }
    let is_wanted = |it: &str| rule.audiences.iter().any(|wanted| **wanted == *it);
    let is_for_us = match token.payload.get("aud") {
        Some(Value::String(one)) => is_wanted(one),
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).any(is_wanted),
        _ => false,
    };
    if !rule.audiences.is_empty() && !is_for_us {
        return Err(Rejection::Audience);
    }
    Ok(())
}

/// Seconds since 1970; `None` when the token does not say.
fn time(token: &Unverified<'_>, claim: &str) -> Result<Option<f64>, Rejection> {
    match token.payload.get(claim) {
        None => Ok(None),
        Some(value) => {
            let seconds = value.as_f64().filter(|it| it.is_finite() && *it >= 0.0);
            seconds.map(Some).ok_or(Rejection::Times)
        }
    }
}

/// Checks the signature with every key that may have made it.
pub(crate) fn signature(keys: &KeySet, token: &Unverified<'_>) -> Result<Verified, Rejection> {
    let mut rejection = Rejection::UnknownKey;
    for key in keys.for_token(token) {
        let signed = token.signed.as_bytes();
        let verified =
            jsonwebtoken::crypto::verify(token.signature, signed, &key.key, token.algorithm);
        if matches!(verified, Ok(true)) {
            return Ok(Verified {
                payload: token.payload.clone(),
                payload_text: token.payload_text.to_owned(),
            });
        }
        rejection = Rejection::Signature;
    }
    Err(rejection)
}
