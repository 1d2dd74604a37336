//! What the owner hears, with the field.

use super::{WORLD, with_route, with_spec};
use crate::translate::rule::Rule;

/// A route, and what is said of which field of it.
const UNHONOURED: &[(&str, Rule, &str)] = &[
    (
        "{match: [{sourceLabels: {a: b}}], DEST}",
        Rule::NotAtWaypoint,
        "match[0].sourceLabels",
    ),
    (
        "{match: [{gateways: [a]}], DEST}",
        Rule::NotAtWaypoint,
        "match[0].gateways",
    ),
    (
        "{match: [{uri: {regex: a}, ignoreUriCase: true}], DEST}",
        Rule::WithoutEffect,
        "match[0].ignoreUriCase",
    ),
    (
        "{match: [{headers: {method: {exact: a}}}], DEST}",
        Rule::WithoutEffect,
        "match[0].headers.method",
    ),
    (
        "{DEST, headers: {request: {set: {':path': a}}}}",
        Rule::NotHonoured,
        "headers.request.set[\":path\"]",
    ),
    (
        "{DEST, headers: {request: {add: {host: a}}}}",
        Rule::NotHonoured,
        "headers.request.add",
    ),
    (
        "{DEST, headers: {response: {set: {a: '%PROTOCOL%'}}}}",
        Rule::NotHonoured,
        "headers.response.set.a",
    ),
    (
        "{DEST, retries: {attempts: 1, retryOn: retriable-headers}}",
        Rule::NotHonoured,
        "retries.retryOn",
    ),
    (
        "{DEST, fault: {delay: {fixedDelay: 1s}}}",
        Rule::WithoutEffect,
        "fault.delay.percentage",
    ),
    (
        "{DEST, fault: {abort: {httpStatus: 500}}}",
        Rule::WithoutEffect,
        "fault.abort.percentage",
    ),
    (
        "{route: [{destination: {host: missing.example}}]}",
        Rule::DestinationMissing,
        "route[0].destination",
    ),
    (
        "{DEST, mirror: {host: missing.example}}",
        Rule::DestinationMissing,
        "mirror.destination",
    ),
];

/// A route, and the field that rejects the whole object.
const REJECTED: &[(&str, &str)] = &[
    ("{}", ""),
    ("{match: [{}]}", ""),
    ("{DEST, redirect: {uri: /}}", ".redirect"),
    ("{DEST, directResponse: {status: 200}}", ".directResponse"),
    (
        "{redirect: {uri: /}, directResponse: {status: 200}}",
        ".directResponse",
    ),
    ("{DEST, delegate: {name: d}}", ".delegate"),
    ("{redirect: {uri: /}, rewrite: {uri: /}}", ".rewrite"),
    (
        "{redirect: {uri: /}, fault: {abort: {httpStatus: 500, percentage: {value: 1}}}}",
        ".fault",
    ),
    (
        "{directResponse: {status: 200}, rewrite: {uri: /}}",
        ".rewrite",
    ),
    ("{redirect: {}}", ".redirect"),
    (
        "{redirect: {uri: /, redirectCode: 300}}",
        ".redirect.redirectCode",
    ),
    (
        "{redirect: {uri: /, port: 1, derivePort: FROM_REQUEST_PORT}}",
        ".redirect",
    ),
    ("{redirect: {uri: /, port: 65536}}", ".redirect.port"),
    ("{redirect: {scheme: ftp}}", ".redirect.scheme"),
    ("{directResponse: {status: 100}}", ".directResponse.status"),
    (
        "{directResponse: {status: 200, body: {bytes: '?'}}}",
        ".directResponse.body",
    ),
    (
        "{directResponse: {status: 200, body: {bytes: /w==}}}",
        ".directResponse.body",
    ),
    (
        "{directResponse: {status: 200, body: {bytes: '', string: ''}}}",
        ".directResponse.body",
    ),
    ("{route: [{}]}", ".route[0].destination"),
    ("{route: [{destination: {}}]}", ".route[0].destination.host"),
    (
        "{route: [{destination: {host: '*.a'}}]}",
        ".route[0].destination.host",
    ),
    (
        "{route: [{destination: {host: a, port: {number: 0}}}]}",
        ".route[0].destination.port.number",
    ),
    (
        "{route: [{destination: {host: a}, weight: -1}]}",
        ".route[0].weight",
    ),
    (
        "{route: [{destination: {host: a}}, {destination: {host: b}}]}",
        ".route",
    ),
    (
        "{match: [{uri: {exact: a, prefix: b}}], DEST}",
        ".match[0].uri",
    ),
    (
        "{match: [{uri: {regex: '('}}], DEST}",
        ".match[0].uri.regex",
    ),
    (
        "{match: [{}, {uri: {regex: '('}}], DEST}",
        ".match[1].uri.regex",
    ),
    (
        "{match: [{headers: {'a b': {}}}], DEST}",
        ".match[0].headers[\"a b\"]",
    ),
    (
        "{match: [{headers: {'@request.auth.claims': {}}}], DEST}",
        ".match[0].headers[\"@request.auth.claims\"]",
    ),
    ("{match: [{port: 65536}], DEST}", ".match[0].port"),
    ("{DEST, rewrite: {}}", ".rewrite"),
    (
        "{DEST, rewrite: {uri: /, uriRegexRewrite: {match: a}}}",
        ".rewrite",
    ),
    (
        "{DEST, rewrite: {uriRegexRewrite: {match: '('}}}",
        ".rewrite.uriRegexRewrite.match",
    ),
    (
        "{DEST, headers: {request: {set: {'a b': c}}}}",
        ".headers.request.set[\"a b\"]",
    ),
    (
        "{DEST, headers: {request: {set: {a: \"b\\nc\"}}}}",
        ".headers.request.set.a",
    ),
    ("{DEST, retries: {attempts: -1}}", ".retries.attempts"),
    ("{DEST, retries: {retryOn: 5xx}}", ".retries.attempts"),
    (
        "{DEST, retries: {attempts: 1, retryOn: sometimes}}",
        ".retries.retryOn",
    ),
    (
        "{DEST, retries: {attempts: 1, retryOn: '600'}}",
        ".retries.retryOn",
    ),
    (
        "{DEST, retries: {attempts: 1, perTryTimeout: 1us}}",
        ".retries.perTryTimeout",
    ),
    ("{DEST, timeout: 1ns}", ".timeout"),
    ("{DEST, fault: {}}", ".fault"),
    (
        "{DEST, fault: {delay: {percentage: {value: 1}}}}",
        ".fault.delay.fixedDelay",
    ),
    (
        "{DEST, fault: {delay: {fixedDelay: 1s, percentage: {value: 101}}}}",
        ".fault.delay.percentage",
    ),
    (
        "{DEST, fault: {abort: {percentage: {value: 1}}}}",
        ".fault.abort",
    ),
    (
        "{DEST, fault: {abort: {httpStatus: 199, percentage: {value: 1}}}}",
        ".fault.abort.httpStatus",
    ),
    (
        "{DEST, fault: {abort: {grpcStatus: unavailable, percentage: {value: 1}}}}",
        ".fault.abort.grpcStatus",
    ),
    (
        "{DEST, mirror: {host: a}, mirrors: [{destination: {host: b}}]}",
        ".mirrors",
    ),
    (
        "{DEST, corsPolicy: {allowOrigins: [{}]}}",
        ".corsPolicy.allowOrigins[0]",
    ),
    (
        "{DEST, corsPolicy: {allowMethods: ['a b']}}",
        ".corsPolicy.allowMethods[0]",
    ),
    ("{delegate: {}}", ".delegate.name"),
];

fn route(text: &str) -> String {
    text.replace("DEST", "route: [{destination: {host: web}}]")
}

#[test]
fn what_waypoints_do_not_honour_is_said_with_its_field() {
    for (written, rule, field) in UNHONOURED {
        let told = WORLD.told(&with_route(&route(written)));
        assert_eq!(
            told,
            [(*rule, format!("spec.http[0].{field}"))],
            "{written}"
        );
    }
}

#[test]
fn what_cannot_be_rejects_the_object() {
    for (written, field) in REJECTED {
        let told = WORLD.told(&with_route(&route(written)));
        let invalid: Vec<_> = told
            .iter()
            .filter(|it| it.0 == Rule::InvalidValue)
            .collect();
        let expected = (Rule::InvalidValue, format!("spec.http[0]{field}"));
        assert_eq!(invalid, [&expected], "{written}");
    }
}

#[test]
fn the_object_is_looked_at_as_a_whole() {
    let web = "{route: [{destination: {host: web}}]}";
    for (spec, expected) in [
        ("{hosts: [web]}", vec![(Rule::InvalidValue, "spec")]),
        (
            "{hosts: [a.*], http: [WEB]}",
            vec![(Rule::InvalidValue, "spec.hosts[0]")],
        ),
        (
            "{hosts: [web], gateways: [a], http: [WEB]}",
            vec![(Rule::NotAtWaypoint, "spec.gateways")],
        ),
        ("{hosts: [], http: [WEB]}", vec![]),
        ("{tcp: [WEB]}", vec![(Rule::InvalidValue, "spec.hosts")]),
        (
            "{hosts: [web], http: [WEB, WEB]}",
            vec![(Rule::NeverReached, "spec.http[1]")],
        ),
        (
            "{hosts: [web], tcp: [{}]}",
            vec![(Rule::InvalidValue, "spec.tcp[0].route")],
        ),
        (
            "{hosts: [web], tcp: [{match: [{destinationSubnets: [x]}], route: [{destination: {host: web}}]}]}",
            vec![(
                Rule::InvalidValue,
                "spec.tcp[0].match[0].destinationSubnets[0]",
            )],
        ),
        (
            "{hosts: [web], tls: [WEB]}",
            vec![(Rule::InvalidValue, "spec.tls[0].match")],
        ),
        (
            "{hosts: [web], tls: [{match: [{}], route: [{destination: {host: web}}]}]}",
            vec![(Rule::InvalidValue, "spec.tls[0].match[0].sniHosts")],
        ),
        (
            "{hosts: [web], tls: [{match: [{sniHosts: [b]}], route: [{destination: {host: web}}]}]}",
            vec![(Rule::InvalidValue, "spec.tls[0].match[0].sniHosts[0]")],
        ),
    ] {
        let told = WORLD.told(&with_spec(&spec.replace("WEB", web)));
        let expected: Vec<_> = expected.iter().map(|it| (it.0, it.1.to_owned())).collect();
        assert_eq!(told, expected, "{spec}");
    }
}
