//! Every filter, and that none is ever skipped.

use std::time::Duration;

use mesh::model::http::{
    Cors, Fraction, HeaderChanges, HttpAction, OriginMatch, PathRewrite, Redirect, RedirectPort,
    Rewrite, TextMatch,
};

use super::{http, is_refused, route, routes, rule, told};

const BACKEND: &str = "backendRefs: [{name: v1, port: 80}]";

fn pairs(list: &[(&str, &str)]) -> Vec<(std::sync::Arc<str>, std::sync::Arc<str>)> {
    list.iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

#[test]
fn headers_are_changed_at_rules_and_backends() {
    let modifier = "{set: [{name: X-A, value: '1'}, {name: x-a, value: '2'}], add: [{name: B, value: '3'}], remove: [C]}";
    let expected = HeaderChanges {
        remove: vec!["c".into()],
        set: pairs(&[("x-a", "1")]),
        add: pairs(&[("b", "3")]),
    };
    let filters = format!(
        "filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {modifier}}}, \
         {{type: ResponseHeaderModifier, responseHeaderModifier: {modifier}}}]"
    );
    let made = rule(&format!("{{{filters}, {BACKEND}}}"));
    assert_eq!(made.request_headers, expected);
    assert_eq!(made.response_headers, expected);
    let made = rule(&format!(
        "{{backendRefs: [{{name: v1, port: 80, {filters}}}]}}"
    ));
    let HttpAction::Forward(backends) = made.action else {
        unreachable!()
    };
    assert_eq!(backends[0].request_headers, expected);
    assert_eq!(backends[0].response_headers, expected);
    assert!(made.request_headers.set.is_empty());
}

#[test]
fn a_host_that_is_set_is_a_new_host() {
    let made = rule(&format!(
        "{{filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: Host, value: h}}]}}}}], {BACKEND}}}"
    ));
    assert_eq!(&*made.rewrite.host, "h");
    assert!(made.request_headers.set.is_empty());
}

#[test]
fn redirects_have_302_and_the_parts_that_are_given() {
    let elements = |prefix: &str, replacement: &str| {
        Some(PathRewrite::Elements {
            prefix: prefix.into(),
            replacement: replacement.into(),
        })
    };
    let default = Redirect {
        status: 302,
        ..Redirect::default()
    };
    for (matches, written, expected) in [
        ("", "{}", default.clone()),
        (
            "",
            "{scheme: https, hostname: h, port: 8443, statusCode: 308}",
            Redirect {
                scheme: Some("https".into()),
                host: Some("h".into()),
                path: None,
                port: RedirectPort::Fixed(8443),
                status: 308,
            },
        ),
        (
            "",
            "{path: {type: ReplaceFullPath, replaceFullPath: /x}}",
            Redirect {
                path: Some(PathRewrite::Full("/x".into())),
                ..default.clone()
            },
        ),
        (
            "matches: [{path: {value: /a/}}], ",
            "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}}",
            Redirect {
                path: elements("/a", "/x"),
                ..default.clone()
            },
        ),
        (
            "",
            "{path: {type: ReplacePrefixMatch, replacePrefixMatch: ''}}",
            Redirect {
                path: elements("", ""),
                ..default.clone()
            },
        ),
    ] {
        let made = rule(&format!(
            "{{{matches}filters: [{{type: RequestRedirect, requestRedirect: {written}}}]}}"
        ));
        assert_eq!(made.action, HttpAction::Redirect(expected), "{written}");
    }
}

#[test]
fn host_and_path_are_rewritten() {
    let made = rule(&format!(
        "{{matches: [{{path: {{value: /a}}}}], filters: [{{type: URLRewrite, urlRewrite: {{hostname: h, \
         path: {{type: ReplacePrefixMatch, replacePrefixMatch: /}}}}}}], {BACKEND}}}"
    ));
    let expected = Rewrite {
        host: "h".into(),
        path: Some(PathRewrite::Elements {
            prefix: "/a".into(),
            replacement: "/".into(),
        }),
    };
    assert_eq!(made.rewrite, expected);
}

#[test]
fn copies_have_their_share_and_may_be_several() {
    let mirror = |more: &str| {
        format!(
            "{{type: RequestMirror, requestMirror: {{backendRef: {{name: v2, port: 81}}{more}}}}}"
        )
    };
    let filters = [
        mirror(""),
        mirror(", percent: 7"),
        mirror(", fraction: {numerator: 1}"),
        mirror(", fraction: {numerator: 1, denominator: 3}"),
    ];
    let made = rule(&format!("{{filters: [{}], {BACKEND}}}", filters.join(", ")));
    let shares: Vec<_> = made.mirrors.iter().map(|it| it.share).collect();
    let share = |numerator, denominator| Fraction {
        numerator,
        denominator,
    };
    assert_eq!(
        shares,
        [share(100, 100), share(7, 100), share(1, 100), share(1, 3)]
    );
    assert!(
        made.mirrors
            .iter()
            .all(|it| it.destination == made.mirrors[0].destination)
    );
}

#[test]
fn a_copy_that_would_go_nowhere_harms_nobody() {
    let text = http(
        "r",
        &format!(
            "[{{filters: [{{type: RequestMirror, requestMirror: {{backendRef: {{name: gone, port: 80}}}}}}], {BACKEND}}}]"
        ),
    );
    let made = &super::of_port(&routes(&text)).rules[0].clone();
    assert!(made.mirrors.is_empty() && !is_refused(made));
    let field = "spec.rules[0].filters[0].requestMirror.backendRef".to_owned();
    assert_eq!(told(&text), [("backend-missing", field)]);
}

#[test]
fn cross_origin_rules_have_their_defaults() {
    let made = rule(&format!(
        "{{filters: [{{type: CORS, cors: {{allowOrigins: ['https://a.b', 'https://*.c'], allowMethods: [GET], \
         allowHeaders: [X], exposeHeaders: [Y], allowCredentials: true}}}}], {BACKEND}}}"
    ));
    let expected = Cors {
        origins: vec![
            OriginMatch::Text(TextMatch::Exact("https://a.b".into())),
            OriginMatch::Wildcard("https://*.c".into()),
        ],
        methods: vec!["GET".into()],
        headers: vec!["X".into()],
        expose: vec!["Y".into()],
        credentials: true,
        max_age: Some(Duration::from_secs(5)),
        answer_unmatched: true,
    };
    assert_eq!(made.cors, Some(expected));
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn a_filter_that_cannot_be_honoured_is_answered_with_500_and_never_skipped() {
    for (filters, field) in [
        (
            "{type: ExtensionRef, extensionRef: {group: g, kind: k, name: n}}",
            "filters[0].extensionRef",
        ),
        ("{type: ExternalAuth}", "filters[0].type"),
        ("{type: Wasm}", "filters[0].type"),
        (
            "{type: RequestHeaderModifier}",
            "filters[0].requestHeaderModifier",
        ),
        (
            "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: 'a b', value: c}]}}",
            "filters[0].requestHeaderModifier.set[0].name",
        ),
        (
            "{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: a, value: \"b\\nc\"}]}}",
            "filters[0].responseHeaderModifier.add[0].value",
        ),
        (
            "{type: RequestHeaderModifier, requestHeaderModifier: {remove: [Host]}}",
            "filters[0].requestHeaderModifier.remove[0]",
        ),
        (
            "{type: RequestRedirect, requestRedirect: {statusCode: 300}}",
            "filters[0].requestRedirect.statusCode",
        ),
        (
            "{type: RequestRedirect, requestRedirect: {scheme: ftp}}",
            "filters[0].requestRedirect.scheme",
        ),
        (
            "{type: RequestRedirect, requestRedirect: {hostname: ''}}",
            "filters[0].requestRedirect.hostname",
        ),
        (
            "{type: URLRewrite, urlRewrite: {path: {type: Other}}}",
            "filters[0].urlRewrite.path.type",
        ),
        (
            "{type: RequestMirror, requestMirror: {backendRef: {name: v1, port: 80}, percent: 101}}",
            "filters[0].requestMirror.percent",
        ),
        (
            "{type: RequestMirror, requestMirror: {backendRef: {name: v1, port: 80}, percent: 1, fraction: {numerator: 1}}}",
            "filters[0].requestMirror.percent",
        ),
        (
            "{type: RequestMirror, requestMirror: {backendRef: {name: v1, port: 80}, fraction: {numerator: 2, denominator: 1}}}",
            "filters[0].requestMirror.fraction",
        ),
        (
            "{type: CORS, cors: {allowMethods: [\"a\\nb\"]}}",
            "filters[0].cors.allowMethods[0]",
        ),
        (
            "{type: URLRewrite, urlRewrite: {hostname: a}}, {type: URLRewrite, urlRewrite: {hostname: a}}",
            "filters[1]",
        ),
        (
            "{type: RequestRedirect, requestRedirect: {}}, {type: URLRewrite, urlRewrite: {hostname: a}}",
            "filters",
        ),
    ] {
        let text = http("r", &format!("[{{filters: [{filters}]}}]"));
        assert!(
            is_refused(&super::of_port(&routes(&text)).rules[0]),
            "{filters}"
        );
        let field = format!("spec.rules[0].{field}");
        assert_eq!(told(&text), [("route-rule-refused", field)], "{filters}");
    }
}

#[test]
fn a_prefix_is_replaced_only_where_there_is_one() {
    let filter = "filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}}}]";
    for matches in [
        "{path: {value: /a}}, {path: {value: /b}}",
        "{path: {type: Exact, value: /a}}",
    ] {
        let made = rule(&format!("{{matches: [{matches}], {filter}, {BACKEND}}}"));
        assert!(is_refused(&made), "{matches}");
    }
}

#[test]
fn calls_know_no_redirect_rewrite_or_origin() {
    for filter in [
        "{type: RequestRedirect, requestRedirect: {}}",
        "{type: URLRewrite, urlRewrite: {hostname: a}}",
        "{type: CORS, cors: {}}",
    ] {
        let rules = format!("[{{filters: [{filter}], {BACKEND}}}]");
        let text = route("GRPCRoute", "name: r, namespace: shop", &rules);
        assert!(
            is_refused(&super::of_port(&routes(&text)).rules[0]),
            "{filter}"
        );
    }
}
