//! Tables of what is for some waypoints only, and what each is sent.

use mesh::names::NamespacedName;
use proto::type_urls::{ROUTE_POLICY, SERVICE_ROUTES};

use super::*;

fn tables() -> Published {
    Published::complete_for_test(&[ROUTE_POLICY, SERVICE_ROUTES, ADDRESS])
}

fn waypoint(name: &str) -> Session {
    let scope = Scope {
        types: &[ROUTE_POLICY, SERVICE_ROUTES, ADDRESS],
        only_by_name: &[ADDRESS],
        gateway: Some(NamespacedName::new("n", name)),
        node: None,
        takes_pages: true,
    };
    Session::new(scope, PageSize::PAGED)
}

/// A waypoint that follows routes and policies, and was told all there is for it.
fn follower(name: &str, tables: &Published) -> Session {
    let mut session = waypoint(name);
    session.receive(first(ROUTE_POLICY));
    session.receive(first(SERVICE_ROUTES));
    settle(&mut session, tables);
    session
}

/// A resource for these gateways of namespace `n`, separated by spaces.
fn resource(name: &str, content: &'static str, gateways: &str) -> Upsert {
    let gateways = gateways.split_whitespace();
    Upsert {
        name: name.into(),
        bytes: content.into(),
        links: Links::default(),
        audience: Audience::gateways(gateways.map(|it| NamespacedName::new("n", it))),
    }
}

fn commit(tables: &mut Published, changes: Vec<(&'static str, Upsert)>) {
    let change = |(type_url, upsert)| Change {
        type_url,
        upserts: vec![upsert],
        removed: vec![],
    };
    tables.commit(changes.into_iter().map(change).collect());
}

fn put_routes(tables: &mut Published, name: &str, content: &'static str, gateways: &str) {
    let routes = resource(name, content, gateways);
    commit(tables, vec![(SERVICE_ROUTES, routes)]);
}

/// What was sent and removed of a type, all pushes together.
fn of_type(pushes: &[Push], type_url: &str) -> (String, String) {
    let all = |names: Vec<&str>| names.join(" ");
    let pushes = pushes.iter().filter(|it| it.type_url == type_url);
    let (sent, gone): (Vec<_>, Vec<_>) = pushes
        .map(told)
        .map(|(_, sent, gone)| (all(sent), all(gone)))
        .unzip();
    (
        sent.join(" ").trim().to_owned(),
        gone.join(" ").trim().to_owned(),
    )
}

#[test]
fn gains_and_losses_of_audience_are_upserts_and_removals() {
    let mut tables = tables();
    put_routes(&mut tables, "s1", "1", "a");
    put_routes(&mut tables, "s2", "1", "b");
    put_routes(&mut tables, "s3", "1", "a b");
    let mut a = waypoint("a");
    a.receive(first(ROUTE_POLICY));
    a.receive(first(SERVICE_ROUTES));
    let begin = settle(&mut a, &tables);
    assert_eq!(of_type(&begin, SERVICE_ROUTES), ("s1 s3".into(), "".into()));

    for (what, name, content, gateways, expected) in [
        ("a change of another's", "s2", "2", "b", ("", "")),
        ("gained", "s2", "2", "a b", ("s2", "")),
        ("changed", "s2", "3", "a b", ("s2", "")),
        ("lost", "s2", "3", "b", ("", "s2")),
        ("changed when lost", "s2", "4", "b", ("", "")),
        ("lost by all", "s1", "1", "", ("", "s1")),
        ("gained again", "s1", "1", "a", ("s1", "")),
        ("never had, not gained", "s4", "1", "b", ("", "")),
    ] {
        put_routes(&mut tables, name, content, gateways);
        let (sent, gone) = of_type(&settle(&mut a, &tables), SERVICE_ROUTES);
        assert_eq!((&*sent, &*gone), expected, "{what}");
    }
    drop_names(&mut tables, SERVICE_ROUTES, &["s1", "s4"]);
    let (sent, gone) = of_type(&settle(&mut a, &tables), SERVICE_ROUTES);
    assert_eq!((&*sent, &*gone), ("", "s1"), "of s4 it was never told");
}

#[test]
fn who_comes_back_is_told_what_it_must_not_see_any_more() {
    let mut tables = tables();
    put_routes(&mut tables, "s1", "1", "a");
    put_routes(&mut tables, "s2", "1", "b");
    let version = |name: &str| {
        let table = tables.table(SERVICE_ROUTES).unwrap();
        (name.to_owned(), table.find(name).unwrap().version_text())
    };
    let held = [version("s1"), version("s2")].into();
    let mut a = waypoint("a");
    a.receive(first(ROUTE_POLICY));
    a.receive(Request {
        initial_versions: held,
        ..first(SERVICE_ROUTES)
    });
    let pushes = settle(&mut a, &tables);
    assert_eq!(of_type(&pushes, SERVICE_ROUTES), ("".into(), "s2".into()));
    // What it held is known as told.
    put_routes(&mut tables, "s1", "1", "b");
    let pushes = settle(&mut a, &tables);
    assert_eq!(of_type(&pushes, SERVICE_ROUTES), ("".into(), "s1".into()));
}

#[test]
fn a_name_does_not_open_what_is_for_another() {
    let mut tables = tables();
    put_routes(&mut tables, "s1", "1", "b");
    let mut a = waypoint("a");
    a.receive(first(ROUTE_POLICY));
    a.receive(Request {
        type_url: SERVICE_ROUTES.into(),
        ..subscribe(&["s1"])
    });
    let pushes = settle(&mut a, &tables);
    let answer = ("".into(), "s1".into());
    assert_eq!(of_type(&pushes, SERVICE_ROUTES), answer, "there is none");
    put_routes(&mut tables, "s1", "2", "b");
    assert!(settle(&mut a, &tables).is_empty());
    put_routes(&mut tables, "s1", "2", "a b");
    let pushes = settle(&mut a, &tables);
    assert_eq!(of_type(&pushes, SERVICE_ROUTES), ("s1".into(), "".into()));
}

#[test]
fn a_service_comes_after_its_policies_and_goes_before_them() {
    let mut tables = tables();
    let mut a = follower("a", &tables);
    let both = |gateways| {
        vec![
            (ROUTE_POLICY, resource("p", "deny", gateways)),
            (SERVICE_ROUTES, resource("s", "1", gateways)),
        ]
    };
    commit(&mut tables, both("a"));
    let pushes = settle(&mut a, &tables);
    let order: Vec<_> = pushes.iter().map(told).collect();
    let came = [
        (ROUTE_POLICY, vec!["p"], vec![]),
        (SERVICE_ROUTES, vec!["s"], vec![]),
    ];
    assert_eq!(order, came);
    commit(&mut tables, both("b"));
    let pushes = settle(&mut a, &tables);
    let order: Vec<_> = pushes.iter().map(told).collect();
    let went = [
        (SERVICE_ROUTES, vec![], vec!["s"]),
        (ROUTE_POLICY, vec![], vec!["p"]),
    ];
    assert_eq!(order, went);
}

#[test]
fn addresses_are_never_had_as_a_whole() {
    let mut tables = tables();
    put(&mut tables, ADDRESS, &[("s1", "1"), ("s2", "1")]);
    let star = || Request {
        subscribe: vec!["*".to_owned()],
        ..first(ADDRESS)
    };
    for request in [first(ADDRESS), star()] {
        let mut a = waypoint("a");
        a.receive(request);
        let pushes = settle(&mut a, &tables);
        assert_eq!(pushes.len(), 1, "an answer, without content");
        assert_eq!(of_type(&pushes, ADDRESS), ("".into(), "".into()));
        a.receive(star());
        a.receive(subscribe(&["s2"]));
        let pushes = settle(&mut a, &tables);
        assert_eq!(of_type(&pushes, ADDRESS), ("s2".into(), "".into()));
        put(&mut tables, ADDRESS, &[("s1", "2")]);
        assert!(settle(&mut a, &tables).is_empty());
    }
}

#[test]
fn a_node_proxy_is_not_served_what_is_for_waypoints() {
    let mut node = session(PageSize::PAGED);
    let heard = node.receive(first(SERVICE_ROUTES));
    assert_eq!(heard, Heard::Unserved(SERVICE_ROUTES.into()));
}
