//! Tables of look-ups: who wins where several could answer.

use std::sync::Arc;

use super::super::{Hit, Lookup, Settings, Snapshot, Store};
use super::{gone, ip, key, picture, pod, service, serving, store};
use crate::model::{Health, HealthPolicy, NetworkMode, Service, TunnelKind, Visibility, Workload};
use crate::names::WorkloadUid;

/// Uid or key of what an address leads to.
fn at(snapshot: &Snapshot, address: &str, client_namespace: &str) -> String {
    match snapshot.find_address("", ip(address), client_namespace, &[]) {
        Lookup::Found(Hit::Workload(id)) => snapshot.workload(id).unwrap().uid().to_owned(),
        Lookup::Found(Hit::Service(id)) => snapshot.service(id).unwrap().key().to_string(),
        Lookup::Absent => "absent".to_owned(),
        Lookup::Ask(name) => format!("ask {name}"),
    }
}

fn canonical(service: Service) -> Service {
    Service {
        canonical: true,
        ..service
    }
}

fn private(service: Service) -> Service {
    Service {
        visibility: Visibility::Namespace,
        ..service
    }
}

#[test]
fn a_workload_s_own_address_comes_before_a_virtual_one() {
    let (_store, reader) = picture([
        service("ns/s", "10.0.0.1").into(),
        pod("a", "10.0.0.1").into(),
    ]);
    assert_eq!(at(&reader.load(), "10.0.0.1", "ns"), "Kubernetes//Pod/ns/a");
    assert_eq!(
        at(&reader.load(), "::ffff:10.0.0.1", "ns"),
        "Kubernetes//Pod/ns/a"
    );
}

#[test]
fn of_two_workloads_with_one_address_the_better_rank_wins_in_any_order() {
    let entry = |name: &str, tunnel| {
        let mut workload = pod(name, "10.0.0.1");
        workload.uid = WorkloadUid(format!("c/networking.istio.io/WorkloadEntry/ns/{name}").into());
        workload.tunnel = tunnel;
        workload
    };
    let mut plain_pod = pod("plain", "10.0.0.1");
    plain_pod.tunnel = TunnelKind::None;
    let worst_first = [
        entry("z", TunnelKind::None),
        entry("a", TunnelKind::None),
        entry("h", TunnelKind::Hbone),
        plain_pod,
        pod("best", "10.0.0.1"),
    ];
    for turn in 0..worst_first.len() {
        let mut order = worst_first.to_vec();
        order.rotate_left(turn);
        let (mut store, reader) = picture(order.into_iter().map(Into::into));
        for expected in worst_first.iter().rev() {
            assert_eq!(at(&reader.load(), "10.0.0.1", "ns"), *expected.uid.0);
            store.apply([], [gone(&expected.uid.0)]);
        }
        assert_eq!(at(&reader.load(), "10.0.0.1", "ns"), "absent");
    }
}

#[test]
fn host_network_workloads_are_not_found_by_address() {
    let mut workload = pod("a", "10.0.0.1");
    workload.network_mode = NetworkMode::HostNetwork;
    let (_store, reader) = picture([workload.into()]);
    assert_eq!(at(&reader.load(), "10.0.0.1", "ns"), "absent");
}

#[test]
fn an_address_belongs_to_its_network() {
    let mut far = pod("far", "10.0.0.1");
    far.network = "far".into();
    let (_store, reader) = picture([far.into()]);
    let snapshot = reader.load();
    assert_eq!(at(&snapshot, "10.0.0.1", "ns"), "absent");
    assert!(
        snapshot
            .find_address("far", ip("10.0.0.1"), "ns", &[])
            .found()
            .is_some()
    );
}

#[test]
fn of_services_with_one_address_own_namespace_then_canonical_then_name() {
    let (mut store, reader) = picture([
        service("a/s", "10.96.0.1").into(),
        canonical(service("b/s", "10.96.0.1")).into(),
        service("c/s", "10.96.0.1").into(),
    ]);
    assert_eq!(at(&reader.load(), "10.96.0.1", "c"), "c/s");
    assert_eq!(at(&reader.load(), "10.96.0.1", "other"), "b/s");
    store.apply([], [gone("b/s")]);
    assert_eq!(at(&reader.load(), "10.96.0.1", "other"), "a/s");
}

#[test]
fn a_private_service_is_seen_from_its_namespace_only() {
    let (_store, reader) = picture([
        private(canonical(service("a/s", "10.96.0.1"))).into(),
        service("b/s", "10.96.0.1").into(),
        private(service("a/range", "10.97.0.0/16")).into(),
    ]);
    let snapshot = reader.load();
    assert_eq!(at(&snapshot, "10.96.0.1", "a"), "a/s");
    assert_eq!(at(&snapshot, "10.96.0.1", "other"), "b/s");
    assert_eq!(at(&snapshot, "10.97.1.1", "a"), "a/range");
    assert_eq!(at(&snapshot, "10.97.1.1", "other"), "absent");
    assert_eq!(
        snapshot.service_by_hostname("s", "a").unwrap().key(),
        &key("a/s")
    );
    assert_eq!(
        snapshot.service_by_hostname("s", "other").unwrap().key(),
        &key("b/s")
    );
    assert!(snapshot.service_by_hostname("range", "other").is_none());
}

#[test]
fn of_services_with_one_host_name_own_namespace_then_canonical_then_preferred_then_name() {
    let settings = Settings {
        preferred_namespace: "c".into(),
        ..Settings::default()
    };
    let (mut store, reader) = Store::new(settings);
    store.apply(
        [
            service("a/s", "10.96.0.1").into(),
            canonical(service("b/s", "10.96.0.2")).into(),
            service("c/s", "10.96.0.3").into(),
            service("d/s", "10.96.0.4").into(),
        ],
        [],
    );
    let namespace = |client: &str| {
        let snapshot = reader.load();
        let service = snapshot.service_by_hostname("s", client).unwrap();
        service.key().namespace.to_string()
    };
    assert_eq!(namespace("d"), "d");
    assert_eq!(namespace("other"), "b");
    store.apply([], [gone("b/s")]);
    assert_eq!(namespace("d"), "d");
    assert_eq!(namespace("other"), "c");
    store.apply([], [gone("c/s")]);
    assert_eq!(namespace("other"), "a");
}

#[test]
fn ranges_come_after_single_addresses_and_prefer_namespace_then_length_then_canonical() {
    let (mut store, reader) = picture([
        service("a/wide", "10.0.0.0/8").into(),
        service("b/narrow", "10.1.0.0/16").into(),
        canonical(service("c/canonical", "10.1.0.0/16")).into(),
        service("d/single", "10.1.2.3").into(),
    ]);
    assert_eq!(at(&reader.load(), "10.1.2.3", "a"), "d/single");
    assert_eq!(at(&reader.load(), "10.1.2.4", "a"), "a/wide");
    assert_eq!(at(&reader.load(), "10.1.2.4", "b"), "b/narrow");
    assert_eq!(at(&reader.load(), "10.1.2.4", "other"), "c/canonical");
    assert_eq!(at(&reader.load(), "10.2.0.0", "other"), "a/wide");
    store.apply([], [gone("b/narrow"), gone("c/canonical")]);
    assert_eq!(at(&reader.load(), "10.1.2.4", "other"), "a/wide");
    store.apply([], [gone("a/wide")]);
    assert_eq!(at(&reader.load(), "10.1.2.4", "other"), "absent");
}

#[test]
fn a_changed_service_leaves_nothing_behind() {
    let (mut store, reader) = picture([service("ns/s", "10.96.0.1").into()]);
    store.apply([service("ns/s", "10.96.0.2").into()], []);
    assert_eq!(at(&reader.load(), "10.96.0.1", "ns"), "absent");
    assert_eq!(at(&reader.load(), "10.96.0.2", "ns"), "ns/s");
}

#[test]
fn endpoints_may_come_before_their_service_and_outlive_it() {
    let (mut store, reader) = picture([serving(pod("a", "10.0.0.1"), &["ns/s"]).into()]);
    assert_eq!(
        reader
            .load()
            .service_by_name(&key("ns/s"))
            .found()
            .map(|it| it.id()),
        None
    );
    assert_eq!(
        reader.load().staged_services().collect::<Vec<_>>(),
        [&key("ns/s")]
    );
    let count = |reader: &super::super::Reader| {
        let snapshot = reader.snapshot();
        snapshot
            .service_by_name(&key("ns/s"))
            .found()
            .map(|it| it.endpoint_count())
    };
    store.apply([service("ns/s", "10.96.0.1").into()], []);
    assert_eq!(count(&reader), Some(1));
    store.apply([], [gone("ns/s")]);
    assert_eq!(count(&reader), None);
    store.apply([service("ns/s", "10.96.0.9").into()], []);
    assert_eq!(count(&reader), Some(1));
    store.apply([], [gone("Kubernetes//Pod/ns/a")]);
    assert_eq!(count(&reader), Some(0));
}

#[test]
fn unhealthy_endpoints_are_left_out_and_taken_in_when_the_service_says_so() {
    let mut sick = serving(pod("a", "10.0.0.1"), &["ns/s"]);
    sick.health = Health::Unhealthy;
    let mut all = service("ns/s", "10.96.0.1");
    all.load_balancing.health = HealthPolicy::AllowAll;
    let only_healthy = service("ns/s", "10.96.0.1");
    let (mut store, reader) = picture([sick.clone().into(), only_healthy.clone().into()]);
    let count = || {
        let snapshot = reader.snapshot();
        snapshot
            .service_by_name(&key("ns/s"))
            .found()
            .unwrap()
            .endpoint_count()
    };
    assert_eq!(count(), 0);
    store.apply([all.into()], []);
    assert_eq!(count(), 1);
    store.apply([only_healthy.into()], []);
    assert_eq!(count(), 0);
    sick.health = Health::Healthy;
    store.apply([sick.into()], []);
    assert_eq!(count(), 1);
}

#[test]
fn one_name_may_be_a_uid_and_a_service_and_removing_it_removes_both() {
    let mut odd = pod("a", "10.0.0.1");
    odd.uid = WorkloadUid("ns/s".into());
    let (mut store, reader) = picture([odd.into(), service("ns/s", "10.96.0.1").into()]);
    store.apply([], [gone("ns/s"), gone("ns/unknown"), gone("not a name")]);
    assert_eq!(at(&reader.load(), "10.0.0.1", "ns"), "absent");
    assert_eq!(at(&reader.load(), "10.96.0.1", "ns"), "absent");
}

#[test]
fn the_node_s_own_workloads_are_found_by_name_and_account() {
    let mut elsewhere = pod("b", "10.0.0.2");
    elsewhere.node = "other".into();
    let mut nowhere = pod("vm", "10.0.0.3");
    nowhere.node = "".into();
    let (_store, reader) = picture([
        pod("a", "10.0.0.1").into(),
        elsewhere.into(),
        nowhere.into(),
    ]);
    let snapshot = reader.load();
    let found = |name: &str, account: &str| snapshot.find_workload("ns", name, account).is_some();
    assert!(found("a", "default"));
    assert!(!found("a", "other"));
    assert!(!found("b", "default"));
    assert!(found("vm", "default"));
    assert_eq!(snapshot.local_workloads().count(), 2);
}

#[test]
fn on_demand_an_unknown_name_is_asked_for() {
    let settings = Settings {
        on_demand: true,
        network: "net".into(),
        ..Settings::default()
    };
    let (_store, reader) = Store::new(settings);
    let snapshot = reader.load();
    let ask = |name: &str| Lookup::Ask(name.into());
    assert_eq!(
        snapshot.find_address("net", ip("10.0.0.1"), "ns", &[]),
        ask("net/10.0.0.1")
    );
    assert_eq!(
        snapshot.find_address("", ip("fd00::1"), "ns", &[]),
        ask("/fd00::1")
    );
    let name_of = |answer: Lookup<_>| match answer {
        Lookup::Ask(name) => name,
        Lookup::Found(()) | Lookup::Absent => panic!("not asked"),
    };
    let by_name = match snapshot.service_by_name(&key("ns/s")) {
        Lookup::Ask(name) => Lookup::Ask(name),
        _ => Lookup::Absent,
    };
    assert_eq!(&*name_of(by_name), "ns/s");
}

#[test]
fn on_demand_a_range_counts_only_for_addresses_that_were_asked_for() {
    let settings = Settings {
        on_demand: true,
        ..Settings::default()
    };
    let (mut store, reader) = Store::new(settings);
    let range = || service("ns/range", "10.0.0.0/8").into();
    store.apply([range(), service("ns/exact", "10.96.0.1").into()], []);
    let at = |address: &str, answered: &[Box<str>]| {
        let snapshot = reader.load();
        match snapshot.find_address("", ip(address), "ns", answered) {
            Lookup::Found(Hit::Workload(id)) => snapshot.workload(id).unwrap().uid().to_owned(),
            Lookup::Found(Hit::Service(id)) => snapshot.service(id).unwrap().key().to_string(),
            Lookup::Absent => "absent".to_owned(),
            Lookup::Ask(name) => format!("ask {name}"),
        }
    };
    let answered: [Box<str>; 1] = ["/10.0.0.1".into()];
    assert_eq!(at("10.96.0.1", &[]), "ns/exact");
    assert_eq!(at("10.0.0.1", &[]), "ask /10.0.0.1");
    assert_eq!(at("10.0.0.2", &answered), "ask /10.0.0.2");
    assert_eq!(at("10.0.0.1", &answered), "ns/range");
    // The answer may have brought what comes before the range.
    store.apply([pod("a", "10.0.0.1").into()], []);
    assert_eq!(at("10.0.0.1", &answered), "Kubernetes//Pod/ns/a");
}

#[test]
fn a_reader_keeps_what_it_loaded_and_is_told_of_the_next_once_per_batch() {
    let (mut store, reader) = store();
    let changed = reader.changed();
    let before = reader.snapshot();
    store.apply(
        [pod("a", "10.0.0.1").into(), pod("b", "10.0.0.2").into()],
        [],
    );
    assert!(changed.has_changed().unwrap());
    assert_eq!(*changed.borrow(), 1);
    assert_eq!(before.workload_count(), 0);
    assert_eq!(reader.load().workload_count(), 2);
    assert_eq!(reader.load().version(), 1);
}

#[test]
fn a_view_shows_the_whole_record() {
    let mut workload = serving(pod("a", "10.0.0.1"), &["ns/s", "ns/t"]);
    workload.addresses.push(ip("fd00::1"));
    workload.origin = Some(crate::model::Origin::object("Pod", "ns", "a"));
    let mut odd = pod("b", "");
    odd.uid = WorkloadUid("elsewhere".into());
    odd.hostname = "b.example".into();
    odd.origin = Some(crate::model::Origin::object("WorkloadEntry", "ns", "b"));
    odd.capacity = 7;
    let (_store, reader) = picture([workload.clone().into(), odd.clone().into()]);
    let snapshot = reader.load();
    for expected in [workload, odd] {
        let view = snapshot.workload_by_uid(&expected.uid.0).found().unwrap();
        assert_eq!(view.to_model(), expected);
    }
    assert_eq!(
        snapshot.workload_by_hostname("b.example").unwrap().name(),
        "b"
    );
}

#[test]
fn labels_are_kept_only_where_they_are_wanted() {
    let labels: Vec<(Arc<str>, Arc<str>)> = vec![("app".into(), "web".into())];
    let labelled = |labels: &[(Arc<str>, Arc<str>)]| Workload {
        labels: labels.to_vec(),
        ..pod("web", "10.0.0.1")
    };
    for keeps_labels in [false, true] {
        let (mut store, reader) = Store::new(Settings {
            keeps_labels,
            ..Settings::default()
        });
        let mut seen = |pod: Workload| {
            store.apply([pod.clone().into()], []);
            let snapshot = reader.load();
            let view = snapshot.workload_by_uid(&pod.uid.0).found().unwrap();
            assert_eq!(view.to_model().labels, view.labels());
            view.labels().to_vec()
        };
        let expected = if keeps_labels { &labels[..] } else { &[] };
        assert_eq!(seen(labelled(&labels)), expected);
        assert_eq!(seen(labelled(&[])), []);
    }
}
