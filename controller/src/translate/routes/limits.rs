//! Pure. How long the requests of a rule may take, when they are tried again, and whether clients keep their endpoint.

use std::time::Duration;

use mesh::model::http::{HttpRule, Retry, RetryOn, SessionBy, SessionPersistence};
use objects::gateway_api::http_route as written;
use objects::gateway_api::session as persistence;
use objects::gateway_api::span;
use objects::raw::Path;

use super::entry::is_default;
use super::notes::Notes;
use crate::translate::pattern;

/// Tries after the first, unless said otherwise.
const ATTEMPTS: u32 = 2;
/// Name of a session's cookie, and of its header with `x-` before it, unless said otherwise.
const SESSION: &str = "weft-session";

type Bad = (Path, String);

/// Reads them into `made`; whether all of them can be honoured, else why is noted.
pub(super) fn read(
    rule: &written::HttpRule,
    path: &Path,
    made: &mut HttpRule,
    notes: &mut Notes,
    index: usize,
) -> bool {
    let read = times(rule, path, made);
    if let Err((path, reason)) = read {
        notes.refuse(index, path, &reason);
        return false;
    }
    session(rule.session_persistence.as_ref(), path, made, notes, index)
}

/// Reads session persistence into `made`; whether it can be honoured, else why is noted.
pub(super) fn session(
    written: Option<&persistence::SessionPersistence>,
    path: &Path,
    made: &mut HttpRule,
    notes: &mut Notes,
    index: usize,
) -> bool {
    let Some(written) = written else {
        return true;
    };
    match one_session(written, &path.clone().key("sessionPersistence")) {
        Ok(session) => {
            made.session = Some(session);
            true
        }
        Err((path, reason)) => {
            notes.refuse(index, path, &reason);
            false
        }
    }
}

fn times(rule: &written::HttpRule, path: &Path, made: &mut HttpRule) -> Result<(), Bad> {
    let at = path.clone().key("timeouts");
    let timeouts = rule.timeouts.as_ref();
    let request = timeouts.and_then(|it| it.request.as_deref());
    let request = limit(request, &at.clone().key("request"))?;
    let at = at.key("backendRequest");
    let one_try = limit(timeouts.and_then(|it| it.backend_request.as_deref()), &at)?;
    if let (Some(whole), Some(one)) = (request, one_try)
        && one > whole
    {
        let reason = "one try cannot take longer than all of them";
        return Err((at, reason.to_owned()));
    }
    made.timeout = request;
    match &rule.retry {
        // Without retries of its own one try is all that the owner speaks of.
        None => made.timeout = one_try.or(request),
        Some(retry) => made.retry = Some(self::retry(retry, one_try, &path.clone().key("retry"))?),
    }
    Ok(())
}

fn retry(retry: &written::Retry, one_try: Option<Duration>, path: &Path) -> Result<Retry, Bad> {
    let codes = retry.codes.iter();
    if let Some(index) = codes.clone().position(|it| !(400..=599).contains(it)) {
        let reason = "only codes from 400 to 599 can be tried again";
        return Err((path.clone().key("codes").at(index), reason.to_owned()));
    }
    let backoff = match retry.backoff.as_deref() {
        None => None,
        Some(text) => Some(time(text, &path.clone().key("backoff"))?),
    };
    Ok(Retry {
        attempts: retry.attempts.unwrap_or(ATTEMPTS),
        on: RetryOn {
            connect_failure: true,
            refused_stream: true,
            reset_before_request: true,
            unavailable: true,
            cancelled: true,
            // The one condition that covers tries that took too long.
            reset: one_try.is_some(),
            ..RetryOn::default()
        },
        codes: codes.copied().collect(),
        per_try_timeout: one_try,
        backoff,
        backoff_is_minimum: backoff.is_some(),
        ..Retry::default()
    })
}

fn time(text: &str, path: &Path) -> Result<Duration, Bad> {
    let complaint = || {
        let reason = format!("{text:?} is no span of time such as 10s or 1m30s");
        (path.clone(), reason)
    };
    span::parse(text).ok_or_else(complaint)
}

/// A limit; zero is none.
fn limit(text: Option<&str>, path: &Path) -> Result<Option<Duration>, Bad> {
    match text {
        None => Ok(None),
        Some(text) => Ok(Some(time(text, path)?).filter(|it| !it.is_zero())),
    }
}

fn one_session(
    written: &persistence::SessionPersistence,
    path: &Path,
) -> Result<SessionPersistence, Bad> {
    let timeout = written.absolute_timeout.as_deref();
    let absolute_timeout = limit(timeout, &path.clone().key("absoluteTimeout"))?;
    let older = written.session_name.as_deref();
    let by = match written.r#type.as_deref() {
        word if is_default(word, "Cookie") => {
            let cookie = written.cookie.as_ref();
            let name = cookie.and_then(|it| it.name.as_deref()).or(older);
            let config = written.cookie_config.as_ref();
            let lifetime = cookie.and_then(|it| it.lifetime_type.as_deref());
            let lifetime = lifetime.or_else(|| config?.lifetime_type.as_deref());
            let permanent = match lifetime {
                word if is_default(word, "Session") => false,
                Some("Permanent") if absolute_timeout.is_some() => true,
                Some("Permanent") => {
                    let reason = "a permanent cookie needs an absoluteTimeout";
                    return Err((path.clone(), reason.to_owned()));
                }
                word => return Err((path.clone(), unknown(word, "lifetime"))),
            };
            SessionBy::Cookie {
                name: name.unwrap_or(SESSION).into(),
                path: cookie
                    .and_then(|it| it.path.as_deref())
                    .unwrap_or("/")
                    .into(),
                permanent,
            }
        }
        Some("Header") => {
            let name = written.header.as_ref().and_then(|it| it.name.as_deref());
            let name = name.or(older).map(pattern::header_name);
            match name.unwrap_or_else(|| Some(format!("x-{SESSION}"))) {
                Some(name) => SessionBy::Header(name.into()),
                None => {
                    let reason = "no header can have this name".to_owned();
                    return Err((path.clone(), reason));
                }
            }
        }
        word => return Err((path.clone().key("type"), unknown(word, "type of session"))),
    };
    Ok(SessionPersistence {
        by,
        absolute_timeout,
    })
}

fn unknown(word: Option<&str>, what: &str) -> String {
    format!("{:?} is no {what} that is known", word.unwrap_or_default())
}
