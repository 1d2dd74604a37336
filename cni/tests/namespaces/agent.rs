//! The agent as a whole: objects in a directory, the plugin's call, a scripted ztunnel, real namespaces.

use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cni::agent;
use cni::config::{Call, Config, env};
use cni::rules::{PodSettings, Settings, apply, redirection};
use cni::{host, netns, plugin};
use libtest_mimic::Trial;
use mesh::settings::Reader;
use mesh::zds::{Client, Order};
use objects::sink::directory::DirectorySink;
use objects::watch::Source;
use objects::watch::directory::DirectorySource;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::trial;
use crate::world::Pod;

const PATIENCE: Duration = Duration::from_secs(10);

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

type Running = JoinHandle<Option<Result<(), agent::Error>>>;

/// A node with one pod: directories, the agent, and what is around it.
struct Node {
    world: Pod,
    files: TempDir,
    agent: Option<(oneshot::Sender<()>, Running)>,
}

fn on_a_node(test: impl AsyncFnOnce(&mut Node) + Send) {
    let world = Pod::new();
    let outside = world.outside.0.try_clone().unwrap();
    netns::inside(outside.as_fd(), || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut node = Node {
                world,
                files: tempfile::tempdir().unwrap(),
                agent: None,
            };
            std::fs::create_dir(node.objects()).unwrap();
            node.namespace("");
            node.start().await;
            test(&mut node).await;
            node.stop().await;
        });
    })
    .unwrap();
}

impl Node {
    fn objects(&self) -> PathBuf {
        self.files.path().join("objects")
    }

    fn run(&self) -> PathBuf {
        self.files.path().join("run")
    }

    fn config(&self) -> Config {
        let socket = self.run().join("ztunnel.sock");
        let values = [
            ("NODE_NAME", "n1"),
            ("WEFT_OBJECTS_DIR", self.objects().to_str().unwrap()),
            ("WEFT_CNI_RUN_DIR", self.run().to_str().unwrap()),
            ("INPOD_UDS", socket.to_str().unwrap()),
            ("WEFT_CNI_CONFIRMATION_WAIT", "500ms"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        env::agent(Reader::from_values(values)).unwrap()
    }

    async fn start(&mut self) {
        let source = Box::new(DirectorySource::open(&self.objects()).unwrap());
        let sink = Arc::new(DirectorySink::new(&self.objects()));
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { stopped.await.unwrap_or_default() };
        let gate = mesh::lifecycle::ready::Gates::default().add("pods");
        let agent = agent::run(self.config(), source, sink, gate, stopped);
        let running = mesh::lifecycle::task::spawn("agent", agent);
        self.agent = Some((stop, running));
        let sockets = [
            self.run().join("ztunnel.sock"),
            self.run().join("pluginevent.sock"),
        ];
        eventually("the agent listens", async || {
            sockets.iter().all(|path| path.exists())
        })
        .await;
    }

    async fn stop(&mut self) {
        let (stop, running) = self.agent.take().unwrap();
        stop.send(()).unwrap();
        running.await.unwrap().unwrap().unwrap();
    }

    async fn ztunnel(&self) -> Client {
        Client::connect(&self.run().join("ztunnel.sock"))
            .await
            .unwrap()
    }

    fn namespace(&self, mode: &str) {
        let labels = format!("{{ istio.io/dataplane-mode: \"{mode}\" }}");
        self.write(
            "shop.yaml",
            &format!(
                "apiVersion: v1\nkind: Namespace\nmetadata: {{ name: shop, labels: {labels} }}\n"
            ),
        );
    }

    fn pod(&self, mode: &str) {
        self.write("pod.yaml", &format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  namespace: shop\n  uid: uid-web\n  \
             labels: {{ istio.io/dataplane-mode: \"{mode}\" }}\nspec:\n  nodeName: n1\n  \
             serviceAccountName: seller\nstatus: {{ podIP: 10.1.0.2 }}\n"
        ));
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.objects().join(name), text).unwrap();
    }

    /// The container runtime's call for the pod.
    async fn plugin(&self) -> plugin::Reply {
        let fd = self.world.inside.0.as_raw_fd();
        let call = Call {
            command: "ADD".into(),
            netns: format!("/proc/{}/fd/{fd}", std::process::id()),
            arguments:
                "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_UID=uid-web".into(),
        };
        let input = format!(
            r#"{{"cniVersion":"1.0.0","name":"n","type":"weft-cni","cni_agent_run_dir":"{}",
                "prevResult":{{"cniVersion":"1.0.0","ips":[{{"address":"10.1.0.2/24"}}]}}}}"#,
            self.run().display()
        );
        spawn_blocking(move || plugin::answer(&call, input.as_bytes()))
            .await
            .unwrap()
    }

    fn is_redirected(&self) -> bool {
        let rules = redirection(&Settings::default(), &PodSettings::default());
        apply::verify(self.world.inside.0.as_fd(), &rules).unwrap()
    }

    /// What the agent has written on the pod.
    async fn mark(&self) -> Option<String> {
        let mut source = DirectorySource::open(&self.objects()).unwrap();
        let batch = source.next().await.unwrap();
        let pod = batch
            .changes
            .iter()
            .find(|change| change.key.name == "web")?;
        let annotations = &pod.object.as_ref()?.metadata().annotations;
        annotations
            .get("ambient.istio.io/redirection")
            .map(str::to_owned)
    }

    fn is_pods_netns(&self, other: std::os::fd::BorrowedFd<'_>) -> bool {
        netns::inode(other).unwrap() == netns::inode(self.world.inside.0.as_fd()).unwrap()
    }
}

async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn next(ztunnel: &Client) -> Order {
    let next = tokio::time::timeout(PATIENCE, ztunnel.next()).await;
    next.expect("an order in time")
        .unwrap()
        .expect("the agent is there")
}

async fn acknowledged(ztunnel: &Client) -> Order {
    let order = next(ztunnel).await;
    ztunnel.acknowledge(None).await.unwrap();
    order
}

fn probed() -> Vec<String> {
    host::pods()
        .unwrap()
        .unwrap()
        .iter()
        .map(|e| format!("{} {}", e.address, e.comment))
        .collect()
}

/// A pod of the mesh, started while ztunnel is there.
async fn enrolled(node: &Node) -> Client {
    node.pod("ambient");
    let ztunnel = node.ztunnel().await;
    assert!(matches!(acknowledged(&ztunnel).await, Order::SnapshotSent));
    let (reply, order) = tokio::join!(node.plugin(), acknowledged(&ztunnel));
    assert!(reply.is_success, "{}", reply.text);
    assert!(matches!(order, Order::Add { .. }));
    eventually("marked", async || {
        node.mark().await.as_deref() == Some("enabled")
    })
    .await;
    ztunnel
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
