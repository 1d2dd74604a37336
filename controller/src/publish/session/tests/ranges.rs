//! Tables of addresses inside ranges that were asked for, and what is sent.

use super::*;

/// Services with these addresses, ranges among them.
fn put_services(tables: &mut Published, list: &[(&str, &[&str])]) {
    let upserts = list.iter().map(|(name, aliases)| Upsert {
        name: (*name).into(),
        bytes: format!("{name} {aliases:?}").into(),
        links: Links {
            aliases: aliases.iter().map(|it| (*it).to_owned()).collect(),
            ..Links::default()
        },
        audience: Audience::everyone(),
    });
    tables.commit(vec![Change {
        type_url: ADDRESS,
        upserts: upserts.collect(),
        removed: vec![],
    }]);
}

/// Names and their aliases of the only push there is.
fn named(session: &mut Session, tables: &Published) -> Vec<String> {
    let pushes = settle(session, tables);
    let [push] = pushes.as_slice() else {
        panic!("not one push but {pushes:?}")
    };
    let sent = push.resources.iter();
    let sent = sent.map(|it| format!("{} {}", it.name, push.aliases(it).join(" ")));
    let removed = push.removed.iter().map(|it| format!("-{it}"));
    sent.chain(removed).collect()
}

#[test]
fn an_address_inside_ranges_brings_their_services_and_workloads_by_the_name_that_was_asked_for() {
    let mut tables = small_mesh();
    put_services(
        &mut tables,
        &[
            ("ns/all", &["/0.0.0.0/0"]),
            ("ns/far", &["far/20.0.0.0/8"]),
            ("ns/s", &["/10.96.0.1", "/20.1.0.0/16"]),
        ],
    );
    let mut session = demanding(&tables);
    session.receive(subscribe(&["/20.1.2.3", "/20.1.2.4", "/fd00::1"]));
    let expected = [
        "ns/s /10.96.0.1 /20.1.0.0/16 /20.1.2.3 /20.1.2.4",
        "w2 /10.0.0.2",
        "ns/all /0.0.0.0/0 /20.1.2.3 /20.1.2.4",
        "-/fd00::1",
    ];
    assert_eq!(named(&mut session, &tables), expected);
    // A pod's own address comes with the ranges around it.
    session.receive(subscribe(&["/10.0.0.3"]));
    let expected = ["alone /10.0.0.3", "ns/all /0.0.0.0/0 /10.0.0.3"];
    assert_eq!(named(&mut session, &tables), expected);
}

#[test]
fn a_range_that_comes_changes_and_goes_is_told_to_who_asked_for_an_address_inside() {
    let mut tables = small_mesh();
    let mut session = demanding(&tables);
    session.receive(subscribe(&["/20.1.2.3", "/30.0.0.1"]));
    let nobody = ["-/20.1.2.3", "-/30.0.0.1"];
    assert_eq!(named(&mut session, &tables), nobody);
    put_services(&mut tables, &[("ns/r", &["/20.0.0.0/8"])]);
    let comes = ["ns/r /20.0.0.0/8 /20.1.2.3"];
    assert_eq!(named(&mut session, &tables), comes);
    put_services(&mut tables, &[("ns/r", &["/20.0.0.0/8", "/30.0.0.0/31"])]);
    let grows = ["ns/r /20.0.0.0/8 /30.0.0.0/31 /20.1.2.3 /30.0.0.1"];
    assert_eq!(named(&mut session, &tables), grows);
    put_services(&mut tables, &[("ns/r", &["/40.0.0.0/8"])]);
    let leaves = ["ns/r /40.0.0.0/8"];
    assert_eq!(named(&mut session, &tables), leaves);
    put_services(&mut tables, &[("ns/other", &["/50.0.0.0/8"])]);
    assert!(settle(&mut session, &tables).is_empty(), "nobody asked");
    drop_names(&mut tables, ADDRESS, &["ns/r"]);
    assert_eq!(named(&mut session, &tables), ["-ns/r"]);
    session.receive(Request {
        unsubscribe: vec!["/30.0.0.1".into()],
        ..first(ADDRESS)
    });
    put_services(&mut tables, &[("ns/later", &["/30.0.0.0/8"])]);
    assert!(settle(&mut session, &tables).is_empty(), "left");
}

#[test]
fn after_a_reconnect_a_range_around_an_address_is_skipped_sent_or_gone() {
    let mut tables = small_mesh();
    put_services(&mut tables, &[("ns/r", &["/20.0.0.0/8"])]);
    let held = tables.table(ADDRESS).unwrap().find("ns/r").unwrap();
    let held = held.version_text();
    let back = |tables: &Published| {
        let mut session = session(PageSize::PAGED);
        session.receive(first(AUTHORIZATION));
        let mut request = on_demand(&[]);
        let names = [("/20.1.2.3", &held), ("ns/r", &held)];
        let names = names.map(|(name, version)| (name.to_owned(), version.clone()));
        request.initial_versions.extend(names);
        session.receive(request);
        let pushes = settle(&mut session, tables);
        let (_, sent, removed) = told(&pushes[1]);
        format!("{} -{}", sent.join(" "), removed.join(" "))
    };
    assert_eq!(back(&tables), "w1 -");
    put_services(&mut tables, &[("ns/narrow", &["/20.1.0.0/16"])]);
    assert_eq!(back(&tables), "ns/narrow w1 -");
    drop_names(&mut tables, ADDRESS, &["ns/r", "ns/narrow"]);
    assert_eq!(back(&tables), "w1 -/20.1.2.3 ns/r");
}
