//! What `envoy.json` says, as routes of a waypoint.

use std::time::Duration;

use mesh::model::http::{
    Abort, Cors, Fault, Fraction, HeaderChanges, HttpAction, HttpMatch, HttpRule, NamedMatch,
    OriginMatch, PathMatch, PathRewrite, Redirect, RedirectPort, Retry, RetryOn, Rewrite,
    ServiceRoutes, TextMatch,
};

use crate::world::{below, routes, rule, split, to};

type Rule = (Vec<HttpMatch>, HttpRule);

/// Destinations by number.
const APP: u32 = 1;
const RAW: u32 = 2;
const REFUSED: u32 = 3;
const GRPC: u32 = 4;
const NONE: u32 = 5;

/// Names of the destinations, beginning with number 1.
pub(crate) const BACKENDS: [&str; 5] = ["app", "raw", "refused", "grpc", "none"];

/// All of them, in the order of `envoy.json`.
pub(crate) fn drawn() -> ServiceRoutes {
    let mut rules = matching();
    rules.extend(redirects());
    rules.extend(changes());
    rules.extend(answered());
    rules.extend(forwarded());
    routes(&BACKENDS, rules)
}

fn at(path: PathMatch) -> Vec<HttpMatch> {
    vec![HttpMatch {
        path: Some(path),
        ..HttpMatch::default()
    }]
}

fn below_with(prefix: &str, change: impl FnOnce(&mut HttpMatch)) -> Vec<HttpMatch> {
    let mut matches = below(prefix);
    change(&mut matches[0]);
    matches
}

fn equals(name: &str, value: &str) -> Vec<NamedMatch> {
    vec![NamedMatch {
        name: name.into(),
        value: TextMatch::Exact(value.into()),
        negated: false,
    }]
}

fn matching() -> Vec<Rule> {
    vec![
        (at(PathMatch::Exact("/exact".into())), to(APP)),
        (below("/echo"), to(APP)),
        (at(PathMatch::Prefix("/letters".into())), to(APP)),
        (at(PathMatch::Regex("/re/[0-9]+".into())), to(APP)),
        (
            below_with("/header", |it| it.headers = equals("x-pick", "one")),
            to(APP),
        ),
        (
            below_with("/query", |it| it.query = equals("b", "1")),
            to(APP),
        ),
        (
            below_with("/post", |it| {
                it.method = Some(TextMatch::Exact("POST".into()))
            }),
            to(APP),
        ),
    ]
}

fn redirects() -> Vec<Rule> {
    let redirect = |status, change: fn(&mut Redirect)| {
        let mut redirect = Redirect {
            status,
            port: RedirectPort::AsHost,
            ..Redirect::default()
        };
        change(&mut redirect);
        rule(HttpAction::Redirect(redirect))
    };
    vec![
        (
            below("/redirect/host"),
            redirect(302, |it| it.host = Some("example.org".into())),
        ),
        (
            below("/redirect/https"),
            redirect(301, |it| it.scheme = Some("https".into())),
        ),
        (
            below("/redirect/path"),
            redirect(303, |it| {
                it.path = Some(PathRewrite::Full("/new".into()));
                it.port = RedirectPort::Fixed(8443);
            }),
        ),
        (
            below("/redirect/prefix"),
            redirect(308, |it| {
                it.path = Some(PathRewrite::Elements {
                    prefix: "/redirect/prefix".into(),
                    replacement: "/new".into(),
                });
            }),
        ),
    ]
}

fn changes() -> Vec<Rule> {
    let pair = |name: &str, value: &str| (name.into(), value.into());
    let mut prefix = to(APP);
    prefix.rewrite = Rewrite {
        host: "inside.shop".into(),
        path: Some(PathRewrite::Elements {
            prefix: "/rewrite/prefix".into(),
            replacement: "/new".into(),
        }),
    };
    let mut regex = to(APP);
    regex.rewrite.path = Some(PathRewrite::Regex {
        regex: "/rewrite/regex/([a-z]+)".into(),
        replacement: "/\\1/new".into(),
    });
    let mut headers = to(APP);
    headers.request_headers = HeaderChanges {
        remove: vec!["x-remove".into()],
        set: vec![pair("x-set", "set")],
        add: vec![pair("x-add", "b")],
    };
    headers.response_headers = HeaderChanges {
        remove: vec!["x-app".into()],
        set: vec![pair("x-response", "yes")],
        add: Vec::new(),
    };
    vec![
        (below("/rewrite/prefix"), prefix),
        (below("/rewrite/regex"), regex),
        (below("/headers"), headers),
    ]
}

fn answered() -> Vec<Rule> {
    let always = Fraction {
        numerator: 100,
        denominator: 100,
    };
    let broken = |abort| {
        let mut broken = to(APP);
        broken.fault = Fault {
            delay: None,
            abort: Some((abort, always)),
        };
        broken
    };
    let mut cors = to(APP);
    cors.cors = Some(Cors {
        origins: vec![OriginMatch::Text(TextMatch::Exact(
            "https://a.shop.org".into(),
        ))],
        methods: vec!["PUT".into(), "GET".into()],
        headers: vec!["x-one".into(), "x-two".into()],
        expose: vec!["x-three".into()],
        credentials: true,
        max_age: Some(Duration::from_secs(60)),
        answer_unmatched: false,
    });
    let teapot = HttpAction::Reply {
        status: 418,
        body: "teapot".into(),
    };
    vec![
        (
            below("/weighted"),
            split(&[(Some(APP), 1), (Some(NONE), 0)]),
        ),
        (below("/nobody"), split(&[(None, 1)])),
        (below("/direct"), rule(teapot)),
        (below("/fault/http"), broken(Abort::Http(555))),
        (below("/fault/grpc"), broken(Abort::Grpc(8))),
        (below("/cors"), cors),
    ]
}

fn forwarded() -> Vec<Rule> {
    let retrying = |on| {
        Some(Retry {
            attempts: 2,
            on,
            ..Retry::default()
        })
    };
    let mut delay = to(APP);
    delay.timeout = Some(Duration::from_millis(300));
    let mut status = to(APP);
    status.timeout = Some(Duration::from_secs(5));
    status.retry = retrying(RetryOn {
        any_5xx: true,
        ..RetryOn::default()
    });
    let mut often = to(REFUSED);
    often.retry = retrying(RetryOn {
        connect_failure: true,
        ..RetryOn::default()
    });
    vec![
        (below("/delay"), delay),
        (below("/status"), status),
        (below("/none"), to(NONE)),
        (below("/refused/often"), often),
        (below("/refused"), to(REFUSED)),
        (below("/raw"), to(RAW)),
        (below("/shop.Basket"), to(GRPC)),
    ]
}
