//! The agent's end of the node socket against scripted ztunnels, over the real socket.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use mesh::lifecycle::task;
use mesh::zds::{Client, Listener, Order, PodInfo};
use tempfile::TempDir;

use super::{Error, Handover, Pod};
use crate::metrics::Metrics;
use crate::netns::inode;

struct Server {
    handover: Handover,
    socket: PathBuf,
    netns: Arc<OwnedFd>,
    _directory: TempDir,
}

fn server() -> Server {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("ztunnel.sock");
    let handover = Handover::new(Metrics::default());
    task::spawn(
        "serve",
        handover.clone().serve(Listener::bind(&socket).unwrap()),
    );
    let netns = std::fs::File::open("/proc/self/ns/net").unwrap();
    Server {
        handover,
        socket,
        netns: Arc::new(netns.into()),
        _directory: directory,
    }
}

impl Server {
    fn pod(&self) -> Pod {
        let info = PodInfo {
            name: "web".into(),
            namespace: "shop".into(),
            service_account: "seller".into(),
        };
        Pod {
            info: Some(info),
            netns: Some(Arc::clone(&self.netns)),
        }
    }

    async fn ztunnel(&self) -> Client {
        Client::connect(&self.socket).await.unwrap()
    }

    /// A ztunnel that has got the whole snapshot, and what was in it.
    async fn ready_ztunnel(&self) -> (Client, Vec<String>) {
        let mut connected = self.handover.connected();
        let ztunnel = self.ztunnel().await;
        let mut snapshot = Vec::new();
        loop {
            let order = acknowledged(&ztunnel).await;
            if matches!(order, Order::SnapshotSent) {
                connected.changed().await.unwrap();
                return (ztunnel, snapshot);
            }
            snapshot.push(name(&order));
        }
    }
}

async fn acknowledged(ztunnel: &Client) -> Order {
    let order = ztunnel.next().await.unwrap().unwrap();
    ztunnel.acknowledge(None).await.unwrap();
    order
}

fn name(order: &Order) -> String {
    match order {
        Order::Add { uid, .. } => format!("add {uid}"),
        Order::Keep { uid } => format!("keep {uid}"),
        Order::Delete { uid } => format!("delete {uid}"),
        Order::SnapshotSent => "snapshot sent".into(),
    }
}

#[tokio::test]
async fn a_ztunnel_gets_the_snapshot_first_then_what_changes() {
    let server = server();
    server.handover.register("u1", server.pod());
    server.handover.register(
        "u2",
        Pod {
            netns: None,
            ..server.pod()
        },
    );
    let (ztunnel, snapshot) = server.ready_ztunnel().await;
    assert_eq!(snapshot, ["add u1", "keep u2"]);

    let (added, order) = tokio::join!(
        server.handover.add("u3", server.pod()),
        acknowledged(&ztunnel)
    );
    added.unwrap();
    let Order::Add { uid, info, netns } = order else {
        panic!("an add")
    };
    assert_eq!((uid.as_str(), info), ("u3", server.pod().info));
    assert_eq!(
        inode(netns.as_fd()).unwrap(),
        inode(server.netns.as_fd()).unwrap()
    );

    let ((), order) = tokio::join!(server.handover.delete("u1"), acknowledged(&ztunnel));
    assert_eq!(name(&order), "delete u1");
    server.handover.delete("never there").await;
}

#[tokio::test]
async fn a_refusal_comes_back_in_ztunnels_words() {
    let server = server();
    let (ztunnel, _) = server.ready_ztunnel().await;
    let (added, ()) = tokio::join!(server.handover.add("u1", server.pod()), async {
        ztunnel.next().await.unwrap().unwrap();
        ztunnel
            .acknowledge(Some("no listener".into()))
            .await
            .unwrap();
    });
    assert!(matches!(added, Err(Error::Refused { words }) if words == "no listener"));
}

#[tokio::test]
async fn without_ztunnel_a_pod_waits_for_the_next_snapshot() {
    let server = server();
    let added = server.handover.add("u1", server.pod()).await;
    assert!(matches!(added, Err(Error::NoProxy)));
    assert_eq!(server.ready_ztunnel().await.1, ["add u1"]);
}

#[tokio::test]
async fn a_ztunnel_that_goes_away_loses_its_orders_and_gets_all_pods_when_it_is_back() {
    let server = server();
    let (ztunnel, _) = server.ready_ztunnel().await;
    let (added, ()) = tokio::join!(server.handover.add("u1", server.pod()), async {
        ztunnel.next().await.unwrap().unwrap();
        drop(ztunnel);
    });
    assert!(matches!(added, Err(Error::Lost)));
    assert_eq!(server.ready_ztunnel().await.1, ["add u1"]);
}

#[tokio::test]
async fn pods_are_added_to_the_newest_ztunnel_and_deleted_from_all() {
    let server = server();
    let (old, _) = server.ready_ztunnel().await;
    let (new, _) = server.ready_ztunnel().await;
    let (added, order) = tokio::join!(server.handover.add("u1", server.pod()), acknowledged(&new));
    added.unwrap();
    assert_eq!(name(&order), "add u1");
    let deleted = server.handover.delete("u1");
    let ((), from_old, from_new) = tokio::join!(deleted, acknowledged(&old), acknowledged(&new));
    assert_eq!(
        (name(&from_old), name(&from_new)),
        ("delete u1".into(), "delete u1".into())
    );
}

#[tokio::test]
async fn a_peer_that_speaks_out_of_turn_is_disconnected() {
    let server = server();
    let (ztunnel, _) = server.ready_ztunnel().await;
    ztunnel.acknowledge(None).await.unwrap();
    assert!(ztunnel.next().await.unwrap().is_none());
}

#[tokio::test]
async fn pods_that_come_and_go_while_a_snapshot_is_sent_are_neither_lost_nor_left_behind() {
    let server = server();
    server.handover.register("u1", server.pod());
    server.handover.register("u2", server.pod());
    let ztunnel = server.ztunnel().await;
    let first = ztunnel.next().await.unwrap().unwrap();
    assert_eq!(name(&first), "add u1");
    let adding = server.handover.add("u3", server.pod());
    let deleting = server.handover.delete("u2");
    let following = async {
        ztunnel.acknowledge(None).await.unwrap();
        let mut names = Vec::new();
        for _ in 0..4 {
            names.push(name(&acknowledged(&ztunnel).await));
        }
        names
    };
    let (added, (), names) = tokio::join!(adding, deleting, following);
    added.unwrap();
    assert_eq!(names, ["add u2", "snapshot sent", "add u3", "delete u2"]);
}

#[tokio::test]
async fn a_pod_is_served_once_the_newest_ztunnel_has_confirmed_it() {
    let server = server();
    let serves = |expected: &str| {
        let said = server.handover.serves("u1");
        assert_eq!(
            said.map_or_else(|error| error.to_string(), |()| "yes".into()),
            expected
        );
    };
    serves("no ztunnel is connected");
    server.handover.register("u1", server.pod());
    let (_old, _) = server.ready_ztunnel().await;
    serves("yes");

    let mut connected = server.handover.connected();
    let new = server.ztunnel().await;
    assert_eq!(name(&new.next().await.unwrap().unwrap()), "add u1");
    serves("ztunnel has not confirmed the pod");
    new.acknowledge(Some("no door".into())).await.unwrap();
    assert_eq!(name(&acknowledged(&new).await), "snapshot sent");
    connected.changed().await.unwrap();
    serves("ztunnel has not confirmed the pod");

    let (added, _) = tokio::join!(server.handover.add("u1", server.pod()), acknowledged(&new));
    added.unwrap();
    serves("yes");
}

#[tokio::test]
async fn when_the_newest_ztunnel_goes_the_one_before_it_gets_what_it_has_missed() {
    let server = server();
    server.handover.register("u1", server.pod());
    let (old, _) = server.ready_ztunnel().await;
    let (new, _) = server.ready_ztunnel().await;
    let (added, _) = tokio::join!(server.handover.add("u2", server.pod()), acknowledged(&new));
    added.unwrap();
    drop(new);
    assert_eq!(name(&acknowledged(&old).await), "add u2");
    let deleted = server.handover.delete("u1");
    let ((), order) = tokio::join!(deleted, acknowledged(&old));
    assert_eq!(name(&order), "delete u1", "and nothing that it has");
}

/// A ztunnel that fails at once must not keep the agent busy: five connections a second at most.
#[tokio::test]
async fn ztunnels_are_accepted_one_after_the_other() {
    let server = server();
    let begun = std::time::Instant::now();
    for _ in 0..3 {
        server.ready_ztunnel().await;
    }
    assert!(
        begun.elapsed() >= 2 * super::ACCEPT_PAUSE,
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_ztunnel_that_does_not_answer_in_time_is_disconnected_and_its_pods_are_not_served() {
    let server = server();
    let (hangs, _) = server.ready_ztunnel().await;
    let (added, order) = tokio::join!(server.handover.add("u1", server.pod()), hangs.next());
    assert_eq!(name(&order.unwrap().unwrap()), "add u1");
    assert!(matches!(added, Err(Error::Lost)));
    assert!(hangs.next().await.unwrap().is_none(), "it may dial again");
    assert!(matches!(server.handover.serves("u1"), Err(Error::NoProxy)));
}
