//! The agent as a whole: what may happen to pods, rules, objects and programs in the course of time.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use cni::nft::{self, Command};
use cni::rules::{PodSettings, Settings, apply, redirection};
use cni::{host, rules};
use libtest_mimic::Trial;
use mesh::zds::{Client, Order};

use crate::node::{Node, acknowledged, enrolled, eventually, next, on_a_node, probed, try_probed};
use crate::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("agent::rules_that_somebody_flushes_are_put_back", flushed),
        trial("agent::check_says_what_is_wrong_with_a_pod", check),
        trial(
            "agent::annotations_of_a_running_pod_take_effect",
            annotations,
        ),
        trial("agent::a_pod_that_has_ended_is_let_go", ended),
        trial(
            "agent::a_successor_with_the_same_name_and_address_takes_all_over",
            successor,
        ),
        trial(
            "agent::what_changed_while_no_agent_ran_is_made_up_for",
            meanwhile,
        ),
        trial(
            "agent::a_pod_whose_namespace_was_forgotten_is_kept_and_let_go_all_the_same",
            forgotten,
        ),
        trial(
            "agent::objects_that_cannot_be_read_leave_pods_as_they_are",
            unreadable,
        ),
    ]
}

fn flushed() {
    on_a_node(async |node| {
        let ztunnel = enrolled(node).await;
        let restored =
            |of: &str, count| format!("weft_cni_rules_restored_total{{of=\"{of}\"}} {count}\n");
        for count in 1..=2 {
            let commands = rules::tables().map(Command::Remove);
            node.world.inside.run(|| nft::apply(&commands)).unwrap();
            assert!(!node.is_redirected());
            // Long before the interval is over: the kernel has told.
            eventually("the pod's rules are back", async || node.is_redirected()).await;
            // ztunnel is told again, and knows the pod already.
            assert!(matches!(acknowledged(&ztunnel).await, Order::Add { .. }));
            let page = restored("pod", count);
            eventually("it is counted", async || node.page().contains(&page)).await;

            host::remove().unwrap();
            let expected = Some(vec!["10.1.0.2 uid-web".to_owned()]);
            eventually("the node's rules are back", async || {
                try_probed() == expected
            })
            .await;
            let page = restored("node", count);
            eventually("it is counted", async || node.page().contains(&page)).await;
        }
        assert_eq!(node.mark().await.as_deref(), Some("enabled"));
    });
}

fn check() {
    on_a_node(async |node| {
        let (inside, outside) = (
            node.world.inside.0.as_raw_fd(),
            node.world.outside.0.as_raw_fd(),
        );
        let wrong = async |netns, words: &str| {
            let reply = node.call("CHECK", "uid-web", netns).await;
            assert!(
                !reply.is_success && reply.text.contains(words),
                "{words}: {}",
                reply.text
            );
            assert!(reply.text.contains("\"code\":100"), "{}", reply.text);
        };
        let unknown = node.call("CHECK", "uid-web", inside).await;
        assert!(
            unknown.text.contains("\"code\":11") && unknown.text.contains("not among the pods"),
            "{}",
            unknown.text
        );

        let ztunnel = enrolled(node).await;
        let well = node.call("CHECK", "uid-web", inside).await;
        assert!(well.is_success && well.text.is_empty(), "{}", well.text);
        wrong(outside, "network namespace is another").await;
        drop(ztunnel);
        eventually("the agent sees that ztunnel is gone", async || {
            !node.call("CHECK", "uid-web", inside).await.is_success
        })
        .await;
        wrong(inside, "no ztunnel is connected").await;

        // A ztunnel that cannot serve it, then one that can.
        let ztunnel = node.ztunnel().await;
        assert!(matches!(next(&ztunnel).await, Order::Add { .. }));
        ztunnel.acknowledge(Some("no door".into())).await.unwrap();
        assert!(matches!(acknowledged(&ztunnel).await, Order::SnapshotSent));
        wrong(inside, "ztunnel has not confirmed the pod").await;
        drop(ztunnel);
        let ztunnel = node.ztunnel().await;
        assert!(matches!(acknowledged(&ztunnel).await, Order::Add { .. }));
        assert!(matches!(acknowledged(&ztunnel).await, Order::SnapshotSent));
        eventually("it is well again", async || {
            node.call("CHECK", "uid-web", inside).await.is_success
        })
        .await;

        node.pod("none");
        assert!(matches!(acknowledged(&ztunnel).await, Order::Delete { .. }));
        eventually("unmarked", async || node.mark().await.is_none()).await;
        assert!(node.call("CHECK", "uid-web", inside).await.is_success);
        let plain = redirection(&Settings::default(), &PodSettings::default());
        apply::apply(node.world.inside.0.as_fd(), &plain).unwrap();
        wrong(
            inside,
            "outside the mesh, and yet its traffic is redirected",
        )
        .await;
    });
}

fn annotations() {
    on_a_node(async |node| {
        let ztunnel = enrolled(node).await;
        for (text, expected) in [
            (
                "ambient.istio.io/bypass-inbound-capture: \"true\"",
                PodSettings {
                    bypass_inbound_capture: true,
                    ..PodSettings::default()
                },
            ),
            (
                "istio.io/reroute-virtual-interfaces: \"vm0, vm1\"",
                PodSettings {
                    reroute_interfaces: vec!["vm0".into(), "vm1".into()],
                    ..PodSettings::default()
                },
            ),
            (
                "ambient.istio.io/dns-capture: \"no idea\"",
                PodSettings::default(),
            ),
        ] {
            node.pod_as("uid-web", "ambient", text, "Running");
            // The same pod in the same namespace: ztunnel has nothing to do.
            assert!(matches!(acknowledged(&ztunnel).await, Order::Add { .. }));
            assert!(node.is_redirected_as(&expected), "{text}");
        }
        node.pod_as(
            "uid-web",
            "ambient",
            "sidecar.istio.io/status: injected",
            "Running",
        );
        assert!(matches!(acknowledged(&ztunnel).await, Order::Delete { .. }));
        eventually("untouched", async || node.is_untouched()).await;
    });
}

fn ended() {
    on_a_node(async |node| {
        let ztunnel = enrolled(node).await;
        node.pod_as("uid-web", "ambient", "", "Succeeded");
        assert!(matches!(acknowledged(&ztunnel).await, Order::Delete { .. }));
        eventually("unmarked", async || node.mark().await.is_none()).await;
        assert!(node.is_untouched());
        assert_eq!(probed(), Vec::<String>::new());
        assert!(
            node.page().contains("weft_cni_pods_enrolled 0\n"),
            "{}",
            node.page()
        );
    });
}

fn successor() {
    on_a_node(async |node| {
        let ztunnel = enrolled(node).await;
        node.pod_as("uid-next", "ambient", "", "Running");
        let inside = node.world.inside.0.as_raw_fd();
        let (reply, ()) = tokio::join!(node.call("ADD", "uid-next", inside), async {
            // In which order is all the same: they are two pods.
            let mut said = Vec::new();
            for _ in 0..2 {
                said.push(match acknowledged(&ztunnel).await {
                    Order::Add { uid, .. } => format!("add {uid}"),
                    Order::Delete { uid } => format!("delete {uid}"),
                    other => panic!("{other:?}"),
                });
            }
            said.sort();
            assert_eq!(said, ["add uid-next", "delete uid-web"]);
        });
        assert!(reply.is_success, "{}", reply.text);
        eventually("the address is the new pod's", async || {
            probed() == ["10.1.0.2 uid-next"]
        })
        .await;
        eventually("marked", async || {
            node.mark().await.as_deref() == Some("enabled")
        })
        .await;
        assert!(node.is_redirected());
        assert_eq!(node.remembered(), ["uid-next.json"]);
        assert!(
            node.page().contains("weft_cni_pods_enrolled 1\n"),
            "{}",
            node.page()
        );
        assert!(
            !node.call("ADD", "uid-web", inside).await.is_success,
            "the old one cannot come back"
        );
    });
}

fn meanwhile() {
    on_a_node(async |node| {
        drop(enrolled(node).await);
        node.stop().await;
        node.pod("none");
        node.start().await;
        eventually("unmarked", async || node.mark().await.is_none()).await;
        assert!(node.is_untouched());
        assert_eq!(probed(), Vec::<String>::new());
        node.stop().await;

        node.pod("ambient");
        node.start().await;
        let ztunnel = node.ztunnel().await;
        assert!(matches!(acknowledged(&ztunnel).await, Order::Add { .. }));
        assert!(matches!(acknowledged(&ztunnel).await, Order::SnapshotSent));
        eventually(
            "ztunnel is told again when its rules are there",
            async || {
                let order = tokio::time::timeout(Duration::from_millis(20), ztunnel.next()).await;
                if let Ok(Ok(Some(_))) = order {
                    ztunnel.acknowledge(None).await.unwrap();
                }
                node.mark().await.as_deref() == Some("enabled")
            },
        )
        .await;
        assert!(node.is_redirected());
        drop(ztunnel);
        node.stop().await;

        // Rules without a mark, from an agent that ended in between.
        node.pod("none");
        node.start().await;
        eventually("unmarked", async || node.mark().await.is_none()).await;
        node.stop().await;
        let plain = redirection(&Settings::default(), &PodSettings::default());
        apply::apply(node.world.inside.0.as_fd(), &plain).unwrap();
        node.start().await;
        eventually("untouched", async || node.is_untouched()).await;
    });
}

fn forgotten() {
    on_a_node(async |node| {
        // Where the pod is was lost: ztunnel is asked to keep it, and it goes when its object goes.
        drop(enrolled(node).await);
        node.stop().await;
        let memory = node.run().join("netns");
        std::fs::remove_dir_all(&memory).unwrap();
        node.start().await;
        let ztunnel = node.ztunnel().await;
        assert!(matches!(acknowledged(&ztunnel).await, Order::Keep { uid } if uid == "uid-web"));
        assert!(matches!(acknowledged(&ztunnel).await, Order::SnapshotSent));
        assert_eq!(probed(), ["10.1.0.2 uid-web"]);
        std::fs::remove_file(node.objects().join("pod.yaml")).unwrap();
        assert!(matches!(acknowledged(&ztunnel).await, Order::Delete { uid } if uid == "uid-web"));
        assert_eq!(probed(), Vec::<String>::new());
        drop(ztunnel);
        apply::remove(node.world.inside.0.as_fd()).unwrap();

        drop(enrolled(node).await);
        node.stop().await;
        // Left while nobody looked, and nobody knows where it is: it must at least not be taken for enrolled.
        node.pod("none");
        std::fs::remove_dir_all(&memory).unwrap();
        node.start().await;
        eventually("unmarked", async || node.mark().await.is_none()).await;
        node.stop().await;

        std::fs::create_dir_all(&memory).unwrap();
        std::fs::write(memory.join("uid-gone.json"), "{}").unwrap();
        node.start().await;
        assert_eq!(
            node.remembered(),
            Vec::<String>::new(),
            "nothing is remembered of pods that are gone"
        );
    });
}

/// What the next ztunnel is told of the pod, which is enrolled as before.
async fn stays(node: &Node, expected: &str) -> Client {
    let ztunnel = node.ztunnel().await;
    let order = match acknowledged(&ztunnel).await {
        Order::Add { uid, .. } => format!("add {uid}"),
        Order::Keep { uid } => format!("keep {uid}"),
        other => panic!("{other:?}"),
    };
    assert_eq!(order, format!("{expected} uid-web"));
    assert!(matches!(acknowledged(&ztunnel).await, Order::SnapshotSent));
    assert!(node.is_redirected());
    assert_eq!(probed(), ["10.1.0.2 uid-web"]);
    ztunnel
}

fn unreadable() {
    on_a_node(async |node| {
        node.namespace("ambient");
        node.pod("");
        let ztunnel = node.ztunnel().await;
        assert!(matches!(acknowledged(&ztunnel).await, Order::SnapshotSent));
        let (reply, _) = tokio::join!(node.plugin(), acknowledged(&ztunnel));
        assert!(reply.is_success, "{}", reply.text);
        drop(ztunnel);
        // While the agent runs, and in the next one, which has never seen them whole.
        node.write("shop.yaml", "kind: Namespace\nmetadata: [oh\n");
        node.write("pod.yaml", "kind: Pod\nmetadata: {name: web\n");
        node.settled().await;
        drop(stays(node, "add").await);
        node.stop().await;
        node.start().await;
        let ztunnel = stays(node, "keep").await;

        // The pod can be read again, its namespace not yet.
        node.pod("");
        assert!(matches!(acknowledged(&ztunnel).await, Order::Add { .. }));
        drop(ztunnel);
        node.stop().await;
        node.start().await;
        let ztunnel = stays(node, "add").await;
        assert_eq!(node.mark().await.as_deref(), Some("enabled"));
        // Then everything can, and says that the pod is not the mesh's.
        node.namespace("none");
        // Before it, the agent has told this ztunnel of the pod once more.
        while !matches!(acknowledged(&ztunnel).await, Order::Delete { .. }) {}
        eventually("unmarked", async || node.mark().await.is_none()).await;
    });
}
