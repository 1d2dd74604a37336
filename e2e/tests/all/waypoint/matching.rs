//! Which rule a request is for: paths, headers, query parameters and methods of HTTPRoutes, and what comes first.

use anyhow::Result;
use sandbox::app::echo::{Ask, Speech};

use super::{Shop, get, journey, route};
use crate::Journey;

pub(crate) const JOURNEYS: [Journey; 3] = [
    (
        "waypoint_a_request_is_for_the_rule_whose_path_or_header_matches",
        paths_and_headers,
    ),
    (
        "waypoint_query_parameters_and_methods_choose_and_what_nothing_matches_is_404",
        queries_and_methods,
    ),
    (
        "waypoint_the_most_specific_rule_is_chosen_whatever_the_order",
        precedence,
    ),
];

/// A request, and who must answer: a version, or a status.
struct Case(Ask, Who);

enum Who {
    Version(&'static str),
    Status(u16),
}
use Who::{Status, Version};

fn check(shop: &Shop, cases: Vec<Case>) -> Result<()> {
    for Case(ask, who) in cases {
        for speech in [Speech::Http1, Speech::Http2] {
            let mut ask = ask.clone();
            ask.speech = speech;
            match who {
                Version(version) => shop.answered_by(&ask, version).map(drop)?,
                Status(status) => shop.answered_with(&ask, status).map(drop)?,
            }
        }
    }
    Ok(())
}

fn paths_and_headers() -> Result<()> {
    journey("wp-paths", |shop| {
        shop.apply(&route(
            "matching",
            "  - name: first\n    matches:\n    - path: {type: PathPrefix, value: /}\n    - headers: [{name: version, value: one}]\n    \
               backendRefs: [{name: echo-v1, port: 8080}]\n  \
             - matches:\n    - path: {type: PathPrefix, value: /v2}\n    - headers: [{name: version, value: two}]\n    \
               backendRefs: [{name: echo-v2, port: 8080}]\n  \
             - matches:\n    - path: {type: RegularExpression, value: '/r[0-9]+/.*'}\n    \
               backendRefs: [{name: echo-v2, port: 8080}]\n",
        ))?;
        check(
            shop,
            vec![
                Case(get("/"), Version("v1")),
                Case(get("/example"), Version("v1")),
                Case(get("/v2"), Version("v2")),
                Case(get("/v2/"), Version("v2")),
                Case(get("/v2/example?x=/"), Version("v2")),
                // Elements, not characters.
                Case(get("/v2example"), Version("v1")),
                Case(get("/foo/v2/example"), Version("v1")),
                // Whom the request names does not count inside of a mesh.
                Case(get("/v2").with("host", "else.example"), Version("v2")),
                Case(get("/").with("version", "one"), Version("v1")),
                Case(get("/").with("version", "two"), Version("v2")),
                Case(get("/").with("VERSION", "two"), Version("v2")),
                Case(get("/").with("version", "Two"), Version("v1")),
            ],
        )?;
        shop.route_is_accepted("httproutes", "matching")?;
        // Another parent without a port, exact paths.
        shop.delete("HTTPRoute", "matching")?;
        shop.apply(&route(
            "split",
            "  - matches: [{path: {type: Exact, value: /v1}}]\n    backendRefs: [{name: echo-v1, port: 80}]\n  \
             - matches: [{path: {type: Exact, value: /v2}}]\n    backendRefs: [{name: echo-v2, port: 80}]\n  \
             - matches: [{path: {type: RegularExpression, value: '/r[0-9]+/(a|b)'}}]\n    backendRefs: [{name: echo-v2, port: 80}]\n  \
             - matches: [{headers: [{name: colour, type: RegularExpression, value: 'b.*e'}]}]\n    backendRefs: [{name: echo-v1, port: 80}]\n",
        ))?;
        check(
            shop,
            vec![
                Case(get("/v1"), Version("v1")),
                Case(get("/v2?x"), Version("v2")),
                Case(get("/v2/"), Status(404)),
                Case(get("/V2"), Status(404)),
                Case(get("/r17/b"), Version("v2")),
                Case(get("/r17/bc"), Status(404)),
                Case(get("/").with("colour", "blue"), Version("v1")),
                Case(get("/").with("colour", "a blue one"), Status(404)),
                Case(get("/"), Status(404)),
            ],
        )
    })
}

fn queries_and_methods() -> Result<()> {
    journey("wp-query", |shop| {
        shop.apply(&route(
            "query",
            "  - matches: [{queryParams: [{name: animal, value: whale}]}]\n    backendRefs: [{name: echo-v1, port: 80}]\n  \
             - matches: [{queryParams: [{name: animal, value: dolphin}]}]\n    backendRefs: [{name: echo-v2, port: 80}]\n  \
             - matches: [{queryParams: [{name: animal, value: dolphin}, {name: color, value: blue}]}]\n    backendRefs: [{name: echo-v1, port: 80}]\n  \
             - matches: [{path: {type: PathPrefix, value: /path5}}]\n    backendRefs: [{name: echo-v1, port: 80}]\n  \
             - matches: [{queryParams: [{name: animal, value: hydra}]}, {headers: [{name: h, value: x}], queryParams: [{name: animal, value: eel}]}]\n    \
               backendRefs: [{name: echo-v2, port: 80}]\n  \
             - matches: [{method: POST}, {method: DELETE, path: {type: PathPrefix, value: /gone}}]\n    backendRefs: [{name: echo-v2, port: 80}]\n",
        ))?;
        let by = |method: &str, path: &str| {
            let mut ask = get(path);
            ask.method = method.to_owned();
            ask
        };
        check(
            shop,
            vec![
                Case(get("/?animal=whale"), Version("v1")),
                Case(get("/?animal=dolphin"), Version("v2")),
                Case(get("/?animal=dolphin&color=blue"), Version("v1")),
                Case(get("/?color=blue&animal=dolphin&x=y"), Version("v1")),
                Case(get("/?animal=dolphin&color=red"), Version("v2")),
                Case(get("/?animal=hydra"), Version("v2")),
                Case(get("/path5?animal=hydra"), Version("v1")),
                Case(get("/?animal=eel").with("h", "x"), Version("v2")),
                Case(get("/?animal=eel"), Status(404)),
                Case(get("/?Animal=whale"), Status(404)),
                Case(get("/?animal=Whale"), Status(404)),
                Case(get("/?animal"), Status(404)),
                Case(get("/"), Status(404)),
                Case(by("POST", "/"), Version("v2")),
                Case(by("PUT", "/"), Status(404)),
                Case(by("DELETE", "/gone/1"), Version("v2")),
                Case(by("DELETE", "/"), Status(404)),
            ],
        )?;
        shop.route_is_accepted("httproutes", "query")
    })
}

fn precedence() -> Result<()> {
    journey("wp-precedence", |shop| {
        // The least specific first: none of it may decide.
        shop.apply(&route(
            "precedence",
            "  - matches: [{path: {type: PathPrefix, value: /}}]\n    backendRefs: [{name: echo-v1, port: 80}]\n  \
             - matches: [{path: {type: PathPrefix, value: /a}}]\n    backendRefs: [{name: echo-v2, port: 80}]\n  \
             - matches: [{path: {type: PathPrefix, value: /a/b}}]\n    backendRefs: [{name: echo-v1, port: 80}]\n  \
             - matches: [{path: {type: Exact, value: /a/b}}]\n    backendRefs: [{name: echo-v2, port: 80}]\n  \
             - matches: [{path: {type: PathPrefix, value: /}, method: PUT}]\n    backendRefs: [{name: echo-v2, port: 80}]\n  \
             - matches: [{headers: [{name: h, value: x}]}]\n    backendRefs: [{name: echo-v2, port: 80}]\n  \
             - matches: [{headers: [{name: h, value: x}, {name: i, value: y}]}]\n    backendRefs: [{name: echo-v1, port: 80}]\n",
        ))?;
        let mut put = get("/");
        put.method = "PUT".to_owned();
        check(
            shop,
            vec![
                Case(get("/x"), Version("v1")),
                Case(get("/a/x"), Version("v2")),
                Case(get("/a/b/c"), Version("v1")),
                Case(get("/a/b"), Version("v2")),
                Case(put.clone(), Version("v2")),
                Case(put.with("h", "x").with("i", "y"), Version("v2")),
                Case(get("/").with("h", "x"), Version("v2")),
                Case(get("/").with("h", "x").with("i", "y"), Version("v1")),
                Case(get("/a").with("h", "x").with("i", "y"), Version("v2")),
            ],
        )?;
        shop.route_is_accepted("httproutes", "precedence")
    })
}
