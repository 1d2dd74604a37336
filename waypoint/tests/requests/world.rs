//! A waypoint in this process with everything it is told by the test.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh::cert::{self, Keeper};
use mesh::identity::TrustDomain;
use mesh::model::destination::{Destination, TrafficPolicy};
use mesh::model::http::{
    Backend, Fault, HeaderChanges, HttpAction, HttpEntry, HttpMatch, HttpRule, PathMatch,
    PortRoutes, Retry, Rewrite, ServiceRoutes,
};
use mesh::model::observe::Telemetry;
use mesh::model::waypoint::{PathNormalization, Waypoint, WaypointFor};
use mesh::model::{
    AppProtocol, Health, IpFamilies, LoadBalancing, Locality, NetworkMode, Origin, Port, PortPair,
    Service, ServiceAddress, ServiceEndpoint, TunnelKind, Visibility, Workload, WorkloadKind,
};
use mesh::names::{NamespacedHostname, NamespacedName, WorkloadUid};
use mesh::settings::Reader;
use mesh::state::{self, Store};
use mesh::testing::ca::{Ca, identity};
use mesh::wire::Update;
use tokio::task::LocalSet;
use waypoint::authenticate::fetch::Direct;
use waypoint::authenticate::keys::KeyRing;
use waypoint::balance::Place;
use waypoint::config::{self, Config, env};
use waypoint::destinations::Destinations;
use waypoint::follow::Follow;
use waypoint::observe::access_log;
use waypoint::observe::metrics::Metrics;
use waypoint::served::{self, Writer};
use waypoint::worker::Shared;
use waypoint::workers::{self, Workers};

use crate::app::{App, Speaks};
use crate::client::Client;

/// Where every service can be reached, by port.
pub(crate) const VIP: &str = "10.0.0.1";

/// Lines of the access log.
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Authority(Arc<Ca>);

impl cert::CertificateAuthority for Authority {
    async fn sign(
        &self,
        identity: &mesh::identity::Identity,
        csr_pem: String,
        ttl: Duration,
    ) -> Result<Vec<String>, cert::SignError> {
        self.0.sign(identity, csr_pem, ttl).await
    }
}

/// A waypoint, applications behind it, a client before it.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) ca: Arc<Ca>,
    pub(crate) writer: Writer,
    pub(crate) follow: Follow,
    pub(crate) registry: mesh::telemetry::metrics::Metrics,
    pub(crate) written: Written,
    /// Where it takes tunnels.
    pub(crate) door: SocketAddr,
    store: Store,
    workers: Option<Workers>,
    services: Vec<Service>,
    pods: u32,
}

/// Runs a test on one thread, where nothing needs to be `Send`.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    mesh::tls::install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test());
}

/// What a waypoint is told of itself where a test says nothing else.
pub(crate) fn settings(key: NamespacedName) -> Waypoint {
    Waypoint {
        key,
        serves: WaypointFor::All,
        trust_domain: TrustDomain::default(),
        path_normalization: PathNormalization::Base,
        default_retry: Retry::default(),
        connect_timeout: Duration::from_secs(10),
        authorizers: Vec::new(),
        telemetry: Telemetry::default(),
    }
}

impl World {
    /// A waypoint that serves nothing yet. `change` may turn settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let written = Written::default();
        let mut world = Self::logging(change, written.clone()).await;
        world.written = written;
        world
    }

    /// The same, whose log goes elsewhere.
    #[expect(clippy::too_many_lines, reason = "wiring, part after part")]
    pub(crate) async fn logging(
        change: impl FnOnce(&mut Config),
        log_to: impl std::io::Write + Send + 'static,
    ) -> Self {
        let variables = [
            ("GATEWAY_NAME", "waypoint"),
            ("POD_NAME", "waypoint-1"),
            ("POD_NAMESPACE", "shop"),
            ("WEFT_TUNNEL_ADDRESS", "127.0.0.1:0"),
            ("WEFT_WORKER_THREADS", "1"),
        ];
        let mut config = env::read(Reader::from_values(variables), 1).unwrap();
        change(&mut config);
        let ca = Arc::new(Ca::new());
        let destinations = Arc::new(Destinations::new(Place::default()));
        let fetch = Arc::new(Direct::new(mesh::tls::foreign::https(b"").unwrap()));
        let keys = KeyRing::new(fetch, tokio::runtime::Handle::current());
        let (mut writer, served) = served::new(config.node.key(), Arc::clone(&destinations), keys);
        let (store, state) = Store::new(state::Settings {
            keeps_labels: true,
            ..state::Settings::default()
        });
        let authority = Authority(Arc::clone(&ca));
        let registry = mesh::telemetry::metrics::Metrics::default();
        let metrics = registry.register(Metrics::register);
        let (lines, log) = access_log::lines::channel(&metrics.events);
        std::thread::spawn(move || log.run(log_to));
        let shared = Shared {
            tunnels: config::tunnels(),
            identity: config.node.identity(),
            state: state.clone(),
            served: served.clone(),
            destinations: Arc::clone(&destinations),
            certificates: Keeper::start(authority, cert::Settings::default(), cert::system_clock()),
            demand: None,
            config: Arc::new(config.clone()),
            lines,
            spans: None,
            metrics,
        };
        let workers = workers::start(&shared).unwrap();
        let door = workers.door();
        writer.set_waypoint(settings(config.node.key()));
        writer.complete();
        writer.publish();
        Self {
            client: Client::new(&ca, door, config.node.identity(), "shop", "client"),
            ca,
            writer,
            follow: Follow {
                node: config.node,
                state,
                served,
                destinations,
                demand: None,
                events: None,
            },
            registry,
            written: Written::default(),
            store,
            workers: Some(workers),
            door,
            services: Vec::new(),
            pods: 0,
        }
    }

    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// Another client.
    pub(crate) fn client_of(&self, namespace: &str, name: &str) -> Client {
        let waypoint = identity("shop", "waypoint");
        Client::new(&self.ca, self.door, waypoint, namespace, name)
    }

    /// A service with a pod for each application; answers at `VIP` on `port` when it is the first.
    pub(crate) fn service(&mut self, name: &str, port: u16, protocol: AppProtocol, apps: &[&App]) {
        let key = key(name);
        let service = Service {
            key: key.clone(),
            name: name.into(),
            addresses: match self.services.is_empty() {
                true => vec![ServiceAddress {
                    network: "".into(),
                    address: VIP.parse().unwrap(),
                    prefix: None,
                }],
                false => Vec::new(),
            },
            ports: vec![Port {
                service_port: port,
                target_port: 0,
                app_protocol: protocol,
            }],
            subject_alt_names: Vec::new(),
            waypoint: None,
            weighted_waypoints: Vec::new(),
            load_balancing: LoadBalancing::default(),
            ip_families: IpFamilies::Automatic,
            canonical: true,
            ingress_use_waypoint: false,
            visibility: Visibility::Public,
            origin: None,
        };
        self.services.push(service.clone());
        let mut updates = vec![Update::Service(Box::new(service))];
        for app in apps {
            self.pods += 1;
            updates.push(Update::Workload(Box::new(pod(
                self.pods, &key, port, app.at,
            ))));
        }
        self.store.apply(updates, []);
        self.follow.refresh();
    }

    /// Lets workloads be there.
    pub(crate) fn pods(&mut self, pods: impl IntoIterator<Item = Workload>) {
        let updates = pods.into_iter().map(|it| Update::Workload(Box::new(it)));
        self.store.apply(updates.collect::<Vec<_>>(), []);
        self.follow.refresh();
    }

    /// Puts routes in force.
    pub(crate) fn route(&mut self, routes: &ServiceRoutes) {
        self.writer.set_routes(routes).unwrap();
        self.writer.publish();
        self.follow.refresh();
    }

    /// A service `web` at port 80 of one application, bound and without routes.
    pub(crate) async fn web() -> (Self, App) {
        let mut world = Self::new().await;
        let app = App::start("web", Speaks::Http1).await;
        world.service("web", 80, AppProtocol::Http11, &[&app]);
        world.route(&bound("web", 80));
        (world, app)
    }

    /// Ends the waypoint; everything that is under way may take this long.
    pub(crate) async fn stop(&mut self, deadline: Duration) {
        if let Some(workers) = self.workers.take() {
            let stopped = tokio::task::spawn_blocking(move || workers.stop(deadline));
            stopped.await.unwrap();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(workers) = self.workers.take() {
            workers.stop(Duration::ZERO);
        }
    }
}

pub(crate) fn key(name: &str) -> NamespacedHostname {
    NamespacedHostname::new("shop", format!("{name}.shop.svc.cluster.local"))
}

/// `10.0.0.1:port`.
pub(crate) fn vip(port: u16) -> String {
    format!("{VIP}:{port}")
}

pub(crate) fn pod(
    number: u32,
    service: &NamespacedHostname,
    port: u16,
    at: SocketAddr,
) -> Workload {
    let name = format!("pod-{number}");
    Workload {
        uid: WorkloadUid::pod("Kubernetes", "shop", &name),
        name: name.as_str().into(),
        namespace: "shop".into(),
        addresses: vec![at.ip()],
        hostname: "".into(),
        network: "".into(),
        tunnel: TunnelKind::None,
        native_tunnel: false,
        trust_domain: TrustDomain::default(),
        service_account: "default".into(),
        node: "node".into(),
        canonical_name: name.as_str().into(),
        canonical_revision: "v1".into(),
        workload_kind: WorkloadKind::Deployment,
        workload_name: name.as_str().into(),
        cluster: "Kubernetes".into(),
        health: Health::Healthy,
        services: vec![ServiceEndpoint {
            service: service.clone(),
            ports: vec![PortPair {
                service_port: port,
                target_port: at.port(),
            }],
        }],
        waypoint: None,
        network_gateway: None,
        application_tunnel: None,
        policies: Vec::new(),
        locality: Locality::default(),
        network_mode: NetworkMode::Standard,
        capacity: 1,
        labels: Vec::new(),
        origin: None,
    }
}

/// A bound service without routes.
pub(crate) fn bound(name: &str, port: u16) -> ServiceRoutes {
    ServiceRoutes {
        key: key(name),
        ports: Vec::new(),
        destinations: vec![destination(name, port)],
        own: vec![(port, 0)],
        telemetry: None,
    }
}

/// Routes of `web` at port 80: destinations by name (all at port 80), then entries and rules.
pub(crate) fn routes(backends: &[&str], rules: Vec<(Vec<HttpMatch>, HttpRule)>) -> ServiceRoutes {
    let mut routes = bound("web", 80);
    routes
        .destinations
        .extend(backends.iter().map(|it| destination(it, 80)));
    let mut port = PortRoutes {
        port: 80,
        ..PortRoutes::default()
    };
    for (number, (matches, rule)) in (0..).zip(rules) {
        port.rules.push(rule);
        for matches in matches {
            port.http.push(HttpEntry {
                matches,
                rule: number,
            });
        }
    }
    routes.ports.push(port);
    routes
}

pub(crate) fn destination(name: &str, port: u16) -> Destination {
    Destination {
        service: key(name),
        port,
        subset: None,
        policy: TrafficPolicy::default(),
    }
}

/// To destination `number`, the whole of it. Number 0 is `web` itself.
pub(crate) fn to(number: u32) -> HttpRule {
    split(&[(Some(number), 1)])
}

/// To destinations by weight.
pub(crate) fn split(shares: &[(Option<u32>, u32)]) -> HttpRule {
    let backend = |(destination, weight): &(Option<u32>, u32)| Backend {
        weight: *weight,
        destination: *destination,
        request_headers: HeaderChanges::default(),
        response_headers: HeaderChanges::default(),
    };
    rule(HttpAction::Forward(shares.iter().map(backend).collect()))
}

pub(crate) fn rule(action: HttpAction) -> HttpRule {
    HttpRule {
        origin: Origin::object("HTTPRoute", "shop", "web"),
        action,
        request_headers: HeaderChanges::default(),
        response_headers: HeaderChanges::default(),
        rewrite: Rewrite::default(),
        mirrors: Vec::new(),
        cors: None,
        fault: Fault::default(),
        timeout: None,
        retry: None,
        session: None,
    }
}

/// Everything.
pub(crate) fn all() -> Vec<HttpMatch> {
    vec![HttpMatch::default()]
}

/// Paths of these elements.
pub(crate) fn below(prefix: &str) -> Vec<HttpMatch> {
    vec![HttpMatch {
        path: Some(PathMatch::Elements(prefix.into())),
        ..HttpMatch::default()
    }]
}
