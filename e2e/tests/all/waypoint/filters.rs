//! What routes do to requests and answers: headers of rules and of backends, rewritten paths and hosts, mirrors, CORS.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Result;
use e2e::expect::eventually;
use e2e::world::PATIENCE;
use sandbox::app::echo::{Answer, Ask, Seen};

use super::{CLIENT, Shop, get, journey, route, seen};
use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 4] = [
    (
        "waypoint_headers_are_set_added_and_removed_by_rules_and_by_backends",
        headers,
    ),
    (
        "waypoint_a_rewritten_path_and_host_arrive_and_the_query_stays",
        rewrites,
    ),
    (
        "waypoint_a_mirror_gets_its_share_and_never_delays_the_request",
        mirrors,
    ),
    (
        "waypoint_a_preflight_is_answered_for_the_origins_of_a_route",
        cors,
    ),
];

/// What the modifier of these journeys does, at the place of `filters`.
fn modifier(indent: &str) -> String {
    let lines = [
        "filters:",
        "- type: RequestHeaderModifier",
        "  requestHeaderModifier:",
        "    set: [{name: X-Set, value: new}]",
        "    add: [{name: x-add, value: more}]",
        "    remove: [X-Remove]",
    ];
    lines.map(|line| format!("{indent}{line}\n")).concat()
}

fn headers() -> Result<()> {
    journey("wp-headers", |shop| {
        let at_rule = format!(
            "  - matches: [{{path: {{type: PathPrefix, value: /rule}}}}]\n{}    backendRefs: [{{name: echo-v1, port: 80}}]\n",
            modifier("    ")
        );
        let at_backend = format!(
            "  - matches: [{{path: {{type: PathPrefix, value: /backend}}}}]\n    backendRefs:\n    - name: echo-v1\n      port: 80\n{}    - name: echo-v2\n      port: 80\n      weight: 0\n",
            modifier("      ")
        );
        let answer = "  - matches: [{path: {type: PathPrefix, value: /answer}}]\n    filters:\n    - type: ResponseHeaderModifier\n      \
             responseHeaderModifier:\n        set: [{name: x-set, value: new}]\n        add: [{name: x-add, value: more}]\n        \
             remove: [x-remove]\n    backendRefs: [{name: echo-v1, port: 80}]\n";
        shop.apply(&route("headers", &format!("{at_rule}{at_backend}{answer}")))?;
        for place in ["/rule", "/backend"] {
            changed(shop, place)?;
        }
        let asked =
            get("/answer/header/x-set/old/header/x-add/some/header/x-remove/me/header/x-keep/it");
        let is_right = |it: &Answer| {
            it.header("x-set") == Some("new")
                && it
                    .header("x-add")
                    .is_some_and(|it| it.replace(' ', "") == "some,more")
                && it.header("x-remove").is_none()
                && it.header("x-keep") == Some("it")
        };
        shop.becomes(CLIENT, &asked, "the answer's headers are changed", is_right)?;
        shop.route_is_accepted("httproutes", "headers")
    })
}

fn changed(shop: &Shop, place: &str) -> Result<()> {
    let before: [&[(&str, &str)]; 4] = [
        &[],
        &[("x-set", "old")],
        &[("x-add", "some"), ("X-SET", "old")],
        &[("x-remove", "me"), ("x-keep", "it")],
    ];
    for pairs in before {
        let mut ask = get(place);
        for (name, value) in pairs {
            ask = ask.with(name, value);
        }
        let value = |seen: &Seen, name: &str| seen.headers.get(name).cloned();
        let had = |name: &str| pairs.iter().any(|(one, _)| one.eq_ignore_ascii_case(name));
        let add = if had("x-add") { "some,more" } else { "more" };
        let is_right = |answer: &Answer| {
            seen(answer).is_ok_and(|seen| {
                value(&seen, "x-set").as_deref() == Some("new")
                    && value(&seen, "x-add").is_some_and(|it| it.replace(' ', "") == add)
                    && value(&seen, "x-remove").is_none()
                    && value(&seen, "x-keep").is_some() == had("x-keep")
            })
        };
        let what = format!("headers at {place} for {pairs:?}");
        shop.becomes(CLIENT, &ask, &what, is_right)?;
    }
    Ok(())
}

fn rewrites() -> Result<()> {
    journey("wp-rewrites", |shop| {
        let rule = |from: &str, what: &str| {
            format!(
                "  - matches: [{{path: {{type: PathPrefix, value: {from}}}}}]\n    filters:\n    - type: URLRewrite\n      \
                 urlRewrite: {{{what}}}\n    backendRefs: [{{name: echo-v1, port: 80}}]\n"
            )
        };
        let prefix =
            |to: &str| format!("path: {{type: ReplacePrefixMatch, replacePrefixMatch: {to}}}");
        let rules = [
            rule("/prefix/one", &prefix("/one")),
            rule("/strip-prefix", &prefix("/")),
            rule("/empty", &prefix("\"\"")),
            rule("/slash", &prefix("/xyz/")),
            rule(
                "/full",
                "path: {type: ReplaceFullPath, replaceFullPath: /whole}",
            ),
            rule("/host", "hostname: elsewhere.example"),
            rule(
                "/both",
                &format!("hostname: elsewhere.example, {}", prefix("/here")),
            ),
        ];
        shop.apply(&route("rewrites", &rules.concat()))?;
        for (asked, path, host) in [
            (
                "/prefix/one/two?x=/prefix/one",
                "/one/two?x=/prefix/one",
                "echo",
            ),
            ("/prefix/one", "/one", "echo"),
            ("/strip-prefix/three", "/three", "echo"),
            ("/strip-prefix", "/", "echo"),
            ("/strip-prefix/?q", "/?q", "echo"),
            ("/empty/bar", "/bar", "echo"),
            ("/empty", "/", "echo"),
            ("/slash/bar", "/xyz/bar", "echo"),
            ("/full/of/words?x=1", "/whole?x=1", "echo"),
            ("/host/stays", "/host/stays", "elsewhere.example"),
            ("/both/x", "/here/x", "elsewhere.example"),
        ] {
            let what = format!("{asked} arrives as {path} of {host}");
            shop.becomes(CLIENT, &get(asked), &what, |answer| {
                seen(answer).is_ok_and(|seen| seen.path == path && seen.host == host)
            })?;
        }
        shop.route_is_accepted("httproutes", "rewrites")
    })
}

/// How many requests of a path a pod has counted, asked from another at its own address.
pub(super) fn counted(shop: &Shop, from: &str, pod: &str, path: &str) -> Result<u64> {
    let address = SocketAddr::new(shop.world.address(pod)?, 8080);
    let answers = shop.answers(from, &Ask::get(&format!("http://{address}/counts")))?;
    let body = answers
        .first()
        .map(|it| it.body.clone())
        .unwrap_or_default();
    let counts: BTreeMap<String, u64> = serde_json::from_str(&body)?;
    Ok(counts.get(path).copied().unwrap_or_default())
}

fn mirrors() -> Result<()> {
    journey("wp-mirrors", |shop| {
        let mirror = |path: &str, share: &str| {
            format!(
                "  - matches: [{{path: {{type: PathPrefix, value: {path}}}}}]\n    filters:\n    - type: RequestMirror\n      \
                 requestMirror: {{backendRef: {{name: echo-v2, port: 80}}{share}}}\n    backendRefs: [{{name: echo-v1, port: 80}}]\n"
            )
        };
        let rules = [
            mirror("/all", ""),
            mirror("/half", ", percent: 50"),
            mirror("/third", ", fraction: {numerator: 1, denominator: 3}"),
            mirror("/none", ", percent: 0"),
            mirror("/two", "").replacen(
                "    backendRefs",
                "    - type: RequestMirror\n      requestMirror: {backendRef: {name: echo-v1, port: 80}}\n    backendRefs",
                1,
            ),
        ];
        shop.apply(&route("mirrors", &rules.concat()))?;
        for (path, requests, low, high) in [
            ("/all/1", 20, 20, 20),
            ("/half/1", 200, 65, 135),
            ("/third/1", 300, 65, 135),
            ("/none/1", 50, 0, 0),
            ("/two/1", 20, 20, 20),
        ] {
            shop.answered_by(&get(&path.replace("/1", "/0")), "v1")?;
            let answers = shop.answers(CLIENT, &get(path).times(requests))?;
            let by_v1 = answers
                .iter()
                .filter(|it| seen(it).is_ok_and(|it| it.version == "v1"));
            ensure(by_v1.count() == answers.len(), || {
                format!("{path}: {answers:?}")
            })?;
            let mirrored = eventually(&format!("{path} is mirrored"), PATIENCE, || {
                let count = counted(shop, CLIENT, "shop/v2", path)?;
                Ok((count >= low).then_some(count))
            })?;
            ensure(mirrored <= high, || {
                format!("{path}: {mirrored} of {requests}")
            })?;
        }
        // The other mirror is the version that answers: it is asked twice.
        eventually("both mirrors are asked", PATIENCE, || {
            Ok((counted(shop, CLIENT, "shop/v1", "/two/1")? == 40).then_some(()))
        })?;
        // What the mirror does with it is nobody's concern: one that takes its time delays nothing.
        let answers = shop.answers(
            CLIENT,
            &get("/all/slow").with("echo-header", "a=b").times(5),
        )?;
        let longest = answers
            .iter()
            .map(|it| it.milliseconds)
            .max()
            .unwrap_or_default();
        ensure(longest < 1000, || format!("{answers:?}"))?;
        shop.route_is_accepted("httproutes", "mirrors")
    })
}

fn cors() -> Result<()> {
    journey("wp-cors", |shop| {
        shop.apply(&route(
            "cors",
            "  - filters:\n    - type: CORS\n      cors:\n        allowOrigins: [\"https://shop.example\", \"https://*.friends.example\"]\n        \
             allowMethods: [GET, PUT]\n        allowHeaders: [x-mine]\n        exposeHeaders: [x-theirs]\n        allowCredentials: true\n        \
             maxAge: 60\n    backendRefs: [{name: echo-v1, port: 80}]\n",
        ))?;
        let preflight = |origin: &str| {
            let mut ask = get("/").with("origin", origin);
            ask = ask.with("access-control-request-method", "PUT");
            ask.method = "OPTIONS".to_owned();
            ask
        };
        for origin in ["https://shop.example", "https://one.friends.example"] {
            let is_right = |it: &Answer| {
                [200, 204].contains(&it.status)
                    && it.header("access-control-allow-origin") == Some(origin)
                    && it.header("access-control-allow-credentials") == Some("true")
                    && it.header("access-control-max-age") == Some("60")
                    && it
                        .header("access-control-allow-methods")
                        .is_some_and(|it| it.contains("PUT"))
                    && it.body.is_empty()
            };
            let what = format!("a preflight of {origin}");
            shop.becomes(CLIENT, &preflight(origin), &what, is_right)?;
            let simple = get("/").with("origin", origin);
            shop.becomes(CLIENT, &simple, "an answer names the origin", |it| {
                it.status == 200
                    && it.header("access-control-allow-origin") == Some(origin)
                    && it.header("access-control-expose-headers") == Some("x-theirs")
            })?;
        }
        let stranger = preflight("https://evil.example");
        shop.becomes(CLIENT, &stranger, "a stranger's preflight", |it| {
            [200, 204, 403].contains(&it.status)
                && it.header("access-control-allow-origin").is_none()
        })?;
        shop.route_is_accepted("httproutes", "cors")
    })
}
