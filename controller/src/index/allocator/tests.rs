//! Which address goes to which host, among few and among many.

use std::net::IpAddr;

use mesh::names::NamespacedName;
use objects::istio::{ServiceEntry, Subnet};

use super::{Allocator, Prefixes};

const PLAIN: &str = "{}";

/// An entry in YAML: name, second of its creation, further spec, status.
fn entry(name: &str, second: u8, spec: &str, status: &str) -> ServiceEntry {
    let text = format!(
        "{{metadata: {{name: {name}, namespace: n, creationTimestamp: '2026-01-01T00:00:{second:02}Z'}}, \
         spec: {{hosts: [{name}.x], resolution: STATIC{spec}}}, status: {status}}}"
    );
    let documents = objects::raw::parse(text.as_bytes()).unwrap();
    serde_json::from_value(documents[0].value().clone()).unwrap()
}

fn allocator(v4: &str) -> Allocator {
    Allocator::new(Prefixes {
        v4: Subnet::parse(v4).unwrap(),
        ..Prefixes::default()
    })
}

fn name(entry: &ServiceEntry) -> NamespacedName {
    NamespacedName::new("n", &*entry.metadata.name)
}

fn follow(allocator: &mut Allocator, entry: &ServiceEntry) -> Vec<String> {
    allocator.follow(&name(entry), Some(entry));
    let changed = allocator.settle();
    changed.iter().map(|it| it.name.to_string()).collect()
}

fn v4(allocator: &Allocator, entry: &str) -> Option<String> {
    let given = allocator.given(&NamespacedName::new("n", entry)).first()?;
    let v4 = given.addresses.iter().find(|it| it.is_ipv4())?;
    Some(v4.to_string())
}

#[test]
fn every_host_gets_one_address_of_each_family_that_follows_from_its_name() {
    let one = entry("a", 0, ", ports: []", PLAIN);
    let (mut first, mut second) = (allocator("240.240.0.0/16"), allocator("240.240.0.0/16"));
    assert_eq!(follow(&mut first, &one), ["a"]);
    follow(&mut second, &entry("b", 0, "", PLAIN));
    follow(&mut second, &one);
    let given = first.given(&name(&one)).to_vec();
    assert_eq!(given, second.given(&name(&one)), "whoever else is there");
    let prefixes = Prefixes::default();
    assert_eq!(given[0].host, "a.x");
    assert!(
        prefixes.v4.contains(given[0].addresses[0]) && prefixes.v6.contains(given[0].addresses[1])
    );
    assert_eq!(follow(&mut first, &one), [""; 0], "once");
}

#[test]
fn who_has_or_wants_no_address_gets_none() {
    for spec in [
        ", addresses: [192.0.2.1]",
        ", resolution: NONE",
        ", hosts: ['*.x']",
    ] {
        let text = entry("a", 0, "", PLAIN);
        let mut plain = text.clone();
        match spec {
            ", resolution: NONE" => plain.spec.resolution = objects::istio::Resolution::None,
            ", hosts: ['*.x']" => plain.spec.hosts = vec!["*.x".to_owned()],
            _ => plain = entry("a", 0, spec, PLAIN),
        }
        let mut allocator = allocator("240.240.0.0/16");
        follow(&mut allocator, &plain);
        assert_eq!(v4(&allocator, "a"), None, "{spec}");
    }
}

#[test]
fn a_small_range_is_used_to_its_last_address_and_then_the_youngest_go_without() {
    let mut allocator = allocator("240.240.0.0/30");
    for (name, second) in [("c", 3), ("b", 2), ("a", 1)] {
        follow(&mut allocator, &entry(name, second, "", PLAIN));
    }
    let mut found = ["a", "b"].map(|name| v4(&allocator, name).unwrap());
    found.sort();
    assert_eq!(found, ["240.240.0.1", "240.240.0.2"]);
    assert_eq!(v4(&allocator, "c"), None);
    allocator.follow(&NamespacedName::new("n", "a"), None);
    allocator.settle();
    assert!(v4(&allocator, "c").is_some());
}

#[test]
fn status_is_the_memory_and_of_two_with_one_address_the_older_keeps_it() {
    let status = |name: &str| format!("{{addresses: [{{host: {name}.x, value: 240.240.0.9}}]}}");
    let mut allocator = allocator("240.240.0.0/16");
    follow(&mut allocator, &entry("young", 2, "", &status("young")));
    assert_eq!(v4(&allocator, "young").as_deref(), Some("240.240.0.9"));
    let changed = follow(&mut allocator, &entry("old", 1, "", &status("old")));
    assert_eq!(changed, ["old", "young"]);
    assert_eq!(v4(&allocator, "old").as_deref(), Some("240.240.0.9"));
    assert_ne!(v4(&allocator, "young").as_deref(), Some("240.240.0.9"));
    let theirs = entry("user", 3, ", addresses: [240.240.0.9]", PLAIN);
    follow(&mut allocator, &theirs);
    assert_ne!(v4(&allocator, "old").as_deref(), Some("240.240.0.9"));
    let range = entry("user", 3, ", addresses: [240.240.0.0/17]", PLAIN);
    follow(&mut allocator, &range);
    let high: IpAddr = v4(&allocator, "old").unwrap().parse().unwrap();
    assert!(!Subnet::parse("240.240.0.0/17").unwrap().contains(high));
}

#[test]
fn an_address_of_another_range_than_the_present_one_is_not_kept() {
    let mut allocator = allocator("10.9.0.0/16");
    let status = "{addresses: [{host: a.x, value: 240.240.0.9}]}";
    follow(&mut allocator, &entry("a", 0, "", status));
    assert!(v4(&allocator, "a").unwrap().starts_with("10.9."));
}

#[test]
fn writing_down_what_was_given_changes_nothing() {
    let mut allocator = allocator("240.240.0.0/16");
    follow(&mut allocator, &entry("a", 0, "", PLAIN));
    let given = allocator.given(&NamespacedName::new("n", "a"))[0]
        .addresses
        .clone();
    let listed: Vec<String> = given
        .iter()
        .map(|it| format!("{{host: a.x, value: '{it}'}}"))
        .collect();
    let status = format!("{{addresses: [{}]}}", listed.join(", "));
    assert_eq!(follow(&mut allocator, &entry("a", 0, "", &status)), [""; 0]);
    assert_eq!(
        allocator.given(&NamespacedName::new("n", "a"))[0].addresses,
        given
    );
}
