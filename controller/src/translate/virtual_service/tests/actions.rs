//! What is done with a request on the way.

use std::time::Duration;

use mesh::model::http::{
    Abort, Cors, Fault, Fraction, HeaderChanges, OriginMatch, PathRewrite, Retry, RetryOn, Rewrite,
    TextMatch,
};

use super::{WORLD, rule, with_route};

/// A rule of a route to `web` with these fields.
fn with(fields: &str) -> mesh::model::http::HttpRule {
    let object = with_route(&format!(
        "{{route: [{{destination: {{host: web}}}}], {fields}}}"
    ));
    assert_eq!(WORLD.told(&object), [], "{fields}");
    rule(&object).0
}

const DEFAULT: RetryOn = RetryOn {
    any_5xx: false,
    gateway_error: false,
    reset: false,
    reset_before_request: false,
    connect_failure: true,
    refused_stream: true,
    retriable_4xx: false,
    rate_limited: false,
    cancelled: true,
    deadline_exceeded: false,
    internal: false,
    resource_exhausted: false,
    unavailable: true,
};

#[test]
fn timeouts_are_off_unless_they_are_written() {
    for (fields, expected) in [
        ("", None),
        ("timeout: 0s", None),
        ("timeout: 1.5s", Some(Duration::from_millis(1500))),
        ("timeout: 1m", Some(Duration::from_secs(60))),
    ] {
        assert_eq!(with(fields).timeout, expected, "{fields}");
    }
}

#[test]
fn retries_have_their_defaults_one_by_one() {
    let second = Some(Duration::from_secs(1));
    for (written, expected) in [
        (
            "{attempts: 3}",
            Retry {
                attempts: 3,
                on: DEFAULT,
                ..Retry::default()
            },
        ),
        (
            "{}",
            Retry {
                attempts: 0,
                on: DEFAULT,
                ..Retry::default()
            },
        ),
        (
            "{attempts: 1, retryOn: '5xx, gateway-error,503,retriable-status-codes,429', perTryTimeout: 1s, \
              backoff: 1s, retryRemoteLocalities: true, retryIgnorePreviousHosts: false}",
            Retry {
                attempts: 1,
                on: RetryOn {
                    any_5xx: true,
                    gateway_error: true,
                    ..RetryOn::default()
                },
                codes: vec![503, 429],
                per_try_timeout: second,
                backoff: second,
                backoff_is_minimum: false,
                same_endpoint: true,
                remote_localities: true,
            },
        ),
        (
            "{attempts: 1, retryOn: 'reset,reset-before-request,connect-failure,refused-stream,retriable-4xx,\
              envoy-ratelimited,cancelled,deadline-exceeded,internal,resource-exhausted,unavailable'}",
            Retry {
                attempts: 1,
                on: RetryOn {
                    reset: true,
                    reset_before_request: true,
                    retriable_4xx: true,
                    rate_limited: true,
                    deadline_exceeded: true,
                    internal: true,
                    resource_exhausted: true,
                    ..DEFAULT
                },
                ..Retry::default()
            },
        ),
    ] {
        let retry = with(&format!("retries: {written}")).retry;
        assert_eq!(retry, Some(expected), "{written}");
    }
    assert_eq!(with("").retry, None, "as the waypoint says");
}

#[test]
fn headers_are_changed_and_a_host_that_is_set_is_a_new_host() {
    let read = with(
        "headers: {request: {set: {X-A: '1', Host: a.example}, add: {X-B: '50%%'}, remove: [X-C]}, \
          response: {set: {X-D: '4'}}}",
    );
    let expected = HeaderChanges {
        remove: vec!["x-c".into()],
        set: vec![("x-a".into(), "1".into())],
        add: vec![("x-b".into(), "50%".into())],
    };
    assert_eq!(read.request_headers, expected);
    assert_eq!(read.response_headers.set, [("x-d".into(), "4".into())]);
    assert_eq!(&*read.rewrite.host, "a.example");
    let both = with("headers: {request: {set: {':authority': a}}}, rewrite: {authority: b}");
    assert_eq!(&*both.rewrite.host, "b");
}

#[test]
fn a_path_is_rewritten_by_what_it_matched() {
    let prefix = |prefix: &str| PathRewrite::Prefix {
        prefix: prefix.into(),
        replacement: "/new".into(),
    };
    for (matched, rewrite, expected) in [
        ("{uri: {prefix: /a}}", "{uri: /new}", prefix("/a")),
        (
            "{uri: {exact: /a}}",
            "{uri: /new}",
            PathRewrite::Full("/new".into()),
        ),
        (
            "{uri: {regex: /a}}",
            "{uri: /new}",
            PathRewrite::Full("/new".into()),
        ),
        ("{method: {exact: GET}}", "{uri: /new}", prefix("/")),
        (
            "{}",
            "{uriRegexRewrite: {match: '/a(.*)', rewrite: '/b\\1'}}",
            PathRewrite::Regex {
                regex: "/a(.*)".into(),
                replacement: "/b\\1".into(),
            },
        ),
    ] {
        let read = with(&format!("match: [{matched}], rewrite: {rewrite}"));
        let expected = Rewrite {
            host: "".into(),
            path: Some(expected),
        };
        assert_eq!(read.rewrite, expected, "{matched} {rewrite}");
    }
}

#[test]
fn faults_are_shares_of_a_million() {
    let share = |numerator| Fraction {
        numerator,
        denominator: 1_000_000,
    };
    let second = Duration::from_secs(1);
    for (written, expected) in [
        (
            "{delay: {fixedDelay: 1s, percentage: {value: 0.1}}}",
            Fault {
                delay: Some((second, share(1_000))),
                abort: None,
            },
        ),
        (
            "{delay: {fixedDelay: 1s, percent: 5}}",
            Fault {
                delay: Some((second, share(50_000))),
                abort: None,
            },
        ),
        (
            "{abort: {httpStatus: 503, percentage: {value: 100}}}",
            Fault {
                delay: None,
                abort: Some((Abort::Http(503), share(1_000_000))),
            },
        ),
        (
            "{abort: {grpcStatus: UNAVAILABLE, percentage: {value: 50}}}",
            Fault {
                delay: None,
                abort: Some((Abort::Grpc(14), share(500_000))),
            },
        ),
    ] {
        assert_eq!(
            with(&format!("fault: {written}")).fault,
            expected,
            "{written}"
        );
    }
}

#[test]
fn cross_origin_rules_keep_what_is_written() {
    let read = with(
        "corsPolicy: {allowOrigins: [{exact: 'http://a'}, {prefix: 'http://'}, {exact: '*'}], \
          allowMethods: [GET], allowHeaders: [x-a], exposeHeaders: [x-b], maxAge: 1h, allowCredentials: true, \
          unmatchedPreflights: IGNORE}",
    );
    let expected = Cors {
        origins: vec![
            OriginMatch::Text(TextMatch::Exact("http://a".into())),
            OriginMatch::Text(TextMatch::Prefix("http://".into())),
            OriginMatch::Wildcard("*".into()),
        ],
        methods: vec!["GET".into()],
        headers: vec!["x-a".into()],
        expose: vec!["x-b".into()],
        credentials: true,
        max_age: Some(Duration::from_secs(3600)),
        answer_unmatched: true,
    };
    assert_eq!(read.cors, Some(expected));
    let older = with("corsPolicy: {allowOrigin: [a, '*'], unmatchedPreflights: FORWARD}").cors;
    let older = older.unwrap();
    assert!(!older.answer_unmatched && older.origins.len() == 2 && older.max_age.is_none());
}

#[test]
fn copies_are_all_requests_unless_a_share_is_written() {
    for (fields, expected) in [
        ("", vec![]),
        ("mirror: {host: copy}", vec![1_000_000]),
        (
            "mirror: {host: copy}, mirrorPercentage: {value: 1}",
            vec![10_000],
        ),
        ("mirror: {host: copy}, mirrorPercentage: {value: 0}", vec![]),
        (
            "mirrors: [{destination: {host: a}}, {destination: {host: b}, percentage: {value: 50}}]",
            vec![1_000_000, 500_000],
        ),
    ] {
        let mirrors = with(fields).mirrors;
        let shares: Vec<u32> = mirrors.iter().map(|it| it.share.numerator).collect();
        assert_eq!(shares, expected, "{fields}");
    }
}
