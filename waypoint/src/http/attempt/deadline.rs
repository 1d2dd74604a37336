//! How long a request may take: the rule's timeout and the client's gRPC deadline.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::asked::Asked;
use crate::body::Source;
use crate::ending::Ending;

/// How long all tries together may take.
pub(super) struct Limit {
    timeout: Option<Duration>,
    /// From the beginning, as the client counts.
    grpc: Option<Instant>,
    /// When the client had sent everything.
    since: Cell<Option<Instant>>,
}

/// The limits of a request. A rule's timeout caps the client's own deadline.
pub(super) fn of(timeout: Option<Duration>, asked: &Asked) -> Limit {
    let grpc = asked
        .headers
        .get("grpc-timeout")
        .and_then(|it| it.to_str().ok());
    let grpc = grpc.filter(|_| asked.is_grpc).and_then(parse);
    Limit {
        timeout,
        grpc: grpc.map(|it| Instant::now() + it),
        since: Cell::new(None),
    }
}

impl Limit {
    /// What is left for the rest of the response.
    pub(super) fn rest(&self, body: &Source) -> Option<Duration> {
        let now = Instant::now();
        let of_rule = self.timeout.map(|timeout| {
            let since = self.since.get().unwrap_or(now);
            (since + timeout).saturating_duration_since(now)
        });
        let _ = body;
        let of_client = self.grpc.map(|it| it.saturating_duration_since(now));
        match (of_rule, of_client) {
            (Some(rule), Some(client)) => Some(rule.min(client)),
            (rule, client) => rule.or(client),
        }
    }
}

/// Resolves when a limit is over; never without one.
pub(super) async fn over(body: &Source, limit: &Limit) -> Ending {
    let of_rule = async {
        let Some(timeout) = limit.timeout else {
            return std::future::pending().await;
        };
        body.ended().await;
        let since = Instant::now();
        limit.since.set(Some(since));
        tokio::time::sleep_until(since + timeout).await;
        Ending::Timeout
    };
    let of_client = async {
        match limit.grpc {
            None => std::future::pending().await,
            Some(until) => {
                tokio::time::sleep_until(until).await;
                Ending::Deadline
            }
        }
    };
    tokio::select! {
        ending = of_rule => ending,
        ending = of_client => ending,
    }
}

/// Waits for one try, from when the client has sent everything; `None` when it took too long.
pub(super) async fn one_try<T>(
    body: &Source,
    limit: Duration,
    sending: impl Future<Output = T>,
) -> Option<T> {
    let late = async {
        body.ended().await;
        tokio::time::sleep(limit).await;
    };
    tokio::select! {
        biased;
        sent = sending => Some(sent),
        () = late => None,
    }
}

/// Reads `grpc-timeout`: at most eight digits and a unit.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.is_empty() || number.len() > 8 || !number.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_grpc_deadlines() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("100m", Some(Duration::from_millis(100))),
            ("100u", Some(Duration::from_micros(100))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("-1S", None),
            ("1", None),
            ("1s", None),
            ("1\u{e4}", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
