//! A node with one pod for tests of the agent as a whole: objects in a directory, the plugin's calls, a scripted ztunnel, real
//! namespaces.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cni::agent;
use cni::config::{Call, Config, env};
use cni::metrics::Metrics;
use cni::rules::{PodSettings, Settings, apply, redirection};
use cni::{host, netns, plugin};
use mesh::settings::Reader;
use mesh::zds::{Client, Order};
use objects::sink::directory::DirectorySink;
use objects::watch::Source;
use objects::watch::directory::DirectorySource;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::world::Pod;

const PATIENCE: Duration = Duration::from_secs(10);

type Running = JoinHandle<Option<Result<(), agent::Error>>>;

/// A node with one pod: directories, the agent, and what is around it.
pub(crate) struct Node {
    pub(crate) world: Pod,
    files: TempDir,
    metrics: Metrics,
    agent: Option<(oneshot::Sender<()>, Running)>,
}

pub(crate) fn on_a_node(test: impl AsyncFnOnce(&mut Node) + Send) {
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
                metrics: Metrics::default(),
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
    pub(crate) fn objects(&self) -> PathBuf {
        self.files.path().join("objects")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.files.path().join("run")
    }

    pub(crate) fn config(&self) -> Config {
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

    pub(crate) async fn start(&mut self) {
        let source = Box::new(DirectorySource::open(&self.objects()).unwrap());
        let sink = Arc::new(DirectorySink::new(&self.objects()));
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { stopped.await.unwrap_or_default() };
        let gate = mesh::lifecycle::ready::Gates::default().add("pods");
        let objects = agent::Objects { source, sink };
        let agent = agent::run(self.config(), objects, self.metrics.clone(), gate, stopped);
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

    pub(crate) async fn stop(&mut self) {
        let (stop, running) = self.agent.take().unwrap();
        stop.send(()).unwrap();
        running.await.unwrap().unwrap().unwrap();
    }

    pub(crate) async fn ztunnel(&self) -> Client {
        Client::connect(&self.run().join("ztunnel.sock"))
            .await
            .unwrap()
    }

    pub(crate) fn namespace(&self, mode: &str) {
        let labels = format!("{{ istio.io/dataplane-mode: \"{mode}\" }}");
        self.write(
            "shop.yaml",
            &format!(
                "apiVersion: v1\nkind: Namespace\nmetadata: {{ name: shop, labels: {labels} }}\n"
            ),
        );
    }

    pub(crate) fn pod(&self, mode: &str) {
        self.pod_as("uid-web", mode, "", "Running");
    }

    pub(crate) fn pod_as(&self, uid: &str, mode: &str, annotations: &str, phase: &str) {
        self.write("pod.yaml", &format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  namespace: shop\n  uid: {uid}\n  \
             labels: {{ istio.io/dataplane-mode: \"{mode}\" }}\n  annotations: {{ {annotations} }}\nspec:\n  nodeName: n1\n  \
             serviceAccountName: seller\nstatus: {{ podIP: 10.1.0.2, phase: {phase} }}\n"
        ));
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.objects().join(name), text).unwrap();
    }

    /// The container runtime's call for a new pod.
    pub(crate) async fn plugin(&self) -> plugin::Reply {
        self.call("ADD", "uid-web", self.world.inside.0.as_raw_fd())
            .await
    }

    /// Any call of the container runtime.
    pub(crate) async fn call(&self, command: &str, uid: &str, netns: RawFd) -> plugin::Reply {
        let call = Call {
            command: command.into(),
            container: uid.into(),
            interface: "eth0".into(),
            netns: format!("/proc/{}/fd/{netns}", std::process::id()),
            arguments: format!(
                "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_UID={uid}"
            ),
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

    pub(crate) fn is_redirected(&self) -> bool {
        self.is_redirected_as(&PodSettings::default())
    }

    pub(crate) fn is_redirected_as(&self, pod: &PodSettings) -> bool {
        let rules = redirection(&Settings::default(), pod);
        let faults = apply::verify(self.world.inside.0.as_fd(), &rules).unwrap();
        faults.is_empty()
    }

    /// Whether nothing of redirection is left in the pod.
    pub(crate) fn is_untouched(&self) -> bool {
        !apply::is_redirected(self.world.inside.0.as_fd()).unwrap()
    }

    /// Names of the files in which the agent remembers pods.
    pub(crate) fn remembered(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.run().join("netns")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    /// Waits until the agent has taken in all that was written before: a pod that comes after it is known.
    pub(crate) async fn settled(&self) {
        self.write("later.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: later, namespace: shop, uid: uid-later}\nspec: {nodeName: n1}\n");
        let asked = |reply: plugin::Reply| !reply.text.contains("not among the pods");
        eventually("the agent knows a later pod", async || {
            let call = Call {
                command: "CHECK".into(),
                container: "later".into(),
                interface: "eth0".into(),
                netns: "/nowhere".into(),
                arguments: "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=later".into(),
            };
            let input = format!(
                r#"{{"cniVersion":"1.0.0","name":"n","cni_agent_run_dir":"{}","prevResult":{{}}}}"#,
                self.run().display()
            );
            let reply = spawn_blocking(move || plugin::answer(&call, input.as_bytes())).await;
            asked(reply.unwrap())
        })
        .await;
    }

    /// The agent's metrics page.
    pub(crate) fn page(&self) -> String {
        let page = mesh::telemetry::metrics::Metrics::default();
        page.register(|registry| self.metrics.register(registry));
        page.encode().unwrap()
    }

    /// What the agent has written on the pod.
    pub(crate) async fn mark(&self) -> Option<String> {
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

    pub(crate) fn is_pods_netns(&self, other: std::os::fd::BorrowedFd<'_>) -> bool {
        netns::inode(other).unwrap() == netns::inode(self.world.inside.0.as_fd()).unwrap()
    }
}

pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn next(ztunnel: &Client) -> Order {
    let next = tokio::time::timeout(PATIENCE, ztunnel.next()).await;
    next.expect("an order in time")
        .unwrap()
        .expect("the agent is there")
}

pub(crate) async fn acknowledged(ztunnel: &Client) -> Order {
    let order = next(ztunnel).await;
    ztunnel.acknowledge(None).await.unwrap();
    order
}

pub(crate) fn probed() -> Vec<String> {
    try_probed().unwrap()
}

/// `None` while there is no table.
pub(crate) fn try_probed() -> Option<Vec<String>> {
    let pods = host::pods().unwrap()?;
    let words = pods.iter().map(|e| format!("{} {}", e.address, e.comment));
    Some(words.collect())
}

/// A pod of the mesh, started while ztunnel is there.
pub(crate) async fn enrolled(node: &Node) -> Client {
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
