//! Every kind of match.

use super::{entries, http, route, routes, told};

#[test]
fn every_condition_of_http_routes_is_honoured() {
    for (written, expected) in [
        ("", "any"),
        ("matches: []", "any"),
        ("matches: [{}]", "any"),
        ("matches: [{path: {}}]", "any"),
        ("matches: [{path: {value: /}}]", "any"),
        ("matches: [{path: {type: PathPrefix, value: /a}}]", "/a/**"),
        ("matches: [{path: {value: /a/}}]", "/a/**"),
        ("matches: [{path: {type: Exact, value: /a}}]", "=/a"),
        ("matches: [{path: {type: Exact, value: /a/}}]", "=/a/"),
        (
            "matches: [{path: {type: RegularExpression, value: '/a.*'}}]",
            "~/a.*",
        ),
        ("matches: [{method: GET}]", "GET any"),
        (
            "matches: [{headers: [{name: X-A, value: 'b'}, {name: c, type: RegularExpression, value: d+}]}]",
            "any h:x-a=b h:c~d+",
        ),
        (
            "matches: [{headers: [{name: X-A, value: first}, {name: x-a, value: second}]}]",
            "any h:x-a=first",
        ),
        (
            "matches: [{queryParams: [{name: A, value: '1'}, {name: a, value: '2'}, {name: A, value: '3'}]}]",
            "any q:A=1 q:a=2",
        ),
        (
            "matches: [{path: {value: /a}, method: PUT, headers: [{name: h, value: v}], queryParams: [{name: q, value: v}]}]",
            "PUT /a/** h:h=v q:q=v",
        ),
    ] {
        let text = http("r", &format!("[{{{written}}}]"));
        assert_eq!(
            entries(&routes(&text)),
            [format!("{expected} -> r/0")],
            "{written}"
        );
        assert_eq!(told(&text), [], "{written}");
    }
}

#[test]
fn a_route_without_rules_matches_everything_and_sends_nowhere() {
    let routes = routes(&http("r", "[]"));
    assert_eq!(entries(&routes), ["any -> r/0"]);
    assert!(super::is_refused(&super::of_port(&routes).rules[0]));
}

#[test]
fn a_match_that_cannot_be_read_matches_nothing_and_the_others_stay() {
    for (bad, field) in [
        ("path: {value: a}", "path.value"),
        ("path: {type: Exact, value: ''}", "path.value"),
        ("path: {type: Nearly, value: /a}", "path.type"),
        ("path: {type: RegularExpression, value: '('}", "path.value"),
        ("method: get", "method"),
        ("method: ''", "method"),
        ("headers: [{name: 'a b', value: c}]", "headers[0].name"),
        (
            "headers: [{name: a, type: RegularExpression, value: '['}]",
            "headers[0].value",
        ),
        (
            "headers: [{name: a, type: Prefix, value: b}]",
            "headers[0].type",
        ),
        ("queryParams: [{name: '', value: b}]", "queryParams[0].name"),
    ] {
        let text = http(
            "r",
            &format!("[{{matches: [{{{bad}}}, {{path: {{value: /b}}}}]}}]"),
        );
        assert_eq!(entries(&routes(&text)), ["/b/** -> r/0"], "{bad}");
        let field = format!("spec.rules[0].matches[0].{field}");
        assert_eq!(told(&text), [("route-match-left-out", field)], "{bad}");
    }
}

fn grpc(matches: &str) -> String {
    let rules = format!("[{{name: n, matches: {matches}}}]");
    route("GRPCRoute", "name: r, namespace: shop", &rules)
}

#[test]
fn what_is_called_becomes_a_path() {
    for (written, expected) in [
        ("[]", "any"),
        ("[{}]", "any"),
        ("[{method: {}}]", "any"),
        ("[{method: {service: a.B, method: C}}]", "=/a.B/C"),
        ("[{method: {type: Exact, service: a.B}}]", "/a.B/**"),
        ("[{method: {method: C}}]", "~/[^/]+/C"),
        (
            "[{method: {type: RegularExpression, service: 'a\\..*', method: C|D}}]",
            "~/(?:a\\..*)/(?:C|D)",
        ),
        (
            "[{method: {type: RegularExpression, method: C}}]",
            "~/[^/]+/(?:C)",
        ),
        ("[{headers: [{name: H, value: v}]}]", "any h:h=v"),
    ] {
        let text = grpc(written);
        assert_eq!(
            entries(&routes(&text)),
            [format!("{expected} -> r/n")],
            "{written}"
        );
        assert_eq!(told(&text), [], "{written}");
    }
}

#[test]
fn calls_that_nobody_can_make_are_left_out() {
    for (bad, field) in [
        ("method: {service: a/b}", "method.service"),
        ("method: {method: a/b}", "method.method"),
        (
            "method: {type: RegularExpression, service: '('}",
            "method.service",
        ),
        ("method: {type: Prefix, service: a}", "method.type"),
    ] {
        let text = grpc(&format!("[{{{bad}}}]"));
        assert_eq!(entries(&routes(&text)), [] as [&str; 0], "{bad}");
        let field = format!("spec.rules[0].matches[0].{field}");
        assert_eq!(told(&text), [("route-match-left-out", field)], "{bad}");
    }
}

#[test]
fn hosts_do_not_count_inside_of_a_mesh() {
    let text = http("r", "[{}]").replace("spec: {", "spec: {hostnames: [a.example.com], ");
    assert_eq!(entries(&routes(&text)), ["any -> r/0"]);
    assert_eq!(told(&text), [("not-honoured", "spec.hostnames".to_owned())]);
}
