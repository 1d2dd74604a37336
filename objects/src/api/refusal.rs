//! Pure. What an answer that is no success means, and what may be done about it.

use std::time::Duration;

use serde_json::Value;

/// An answer of no success, or none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {}{message}", code_and_reason(*code, reason))]
pub struct Refusal {
    /// What was asked for, without its query.
    pub path: String,
    /// The status code; 0 when there was no answer.
    pub code: u16,
    /// The word of the server's `Status`, e.g. `NotFound`; empty when it gave none.
    pub reason: String,
    /// The server's sentence, or what went wrong on the way.
    pub message: String,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
}

/// What can be done about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The server does not serve this path: the custom resource is not installed (in this version).
    Unserved,
    /// There is no such object.
    Absent,
    /// What is asked about is so old that the server has forgotten it: list again.
    Expired,
    /// Somebody was faster: read again, decide again.
    Conflict,
    /// Our credentials or our role do not allow it: an operator must act.
    Forbidden,
    /// The request can never succeed as it is.
    Invalid,
    /// Not now.
    Later,
}

impl Refusal {
    /// No answer.
    pub(crate) fn silent(path: &str, message: String) -> Refusal {
        Refusal {
            path: without_query(path),
            code: 0,
            reason: String::new(),
            message,
            retry_after: None,
        }
    }

    /// From the answer's status code, its header `Retry-After` and its body.
    #[must_use]
    pub fn read(path: &str, code: u16, retry_after: Option<Duration>, body: &[u8]) -> Refusal {
        let status: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut refusal = Refusal::of_status(path, &status);
        if status.get("kind").and_then(Value::as_str) != Some("Status") {
            let text = String::from_utf8_lossy(body.get(..200).unwrap_or(body));
            text.trim().clone_into(&mut refusal.message);
        }
        refusal.code = code;
        refusal.retry_after = retry_after.or(refusal.retry_after);
        refusal
    }

    /// From a `Status` object, as it also stands in the error events of a watch.
    #[must_use]
    pub fn of_status(path: &str, status: &Value) -> Refusal {
        let text = |key: &str| status.get(key).and_then(Value::as_str).unwrap_or_default();
        let code = status.get("code").and_then(Value::as_u64);
        let seconds = status.pointer("/details/retryAfterSeconds");
        let seconds = seconds.and_then(Value::as_u64).filter(|it| *it > 0);
        Refusal {
            path: without_query(path),
            code: code.and_then(|it| u16::try_from(it).ok()).unwrap_or(0),
            reason: text("reason").to_owned(),
            message: text("message").to_owned(),
            retry_after: seconds.map(Duration::from_secs),
        }
    }

    /// What can be done about it. Source: Kubernetes API concepts, "HTTP status codes" of API conventions.
    #[must_use]
    pub fn meaning(&self) -> Meaning {
        match self.code {
            401 | 403 => Meaning::Forbidden,
            // A path that is not served is answered in plain words, without a `Status`.
            404 if self.reason.is_empty() => Meaning::Unserved,
            404 => Meaning::Absent,
            409 => Meaning::Conflict,
            410 => Meaning::Expired,
            _ if self.reason == "Expired" || self.reason == "Gone" => Meaning::Expired,
            429 => Meaning::Later,
            400..=499 => Meaning::Invalid,
            _ => Meaning::Later,
        }
    }
}

fn without_query(path: &str) -> String {
    path.split('?').next().unwrap_or_default().to_owned()
}

fn code_and_reason(code: u16, reason: &str) -> String {
    match (code, reason) {
        (0, "") => String::new(),
        (0, reason) => format!("{reason}: "),
        (code, "") => format!("{code}: "),
        (code, reason) => format!("{code} {reason}: "),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Meaning, Refusal};

    #[test]
    fn a_refusal_means_what_code_and_status_say() {
        for (code, body, meaning) in [
            (404, "404 page not found\n", Meaning::Unserved),
            (
                404,
                r#"{"kind":"Status","reason":"NotFound","code":404}"#,
                Meaning::Absent,
            ),
            (
                410,
                r#"{"kind":"Status","reason":"Expired","code":410}"#,
                Meaning::Expired,
            ),
            (
                409,
                r#"{"kind":"Status","reason":"Conflict","code":409}"#,
                Meaning::Conflict,
            ),
            (401, "", Meaning::Forbidden),
            (
                403,
                r#"{"kind":"Status","reason":"Forbidden","code":403}"#,
                Meaning::Forbidden,
            ),
            (
                422,
                r#"{"kind":"Status","reason":"Invalid","code":422}"#,
                Meaning::Invalid,
            ),
            (400, "nonsense", Meaning::Invalid),
            (429, "", Meaning::Later),
            (500, "", Meaning::Later),
            (
                504,
                r#"{"kind":"Status","reason":"Timeout"}"#,
                Meaning::Later,
            ),
        ] {
            let refusal = Refusal::read("/a?b", code, None, body.as_bytes());
            assert_eq!(refusal.meaning(), meaning, "{refusal}");
        }
        assert_eq!(
            Refusal::silent("/a", "reset".to_owned()).meaning(),
            Meaning::Later
        );
    }

    #[test]
    fn the_servers_wish_to_be_left_alone_is_known_from_header_or_status() {
        let body = br#"{"kind":"Status","details":{"retryAfterSeconds":7}}"#;
        let wait = |header| Refusal::read("/a", 429, header, body).retry_after;
        assert_eq!(wait(None), Some(Duration::from_secs(7)));
        let two = Some(Duration::from_secs(2));
        assert_eq!(wait(two), two);
    }

    #[test]
    fn it_says_whose_answer_it_is() {
        let body = br#"{"kind":"Status","reason":"Forbidden","message":"no","code":403}"#;
        let refusal = Refusal::read("/api/v1/pods?limit=5", 403, None, body);
        assert_eq!(refusal.to_string(), "/api/v1/pods: 403 Forbidden: no");
        let refusal = Refusal::silent("/api/v1/pods?watch=1", "reset".to_owned());
        assert_eq!(refusal.to_string(), "/api/v1/pods: reset");
    }
}
