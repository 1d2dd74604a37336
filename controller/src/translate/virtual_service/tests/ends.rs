//! What becomes of a request at the end: destinations, redirects, answers; and of connections.

use mesh::model::http::{HttpAction, PathRewrite, Redirect, RedirectPort};

use super::{WORLD, rule, with_route, with_spec};

/// Weight and destination of each share.
fn shares(route: &str) -> Vec<(u32, String)> {
    let (rule, names) = rule(&with_route(&format!("{{route: {route}}}")));
    let HttpAction::Forward(backends) = rule.action else {
        panic!("{route}: {:?}", rule.action)
    };
    let name = |index: Option<u32>| match index {
        Some(index) => names[index as usize].clone(),
        None => "nowhere".to_owned(),
    };
    let backends = backends.into_iter();
    backends
        .map(|it| (it.weight, name(it.destination)))
        .collect()
}

#[test]
fn weights_are_relative_and_a_single_destination_needs_none() {
    let web = "web.shop.svc.cluster.local";
    for (route, expected) in [
        (
            "[{destination: {host: web}}]",
            vec![(1, format!("{web} of shop"))],
        ),
        (
            "[{destination: {host: web}, weight: 0}]",
            vec![(1, format!("{web} of shop"))],
        ),
        (
            "[{destination: {host: web, subset: v1, port: {number: 81}}, weight: 1}, \
              {destination: {host: web, subset: v2}, weight: 3}, {destination: {host: web}}]",
            vec![
                (1, format!("{web}:81#v1 of shop")),
                (3, format!("{web}#v2 of shop")),
            ],
        ),
        (
            "[{destination: {host: a.example.com}, weight: 50}, {destination: {host: missing.example}, weight: 50}]",
            vec![
                (50, "a.example.com of shop".to_owned()),
                (50, "nowhere".to_owned()),
            ],
        ),
    ] {
        assert_eq!(shares(route), expected, "{route}");
    }
}

#[test]
fn destinations_change_headers_on_their_own() {
    let (rule, _) = rule(&with_route(
        "{route: [{destination: {host: web}, headers: {request: {set: {Host: h, A: b}}, response: {add: {c: d}}}}]}",
    ));
    let HttpAction::Forward(backends) = rule.action else {
        panic!()
    };
    let set: Vec<_> = backends[0]
        .request_headers
        .set
        .iter()
        .map(|it| &*it.0)
        .collect();
    assert_eq!(set, ["a", "host"]);
    assert_eq!(backends[0].response_headers.add.len(), 1);
    assert_eq!(&*rule.rewrite.host, "");
}

#[test]
fn redirects_are_permanent_and_keep_the_host_as_it_stands() {
    let plain = Redirect {
        port: RedirectPort::AsHost,
        status: 301,
        ..Redirect::default()
    };
    for (written, expected) in [
        (
            "{uri: /a, authority: b}",
            Redirect {
                host: Some("b".into()),
                path: Some(PathRewrite::Full("/a".into())),
                ..plain.clone()
            },
        ),
        (
            "{scheme: https, port: 8443, redirectCode: 308}",
            Redirect {
                scheme: Some("https".into()),
                port: RedirectPort::Fixed(8443),
                status: 308,
                ..plain.clone()
            },
        ),
        (
            "{uri: /a, derivePort: FROM_REQUEST_PORT}",
            Redirect {
                path: Some(PathRewrite::Full("/a".into())),
                port: RedirectPort::FromRequest,
                ..plain.clone()
            },
        ),
        (
            "{uri: /a, derivePort: FROM_PROTOCOL_DEFAULT}",
            Redirect {
                path: Some(PathRewrite::Full("/a".into())),
                ..plain.clone()
            },
        ),
    ] {
        let object = with_route(&format!("{{redirect: {written}}}"));
        assert_eq!(WORLD.told(&object), [], "{written}");
        assert_eq!(
            rule(&object).0.action,
            HttpAction::Redirect(expected),
            "{written}"
        );
    }
}

#[test]
fn answers_have_a_body_as_text_or_as_base64() {
    for (written, status, body) in [
        ("{status: 204}", 204, ""),
        ("{status: 503, body: {string: sorry}}", 503, "sorry"),
        ("{status: 200, body: {bytes: aGVsbG8=}}", 200, "hello"),
    ] {
        let object = with_route(&format!("{{directResponse: {written}}}"));
        let expected = HttpAction::Reply {
            status,
            body: body.into(),
        };
        assert_eq!(rule(&object).0.action, expected, "{written}");
    }
}

#[test]
fn tls_and_tcp_routes_keep_their_order() {
    let object = with_spec(
        "{hosts: [web, a.example.com], \
          tls: [{match: [{sniHosts: [a.example.com], port: 443}, {sniHosts: [web], port: 444}], \
                 route: [{destination: {host: web}, weight: 1}, {destination: {host: b.c}, weight: 2}]}], \
          tcp: [{match: [{port: 443, destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: one.c}}]}, \
                {match: [{destinationSubnets: [192.168.0.0/16]}], route: [{destination: {host: two.c}}]}, \
                {route: [{destination: {host: three.c}}]}]}",
    );
    assert_eq!(WORLD.told(&object), []);
    let names = |port| {
        let (routes, names) = WORLD.routes(&object, port);
        assert_eq!(routes.http, []);
        let server_names = routes.tls.iter().flat_map(|it| &it.server_names);
        let server_names: Vec<String> = server_names.map(|it| it.to_string()).collect();
        let tcp = routes.tcp.iter().flat_map(|it| &it.backends);
        let tcp: Vec<String> = tcp
            .filter_map(|it| names.get(it.destination? as usize))
            .map(|it| it.split('.').next().unwrap().to_owned())
            .collect();
        (server_names, tcp)
    };
    let texts = |all: &[&str]| -> Vec<String> { all.iter().map(|it| (*it).to_owned()).collect() };
    assert_eq!(
        names(443),
        (texts(&["a.example.com"]), texts(&["one", "three"]))
    );
    assert_eq!(names(444), (texts(&["web"]), texts(&["three"])));
    assert_eq!(names(80), (texts(&[]), texts(&["three"])));
    let (routes, _) = WORLD.routes(&object, 443);
    let origin = routes.tls[0].origin.to_string();
    assert_eq!(origin, "VirtualService shop/v rule tls-0");
    let weights: Vec<u32> = routes.tls[0].backends.iter().map(|it| it.weight).collect();
    assert_eq!(weights, [1, 2]);
}
