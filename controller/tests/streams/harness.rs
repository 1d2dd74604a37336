//! A discovery server of its own on a free port, clients for it, and what they hold.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use controller::ca::Caller;
use controller::ca::authenticate::{AuthError, Authenticating, Authenticator};
use controller::publish::{Service, Settings};
use controller::resources::Resources;
use mesh::identity::Identity;
use mesh::lifecycle::{drain, task};
use mesh::xds::{
    self, Address, Apply, Client, Config, Handle, Mode, Node, Place, Root, Subscription,
};
use proto::type_urls::{ADDRESS, AUTHORIZATION};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::runtime::{Builder, Runtime};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity as ServerIdentity, Server, ServerTlsConfig};

/// What the token `good` proves.
pub(crate) const CALLER: &str = "spiffe://cluster.local/ns/weft-system/sa/ztunnel";

/// Knows one token.
struct OneToken;

impl Authenticator for OneToken {
    fn authenticate<'a>(&'a self, bearer: &'a str) -> Authenticating<'a> {
        Box::pin(async move {
            if bearer != "good" {
                return Err(AuthError::Missing);
            }
            Ok(Caller {
                identity: Identity::parse(CALLER).unwrap(),
                pod: None,
                node: None,
            })
        })
    }
}

/// Port, certificates and token file; they outlive the servers.
pub(crate) struct World {
    listener: TcpListener,
    server_identity: ServerIdentity,
    directory: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::named("localhost")
    }

    /// A world whose server is called `name`.
    pub(crate) fn named(name: &str) -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &authority).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("root.pem"), authority.pem()).unwrap();
        std::fs::write(directory.path().join("token"), "good\n").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self {
            listener,
            server_identity: ServerIdentity::from_pem(leaf.pem(), key.serialize_pem()),
            directory,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.directory.path().join("token")
    }

    pub(crate) fn root_file(&self) -> PathBuf {
        self.directory.path().join("root.pem")
    }

    /// A server with empty tables; nothing is answered before `complete`.
    pub(crate) fn serve(&self) -> Running {
        self.serve_with(Settings::default())
    }

    pub(crate) fn serve_with(&self, settings: Settings) -> Running {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let resources = Arc::new(Resources::new([ADDRESS, AUTHORIZATION]));
        let (trigger, watch) = drain::channel();
        let service = Service::new(
            Arc::clone(&resources),
            Arc::new(OneToken),
            Arc::default(),
            watch,
            settings,
        );
        let tls = ServerTlsConfig::new().identity(self.server_identity.clone());
        let router = Server::builder()
            .tls_config(tls)
            .unwrap()
            .add_service(service.clone().into_server());
        let listener = self.listener.try_clone().unwrap();
        let entered = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let incoming = TcpListenerStream::new(listener);
        task::spawn("server", async move {
            router.serve_with_incoming(incoming).await.unwrap();
        });
        drop(entered);
        Running {
            resources,
            service,
            trigger: Some(trigger),
            runtime: Some(runtime),
        }
    }

    /// Settings of a client of this world.
    pub(crate) fn config(&self) -> Config {
        let place = Place {
            kind: "ztunnel",
            pod: "z".into(),
            namespace: "weft-system".into(),
            service_account: "ztunnel".into(),
            ..Place::default()
        };
        let address = format!("https://localhost:{}", self.address().port());
        Config {
            address: Address::parse(&address).unwrap(),
            alt_hostname: None,
            root: Root::File(self.root_file()),
            token: Some(self.token_file()),
            cluster_id: "Kubernetes".into(),
            headers: vec![("X-Extra".into(), mesh::settings::Secret::new("1"))],
            node: Node::of(&place, []),
        }
    }

    /// A running client of everything.
    pub(crate) fn client(&self) -> Follower {
        Follower::start(self.config(), Mode::Wildcard)
    }
}

/// A server and its tables; dropped without saying goodbye, like a process that is killed.
pub(crate) struct Running {
    pub(crate) resources: Arc<Resources>,
    pub(crate) service: Service,
    trigger: Option<drain::Trigger>,
    runtime: Option<Runtime>,
}

impl Running {
    /// Tells all streams to end.
    pub(crate) fn drain(&mut self) {
        self.trigger = None;
    }

    pub(crate) fn sent(&self, type_url: &'static str) -> u64 {
        self.counters(type_url).resources
    }

    pub(crate) fn counters(&self, type_url: &'static str) -> controller::publish::TypeCounters {
        let counters = self.service.counters();
        counters.types.get(type_url).copied().unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) type Held = BTreeMap<(&'static str, String), Bytes>;

/// Keeps what it is told, but for content that begins with `bad`.
struct Keep(Arc<Mutex<Held>>);

impl Apply for Keep {
    fn apply(
        &mut self,
        type_url: &'static str,
        resources: Vec<(String, Bytes)>,
        removed: Vec<String>,
    ) -> Vec<(String, String)> {
        let mut held = self.0.lock().unwrap();
        for name in removed {
            held.remove(&(type_url, name));
        }
        let mut refused = Vec::new();
        for (name, bytes) in resources {
            if bytes.starts_with(b"bad") {
                refused.push((name, "begins with bad".to_owned()));
            } else {
                held.insert((type_url, name), bytes);
            }
        }
        refused
    }
}

/// A running client.
pub(crate) struct Follower {
    pub(crate) handle: Handle,
    held: Arc<Mutex<Held>>,
    task: tokio::task::JoinHandle<Option<()>>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Follower {
    pub(crate) fn start(config: Config, addresses: Mode) -> Self {
        let held = Arc::new(Mutex::new(Held::new()));
        let subscriptions = [(ADDRESS, addresses), (AUTHORIZATION, Mode::Wildcard)];
        let subscriptions = subscriptions.map(|(type_url, mode)| Subscription { type_url, mode });
        let (client, handle) = Client::new(config, subscriptions, Keep(Arc::clone(&held)));
        let task = task::spawn("client", client.run());
        Self { handle, held, task }
    }

    pub(crate) fn holds(&self, type_url: &'static str, name: &str) -> Option<Bytes> {
        let held = self.held.lock().unwrap();
        held.get(&(type_url, name.to_owned())).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.held.lock().unwrap().len()
    }

    pub(crate) fn received(&self) -> u64 {
        self.counters().resources
    }

    pub(crate) fn counters(&self) -> xds::TypeCounters {
        let counters = self.handle.counters();
        counters.types.get(ADDRESS).copied().unwrap_or_default()
    }

    pub(crate) async fn ready(&self) {
        let mut handle = self.handle.clone();
        within("the client is ready", handle.ready()).await;
    }
}

/// Waits for `work`, but not for ever.
pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(20), work).await {
        Ok(value) => value,
        Err(_) => panic!("not within 20 s: {what}"),
    }
}

/// Waits until `holds` does.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    within(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

pub(crate) fn pairs(
    names: impl IntoIterator<Item = String>,
    content: &str,
) -> Vec<(String, Bytes)> {
    let content = Bytes::copy_from_slice(content.as_bytes());
    names
        .into_iter()
        .map(|name| (name, content.clone()))
        .collect()
}

pub(crate) fn one(name: &str, content: &str) -> Vec<(String, Bytes)> {
    pairs([name.to_owned()], content)
}
