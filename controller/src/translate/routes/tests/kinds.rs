//! Kinds of routes beside one another, ports, and routes of producers and consumers.

use super::{entries, http, route, routes};

fn grpc(name: &str) -> String {
    route(
        "GRPCRoute",
        &format!("name: {name}, namespace: shop"),
        "[{}]",
    )
}

fn opaque(kind: &str, name: &str, more: &str) -> String {
    let text = route(
        kind,
        &format!("name: {name}, namespace: shop"),
        "[{backendRefs: [{name: v1, port: 80}]}]",
    );
    text.replace("spec: {", &format!("spec: {{{more}"))
}

/// Ports with their clients and what has them.
fn shown(text: &str) -> Vec<String> {
    let routes = routes(text);
    let one = |it: &mesh::model::http::PortRoutes| {
        let http = it.http.iter().map(|entry| {
            let rule = usize::try_from(entry.rule).unwrap();
            it.rules[rule].origin.name.to_string()
        });
        let tls = it.tls.iter().map(|it| it.origin.name.to_string());
        let tcp = it.tcp.iter().map(|it| it.origin.name.to_string());
        let names: Vec<String> = http.chain(tls).chain(tcp).collect();
        format!("{} {}: {}", it.port, it.client_namespace, names.join(" "))
    };
    routes.ports.iter().map(one).collect()
}

#[test]
fn one_kind_has_a_port_for_itself() {
    let (tls, tcp) = (opaque("TLSRoute", "s", ""), opaque("TCPRoute", "t", ""));
    for (text, expected) in [
        (
            [grpc("g"), http("h", "[{}]"), tls.clone(), tcp.clone()].concat(),
            "g",
        ),
        ([http("h", "[{}]"), tls.clone(), tcp.clone()].concat(), "h"),
        ([tcp.clone(), tls.clone()].concat(), "s"),
        (tcp.clone(), "t"),
    ] {
        assert_eq!(
            shown(&text),
            [format!("80 : {expected}"), format!("81 : {expected}")]
        );
    }
}

#[test]
fn a_reference_with_a_port_is_for_that_port() {
    let of_81 = http("h", "[{}]").replace("namespace: shop}]", "namespace: shop, port: 81}]");
    assert_eq!(shown(&of_81), ["81 : h"]);
    assert_eq!(shown(&(grpc("g") + &of_81)), ["80 : g", "81 : g"]);
    let grpc_81 = grpc("g").replace("namespace: shop}]", "namespace: shop, port: 81}]");
    assert_eq!(shown(&(grpc_81 + &http("h", "[{}]"))), ["80 : h", "81 : g"]);
    let twice = http("h", "[{}]").replace(
        "parentRefs: [",
        "parentRefs: [{group: '', kind: Service, name: web, port: 80}, ",
    );
    assert_eq!(shown(&twice), ["80 : h", "81 : h"]);
}

#[test]
fn consumers_have_their_own_routes_instead_of_the_producers() {
    let consumer = |name: &str, namespace: &str| {
        route(
            "HTTPRoute",
            &format!("name: {name}, namespace: {namespace}"),
            "[{}]",
        )
    };
    let text = http("p", "[{}]") + &consumer("c", "edge") + &consumer("d", "data");
    let expected = [
        "80 edge: c",
        "80 data: d",
        "80 : p",
        "81 edge: c",
        "81 data: d",
        "81 : p",
    ];
    assert_eq!(shown(&text), expected);
    // Alone they change nothing for anybody else.
    assert_eq!(shown(&consumer("c", "edge")), ["80 edge: c", "81 edge: c"]);
    // A kind gives way only to those of the same clients.
    let text = grpc("g") + &consumer("c", "edge");
    assert_eq!(
        shown(&text),
        ["80 edge: c", "80 : g", "81 edge: c", "81 : g"]
    );
}

#[test]
fn server_names_are_ordered_by_how_exact_they_are() {
    let names =
        |name: &str, hosts: &str| opaque("TLSRoute", name, &format!("hostnames: {hosts}, "));
    let text = opaque("TLSRoute", "any", "")
        + &names("wild", "['*.a.example', '*.b.a.example']")
        + &names("full", "[X.b.a.example, y.example]");
    let routes = routes(&text);
    let found: Vec<String> = super::of_port(&routes)
        .tls
        .iter()
        .map(|it| format!("{} {}", it.server_names.join(","), it.origin.name))
        .collect();
    let expected = [
        "x.b.a.example full",
        "y.example full",
        "*.b.a.example wild",
        "*.a.example wild",
        " any",
    ];
    assert_eq!(found, expected);
}

#[test]
fn rules_have_their_name_or_their_number() {
    let rules = "[{matches: [{path: {value: /a}}]}, {name: named, matches: [{path: {value: /b}}]}]";
    let found = entries(&routes(&http("r", rules)));
    assert_eq!(found, ["/a/** -> r/0", "/b/** -> r/named"]);
    let routes = routes(&http("r", rules));
    let origin = &super::of_port(&routes).rules[1].origin;
    assert_eq!(origin.to_string(), "HTTPRoute shop/r rule named");
}
