//! What policies that only report would have done.

use mesh::model::{Clause, Match, Policy, PolicyScope, Rule};
use mesh::state::{Settings, Store};
use mesh::wire::Update;

use super::*;
use crate::drawn;

fn policy(name: &str, action: Action, dry_run: bool, ports: &[u16]) -> Policy {
    let rule = |port: &u16| Rule {
        clauses: vec![Clause {
            matches: vec![Match {
                destination_ports: vec![*port],
                ..Match::default()
            }],
        }],
    };
    Policy {
        key: NamespacedName::new("root", name),
        scope: PolicyScope::Global,
        action,
        rules: ports.iter().map(rule).collect(),
        dry_run,
        origin: Some(Origin::object("AuthorizationPolicy", "root", name)),
    }
}

#[test]
fn each_that_would_say_something_is_told_with_its_rule_and_decides_nothing() {
    let (mut store, reader) = Store::new(Settings::default());
    store.know_policies();
    let policies = [
        policy("admits", Action::Allow, true, &[81, 80]),
        policy("admits-not", Action::Allow, true, &[81]),
        policy("refuses", Action::Deny, true, &[80]),
        policy("refuses-not", Action::Deny, true, &[81]),
        policy("enforced", Action::Deny, false, &[81]),
    ];
    let pod = drawn::pod("web", &["10.0.0.1"]);
    let uid = pod.uid.to_string();
    let policies = policies.map(|it| Update::Policy(Box::new(it)));
    store.apply(
        policies
            .into_iter()
            .chain([Update::Workload(Box::new(pod))]),
        [],
    );
    let snapshot = reader.snapshot();
    let view = snapshot.workload_by_uid(&uid).found().unwrap();
    let caller = Caller {
        identity: None,
        address: drawn::ip("10.0.0.9"),
    };
    let application = SocketAddr::new(drawn::ip("10.0.0.1"), 80);
    let mut told: Vec<_> = rehearse(&snapshot, view, &caller, application)
        .into_iter()
        .map(|it| {
            (
                it.origin.unwrap().name.to_string(),
                it.effect.word(),
                it.rule,
            )
        })
        .collect();
    told.sort();
    let expected = [
        ("admits".to_owned(), "admits", Some(1)),
        ("admits-not".to_owned(), "does not admit", None),
        ("refuses".to_owned(), "refuses", Some(0)),
    ];
    assert_eq!(told, expected);
    let verdict = decide(&snapshot, view, &caller, application);
    assert!(matches!(verdict, Attempt::Answer(Ok(None))));
}
