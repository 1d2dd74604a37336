//! Which of several matches comes first.

use proptest::prelude::*;

use super::super::assemble::{Family, assemble};
use super::{entries, http, of_port, route, routes, shown_match};

#[test]
fn the_more_exact_match_comes_first_wherever_it_stands() {
    let rules = "[{matches: [\
        {}, \
        {path: {type: RegularExpression, value: '/a/b/c/d/e/f.*'}}, \
        {path: {value: /a}}, \
        {path: {value: /a/b}, queryParams: [{name: q, value: v}]}, \
        {path: {value: /a/b}, headers: [{name: h, value: v}]}, \
        {path: {value: /a/b}, headers: [{name: h, value: v}, {name: i, value: v}]}, \
        {path: {value: /a/b}, method: GET}, \
        {path: {value: /a/b}}, \
        {path: {value: /a/b}, headers: [{name: h, value: v}], queryParams: [{name: q, value: v}]}, \
        {path: {type: Exact, value: /a}}, \
        {path: {type: Exact, value: /a/b}}, \
        {method: PUT}]}]";
    let expected = [
        "=/a/b",
        "=/a",
        "GET /a/b/**",
        "/a/b/** h:h=v h:i=v",
        "/a/b/** h:h=v q:q=v",
        "/a/b/** h:h=v",
        "/a/b/** q:q=v",
        "/a/b/**",
        "/a/**",
        "~/a/b/c/d/e/f.*",
        "PUT any",
        "any",
    ];
    let expected = expected.map(|it| format!("{it} -> r/0"));
    assert_eq!(entries(&routes(&http("r", rules))), expected);
}

#[test]
fn expressions_come_after_prefixes_and_longer_ones_first() {
    let rules = "[{matches: [\
        {path: {type: RegularExpression, value: '/a'}}, \
        {path: {value: /b}}, \
        {path: {type: RegularExpression, value: '/a/.*'}}]}]";
    let expected = ["/b/** -> r/0", "~/a/.* -> r/0", "~/a -> r/0"];
    assert_eq!(entries(&routes(&http("r", rules))), expected);
}

#[test]
fn calls_are_ordered_by_service_then_method_then_headers() {
    let rules = "[{matches: [\
        {}, \
        {headers: [{name: h, value: v}]}, \
        {method: {method: Long}}, \
        {method: {service: a}}, \
        {method: {service: abc}}, \
        {method: {service: abc, method: M}}, \
        {method: {type: RegularExpression, service: 'abcdefgh.*'}}, \
        {method: {service: abc, method: M}, headers: [{name: h, value: v}]}]}]";
    let text = route("GRPCRoute", "name: r, namespace: shop", rules);
    let expected = [
        "=/abc/M h:h=v",
        "=/abc/M",
        "/abc/**",
        "/a/**",
        "~/[^/]+/Long",
        "~/(?:abcdefgh.*)/[^/]+",
        "any h:h=v",
        "any",
    ];
    assert_eq!(
        entries(&routes(&text)),
        expected.map(|it| format!("{it} -> r/0"))
    );
}

#[test]
fn equal_ones_stay_in_order_older_route_then_name_then_rule_then_match() {
    let same = "[{name: x, matches: [{path: {value: /a}}, {path: {value: /a}}]}, {name: y, matches: [{path: {value: /a}}]}]";
    let aged = |name: &str, at: &str| {
        let metadata = format!("name: {name}, namespace: shop, creationTimestamp: '{at}'");
        route("HTTPRoute", &metadata, same)
    };
    let unknown = http("a", same);
    let text = [
        unknown,
        aged("c", "2026-01-02T00:00:00Z"),
        aged("b", "2026-01-02T00:00:00Z"),
        aged("z", "2026-01-01T00:00:00Z"),
    ]
    .concat();
    let found = entries(&routes(&text));
    let rules: Vec<&str> = found
        .iter()
        .filter_map(|it| it.split(" -> ").nth(1))
        .collect();
    let expected = [
        "z/x", "z/x", "z/y", "b/x", "b/x", "b/y", "c/x", "c/x", "c/y", "a/x", "a/x", "a/y",
    ];
    assert_eq!(rules, expected);
}

#[test]
fn families_are_joined_without_sorting_and_each_ends_with_what_matches_everything() {
    let one = |rules: &str| -> Family {
        let routes = routes(&http("r", rules));
        let port = of_port(&routes);
        Family {
            http: port.http.clone(),
            rules: port.rules.clone(),
            ..Family::default()
        }
    };
    let vague = one("[{name: all}]");
    let exact = one("[{name: b, matches: [{path: {type: Exact, value: /b}}]}, {name: rest}]");
    let joined = assemble(80, "", [vague, exact]).unwrap();
    let shown: Vec<String> = joined
        .http
        .iter()
        .map(|it| {
            let rule = &joined.rules[usize::try_from(it.rule).unwrap()].origin.rule;
            format!("{} {rule}", shown_match(&it.matches))
        })
        .collect();
    assert_eq!(shown, ["any all", "=/b b", "any rest"]);
    assert_eq!(assemble(80, "", [Family::default()]), None);
}

const PATHS: [&str; 6] = ["/", "/a", "/a/b", "/a/b/c", "/b", "/ab"];

/// A match as YAML: a path, whether by elements, a method, how many headers.
type Seed = (usize, bool, bool, usize);

fn written(&(path, is_exact, has_method, headers): &Seed) -> String {
    let kind = if is_exact { "Exact" } else { "PathPrefix" };
    let method = if has_method { ", method: GET" } else { "" };
    let headers: Vec<String> = (0..headers)
        .map(|it| format!("{{name: h{it}, value: v}}"))
        .collect();
    format!(
        "{{path: {{type: {kind}, value: {}}}{method}, headers: [{}]}}",
        PATHS[path],
        headers.join(", ")
    )
}

/// Whether a GET request of `path` with that many headers matches.
fn matches(&(wanted, is_exact, _, headers): &Seed, path: &str, has: usize) -> bool {
    let wanted = PATHS[wanted];
    let prefix = wanted.trim_end_matches('/');
    let by_path = match is_exact {
        true => path == wanted,
        false => path == prefix || path.starts_with(&format!("{prefix}/")),
    };
    by_path && headers <= has
}

/// How exact it is, larger is more.
fn exactness(&(path, is_exact, has_method, headers): &Seed) -> (bool, usize, bool, usize) {
    let path = PATHS[path];
    let length = if is_exact {
        path.len()
    } else {
        path.trim_end_matches('/').len()
    };
    (is_exact, length, has_method, headers)
}

proptest! {
    #[test]
    fn of_all_that_match_the_first_is_the_most_exact(
        seeds in prop::collection::vec((0..PATHS.len(), any::<bool>(), any::<bool>(), 0..3_usize), 1..9),
        path in 0..PATHS.len(),
        has in 0..3_usize,
        split in 0..9_usize,
    ) {
        // Over two routes, to show that routes are merged.
        let (one, two) = seeds.split_at(split.min(seeds.len()));
        let rules = |part: &[Seed], start: usize| {
            let rule = |(index, seed): (usize, &Seed)| {
                format!("{{name: r{}, matches: [{}]}}", start + index, written(seed))
            };
            format!("[{}]", part.iter().enumerate().map(rule).collect::<Vec<_>>().join(", "))
        };
        let mut text = http("one", &rules(one, 0)) + &http("two", &rules(two, one.len()));
        if one.is_empty() || two.is_empty() {
            text = http("all", &rules(&seeds, 0));
        }
        let routes = routes(&text);
        let port = of_port(&routes);
        let order: Vec<&Seed> = port
            .http
            .iter()
            .map(|it| {
                let rule = &port.rules[usize::try_from(it.rule).unwrap()].origin.rule;
                &seeds[rule[1..].parse::<usize>().unwrap()]
            })
            .collect();
        let path = PATHS[path];
        let first = order.iter().find(|it| matches(it, path, has)).map(|it| exactness(it));
        let best = seeds.iter().filter(|it| matches(it, path, has)).map(exactness).max();
        prop_assert_eq!(first, best);
    }
}
