//! The table of conditions, and waits.

use super::*;

const FAILURES: [Failure; 8] = [
    Failure::Connect,
    Failure::ResetBeforeRequest,
    Failure::Reset,
    Failure::RefusedStream,
    Failure::Protocol,
    Failure::PerTryTimeout { is_sent: true },
    Failure::PerTryTimeout { is_sent: false },
    Failure::Ours,
];

fn on(change: impl FnOnce(&mut RetryOn)) -> Retry {
    let mut retry = Retry {
        attempts: 2,
        ..Retry::default()
    };
    change(&mut retry.on);
    retry
}

fn answers(policy: &Retry, status: u16, header: Option<(&'static str, &'static str)>) -> bool {
    let mut headers = HeaderMap::new();
    if let Some((name, value)) = header {
        headers.insert(name, value.parse().unwrap());
    }
    let headers = &headers;
    is_retriable(policy, Tried::Answered { status, headers })
}

#[test]
fn failures_are_tried_again_as_the_conditions_say() {
    let all = [true, true, true, true, true, true, true, false];
    for (name, policy, expected) in [
        ("none", on(|_| ()), [false; 8]),
        ("5xx", on(|on| on.any_5xx = true), all),
        ("gateway-error", on(|on| on.gateway_error = true), all),
        ("reset", on(|on| on.reset = true), all),
        (
            "reset-before-request",
            on(|on| on.reset_before_request = true),
            [true, true, false, false, false, false, true, false],
        ),
        (
            "connect-failure",
            on(|on| on.connect_failure = true),
            [true, false, false, false, false, false, false, false],
        ),
        (
            "refused-stream",
            on(|on| on.refused_stream = true),
            [false, false, false, true, false, false, false, false],
        ),
        (
            "retriable-4xx",
            on(|on| on.retriable_4xx = true),
            [false; 8],
        ),
        (
            "envoy-ratelimited",
            on(|on| on.rate_limited = true),
            [false; 8],
        ),
        (
            "default",
            default_policy(),
            [true, false, false, true, false, false, false, false],
        ),
    ] {
        let found = FAILURES.map(|failure| is_retriable(&policy, Tried::Failed(failure)));
        assert_eq!(found, expected, "{name}: {FAILURES:?}");
    }
}

#[test]
fn a_try_that_took_too_long_is_no_answer_with_504() {
    let policy = Retry {
        codes: vec![504],
        ..on(|_| ())
    };
    let timeout = Tried::Failed(Failure::PerTryTimeout { is_sent: true });
    assert!(!is_retriable(&policy, timeout));
    assert!(answers(&policy, 504, None));
}

#[test]
fn answers_are_tried_again_as_the_conditions_say() {
    const STATUSES: [u16; 9] = [200, 404, 409, 429, 500, 502, 503, 504, 599];
    for (name, policy, expected) in [
        ("none", on(|_| ()), vec![]),
        (
            "5xx",
            on(|on| on.any_5xx = true),
            vec![500, 502, 503, 504, 599],
        ),
        (
            "gateway-error",
            on(|on| on.gateway_error = true),
            vec![502, 503, 504],
        ),
        ("retriable-4xx", on(|on| on.retriable_4xx = true), vec![409]),
        ("reset", on(|on| on.reset = true), vec![]),
        (
            "connect-failure",
            on(|on| on.connect_failure = true),
            vec![],
        ),
        ("default", default_policy(), vec![]),
        (
            "codes",
            Retry {
                codes: vec![429, 404],
                ..on(|_| ())
            },
            vec![404, 429],
        ),
    ] {
        let found: Vec<u16> = STATUSES
            .into_iter()
            .filter(|s| answers(&policy, *s, None))
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_grpc_status_in_the_head_counts() {
    for (name, policy, status) in [
        ("cancelled", on(|on| on.cancelled = true), "1"),
        (
            "deadline-exceeded",
            on(|on| on.deadline_exceeded = true),
            "4",
        ),
        (
            "resource-exhausted",
            on(|on| on.resource_exhausted = true),
            "8",
        ),
        ("internal", on(|on| on.internal = true), "13"),
        ("unavailable", on(|on| on.unavailable = true), "14"),
    ] {
        for other in ["0", "1", "2", "4", "8", "13", "14", "16", "x", ""] {
            let found = answers(&policy, 200, Some(("grpc-status", other)));
            assert_eq!(found, other == status, "{name}: {other}");
        }
    }
    for (status, expected) in [("1", true), ("14", true), ("4", false), ("13", false)] {
        let found = answers(&default_policy(), 200, Some(("grpc-status", status)));
        assert_eq!(found, expected, "default: {status}");
    }
}

#[test]
fn limited_rates_count_only_when_named_and_overload_never() {
    let limited = Some(("x-envoy-ratelimited", "true"));
    let overloaded = Some(("x-envoy-overloaded", "true"));
    let named = on(|on| on.rate_limited = true);
    let any = on(|on| {
        on.any_5xx = true;
        on.unavailable = true;
    });
    assert!(answers(&named, 429, limited));
    assert!(answers(&named, 200, limited));
    assert!(!answers(&named, 429, None));
    assert!(!answers(&any, 503, limited));
    assert!(!answers(&any, 503, overloaded));
}

#[test]
fn it_ends_after_so_many_retries() {
    let connect = Tried::Failed(Failure::Connect);
    let policy = default_policy();
    assert!(matches!(decide(&policy, 0, connect, 0), Decision::Again(_)));
    assert!(matches!(decide(&policy, 1, connect, 0), Decision::Again(_)));
    assert_eq!(decide(&policy, 2, connect, 0), Decision::Exhausted);
    assert_eq!(
        decide(&policy, 0, Tried::Failed(Failure::Reset), 0),
        Decision::Keep
    );
    let never = Retry {
        attempts: 0,
        ..policy
    };
    assert_eq!(decide(&never, 0, connect, 0), Decision::Keep);
}

#[test]
fn waits_are_between_their_bounds() {
    let millis = Duration::from_millis;
    let plain = Retry::default();
    let slow = Retry {
        backoff: Some(millis(100)),
        ..Retry::default()
    };
    let least = Retry {
        backoff_is_minimum: true,
        ..slow.clone()
    };
    let none = Retry {
        backoff: Some(Duration::ZERO),
        ..least.clone()
    };
    for (policy, retry, from, to) in [
        (&plain, 1, 0, 25),
        (&plain, 2, 0, 75),
        (&plain, 3, 0, 175),
        (&plain, 4, 0, 250),
        (&plain, 100, 0, 250),
        (&slow, 1, 0, 100),
        (&slow, 4, 0, 1000),
        (&least, 1, 100, 100),
        (&least, 2, 100, 300),
        (&least, 9, 100, 1000),
        (&none, 3, 0, 0),
    ] {
        assert_eq!(wait(policy, retry, 0), millis(from), "{policy:?} {retry}");
        let longest = wait(policy, retry, u64::MAX);
        assert!(longest <= millis(to), "{policy:?} {retry}: {longest:?}");
        let gap = millis(to).saturating_sub(longest);
        assert!(
            gap <= Duration::from_micros(1),
            "{policy:?} {retry}: {longest:?}"
        );
    }
}
