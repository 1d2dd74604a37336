//! Wiring only: builds every part in order and hands it its neighbours; no decisions about traffic.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use mesh::admin::standard::{Addresses, Standard};
use mesh::lifecycle::ready::Gates;
use mesh::lifecycle::{drain, shutdown, task};
use mesh::settings::Reader;
use mesh::state::{self, Store};
use mesh::telemetry::{log, metrics};
use mesh::tls::{self, KeyExchange};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::config::{self, Config};
use crate::dump::Dump;
use crate::metrics::Metrics;
use crate::metrics::collected::{Certificates, Policies};
use crate::netns::Home;
use crate::pod::Shared;
use crate::pods::{self, Enrolment};
use crate::resolver::Resolver;
use crate::workers::{self, Posts, Threads};

mod controller;

/// Threads of the control runtime: discovery, certificates, node agent, admin pages.
const CONTROL_THREADS: usize = 2;

/// Runs the node proxy with the settings in this process's environment until it is told to stop.
/// Must be called outside of any runtime: it starts its own.
///
/// # Errors
/// When a setting is bad or a part cannot be started.
pub fn run_from_environment() -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    run(config::env::read(Reader::from_env(), cores)?)
}

/// Runs the node proxy until it is told to stop. Must be called outside of any runtime.
///
/// # Errors
/// When a part cannot be started.
pub fn run(config: Config) -> anyhow::Result<()> {
    match config.key_exchange {
        KeyExchange::Preferred => tls::install_default(),
        KeyExchange::PostQuantumOnly => {
            tls::install_post_quantum().context("cannot honour COMPLIANCE_POLICY")?;
        }
    }
    let log = log::init(config.admin.log_format, &config.admin.log_filter)?;
    let home = Home::current().context("cannot open this process's network namespace")?;
    let control = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .context("cannot start the control runtime")?;
    control.block_on(serve(Arc::new(config), home, log))
}

/// Shows what others keep, whenever somebody looks.
fn collect(shared: &Shared, registry: &metrics::Metrics) {
    let certificates = Certificates(shared.certificates.clone());
    let policies = Policies(shared.state.clone());
    registry.register(|it| {
        it.register_collector(Box::new(certificates));
        it.register_collector(Box::new(policies));
    });
}

/// What all workers share; from here on the controller feeds the picture of the mesh.
fn share(
    config: &Arc<Config>,
    metrics: &Metrics,
    gates: &Gates,
    registry: &metrics::Metrics,
) -> anyhow::Result<Shared> {
    let (store, state) = Store::new(state::Settings {
        network: config.node.network.as_str().into(),
        node: config.node.name.as_str().into(),
        preferred_namespace: config.node.preferred_namespace.as_str().into(),
        on_demand: config.discovery.is_on_demand(),
        keeps_labels: false,
    });
    metrics.flows.follow(state.clone());
    let demand = controller::follow(config, store, gates, registry);
    let shared = Shared {
        tunnels: config.tunnels.settings(),
        state,
        certificates: controller::keeper(config)?,
        resolver: Resolver::start_with_system_servers()
            .context("cannot start the resolver of host names")?,
        demand,
        metrics: metrics.clone(),
        config: Arc::clone(config),
    };
    collect(&shared, registry);
    Ok(shared)
}

/// The program's life on the control runtime.
async fn serve(config: Arc<Config>, home: Arc<Home>, log: log::Handle) -> anyhow::Result<()> {
    let gates = Gates::default();
    let registry = metrics::Metrics::default();
    let metrics = registry.register(Metrics::register);
    metrics.runtimes.add("control", Handle::current().metrics());
    let (trigger, drain) = drain::channel();

    let shared = share(&config, &metrics, &gates, &registry)?;
    let (workers, threads) = workers::start(&shared).context("cannot start the workers")?;
    let posts = workers.posts();
    let ready = Some(gates.add("pods"));
    let enrolment = Enrolment {
        workers,
        ready,
        metrics,
        home,
    };

    let (quit, mut quits) = mpsc::channel::<()>(1);
    let dump = Dump {
        shared,
        posts: posts.clone(),
    };
    let pages = Standard {
        gates,
        registry,
        log,
        dump: move || {
            let dump = dump.clone();
            async move { dump.take().await }
        },
        quit,
    };
    let addresses = Addresses {
        admin: config.admin.admin,
        stats: config.admin.stats,
        ready: config.admin.ready,
    };
    pages.serve(addresses, &drain).await?;

    let socket = config.pods.socket.clone();
    task::spawn("pods", async move {
        pods::follow(&socket, enrolment, drain).await
    });
    tracing::info!(
        node = config.node.name,
        workers = config.worker_threads,
        "ztunnel started"
    );

    let why = tokio::select! {
        signal = shutdown::requested() => signal?,
        _ = quits.recv() => "quitquitquit",
    };
    stop(why, config.drain_deadline, &posts, trigger, threads).await;
    Ok(())
}

/// Lets everything finish within the deadline: doors closed at once, pages and enrolment with them.
async fn stop(
    why: &str,
    deadline: Duration,
    posts: &Posts,
    trigger: drain::Trigger,
    threads: Threads,
) {
    tracing::info!(why, deadline_ms = deadline.as_millis(), "draining");
    let (finished, _) = tokio::join!(posts.drain(deadline), trigger.drain(deadline));
    // The threads have drained: this takes no time, but must not block the runtime while it does.
    let _ = tokio::task::spawn_blocking(|| threads.join()).await;
    tracing::info!(all_finished = finished, "ztunnel stopped");
}
