//! Pure. What a request asks the server to do, beyond telling what it saw: by words of its path, or by headers.
//!
//! Words stand anywhere in the path, each with what follows it: `/reviews/status/503`, `/delay/200ms`, `/fail/2`,
//! `/header/x-colour/blue`. Headers with the same names say it where the path is given: `echo-status: 503`.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// Longest delay that is kept.
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// Most gRPC messages of one answer.
const MOST_MESSAGES: u32 = 1000;

/// What is asked for; the server's own defaults where nothing is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// Answer with this status.
    pub(super) status: Option<StatusCode>,
    /// Wait so long before the answer.
    pub(super) delay: Option<Duration>,
    /// Answer the first so many requests of this very path with 503.
    pub(super) fail_first: u32,
    /// Headers of the answer.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Trailers of the answer.
    pub(super) trailers: Vec<(HeaderName, HeaderValue)>,
    /// Status of a gRPC answer.
    pub(super) grpc_status: u32,
    /// Messages of a gRPC answer.
    pub(super) messages: Option<u32>,
}

/// Reads the wish of a request. What cannot be read is no wish.
pub(super) fn read(path: &str, headers: &HeaderMap) -> Wish {
    let mut wish = Wish::default();
    let path = path.split('?').next().unwrap_or_default();
    let mut words = path.split('/');
    while let Some(word) = words.next() {
        match word {
            "status" | "delay" | "fail" => {
                if let Some(value) = words.next() {
                    wish.take(word, value);
                }
            }
            "header" => {
                if let (Some(name), Some(value)) = (words.next(), words.next()) {
                    wish.take(word, &format!("{name}={value}"));
                }
            }
            _ => {}
        }
    }
    for (name, value) in headers {
        let word = name.as_str().strip_prefix("echo-");
        if let (Some(word), Ok(value)) = (word, value.to_str()) {
            wish.take(word, value);
        }
    }
    wish
}

impl Wish {
    fn take(&mut self, word: &str, value: &str) {
        match word {
            "status" => self.status = value.parse().ok().or(self.status),
            "delay" => self.delay = duration(value).or(self.delay),
            "fail" => self.fail_first = value.parse().unwrap_or_default(),
            "header" => self.headers.extend(pair(value)),
            "trailer" => self.trailers.extend(pair(value)),
            "grpc-status" => self.grpc_status = value.parse().unwrap_or_default(),
            "messages" => {
                let number = value.parse().ok();
                self.messages = number.map(|number: u32| number.min(MOST_MESSAGES));
            }
            _ => {}
        }
    }
}

/// `name=value`.
fn pair(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once('=')?;
    Some((name.parse().ok()?, value.parse().ok()?))
}

/// `200ms`, `2s`; at most a minute.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let duration = match text.strip_suffix("ms") {
        Some(number) => Duration::from_millis(number.parse().ok()?),
        None => Duration::from_secs(text.strip_suffix('s')?.parse().ok()?),
    };
    Some(duration.min(LONGEST_DELAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| {
                let name = HeaderName::from_static(name);
                (name, HeaderValue::from_static(value))
            })
            .collect()
    }

    #[test]
    fn words_of_the_path_and_headers_ask_for_the_same_things() {
        let none = HeaderMap::new();
        assert_eq!(read("/reviews/7?status=503", &none), Wish::default());
        let wish = read("/reviews/status/503/delay/200ms/fail/2?x", &none);
        assert_eq!(wish.status, Some(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(wish.delay, Some(Duration::from_millis(200)));
        assert_eq!(wish.fail_first, 2);
        let asked = headers(&[
            ("echo-status", "418"),
            ("echo-delay", "1s"),
            ("echo-header", "x-colour=blue"),
            ("echo-grpc-status", "14"),
        ]);
        let wish = read("/header/x-shape/round", &asked);
        assert_eq!(wish.status, Some(StatusCode::IM_A_TEAPOT));
        assert_eq!(wish.delay, Some(Duration::from_secs(1)));
        assert_eq!(wish.grpc_status, 14);
        let names: Vec<&str> = wish.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-shape", "x-colour"]);
    }

    #[test]
    fn what_cannot_be_read_is_no_wish() {
        let asked = headers(&[("echo-header", "no value"), ("echo-delay", "soon")]);
        for path in [
            "/status/none",
            "/status",
            "/status/99",
            "/header/a b/c",
            "//",
        ] {
            assert_eq!(read(path, &asked), Wish::default(), "{path}");
        }
        assert_eq!(duration("900000s"), Some(LONGEST_DELAY));
    }
}
