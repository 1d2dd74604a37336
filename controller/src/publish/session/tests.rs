//! Tables of requests and changes, and what is sent.

mod audience;
mod ranges;

use bytes::Bytes;
use proto::type_urls::{ADDRESS, AUTHORIZATION};

use super::*;
use crate::resources::{Audience, Change, Links, TOMBSTONES, Upsert};

const SMALL: PageSize = PageSize {
    entries: 3,
    bytes: 1 << 20,
};

fn tables() -> Published {
    Published::complete_for_test(&[ADDRESS, AUTHORIZATION])
}

fn session(page: PageSize) -> Session {
    let scope = Scope {
        types: &[AUTHORIZATION, ADDRESS],
        only_by_name: &[],
        gateway: None,
        node: Some("n1".into()),
        takes_pages: true,
    };
    Session::new(scope, page)
}

fn put(tables: &mut Published, type_url: &'static str, list: &[(&str, &str)]) {
    let upserts = list
        .iter()
        .map(|(n, c)| Upsert::from(((*n).to_owned(), Bytes::copy_from_slice(c.as_bytes()))));
    tables.commit(vec![Change {
        type_url,
        upserts: upserts.collect(),
        removed: vec![],
    }]);
}

fn drop_names(tables: &mut Published, type_url: &'static str, names: &[&str]) {
    tables.commit(vec![Change {
        type_url,
        upserts: vec![],
        removed: names.iter().map(|n| (*n).to_owned()).collect(),
    }]);
}

fn first(type_url: &str) -> Request {
    Request {
        type_url: type_url.into(),
        ..Request::default()
    }
}

fn on_demand(names: &[&str]) -> Request {
    let star = vec!["*".to_owned()];
    Request {
        subscribe: star.clone(),
        unsubscribe: star,
        initial_versions: names
            .iter()
            .map(|n| ((*n).to_owned(), String::new()))
            .collect(),
        ..first(ADDRESS)
    }
}

fn subscribe(names: &[&str]) -> Request {
    Request {
        subscribe: names.iter().map(|n| (*n).to_owned()).collect(),
        ..first(ADDRESS)
    }
}

/// The next push, which must be there.
fn push(session: &mut Session, tables: &Published) -> Push {
    match session.next(tables, Duration::ZERO) {
        Next::Push(push) => push,
        other => panic!("nothing to send but {other:?}"),
    }
}

fn waits(session: &mut Session, tables: &Published) -> bool {
    matches!(
        session.next(tables, Duration::ZERO),
        Next::Wait | Next::WaitUntil(_)
    )
}

fn ack(session: &mut Session, push: &Push) -> Heard {
    session.receive(Request {
        nonce: push.nonce.clone(),
        ..first(push.type_url)
    })
}

/// Type, names sent, names removed.
fn told(push: &Push) -> (&'static str, Vec<&str>, Vec<&str>) {
    let sent = push.resources.iter().map(|r| &*r.name).collect();
    let removed = push.removed.iter().map(|n| &**n).collect();
    (push.type_url, sent, removed)
}

/// Sends and acks until there is nothing more.
fn settle(session: &mut Session, tables: &Published) -> Vec<Push> {
    let mut pushes = Vec::new();
    while let Next::Push(push) = session.next(tables, Duration::ZERO) {
        ack(session, &push);
        pushes.push(push);
    }
    pushes
}

/// A client of both types that was told everything.
fn settled(tables: &Published) -> Session {
    let mut session = session(PageSize::PAGED);
    session.receive(first(ADDRESS));
    session.receive(first(AUTHORIZATION));
    settle(&mut session, tables);
    session
}

#[test]
fn tells_everything_and_then_only_changes() {
    let mut tables = tables();
    put(&mut tables, ADDRESS, &[("a", "1"), ("b", "1"), ("c", "1")]);
    let mut session = session(PageSize::PAGED);
    session.receive(first(AUTHORIZATION));
    session.receive(first(ADDRESS));
    let told_at_first = settle(&mut session, &tables);
    assert_eq!(told(&told_at_first[0]), (AUTHORIZATION, vec![], vec![]));
    assert_eq!(
        told(&told_at_first[1]),
        (ADDRESS, vec!["a", "b", "c"], vec![])
    );
    assert_eq!(told_at_first.len(), 2);
    put(&mut tables, ADDRESS, &[("a", "1"), ("b", "2")]);
    drop_names(&mut tables, ADDRESS, &["c"]);
    let changes = settle(&mut session, &tables);
    assert_eq!(changes.len(), 1);
    assert_eq!(told(&changes[0]), (ADDRESS, vec!["b"], vec!["c"]));
    assert!(!changes[0].with_aliases);
}

#[test]
fn answers_nobody_before_everything_is_published() {
    let resources = crate::resources::Resources::new([ADDRESS, AUTHORIZATION]);
    let mut session = session(PageSize::PAGED);
    session.receive(first(AUTHORIZATION));
    assert!(waits(&mut session, &resources.read()));
    resources.complete();
    push(&mut session, &resources.read());
}

#[test]
fn after_a_reconnect_skips_what_is_equal_and_removes_what_is_gone() {
    let mut tables = tables();
    put(&mut tables, ADDRESS, &[("a", "1"), ("b", "1")]);
    let version = tables
        .table(ADDRESS)
        .unwrap()
        .find("a")
        .unwrap()
        .version_text();
    let mut session = session(PageSize::PAGED);
    session.receive(first(AUTHORIZATION));
    let held = [("a", version.as_str()), ("b", "old"), ("gone", "x")];
    session.receive(Request {
        initial_versions: held.map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
        ..first(ADDRESS)
    });
    let pushes = settle(&mut session, &tables);
    assert_eq!(told(&pushes[1]), (ADDRESS, vec!["b"], vec!["gone"]));
}

#[test]
fn sends_pages_one_after_the_other_and_marks_all_but_the_last() {
    let mut tables = tables();
    let names: Vec<String> = (0..7).map(|n| format!("n{n}")).collect();
    let list: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "x")).collect();
    put(&mut tables, ADDRESS, &list);
    let mut session = session(SMALL);
    session.receive(first(AUTHORIZATION));
    session.receive(first(ADDRESS));
    let policies = push(&mut session, &tables);
    ack(&mut session, &policies);
    let page = push(&mut session, &tables);
    assert_eq!(told(&page).1, ["n0", "n1", "n2"]);
    assert!(
        waits(&mut session, &tables),
        "one unanswered push at a time"
    );
    // What changes or goes while pages are on their way comes right in the end.
    put(&mut tables, ADDRESS, &[("n1", "y"), ("n5", "y")]);
    drop_names(&mut tables, ADDRESS, &["n0", "n6"]);
    ack(&mut session, &page);
    let rest = settle(&mut session, &tables);
    let sent: Vec<&str> = rest.iter().flat_map(|p| told(p).1).collect();
    let removed: Vec<&str> = rest.iter().flat_map(|p| told(p).2).collect();
    assert_eq!(sent, ["n3", "n4", "n1", "n5"]);
    assert_eq!(removed, ["n0", "n6"]);
    let (last, before) = rest.split_last().unwrap();
    assert!(!last.more_follows);
    assert!(page.more_follows && before.iter().all(|p| p.more_follows));
}

#[test]
fn policies_come_before_addresses_whatever_was_asked_first() {
    let mut tables = tables();
    put(&mut tables, ADDRESS, &[("w", "names p")]);
    put(&mut tables, AUTHORIZATION, &[("p", "1")]);
    let mut session = session(PageSize::PAGED);
    session.receive(first(ADDRESS));
    let waiting = session.next(&tables, Duration::ZERO);
    assert_eq!(
        waiting,
        Next::WaitUntil(GRACE),
        "it may still ask for policies"
    );
    session.receive(first(AUTHORIZATION));
    let policies = push(&mut session, &tables);
    assert_eq!(told(&policies).1, ["p"]);
    assert!(
        waits(&mut session, &tables),
        "addresses wait for the answer"
    );
    ack(&mut session, &policies);
    assert_eq!(told(&push(&mut session, &tables)).1, ["w"]);
}

#[test]
fn a_new_policy_overtakes_the_address_and_its_removal_waits_for_it() {
    let mut tables = tables();
    put(&mut tables, AUTHORIZATION, &[("p", "1")]);
    put(&mut tables, ADDRESS, &[("w", "names p")]);
    let mut session = settled(&tables);
    // In one change the workload leaves `p` for `q`; the address happens to be published first.
    put(&mut tables, ADDRESS, &[("w", "names q")]);
    drop_names(&mut tables, AUTHORIZATION, &["p"]);
    put(&mut tables, AUTHORIZATION, &[("q", "1")]);
    let pushes = settle(&mut session, &tables);
    let order: Vec<_> = pushes.iter().map(told).collect();
    let expected = [
        (AUTHORIZATION, vec!["q"], vec![]),
        (ADDRESS, vec!["w"], vec![]),
        (AUTHORIZATION, vec![], vec!["p"]),
    ];
    assert_eq!(order, expected);
}

/// A policy that applies without being named, by what its content says.
fn put_scoped(tables: &mut Published, name: &str, content: &'static str) {
    let links = Links {
        is_scoped: true,
        ..Links::default()
    };
    tables.commit(vec![Change {
        type_url: AUTHORIZATION,
        upserts: vec![Upsert {
            name: name.into(),
            bytes: content.into(),
            links,
            audience: Audience::everyone(),
        }],
        removed: vec![],
    }]);
}

#[test]
fn a_policy_that_applies_without_being_named_goes_before_newer_addresses() {
    let mut tables = tables();
    put_scoped(&mut tables, "p", "allow");
    put(&mut tables, ADDRESS, &[("w", "1")]);
    let mut session = settled(&tables);
    drop_names(&mut tables, AUTHORIZATION, &["p"]);
    put(&mut tables, ADDRESS, &[("v", "1")]);
    let pushes = settle(&mut session, &tables);
    let order: Vec<_> = pushes.iter().map(told).collect();
    let expected = [
        (AUTHORIZATION, vec![], vec!["p"]),
        (ADDRESS, vec!["v"], vec![]),
    ];
    assert_eq!(order, expected);
}

#[test]
fn the_same_after_a_restart_of_the_controller() {
    let mut before = tables();
    put_scoped(&mut before, "p", "allow");
    let version = before.table(AUTHORIZATION).unwrap().find("p").unwrap();
    let version = version.version_text();
    let mut tables = tables();
    put(&mut tables, ADDRESS, &[("v", "1")]);
    let mut session = session(PageSize::PAGED);
    session.receive(Request {
        initial_versions: [("p".to_owned(), version)].into(),
        ..first(AUTHORIZATION)
    });
    session.receive(first(ADDRESS));
    let pushes = settle(&mut session, &tables);
    let order: Vec<_> = pushes.iter().map(told).collect();
    let expected = [
        (AUTHORIZATION, vec![], vec!["p"]),
        (ADDRESS, vec!["v"], vec![]),
    ];
    assert_eq!(order, expected);
}

#[test]
fn a_removal_that_waits_is_dropped_when_the_policy_comes_back() {
    let mut tables = tables();
    put(&mut tables, AUTHORIZATION, &[("p", "1")]);
    let mut session = settled(&tables);
    put(&mut tables, ADDRESS, &[("w", "1")]);
    let address = push(&mut session, &tables);
    drop_names(&mut tables, AUTHORIZATION, &["p"]);
    assert!(
        waits(&mut session, &tables),
        "held until the address is answered"
    );
    put(&mut tables, AUTHORIZATION, &[("p", "2")]);
    let back = push(&mut session, &tables);
    assert_eq!(told(&back), (AUTHORIZATION, vec!["p"], vec![]));
    ack(&mut session, &back);
    ack(&mut session, &address);
    assert!(waits(&mut session, &tables));
}

#[test]
fn policies_gone_while_away_are_removed_after_the_addresses() {
    let mut tables = tables();
    put(&mut tables, ADDRESS, &[("w", "names nothing now")]);
    let mut session = session(PageSize::PAGED);
    let held = |name: &str| [(name.to_owned(), "old".to_owned())].into();
    session.receive(Request {
        initial_versions: held("w"),
        ..first(ADDRESS)
    });
    session.receive(Request {
        initial_versions: held("p"),
        ..first(AUTHORIZATION)
    });
    let order: Vec<_> = settle(&mut session, &tables);
    let order: Vec<_> = order.iter().map(told).collect();
    let expected = [
        (AUTHORIZATION, vec![], vec![]),
        (ADDRESS, vec!["w"], vec![]),
        (AUTHORIZATION, vec![], vec!["p"]),
    ];
    assert_eq!(order, expected);
}

#[test]
fn a_client_without_policies_is_served_after_a_moment() {
    let mut tables = tables();
    put(&mut tables, ADDRESS, &[("w", "1")]);
    let mut session = session(PageSize::PAGED);
    session.receive(first(ADDRESS));
    let Next::Push(push) = session.next(&tables, GRACE) else {
        panic!("still waiting")
    };
    assert_eq!(told(&push).1, ["w"]);
}

#[test]
fn hears_acks_refusals_and_stale_answers() {
    let mut tables = tables();
    put(&mut tables, AUTHORIZATION, &[("p", "1")]);
    let mut session = session(PageSize::PAGED);
    assert_eq!(session.receive(first(AUTHORIZATION)), Heard::Subscribed);
    let sent = push(&mut session, &tables);
    let stale = session.receive(Request {
        nonce: "other".into(),
        ..first(AUTHORIZATION)
    });
    assert_eq!(stale, Heard::Stale(AUTHORIZATION));
    let nack = Request {
        nonce: sent.nonce.clone(),
        refusal: Some("p: bad".into()),
        ..first(AUTHORIZATION)
    };
    let refused = Heard::Nacked(AUTHORIZATION, "p: bad".into());
    assert_eq!(session.receive(nack.clone()), refused);
    assert!(
        waits(&mut session, &tables),
        "the same bytes are not sent again"
    );
    assert_eq!(session.receive(nack), Heard::Stale(AUTHORIZATION));
    let else_where = first("t/Else");
    assert_eq!(
        session.receive(else_where),
        Heard::Unserved("t/Else".into())
    );
}

#[test]
fn a_client_that_sleeps_through_too_many_removals_must_come_back() {
    let mut tables = tables();
    let names: Vec<String> = (0..TOMBSTONES + 2).map(|n| format!("n{n}")).collect();
    let list: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "x")).collect();
    put(&mut tables, ADDRESS, &list);
    let mut session = settled(&tables);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    drop_names(&mut tables, ADDRESS, &names);
    assert_eq!(session.next(&tables, Duration::ZERO), Next::TooFarBehind);
}

/// A service `ns/s` with workloads `w1` on n1 and `w2` on n2, and `alone` on n3.
fn small_mesh() -> Published {
    let mut tables = tables();
    let upsert = |name: &str, alias: &str, service: Option<&str>, node: Option<&str>| Upsert {
        name: name.into(),
        bytes: Bytes::copy_from_slice(name.as_bytes()),
        links: Links {
            aliases: vec![alias.into()],
            services: service.into_iter().map(str::to_owned).collect(),
            node: node.map(str::to_owned),
            is_scoped: false,
        },
        audience: Audience::everyone(),
    };
    tables.commit(vec![Change {
        type_url: ADDRESS,
        upserts: vec![
            upsert("ns/s", "/10.96.0.1", None, None),
            upsert("w1", "/10.0.0.1", Some("ns/s"), Some("n1")),
            upsert("w2", "/10.0.0.2", Some("ns/s"), Some("n2")),
            upsert("alone", "/10.0.0.3", None, Some("n3")),
        ],
        removed: vec![],
    }]);
    tables
}

/// An on-demand client that has its first answers.
fn demanding(tables: &Published) -> Session {
    let mut session = session(PageSize::PAGED);
    session.receive(first(AUTHORIZATION));
    session.receive(on_demand(&[]));
    let pushes = settle(&mut session, tables);
    assert_eq!(
        told(&pushes[1]),
        (ADDRESS, vec!["w1"], vec![]),
        "workloads of its node"
    );
    session
}

#[test]
fn answers_names_aliases_and_unknown_names() {
    let tables = small_mesh();
    let mut session = demanding(&tables);
    session.receive(subscribe(&["/10.0.0.3", "w2", "/9.9.9.9", "ns/none"]));
    let answer = push(&mut session, &tables);
    let expected = (ADDRESS, vec!["alone", "w2"], vec!["/9.9.9.9", "ns/none"]);
    assert_eq!(told(&answer), expected);
    assert!(answer.with_aliases);
}

#[test]
fn answers_every_request_even_with_nothing() {
    let tables = tables();
    let mut session = session(PageSize::PAGED);
    session.receive(first(AUTHORIZATION));
    session.receive(on_demand(&[]));
    let pushes = settle(&mut session, &tables);
    assert_eq!(told(&pushes[1]), (ADDRESS, vec![], vec![]));
}

#[test]
fn a_service_address_brings_the_service_and_its_workloads_and_their_changes() {
    let mut tables = small_mesh();
    let mut session = demanding(&tables);
    session.receive(subscribe(&["/10.96.0.1"]));
    let answer = settle(&mut session, &tables);
    assert_eq!(
        told(&answer[0]),
        (ADDRESS, vec!["ns/s", "w2"], vec![]),
        "w1 was sent"
    );
    let member = Upsert {
        name: "w3".into(),
        bytes: Bytes::from_static(b"w3"),
        links: Links {
            services: vec!["ns/s".into()],
            ..Links::default()
        },
        audience: Audience::everyone(),
    };
    tables.commit(vec![Change {
        type_url: ADDRESS,
        upserts: vec![member],
        removed: vec!["w2".into()],
    }]);
    put(
        &mut tables,
        ADDRESS,
        &[("alone", "changed, but nobody asked")],
    );
    let changes = settle(&mut session, &tables);
    assert_eq!(changes.len(), 1);
    assert_eq!(told(&changes[0]), (ADDRESS, vec!["w3"], vec!["w2"]));
}

#[test]
fn a_name_that_did_not_exist_is_sent_when_it_does() {
    let mut tables = small_mesh();
    let mut session = demanding(&tables);
    session.receive(subscribe(&["later"]));
    settle(&mut session, &tables);
    put(&mut tables, ADDRESS, &[("later", "1")]);
    assert_eq!(told(&settle(&mut session, &tables)[0]).1, ["later"]);
    session.receive(Request {
        unsubscribe: vec!["later".into()],
        ..first(ADDRESS)
    });
    put(&mut tables, ADDRESS, &[("later", "2")]);
    assert!(settle(&mut session, &tables).is_empty());
}

#[test]
fn on_demand_reconnect_skips_equal_and_says_what_is_gone() {
    let tables = small_mesh();
    let version = tables
        .table(ADDRESS)
        .unwrap()
        .find("alone")
        .unwrap()
        .version_text();
    let mut session = session(PageSize::PAGED);
    session.receive(first(AUTHORIZATION));
    let mut request = on_demand(&["/10.0.0.2", "gone"]);
    request.initial_versions.insert("alone".into(), version);
    session.receive(request);
    let pushes = settle(&mut session, &tables);
    assert_eq!(told(&pushes[1]), (ADDRESS, vec!["w2", "w1"], vec!["gone"]));
}

#[test]
fn refuses_more_names_than_the_bound() {
    let mut session = session(PageSize::PAGED);
    let names: Vec<String> = (0..=NAMES).map(|n| format!("n{n}")).collect();
    session.receive(on_demand(&[]));
    let request = Request {
        subscribe: names,
        ..first(ADDRESS)
    };
    assert_eq!(session.receive(request), Heard::TooManyNames);
}
