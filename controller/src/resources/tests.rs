//! What is logged, what is not, and how far the log reaches back.

use super::*;

const TYPE: &str = "t/A";

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn pair(name: &str, content: &str) -> (String, Bytes) {
    (name.to_owned(), bytes(content))
}

fn names(resources: &Resources, cursor: u64) -> Vec<(String, bool)> {
    let published = resources.read();
    let table = published.table(TYPE).unwrap();
    table
        .changes(cursor, published.head())
        .map(|(_, name, resource)| (name.to_string(), resource.is_some()))
        .collect()
}

#[test]
fn counts_what_was_offered_and_logs_what_is_new() {
    let resources = Resources::new([TYPE]);
    let first = resources.update(TYPE, vec![pair("a", "1"), pair("b", "1")], vec![]);
    let all = Counters {
        recomputed: 2,
        changed: 2,
        removed: 0,
    };
    assert_eq!(first, all);
    let head = resources.read().head();
    let again = resources.update(
        TYPE,
        vec![pair("a", "1"), pair("b", "2")],
        vec!["nobody".into()],
    );
    let one = Counters {
        recomputed: 2,
        changed: 1,
        removed: 0,
    };
    assert_eq!(again, one);
    assert_eq!(names(&resources, head), [("b".to_owned(), true)]);
    assert_eq!(resources.counters()[TYPE].recomputed, 4);
}

#[test]
fn wakes_readers_only_for_real_changes() {
    let resources = Resources::new([TYPE]);
    resources.update(TYPE, vec![pair("a", "1")], vec![]);
    let mut changes = resources.changes();
    changes.borrow_and_update();
    resources.update(TYPE, vec![pair("a", "1")], vec!["b".into()]);
    assert!(!changes.has_changed().unwrap());
    resources.update(TYPE, Vec::<Upsert>::new(), vec!["a".into()]);
    assert!(changes.has_changed().unwrap());
}

#[test]
fn the_log_holds_each_name_once_at_its_latest_change() {
    let resources = Resources::new([TYPE]);
    for n in 0..100 {
        resources.update(TYPE, vec![pair("a", &n.to_string())], vec![]);
    }
    resources.update(TYPE, vec![pair("b", "1")], vec!["a".into()]);
    let both = [("b".to_owned(), true), ("a".to_owned(), false)];
    assert_eq!(names(&resources, 0), both);
    resources.update(TYPE, vec![pair("a", "back")], vec![]);
    let both = [("b".to_owned(), true), ("a".to_owned(), true)];
    assert_eq!(names(&resources, 0), both);
}

#[test]
fn versions_are_the_hash_of_the_content() {
    let resources = Resources::new([TYPE]);
    resources.update(TYPE, vec![pair("a", ""), pair("b", "x")], vec![]);
    let published = resources.read();
    let table = published.table(TYPE).unwrap();
    // XXH64 of no bytes with seed 0, as its specification has it.
    assert_eq!(table.find("a").unwrap().version_text(), "ef46db3751d8e999");
    assert_ne!(
        table.find("b").unwrap().version,
        table.find("a").unwrap().version
    );
}

#[test]
fn finds_by_alias_service_and_node_until_they_change() {
    let resources = Resources::new([TYPE]);
    let upsert = |node: &str| Upsert {
        name: "w".into(),
        bytes: bytes(node),
        links: Links {
            aliases: vec!["/10.0.0.1".into()],
            services: vec!["ns/s".into()],
            node: Some(node.into()),
            is_scoped: false,
        },
        audience: Audience::everyone(),
    };
    resources.update(TYPE, vec![upsert("n1")], vec![]);
    resources.update(TYPE, vec![upsert("n2")], vec![]);
    {
        let published = resources.read();
        let table = published.table(TYPE).unwrap();
        assert_eq!(table.with_alias("/10.0.0.1").count(), 1);
        assert_eq!(table.of_service("ns/s").count(), 1);
        assert_eq!(table.on_node("n1").count(), 0);
        assert_eq!(table.on_node("n2").count(), 1);
    }
    resources.update(TYPE, Vec::<Upsert>::new(), vec!["w".into()]);
    let published = resources.read();
    let table = published.table(TYPE).unwrap();
    assert_eq!(table.with_alias("/10.0.0.1").count(), 0);
    assert!(table.is_empty());
}

#[test]
fn an_address_is_borne_by_its_alias_and_by_every_range_around_it() {
    let resources = Resources::new([TYPE]);
    let upsert = |name: &str, aliases: &[&str]| Upsert {
        name: name.into(),
        bytes: bytes(&aliases.join(" ")),
        links: Links {
            aliases: aliases.iter().map(|it| (*it).to_owned()).collect(),
            ..Links::default()
        },
        audience: Audience::everyone(),
    };
    let bearing = |address: &str| {
        let published = resources.read();
        let table = published.table(TYPE).unwrap();
        let names: Vec<String> = table.bearing(address).map(|r| r.name.to_string()).collect();
        names.join(" ")
    };
    let wide = upsert("wide", &["/10.0.0.0/8", "far/10.0.0.0/8"]);
    let narrow = upsert("narrow", &["/10.1.0.0/16", "/10.9.9.9"]);
    let pod = upsert("pod", &["/10.1.0.1"]);
    resources.update(TYPE, vec![wide, narrow, pod], vec![]);
    assert_eq!(bearing("/10.1.0.1"), "pod narrow wide");
    assert_eq!(bearing("/10.9.9.9"), "narrow wide");
    assert_eq!(bearing("far/10.1.0.1"), "wide");
    assert_eq!(bearing("/11.0.0.1"), "");
    assert_eq!(bearing("/10.1.0.0/16"), "narrow");
    resources.update(
        TYPE,
        vec![upsert("narrow", &["/10.2.0.0/16"])],
        vec!["pod".into()],
    );
    assert_eq!(bearing("/10.1.0.1"), "wide");
    assert_eq!(bearing("/10.2.0.1"), "narrow wide");
    resources.update(TYPE, Vec::<Upsert>::new(), vec!["wide".into()]);
    assert_eq!(bearing("far/10.1.0.1"), "");
}

#[test]
fn forgets_the_oldest_removals_beyond_the_bound_and_says_so() {
    let resources = Resources::new([TYPE]);
    let all: Vec<String> = (0..TOMBSTONES + 10).map(|n| format!("n{n}")).collect();
    let upserts: Vec<(String, Bytes)> = all.iter().map(|n| pair(n, "x")).collect();
    resources.update(TYPE, upserts, vec![]);
    let head = resources.read().head();
    resources.update(TYPE, Vec::<Upsert>::new(), all);
    let published = resources.read();
    let table = published.table(TYPE).unwrap();
    assert_eq!(table.forgotten(), head + 10);
    assert_eq!(table.changes(0, published.head()).count(), TOMBSTONES);
}

#[test]
fn types_that_are_not_served_are_dropped() {
    let resources = Resources::new([TYPE]);
    let counters = resources.update("t/Other", vec![pair("a", "1")], vec![]);
    assert_eq!(counters, Counters::default());
}
