//! Backends, their shares, and those that lead nowhere.

use mesh::model::http::HttpAction;

use super::{http, of_port, routes, told};

/// Weight and destination of every backend of the only rule.
fn backends(references: &str) -> Vec<(u32, Option<String>)> {
    let routes = routes(&http("r", &format!("[{{backendRefs: [{references}]}}]")));
    let HttpAction::Forward(backends) = &of_port(&routes).rules[0].action else {
        unreachable!()
    };
    let shown = |number: u32| {
        let to = &routes.destinations[usize::try_from(number).unwrap()];
        format!("{}:{}", to.service, to.port)
    };
    let shown = |it: &mesh::model::http::Backend| (it.weight, it.destination.map(shown));
    backends.iter().map(shown).collect()
}

#[test]
fn shares_are_as_written_and_one_that_leads_nowhere_keeps_its_share() {
    let v1 = || Some("shop/v1.shop.svc.cluster.local:80".to_owned());
    let v2 = || Some("shop/v2.shop.svc.cluster.local:81".to_owned());
    let db = || Some("data/db.data.svc.cluster.local:80".to_owned());
    let host = || Some("shop/api.example.com:443".to_owned());
    for (references, expected) in [
        ("", vec![]),
        ("{name: v1, port: 80}", vec![(1, v1())]),
        (
            "{name: v1, port: 80, weight: 90}, {name: v2, port: 81, weight: 10}",
            vec![(90, v1()), (10, v2())],
        ),
        (
            "{name: v1, port: 80, weight: 0}, {name: v2, port: 81}",
            vec![(0, v1()), (1, v2())],
        ),
        (
            "{name: v1, port: 80}, {name: gone, port: 80, weight: 0}",
            vec![(1, v1()), (0, None)],
        ),
        (
            "{name: v1, port: 80}, {name: gone, port: 80}",
            vec![(1, v1()), (1, None)],
        ),
        ("{name: v1, port: 82}", vec![(1, None)]),
        ("{name: v1}", vec![(1, None)]),
        ("{name: v1, port: 80, kind: Pod}", vec![(1, None)]),
        ("{name: v1, port: 80, group: apps}", vec![(1, None)]),
        ("{name: db, port: 80}", vec![(1, None)]),
        ("{name: db, namespace: data, port: 80}", vec![(1, db())]),
        (
            "{group: networking.istio.io, kind: Hostname, name: api.example.com, port: 443}",
            vec![(1, host())],
        ),
        (
            "{group: networking.istio.io, kind: Hostname, name: other.example.com, port: 443}",
            vec![(1, None)],
        ),
    ] {
        assert_eq!(backends(references), expected, "{references}");
    }
}

#[test]
fn a_filter_that_cannot_stand_at_a_backend_costs_it_its_share_only() {
    let references = "{name: v1, port: 80, filters: [{type: URLRewrite, urlRewrite: {hostname: h}}]}, {name: v2, port: 81}";
    let found = backends(references);
    assert_eq!(found[0], (1, None));
    assert!(found[1].1.is_some());
    let text = http("r", &format!("[{{backendRefs: [{references}]}}]"));
    let field = "spec.rules[0].backendRefs[0].filters[0].type".to_owned();
    assert_eq!(told(&text), [("backend-missing", field)]);
}

#[test]
fn every_destination_is_there_once_and_its_own_ports_always() {
    let text = http(
        "r",
        "[{backendRefs: [{name: web, port: 80}, {name: v1, port: 80}]}, {backendRefs: [{name: v1, port: 80}]}]",
    );
    let routes = routes(&text);
    assert_eq!(routes.own, [(80, 0), (81, 1)]);
    assert_eq!(routes.destinations.len(), 3);
    let alone = super::routes("");
    assert_eq!(alone.own, [(80, 0), (81, 1)]);
    assert!(alone.ports.is_empty() && alone.destinations.len() == 2);
}
