//! Timeouts, retries and sessions.

use std::time::Duration;

use mesh::model::http::{Retry, RetryOn, SessionBy};

use super::{http, is_refused, of_port, routes, rule, told};

#[test]
fn timeouts_are_of_all_tries_or_of_one() {
    let seconds = |it| Some(Duration::from_secs(it));
    for (written, timeout, per_try) in [
        ("timeouts: {}", None, None),
        ("timeouts: {request: 0s}", None, None),
        ("timeouts: {request: 2s}", seconds(2), None),
        (
            "timeouts: {request: 2s, backendRequest: 1s}",
            seconds(1),
            None,
        ),
        ("timeouts: {backendRequest: 1s}", seconds(1), None),
        (
            "timeouts: {request: 2s, backendRequest: 0s}",
            seconds(2),
            None,
        ),
        (
            "timeouts: {request: 2s, backendRequest: 1s}, retry: {}",
            seconds(2),
            seconds(1),
        ),
        (
            "timeouts: {backendRequest: 1s}, retry: {}",
            None,
            seconds(1),
        ),
    ] {
        let made = rule(&format!(
            "{{{written}, backendRefs: [{{name: v1, port: 80}}]}}"
        ));
        assert_eq!(made.timeout, timeout, "{written}");
        let found = made.retry.and_then(|it| it.per_try_timeout);
        assert_eq!(found, per_try, "{written}");
    }
}

#[test]
fn a_retry_stanza_adds_codes_to_what_is_always_tried_again() {
    let on = RetryOn {
        connect_failure: true,
        refused_stream: true,
        reset_before_request: true,
        unavailable: true,
        cancelled: true,
        ..RetryOn::default()
    };
    let base = Retry {
        attempts: 2,
        on,
        ..Retry::default()
    };
    for (written, expected) in [
        ("retry: {}", base.clone()),
        (
            "retry: {attempts: 5, codes: [500, 503], backoff: 100ms}",
            Retry {
                attempts: 5,
                codes: vec![500, 503],
                backoff: Some(Duration::from_millis(100)),
                backoff_is_minimum: true,
                ..base.clone()
            },
        ),
        (
            "retry: {}, timeouts: {backendRequest: 1s}",
            Retry {
                on: RetryOn { reset: true, ..on },
                per_try_timeout: Some(Duration::from_secs(1)),
                ..base.clone()
            },
        ),
    ] {
        let made = rule(&format!(
            "{{{written}, backendRefs: [{{name: v1, port: 80}}]}}"
        ));
        assert_eq!(made.retry, Some(expected), "{written}");
    }
}

#[test]
fn clients_are_kept_by_a_cookie_or_a_header_in_both_shapes() {
    let cookie = |name: &str, path: &str, permanent| SessionBy::Cookie {
        name: name.into(),
        path: path.into(),
        permanent,
    };
    for (written, by, seconds) in [
        ("{}", cookie("weft-session", "/", false), None),
        ("{sessionName: s}", cookie("s", "/", false), None),
        (
            "{type: Cookie, sessionName: s, absoluteTimeout: 1h, cookieConfig: {lifetimeType: Permanent}}",
            cookie("s", "/", true),
            Some(3600),
        ),
        (
            "{cookie: {name: c, path: /p, lifetimeType: Session}}",
            cookie("c", "/p", false),
            None,
        ),
        (
            "{type: Header, sessionName: X-S}",
            SessionBy::Header("x-s".into()),
            None,
        ),
        (
            "{type: Header, header: {name: X-H}}",
            SessionBy::Header("x-h".into()),
            None,
        ),
        (
            "{type: Header}",
            SessionBy::Header("x-weft-session".into()),
            None,
        ),
    ] {
        let made = rule(&format!(
            "{{sessionPersistence: {written}, backendRefs: [{{name: v1, port: 80}}]}}"
        ));
        let session = made.session.unwrap();
        assert_eq!(session.by, by, "{written}");
        let timeout = session.absolute_timeout.map(|it| it.as_secs());
        assert_eq!(timeout, seconds, "{written}");
    }
}

#[test]
fn what_cannot_be_kept_is_refused() {
    for (written, field) in [
        ("timeouts: {request: 1.5s}", "timeouts.request"),
        (
            "timeouts: {request: 1s, backendRequest: 2s}",
            "timeouts.backendRequest",
        ),
        ("retry: {backoff: soon}", "retry.backoff"),
        ("retry: {codes: [200]}", "retry.codes[0]"),
        (
            "sessionPersistence: {type: Address}",
            "sessionPersistence.type",
        ),
        (
            "sessionPersistence: {cookie: {lifetimeType: Permanent}}",
            "sessionPersistence",
        ),
        (
            "sessionPersistence: {absoluteTimeout: long}",
            "sessionPersistence.absoluteTimeout",
        ),
        (
            "sessionPersistence: {type: Header, sessionName: 'a b'}",
            "sessionPersistence",
        ),
    ] {
        let text = http(
            "r",
            &format!("[{{{written}, backendRefs: [{{name: v1, port: 80}}]}}]"),
        );
        assert!(is_refused(&of_port(&routes(&text)).rules[0]), "{written}");
        let field = format!("spec.rules[0].{field}");
        assert_eq!(told(&text), [("route-rule-refused", field)], "{written}");
    }
}
