//! Which policies apply, which are missing, and when live connections must be decided again.

use super::super::{Removal, Snapshot};
use super::{picture, pod};
use crate::model::{Action, Policy, PolicyScope};
use crate::names::NamespacedName;
use crate::wire::Update;

fn policy(name: &str, scope: PolicyScope) -> Policy {
    Policy {
        key: NamespacedName::parse(name).unwrap(),
        scope,
        action: Action::Allow,
        rules: vec![],
        dry_run: false,
        origin: None,
    }
}

impl From<Policy> for Update {
    fn from(policy: Policy) -> Self {
        Self::Policy(Box::new(policy))
    }
}

fn names(snapshot: &Snapshot) -> (Vec<String>, Vec<String>) {
    let id = snapshot
        .workload_by_uid("Kubernetes//Pod/ns/a")
        .found()
        .unwrap()
        .id();
    let set = snapshot.policies_for(id).unwrap();
    let found = set.found().map(|it| it.key.to_string()).collect();
    (found, set.missing().map(ToString::to_string).collect())
}

#[test]
fn the_mesh_s_the_namespace_s_and_the_named_ones_apply_each_once() {
    let mut workload = pod("a", "10.0.0.1");
    let named = [
        "ns/named",
        "root/named",
        "ns/space",
        "root/all",
        "other/space",
        "ns/late",
    ];
    workload.policies = named
        .iter()
        .map(|it| NamespacedName::parse(it).unwrap())
        .collect();
    let (mut store, reader) = picture([
        workload.into(),
        policy("root/all", PolicyScope::Global).into(),
        policy("ns/space", PolicyScope::Namespace).into(),
        policy("ns/another", PolicyScope::Namespace).into(),
        policy("other/space", PolicyScope::Namespace).into(),
        policy("ns/named", PolicyScope::WorkloadSelector).into(),
        policy("ns/unnamed", PolicyScope::WorkloadSelector).into(),
        policy("root/named", PolicyScope::WorkloadSelector).into(),
    ]);
    let (found, missing) = names(&reader.load());
    let expected = [
        "root/all",
        "ns/another",
        "ns/space",
        "ns/named",
        "root/named",
        "other/space",
    ];
    assert_eq!(found, expected);
    assert_eq!(missing, ["ns/late"]);

    store.apply(
        [policy("ns/late", PolicyScope::WorkloadSelector).into()],
        [
            Removal::Policy("root/all".into()),
            Removal::Policy("ns/named".into()),
        ],
    );
    let (found, missing) = names(&reader.load());
    assert_eq!(
        found,
        [
            "ns/another",
            "ns/space",
            "root/named",
            "other/space",
            "ns/late"
        ]
    );
    assert_eq!(missing, ["ns/named", "root/all"]);
}

#[test]
fn a_policy_that_changes_its_scope_leaves_the_old_one() {
    let (mut store, reader) = picture([
        pod("a", "10.0.0.1").into(),
        policy("ns/p", PolicyScope::Namespace).into(),
    ]);
    assert_eq!(names(&reader.load()).0, ["ns/p"]);
    store.apply([policy("ns/p", PolicyScope::WorkloadSelector).into()], []);
    assert_eq!(names(&reader.load()).0, [""; 0]);
    store.apply([policy("ns/p", PolicyScope::Global).into()], []);
    assert_eq!(names(&reader.load()).0, ["ns/p"]);
}

#[test]
fn the_policy_version_moves_when_live_connections_must_be_decided_again() {
    let (mut store, reader) = picture([pod("a", "10.0.0.1").into()]);
    assert_eq!(reader.load().policy_version(), 0);
    let p = policy("ns/p", PolicyScope::WorkloadSelector);
    store.apply([p.clone().into()], []);
    assert_eq!(reader.load().policy_version(), 2);
    store.apply([p.into(), pod("b", "10.0.0.2").into()], []);
    assert_eq!(reader.load().policy_version(), 2, "nothing new");
    let mut named = pod("a", "10.0.0.1");
    named.policies = vec![NamespacedName::new("ns", "p")];
    store.apply([named.into()], []);
    assert_eq!(
        reader.load().policy_version(),
        4,
        "the list of policies changed"
    );
    store.apply([], [Removal::Policy("ns/p".into())]);
    assert_eq!(reader.load().policy_version(), 5);
}
