//! Weft's waypoint as a process: the whole path of a request, told what it serves by a file and not by a controller.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use mesh::cert::{self, Keeper};
use mesh::identity::TrustDomain;
use mesh::model::destination::{Destination, TrafficPolicy};
use mesh::model::http::{
    Backend, Fault, HeaderChanges, HttpAction, HttpEntry, HttpMatch, HttpRule, PathMatch,
    PortRoutes, Retry, RetryOn, Rewrite, ServiceRoutes,
};
use mesh::model::observe::{AccessLog, Telemetry};
use mesh::model::waypoint::{PathNormalization, Waypoint, WaypointFor};
use mesh::model::{
    AppProtocol, Health, IpFamilies, LoadBalancing, Locality, NetworkMode, Origin, Port, PortPair,
    Service, ServiceAddress, ServiceEndpoint, TunnelKind, Visibility, Workload, WorkloadKind,
};
use mesh::names::{NamespacedHostname, NamespacedName, WorkloadUid};
use mesh::settings::Reader;
use mesh::state::{self, Store};
use mesh::wire::Update;
use waypoint::authenticate::fetch::Direct;
use waypoint::authenticate::keys::KeyRing;
use waypoint::balance::Place;
use waypoint::config::{self, env};
use waypoint::destinations::Destinations;
use waypoint::follow::Follow;
use waypoint::observe::access_log;
use waypoint::observe::metrics::Metrics;
use waypoint::served;
use waypoint::worker::Shared;
use waypoint::workers;

use super::papers::{Authority, Ca};
use super::{PORTS, SERVICE, Told};

/// What it is to be started with.
pub(super) fn prepare(command: &mut Command, folder: &Path, told: &Told, ca: &Ca) -> Result<()> {
    let (root, key) = ca.pem();
    fs::write(folder.join("root"), root)?;
    fs::write(folder.join("key"), key)?;
    fs::write(folder.join("told"), serde_json::to_vec(told)?)?;
    command.arg("waypoint-alone").arg(folder);
    Ok(())
}

/// Where it takes tunnels, once it does.
pub(super) fn door(folder: &Path) -> Option<SocketAddr> {
    let written = fs::read_to_string(folder.join("door")).ok()?;
    // complete when it ends with a line break
    written.strip_suffix('\n')?.parse().ok()
}

/// Runs until standard input ends.
///
/// # Errors
/// When what it is told cannot be used.
pub fn run(folder: &Path) -> Result<()> {
    mesh::tls::install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(serve(folder))
}

async fn serve(folder: &Path) -> Result<()> {
    let told: Told = serde_json::from_slice(&fs::read(folder.join("told"))?)?;
    let read = |name: &str| fs::read_to_string(folder.join(name)).context(name.to_owned());
    let authority = Authority::from_pem(read("root")?, &read("key")?)?;
    let variables = [
        ("GATEWAY_NAME", "waypoint"),
        ("POD_NAME", "waypoint-1"),
        ("POD_NAMESPACE", "shop"),
        ("WEFT_TUNNEL_ADDRESS", "127.0.0.1:0"),
        ("WEFT_WORKER_THREADS", "1"),
    ];
    let config = env::read(Reader::from_values(variables), 1)?;
    let destinations = Arc::new(Destinations::new(Place::default()));
    let fetch = Arc::new(Direct::new(mesh::tls::foreign::https(b"")?));
    let keys = KeyRing::new(fetch, tokio::runtime::Handle::current());
    let (mut writer, served) = served::new(config.node.key(), Arc::clone(&destinations), keys);
    let (store, state) = Store::new(state::Settings {
        keeps_labels: true,
        ..state::Settings::default()
    });
    let mut store = store;
    let registry = mesh::telemetry::metrics::Metrics::default();
    let metrics = registry.register(Metrics::register);
    let (lines, log) = access_log::lines::channel(&metrics.events);
    std::thread::spawn(move || log.run(std::io::stdout()));
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
    writer.set_waypoint(settings(config.node.key()));
    store.apply(mesh_of(&told), []);
    writer.set_routes(&routes(told.routes))?;
    writer.complete();
    writer.publish();
    let follow = Follow {
        node: config.node,
        state,
        served,
        destinations,
        demand: None,
        events: None,
    };
    follow.refresh();
    let workers = workers::start(&shared)?;
    fs::write(folder.join("door"), format!("{}\n", workers.door()))?;
    let ended =
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    ended.await??;
    workers.stop(Duration::ZERO);
    Ok(())
}

fn key() -> NamespacedHostname {
    NamespacedHostname::new("shop", "web.shop.svc.cluster.local")
}

/// What a controller says of a waypoint of which nobody says anything, and that lines are written.
fn settings(key: NamespacedName) -> Waypoint {
    Waypoint {
        key,
        serves: WaypointFor::All,
        trust_domain: TrustDomain::default(),
        path_normalization: PathNormalization::Base,
        default_retry: Retry {
            attempts: 2,
            on: RetryOn {
                connect_failure: true,
                refused_stream: true,
                unavailable: true,
                cancelled: true,
                ..RetryOn::default()
            },
            ..Retry::default()
        },
        connect_timeout: Duration::from_secs(10),
        authorizers: Vec::new(),
        telemetry: Telemetry {
            access_log: Some(AccessLog::default()),
            ..Telemetry::default()
        },
    }
}

/// The service and the pod behind it.
fn mesh_of(told: &Told) -> Vec<Update> {
    let [http, grpc] = PORTS;
    let port = |service_port, app_protocol| Port {
        service_port,
        target_port: 0,
        app_protocol,
    };
    let [http1, http2] = told.apps;
    let pair = |service_port, target_port| PortPair {
        service_port,
        target_port,
    };
    let service = Service {
        key: key(),
        name: "web".into(),
        addresses: SERVICE
            .parse()
            .map(|address| ServiceAddress {
                network: "".into(),
                address,
                prefix: None,
            })
            .into_iter()
            .collect(),
        ports: vec![
            port(http, AppProtocol::Http11),
            port(grpc, AppProtocol::Grpc),
        ],
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
    let pod = Workload {
        uid: WorkloadUid::pod("Kubernetes", "shop", "web-1"),
        name: "web-1".into(),
        namespace: "shop".into(),
        addresses: vec![http1.ip()],
        hostname: "".into(),
        network: "".into(),
        tunnel: TunnelKind::None,
        native_tunnel: false,
        trust_domain: TrustDomain::default(),
        service_account: "default".into(),
        node: "node".into(),
        canonical_name: "web".into(),
        canonical_revision: "v1".into(),
        workload_kind: WorkloadKind::Deployment,
        workload_name: "web".into(),
        cluster: "Kubernetes".into(),
        health: Health::Healthy,
        services: vec![ServiceEndpoint {
            service: key(),
            ports: vec![pair(http, http1.port()), pair(grpc, http2.port())],
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
    };
    vec![
        Update::Service(Box::new(service)),
        Update::Workload(Box::new(pod)),
    ]
}

/// As many routes at each port, by path.
fn routes(count: usize) -> ServiceRoutes {
    let ports = (0..).zip(PORTS);
    let destination = |port| Destination {
        service: key(),
        port,
        subset: None,
        policy: TrafficPolicy::default(),
    };
    let table = |(number, port): (u32, u16)| PortRoutes {
        port,
        http: (0..count)
            .zip(0..)
            .map(|(n, rule)| HttpEntry {
                matches: HttpMatch {
                    path: Some(PathMatch::Elements(format!("/r{n}").into())),
                    ..HttpMatch::default()
                },
                rule,
            })
            .collect(),
        rules: (0..count).map(|n| rule(n, number)).collect(),
        ..PortRoutes::default()
    };
    ServiceRoutes {
        key: key(),
        ports: ports.clone().map(table).collect(),
        destinations: PORTS.map(destination).to_vec(),
        own: ports.map(|(number, port)| (port, number)).collect(),
        telemetry: None,
    }
}

fn rule(number: usize, destination: u32) -> HttpRule {
    HttpRule {
        origin: Origin::object("HTTPRoute", "shop", format!("r{number}")),
        action: HttpAction::Forward(vec![Backend {
            weight: 1,
            destination: Some(destination),
            request_headers: HeaderChanges::default(),
            response_headers: HeaderChanges::default(),
        }]),
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
