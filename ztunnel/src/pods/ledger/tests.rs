//! The ledger's rules as tables of messages and orders.

use super::*;

fn info() -> PodInfo {
    PodInfo {
        name: "web".into(),
        namespace: "shop".into(),
        service_account: "web".into(),
    }
}

fn add(uid: &str, netns: u32) -> Message<u32> {
    Message::Add {
        uid: uid.into(),
        info: Some(info()),
        netns,
    }
}

fn start(uid: &str, netns: u32) -> Order<u32> {
    Order::Start {
        uid: uid.into(),
        info: info(),
        netns,
    }
}

fn stop(uid: &str) -> Order<u32> {
    Order::Stop { uid: uid.into() }
}

/// A ledger in which the named pods run and the first snapshot is complete.
fn running(pods: &[(&str, u32)]) -> Ledger<u32> {
    let mut ledger = Ledger::new();
    for (uid, netns) in pods {
        ledger.receive(add(uid, *netns)).unwrap();
        assert!(ledger.started(uid, netns));
    }
    ledger.receive(Message::SnapshotSent).unwrap();
    ledger
}

#[test]
fn starts_a_new_pod_and_is_ready_after_snapshot_and_start() {
    let mut ledger = Ledger::new();
    assert_eq!(ledger.receive(add("a", 1)).unwrap(), [start("a", 1)]);
    assert!(!ledger.is_ready());
    assert_eq!(ledger.receive(Message::SnapshotSent).unwrap(), []);
    assert!(!ledger.is_ready(), "a wanted pod does not run yet");
    assert!(ledger.started("a", &1));
    assert!(ledger.is_ready());
    assert_eq!(ledger.counts(), (1, 0));
}

#[test]
fn an_empty_node_is_ready_after_its_snapshot() {
    let mut ledger = Ledger::<u32>::new();
    assert!(!ledger.is_ready());
    ledger.receive(Message::SnapshotSent).unwrap();
    assert!(ledger.is_ready());
}

#[test]
fn the_same_pod_in_the_same_namespace_is_left_alone() {
    let mut ledger = running(&[("a", 1)]);
    assert_eq!(ledger.receive(add("a", 1)).unwrap(), []);
}

#[test]
fn the_same_pod_in_another_namespace_is_restarted() {
    let mut ledger = running(&[("a", 1)]);
    assert_eq!(
        ledger.receive(add("a", 2)).unwrap(),
        [stop("a"), start("a", 2)]
    );
}

#[test]
fn a_pod_whose_start_failed_is_started_again_without_a_stop() {
    let mut ledger = Ledger::new();
    ledger.receive(add("a", 1)).unwrap();
    assert_eq!(ledger.retries(), [start("a", 1)]);
    assert_eq!(ledger.receive(add("a", 2)).unwrap(), [start("a", 2)]);
    assert!(
        !ledger.started("a", &1),
        "a late success in the old namespace does not count"
    );
    assert_eq!(ledger.retries(), [start("a", 2)]);
}

#[test]
fn a_snapshot_stops_what_it_does_not_mention_and_keeps_the_rest() {
    let mut ledger = running(&[("a", 1), ("b", 2), ("c", 3)]);
    ledger.begin_session();
    assert_eq!(ledger.receive(add("a", 1)).unwrap(), []);
    assert_eq!(
        ledger.receive(Message::Keep { uid: "b".into() }).unwrap(),
        []
    );
    assert_eq!(ledger.receive(Message::SnapshotSent).unwrap(), [stop("c")]);
    assert!(ledger.is_ready());
}

#[test]
fn a_lost_session_stops_nothing_and_stays_ready() {
    let mut ledger = running(&[("a", 1)]);
    assert!(ledger.has_snapshot());
    ledger.begin_session();
    assert!(!ledger.has_snapshot());
    assert_eq!(ledger.counts(), (1, 0));
    assert!(ledger.is_ready());
}

#[test]
fn a_pod_deleted_inside_a_snapshot_is_stopped_once() {
    let mut ledger = running(&[("a", 1)]);
    ledger.begin_session();
    ledger.receive(add("a", 1)).unwrap();
    let gone = Message::Del { uid: "a".into() };
    assert_eq!(ledger.receive(gone.clone()).unwrap(), [stop("a")]);
    assert_eq!(ledger.receive(gone).unwrap(), []);
    assert_eq!(ledger.receive(Message::SnapshotSent).unwrap(), []);
}

#[test]
fn keep_of_an_unknown_pod_starts_nothing() {
    let mut ledger = Ledger::<u32>::new();
    assert_eq!(
        ledger.receive(Message::Keep { uid: "a".into() }).unwrap(),
        []
    );
    ledger.receive(Message::SnapshotSent).unwrap();
    assert!(ledger.is_ready());
    assert!(!ledger.is_wanted("a"));
}

#[test]
fn names_each_violation() {
    let mut ledger = running(&[]);
    assert_eq!(
        ledger.receive(Message::SnapshotSent),
        Err(Violation::SecondSnapshot)
    );
    let keep = Message::Keep { uid: "a".into() };
    assert_eq!(ledger.receive(keep), Err(Violation::KeepAfterSnapshot));
    assert_eq!(ledger.receive(add("", 1)), Err(Violation::NoUid));
    let nobody = Message::Add {
        uid: "a".into(),
        info: None,
        netns: 1,
    };
    assert_eq!(ledger.receive(nobody), Err(Violation::NoInfo));
    assert_eq!(ledger.counts(), (0, 0));
    assert!(Violation::SecondSnapshot.ends_session());
    assert!(
        !Violation::NoInfo.ends_session(),
        "one bad pod must not end the session for all"
    );
}

#[test]
fn a_pod_mentioned_with_an_unusable_namespace_stays() {
    let mut ledger = running(&[("a", 1)]);
    ledger.begin_session();
    ledger.mention("a");
    assert_eq!(ledger.receive(Message::SnapshotSent).unwrap(), []);
}
