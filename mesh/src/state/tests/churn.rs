//! What comes and goes leaves nothing behind.

use super::{gone, pod, service, serving, store};

#[test]
fn what_is_shared_does_not_pile_up_under_churn() {
    let (mut store, reader) = store();
    let mut most = 0;
    for round in 0..20_000 {
        let mut workload = serving(pod(&format!("p{round}"), "10.0.0.1"), &["ns/s"]);
        workload.node = format!("node-{round}").into();
        workload.canonical_name = format!("app-{round}").into();
        let uid = workload.uid.to_string();
        store.apply(
            [workload.into(), service(&format!("ns/s{round}"), "").into()],
            [],
        );
        store.apply([], [gone(&uid), gone(&format!("ns/s{round}"))]);
        most = most.max(store.interned());
    }
    assert_eq!(reader.load().workload_count(), 0);
    assert_eq!(reader.load().staged_services().count(), 0);
    assert!(
        most < 10_000,
        "{most} shared values held for one workload at a time"
    );
}

#[test]
fn a_stale_id_finds_nothing_rather_than_something_else() {
    let (mut store, reader) = store();
    store.apply([pod("a", "10.0.0.1").into()], []);
    let id = reader
        .load()
        .workload_by_uid("Kubernetes//Pod/ns/a")
        .found()
        .unwrap()
        .id();
    store.apply([], [gone("Kubernetes//Pod/ns/a")]);
    store.apply([pod("b", "10.0.0.1").into()], []);
    assert!(reader.load().workload(id).is_none());
}

#[test]
fn an_update_keeps_the_id() {
    let (mut store, reader) = store();
    store.apply([pod("a", "10.0.0.1").into()], []);
    let id = reader
        .load()
        .workload_by_uid("Kubernetes//Pod/ns/a")
        .found()
        .unwrap()
        .id();
    store.apply([pod("a", "10.0.0.2").into()], []);
    let snapshot = reader.load();
    assert_eq!(
        snapshot.workload(id).unwrap().addresses().next(),
        Some(super::ip("10.0.0.2"))
    );
    assert!(
        snapshot
            .workload_by_address("", super::ip("10.0.0.1"))
            .is_none()
    );
}
