//! The agent as a whole: how pods come and go.

use std::os::fd::AsFd;

use libtest_mimic::Trial;
use mesh::zds::Order;

use crate::node::{acknowledged, enrolled, eventually, next, on_a_node, probed};
use crate::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("agent::a_new_pod_is_enrolled_before_it_starts", new_pod),
        trial("agent::labels_take_a_running_pod_in_and_out", labels),
        trial("agent::a_pod_outside_the_mesh_starts_untouched", outsider),
        trial(
            "agent::a_pod_without_ztunnel_does_not_start_but_is_served_later",
            no_ztunnel,
        ),
        trial(
            "agent::the_next_agent_hands_over_what_the_last_one_enrolled",
            restart,
        ),
        trial("agent::an_unknown_pod_does_not_start", unknown),
    ]
}

fn new_pod() {
    on_a_node(async |node| {
        node.pod("ambient");
        let ztunnel = node.ztunnel().await;
        assert!(matches!(acknowledged(&ztunnel).await, Order::SnapshotSent));
        let (reply, ()) = tokio::join!(node.plugin(), async {
            let Order::Add { uid, info, netns } = next(&ztunnel).await else {
                panic!("an add")
            };
            assert_eq!(uid, "uid-web");
            let info = info.unwrap();
            assert_eq!(
                (info.name, info.namespace, info.service_account),
                ("web".into(), "shop".into(), "seller".into())
            );
            assert!(node.is_pods_netns(netns.as_fd()));
            assert!(node.is_redirected(), "rules come before the hand-over");
            assert_eq!(
                node.mark().await,
                None,
                "marked only when ztunnel has confirmed"
            );
            ztunnel.acknowledge(None).await.unwrap();
        });
        assert!(reply.is_success, "{}", reply.text);
        assert!(
            reply.text.contains("10.1.0.2/24"),
            "the result before is handed on"
        );
        assert_eq!(node.mark().await.as_deref(), Some("enabled"));
        assert_eq!(probed(), ["10.1.0.2 uid-web"]);

        std::fs::remove_file(node.objects().join("pod.yaml")).unwrap();
        let Order::Delete { uid } = acknowledged(&ztunnel).await else {
            panic!("a delete")
        };
        assert_eq!(uid, "uid-web");
        assert_eq!(probed(), Vec::<String>::new());
    });
}

fn labels() {
    on_a_node(async |node| {
        let ztunnel = enrolled(node).await;
        node.pod("none");
        assert!(matches!(acknowledged(&ztunnel).await, Order::Delete { .. }));
        eventually("unmarked", async || node.mark().await.is_none()).await;
        assert!(!node.is_redirected());
        assert_eq!(probed(), Vec::<String>::new());

        node.pod("");
        node.namespace("ambient");
        assert!(matches!(acknowledged(&ztunnel).await, Order::Add { .. }));
        eventually("marked", async || node.mark().await.is_some()).await;
        assert!(node.is_redirected());
        assert_eq!(probed(), ["10.1.0.2 uid-web"]);

        node.namespace("");
        assert!(matches!(acknowledged(&ztunnel).await, Order::Delete { .. }));
        eventually("unmarked", async || node.mark().await.is_none()).await;
    });
}

fn outsider() {
    on_a_node(async |node| {
        node.pod("");
        let reply = node.plugin().await;
        assert!(reply.is_success, "{}", reply.text);
        assert!(!node.is_redirected());
        assert_eq!(node.mark().await, None);
        // Its namespace is remembered all the same, so that it can be enrolled later.
        let ztunnel = node.ztunnel().await;
        assert!(matches!(acknowledged(&ztunnel).await, Order::SnapshotSent));
        node.pod("ambient");
        assert!(matches!(acknowledged(&ztunnel).await, Order::Add { .. }));
    });
}

fn no_ztunnel() {
    on_a_node(async |node| {
        node.pod("ambient");
        let reply = node.plugin().await;
        assert!(!reply.is_success);
        assert!(
            reply.text.contains("no ztunnel is connected"),
            "{}",
            reply.text
        );
        assert!(node.is_redirected(), "its traffic is held all the same");
        assert_eq!(node.mark().await.as_deref(), Some("pending"));

        let ztunnel = node.ztunnel().await;
        let Order::Add { .. } = next(&ztunnel).await else {
            panic!("it is in the snapshot")
        };
        ztunnel.acknowledge(Some("not yet".into())).await.unwrap();
        assert!(matches!(acknowledged(&ztunnel).await, Order::SnapshotSent));
        let Order::Add { .. } = acknowledged(&ztunnel).await else {
            panic!("tried again")
        };
        eventually("marked", async || {
            node.mark().await.as_deref() == Some("enabled")
        })
        .await;
        assert!(node.plugin().await.is_success, "the runtime calls again");
    });
}

fn restart() {
    on_a_node(async |node| {
        let ztunnel = enrolled(node).await;
        node.stop().await;
        assert!(ztunnel.next().await.unwrap().is_none());
        assert!(node.is_redirected(), "what is in place stays");
        assert_eq!(node.mark().await.as_deref(), Some("enabled"));
        assert_eq!(probed(), ["10.1.0.2 uid-web"]);

        node.start().await;
        assert_eq!(probed(), ["10.1.0.2 uid-web"]);
        let ztunnel = node.ztunnel().await;
        let Order::Add { netns, .. } = acknowledged(&ztunnel).await else {
            panic!("an add")
        };
        assert!(node.is_pods_netns(netns.as_fd()));
        assert!(matches!(acknowledged(&ztunnel).await, Order::SnapshotSent));
        assert_eq!(
            node.mark().await.as_deref(),
            Some("enabled"),
            "it never was pending"
        );
    });
}

fn unknown() {
    on_a_node(async |node| {
        let reply = node.plugin().await;
        assert!(!reply.is_success);
        assert!(
            reply
                .text
                .contains("shop/web is not among the pods of node n1"),
            "{}",
            reply.text
        );
        // Its object may also come a little late.
        let (reply, ()) = tokio::join!(node.plugin(), async { node.pod("") });
        assert!(reply.is_success, "{}", reply.text);
    });
}
