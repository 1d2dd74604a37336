//! A node proxy in this process: real workers and doors, a scripted node agent, a certificate
//! authority in memory, and a picture of the mesh that the test draws itself.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_resolver::config::ResolverOpts;
use mesh::cert::{self, Keeper};
use mesh::lifecycle::drain;
use mesh::lifecycle::ready::Gates;
use mesh::model::Reach;
use mesh::settings::Reader;
use mesh::state::{self, Removal, Store};
use mesh::telemetry::metrics::Registry;
use mesh::testing::ca::Ca;
use mesh::wire::Update;
use mesh::{xds, zds};
use tokio::runtime::Runtime;
use ztunnel::config::{Config, env};
use ztunnel::dump::Dump;
use ztunnel::metrics::Metrics;
use ztunnel::netns::Home;
use ztunnel::picture::{Picture, subscriptions};
use ztunnel::pod::Shared;
use ztunnel::pods::{self, Enrolment};
use ztunnel::resolver::Resolver;
use ztunnel::workers::{self, Posts, Threads};

/// Time that no step should need.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate authority shared by both proxies, which one of them may be cut off from.
struct Authority {
    ca: Arc<Ca>,
    refuses: Arc<AtomicBool>,
}

impl cert::CertificateAuthority for Authority {
    async fn sign(
        &self,
        identity: &mesh::identity::Identity,
        csr_pem: String,
        ttl: Duration,
    ) -> Result<Vec<String>, cert::SignError> {
        if self.refuses.load(Ordering::Relaxed) {
            let path = "no-token".into();
            return Err(cert::SignError::BadToken { path });
        }
        self.ca.sign(identity, csr_pem, ttl).await
    }
}

/// What a test may change before a proxy starts.
pub(crate) struct Start {
    /// Its settings.
    pub(crate) config: Config,
    /// How long another proxy may take to answer a CONNECT, which is no setting.
    pub(crate) answer_deadline: Option<Duration>,
    /// Whether it knows only what it asked for.
    pub(crate) on_demand: bool,
}

/// What workers share, and the pen that draws the picture.
fn shared(start: Start, authority: Authority, registry: &mut Registry) -> (Store, Shared) {
    let config = start.config;
    let (store, state) = Store::new(state::Settings {
        network: "".into(),
        node: config.node.name.as_str().into(),
        preferred_namespace: "".into(),
        on_demand: start.on_demand,
        keeps_labels: false,
    });
    let demand = start.on_demand.then(nobody_to_ask);
    let mut tunnels = config.tunnels.settings();
    if let Some(deadline) = start.answer_deadline {
        tunnels.answer_deadline = deadline;
    }
    let shared = Shared {
        tunnels,
        state,
        certificates: Keeper::start(authority, cert::Settings::default(), cert::system_clock()),
        resolver: Resolver::start(crate::dns::config(), ResolverOpts::default()).unwrap(),
        demand,
        metrics: Metrics::register(registry),
        config: Arc::new(config),
    };
    (store, shared)
}

/// A discovery client whose controller is not there.
fn nobody_to_ask() -> xds::Demand {
    let place = xds::Place {
        kind: "ztunnel",
        ip: None,
        pod: "ztunnel".into(),
        namespace: "weft-system".into(),
        service_account: String::new(),
        node: "one".into(),
        domain: String::new(),
    };
    let config = xds::Config {
        address: xds::Address::parse("https://127.0.0.1:1").unwrap(),
        alt_hostname: None,
        root: xds::Root::Inline(Vec::new()),
        token: None,
        cluster_id: "Kubernetes".into(),
        headers: Vec::new(),
        node: xds::Node::of(&place, []),
    };
    let (store, _) = Store::new(state::Settings::default());
    let (client, handle) = xds::Client::new(config, subscriptions(true), Picture::new(store, ""));
    let demand = handle.demand().clone();
    mesh::lifecycle::task::spawn("xds", client.run());
    demand
}

/// The proxy and the agent that talks to it.
pub(crate) struct Proxy {
    pub(crate) runtime: Runtime,
    pub(crate) gates: Gates,
    pub(crate) metrics: Metrics,
    registry: Registry,
    refuses: Arc<AtomicBool>,
    store: Mutex<Store>,
    agent: Mutex<Option<(zds::Listener, zds::Session)>>,
    shared: Shared,
    posts: Posts,
    threads: Option<Threads>,
    trigger: Option<drain::Trigger>,
    _directory: tempfile::TempDir,
}

impl Proxy {
    /// Starts one without pods. `change` may turn settings that have no variable.
    pub(crate) fn start(node: &str, ca: &Arc<Ca>, change: impl FnOnce(&mut Start)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("z.sock");
        let settings = [
            ("NODE_NAME", node),
            ("INPOD_UDS", socket.to_str().unwrap()),
            ("ZTUNNEL_WORKER_THREADS", "1"),
        ];
        let mut start = Start {
            config: env::read(Reader::from_values(settings), 1).unwrap(),
            answer_deadline: None,
            on_demand: false,
        };
        change(&mut start);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let guard = runtime.enter();
        let refuses = Arc::new(AtomicBool::new(false));
        let authority = Authority {
            ca: Arc::clone(ca),
            refuses: Arc::clone(&refuses),
        };
        let mut registry = Registry::default();
        let (store, shared) = shared(start, authority, &mut registry);
        let metrics = shared.metrics.clone();
        let (workers, threads) = workers::start(&shared).unwrap();
        let posts = workers.posts();
        let gates = Gates::default();
        let enrolment = Enrolment {
            workers,
            ready: Some(gates.add("pods")),
            metrics: metrics.clone(),
            home: Home::current().unwrap(),
        };
        let listener = zds::Listener::bind(&socket).unwrap();
        let (trigger, watch) = drain::channel();
        mesh::lifecycle::task::spawn("pods", async move {
            pods::follow(&socket, enrolment, watch).await;
        });
        let session = runtime.block_on(async {
            let conn = listener.accept().await.unwrap();
            zds::Session::greet(conn).await.unwrap()
        });
        drop(guard);
        Self {
            runtime,
            gates,
            metrics,
            registry,
            refuses,
            store: Mutex::new(store),
            agent: Mutex::new(Some((listener, session))),
            shared,
            posts,
            threads: Some(threads),
            trigger: Some(trigger),
            _directory: directory,
        }
    }

    /// Changes the picture of the mesh in one batch; policies that are not in it do not exist.
    pub(crate) fn learn(&self, updates: Vec<Update>, removed: Vec<Removal>) {
        self.store.lock().unwrap().know_policies();
        self.learn_addresses(updates, removed);
    }

    /// The same from a controller that has not spoken of policies yet.
    pub(crate) fn learn_addresses(&self, updates: Vec<Update>, removed: Vec<Removal>) {
        self.store.lock().unwrap().apply(updates, removed);
    }

    /// The controller sends a policy that cannot be read.
    pub(crate) fn reject_policy(&self, name: &str, reach: Reach) {
        let rejected = [(name.into(), reach)];
        self.store.lock().unwrap().apply_with([], [], rejected);
    }

    /// The agent says something and hears the answer: `None` for success.
    pub(crate) fn tell(&self, request: &zds::Request, netns: Option<&OwnedFd>) -> Option<String> {
        let mut agent = self.agent.lock().unwrap();
        let (_, session) = agent.as_mut().unwrap();
        let netns = netns.map(AsFd::as_fd);
        self.runtime
            .block_on(session.exchange(request, netns))
            .unwrap()
            .error
    }

    /// Hands a pod over, and ends the snapshot.
    pub(crate) fn enrol(&self, name: &str, account: &str, netns: &OwnedFd) {
        let info = zds::PodInfo {
            name: name.into(),
            namespace: "shop".into(),
            service_account: account.into(),
        };
        let add = zds::Request::Add {
            uid: format!("uid-{name}"),
            info: Some(info),
        };
        assert_eq!(self.tell(&add, Some(netns)), None);
    }

    /// From now on nobody signs certificates for this proxy.
    pub(crate) fn refuse_to_sign(&self) {
        self.refuses.store(true, Ordering::Relaxed);
    }

    /// The agent ends its snapshot twice, finds itself hung up on, and waits for the next call.
    pub(crate) fn break_protocol(&self) {
        let mut agent = self.agent.lock().unwrap();
        let (_, session) = agent.as_mut().unwrap();
        let answer = session.exchange(&zds::Request::SnapshotSent, None);
        assert!(self.runtime.block_on(answer).is_err(), "the proxy went on");
        drop(agent);
        self.hang_up();
    }

    /// The agent hangs up and waits for the proxy to call again.
    pub(crate) fn hang_up(&self) {
        let mut agent = self.agent.lock().unwrap();
        let (listener, session) = agent.take().unwrap();
        drop(session);
        let session = self.runtime.block_on(async {
            let conn = listener.accept().await.unwrap();
            zds::Session::greet(conn).await.unwrap()
        });
        *agent = Some((listener, session));
    }

    /// The metrics page.
    pub(crate) fn page(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    /// Waits until a line of the metrics page starts with `name`, holds all `parts` and is this number.
    pub(crate) fn wait_for_metric(&self, name: &str, parts: &[&str], number: u64) {
        wait_until(&format!("{name} {parts:?} {number}"), || {
            let text = self.page();
            let mut lines = text.lines().filter(|line| line.starts_with(name));
            lines.any(|line| {
                parts.iter().all(|part| line.contains(part))
                    && line.ends_with(&format!(" {number}"))
            })
        });
    }

    /// The configuration dump.
    pub(crate) fn dump(&self) -> serde_json::Value {
        let dump = Dump {
            shared: self.shared.clone(),
            posts: self.posts.clone(),
        };
        self.runtime.block_on(dump.take())
    }

    /// Drains. Answers whether every connection finished by itself.
    pub(crate) fn drain(&mut self, deadline: Duration) -> bool {
        let posts = self.posts.clone();
        let finished = self.runtime.block_on(async { posts.drain(deadline).await });
        if let Some(trigger) = self.trigger.take() {
            self.runtime.block_on(trigger.drain(Duration::from_secs(1)));
        }
        if let Some(threads) = self.threads.take() {
            threads.join();
        }
        finished
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if self.threads.is_some() {
            self.drain(Duration::ZERO);
        }
    }
}

/// Waits for a condition that something else brings about.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(
            std::time::Instant::now() < deadline,
            "timed out waiting until {what}"
        );
        std::thread::yield_now();
    }
}
