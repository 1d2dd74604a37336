//! Wiring only: builds every part in order and hands it its neighbours; no decisions about traffic.

use std::sync::Arc;

use anyhow::Context;
use mesh::admin::standard::{Addresses, Standard};
use mesh::lifecycle::ready::Gates;
use mesh::lifecycle::{drain, shutdown, task};
use mesh::settings::Reader;
use mesh::state::{self, Store};
use mesh::telemetry::{log, metrics};
use mesh::{tls, xds};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::authenticate::fetch::Direct;
use crate::authenticate::keys::KeyRing;
use crate::balance::Place;
use crate::config::{self, Config, env};
use crate::destinations::Destinations;
use crate::dump::Dump;
use crate::follow::Follow;
use crate::observe::access_log;
use crate::observe::metrics::Metrics;
use crate::observe::trace::{Own, collectors};
use crate::picture::{self, Picture};
use crate::provider::Collectors;
use crate::worker::Shared;
use crate::{served, workers};

/// Threads of the control runtime: discovery, certificates, telemetry, admin pages.
const CONTROL_THREADS: usize = 2;

/// Runs the L7 proxy with the settings in this process's environment until it is told to stop. Must be
/// called outside of any runtime: it starts its own.
///
/// # Errors
/// When a setting is bad or a part cannot be started.
pub fn run_from_environment() -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    run(env::read(Reader::from_env(), cores)?)
}

/// Runs the L7 proxy until it is told to stop. Must be called outside of any runtime.
///
/// # Errors
/// When a part cannot be started.
pub fn run(config: Config) -> anyhow::Result<()> {
    tls::install_default();
    let log = log::init(config.admin.log_format, &config.admin.log_filter)?;
    let control = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .context("cannot start the control runtime")?;
    control.block_on(serve(Arc::new(config), log))
}

/// The discovery client, and what it writes; whom to ask for names.
fn discover(config: &Config, picture: Picture, gates: &Gates) -> xds::Demand {
    let node = &config.node;
    let place = xds::Place {
        kind: "waypoint",
        ip: node.instance_ip.map(|ip| ip.to_string()),
        pod: node.pod_name.clone(),
        namespace: node.namespace.clone(),
        service_account: node.service_account.clone(),
        node: node.name.clone(),
        domain: node.cluster_domain.clone(),
    };
    let settings = config
        .discovery
        .discovery(&node.cluster, xds::Node::of(&place, []));
    let (client, mut handle) = xds::Client::new(settings, picture::subscriptions(), picture);
    let demand = handle.demand().clone();
    let gate = gates.add("xds");
    task::spawn("xds", client.run());
    task::spawn("xds readiness", async move {
        handle.ready().await;
        gate.done();
    });
    demand
}

/// What all workers share; from here on the controller feeds the picture of the mesh and what is served.
fn share(config: &Arc<Config>, metrics: &Metrics, gates: &Gates) -> anyhow::Result<Shared> {
    let node = &config.node;
    let destinations = Arc::new(Destinations::new(Place {
        locality: node.locality.clone(),
        ..Place::default()
    }));
    let keys = KeyRing::new(Arc::new(Direct::new(foreign_roots()?)), Handle::current());
    let (writer, served) = served::new(node.key(), Arc::clone(&destinations), keys);
    let (store, state) = Store::new(state::Settings {
        network: node.network.as_str().into(),
        node: node.name.as_str().into(),
        preferred_namespace: node.namespace.as_str().into(),
        on_demand: true,
        keeps_labels: true,
    });
    let demand = discover(config, Picture::new(store, writer), gates);
    metrics.follow(&state);
    let (lines, writer) = access_log::lines::channel(&metrics.events);
    std::thread::Builder::new()
        .name("access log".to_owned())
        .spawn(move || writer.run(std::io::stdout()))
        .context("cannot start the writer of the access log")?;
    let collectors = Collectors(Arc::clone(&destinations));
    let (spans, delivery) = collectors::channel(own(config), collectors, &metrics.events);
    task::spawn("spans", delivery);
    let life = config.certificate_life;
    let certificates = config.authority.certificates(&node.cluster, life, false)?;
    Ok(Shared {
        tunnels: config::tunnels(),
        identity: node.identity(),
        state,
        served,
        destinations,
        certificates,
        demand: Some(demand),
        config: Arc::clone(config),
        lines,
        spans: Some(spans),
        metrics: metrics.clone(),
    })
}

/// The program's life on the control runtime.
async fn serve(config: Arc<Config>, log: log::Handle) -> anyhow::Result<()> {
    let gates = Gates::default();
    let registry = metrics::Metrics::default();
    let metrics = registry.register(Metrics::register);
    let (trigger, drain) = drain::channel();
    let shared = share(&config, &metrics, &gates)?;
    certify(&shared, &gates);
    let follow = Follow {
        node: config.node.clone(),
        state: shared.state.clone(),
        served: shared.served.clone(),
        destinations: Arc::clone(&shared.destinations),
        demand: shared.demand.clone(),
        events: Some(metrics.events.clone()),
    };
    task::spawn("follow", follow.run(Some(gates.add("routes"))));
    let workers = workers::start(&shared).context("cannot start the workers")?;

    let (quit, mut quits) = mpsc::channel::<()>(1);
    let dump = Dump { shared };
    let pages = Standard {
        gates,
        registry,
        log,
        dump: move || {
            let dump = dump.clone();
            async move { dump.take() }
        },
        quit,
    };
    let addresses = Addresses {
        admin: config.admin.admin,
        stats: config.admin.stats,
        ready: config.admin.ready,
    };
    pages.serve(addresses, &drain).await?;
    drop(drain);
    let (gateway, threads) = (config.node.key(), config.worker_threads);
    tracing::info!(%gateway, workers = threads, "waypoint started");
    let why = tokio::select! {
        signal = shutdown::requested() => signal?,
        _ = quits.recv() => "quitquitquit",
    };
    let deadline = config.drain_deadline;
    tracing::info!(why, deadline_ms = deadline.as_millis(), "draining");
    let stopped = tokio::task::spawn_blocking(move || workers.stop(deadline));
    let _ = tokio::join!(stopped, trigger.drain(deadline));
    tracing::info!("waypoint stopped");
    Ok(())
}

/// Who this waypoint is, as spans tell it.
fn own(config: &Config) -> Own {
    let node = &config.node;
    let domain = &node.cluster_domain;
    let (pod, namespace) = (&node.pod_name, &node.namespace);
    let ip = node
        .instance_ip
        .map(|ip| ip.to_string())
        .unwrap_or_default();
    Own {
        canonical_service: node.gateway.as_str().into(),
        canonical_revision: "latest".into(),
        namespace: namespace.as_str().into(),
        cluster: node.cluster.as_str().into(),
        mesh: node.trust_domain.as_str().into(),
        node: format!("waypoint~{ip}~{pod}.{namespace}~{namespace}.svc.{domain}").into(),
    }
}

/// Whom to trust of servers outside of the mesh: the roots of the operating system, none where it has none.
fn foreign_roots() -> anyhow::Result<Arc<rustls::ClientConfig>> {
    let pem = tls::foreign::system_roots();
    tls::foreign::https(&pem).context("cannot use the system's trust roots")
}

/// Has this waypoint's certificate ready before anybody calls.
fn certify(shared: &Shared, gates: &Gates) {
    let (certificates, identity) = (shared.certificates.clone(), shared.identity.clone());
    let gate = gates.add("certificate");
    task::spawn("certificate", async move {
        certificates.prefetch(&identity).await;
        while let Err(error) = certificates.get(&identity).await {
            tracing::warn!(%error, "no certificate yet");
            tokio::time::sleep(RETRY).await;
        }
        gate.done();
    });
}

/// Pause between questions for the first certificate.
const RETRY: std::time::Duration = std::time::Duration::from_millis(500);
