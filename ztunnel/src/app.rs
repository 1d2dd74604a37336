//! Wiring only: builds every part in order and hands it its neighbours; no decisions about traffic.

use std::sync::Arc;

use anyhow::Context;
use mesh::cert::ca_client::{self, CaClient};
use mesh::cert::{self, Keeper, KeeperHandle};
use mesh::lifecycle::ready::Gates;
use mesh::lifecycle::{drain, shutdown, task};
use mesh::settings::Reader;
use mesh::state::{self, Store};
use mesh::telemetry::{log, metrics};
use mesh::{tls, xds};
use tokio::sync::mpsc;

use crate::config::{self, Config, Discovery, Server};
use crate::dump::Dump;
use crate::metrics::Metrics;
use crate::netns::Home;
use crate::pages::Pages;
use crate::picture::{self, Picture};
use crate::pod::Shared;
use crate::pods::{self, Enrolment};
use crate::workers::{self, Threads};

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
    tls::install_default();
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

/// The program's life on the control runtime.
async fn serve(config: Arc<Config>, home: Arc<Home>, log: log::Handle) -> anyhow::Result<()> {
    let gates = Gates::default();
    let registry = metrics::Metrics::default();
    let metrics = registry.register(Metrics::register);
    let (trigger, drain) = drain::channel();

    let (store, state) = Store::new(state::Settings {
        network: config.node.network.as_str().into(),
        node: config.node.name.as_str().into(),
        on_demand: false,
    });
    let certificates = keeper(&config)?;
    follow_controller(&config, store, &gates);

    let shared = Shared {
        tunnels: config.tunnels.settings(),
        state,
        certificates,
        metrics: metrics.clone(),
        config: Arc::clone(&config),
    };
    let (workers, threads) = workers::start(&shared).context("cannot start the workers")?;
    let posts = workers.posts();
    let enrolment = Enrolment {
        workers,
        ready: Some(gates.add("pods")),
        metrics,
        home,
    };
    let (quit, mut quits) = mpsc::channel::<()>(1);
    let dump = Dump {
        shared,
        posts: posts.clone(),
    };
    let pages = Pages {
        gates,
        registry,
        log,
        dump,
        quit,
    };
    pages.serve(&config.admin, &drain).await?;

    let socket = config.pods.socket.clone();
    let watch = drain.clone();
    task::spawn("pods", async move {
        pods::follow(&socket, enrolment, watch).await
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
    tracing::info!(
        why,
        deadline_ms = config.drain_deadline.as_millis(),
        "draining"
    );
    drop(drain);
    let deadline = config.drain_deadline;
    let (finished, _) = tokio::join!(posts.drain(deadline), trigger.drain(deadline));
    join(threads).await;
    tracing::info!(all_finished = finished, "ztunnel stopped");
    Ok(())
}

/// Certificates from the controller's certificate service.
fn keeper(config: &Config) -> anyhow::Result<KeeperHandle> {
    let Server {
        address,
        root,
        alternative_hostname,
        headers,
        token,
    } = &config.certificates.server;
    let xds::Root::File(roots) = root else {
        anyhow::bail!("CA_ROOT_CA must name a file");
    };
    let mut extra = Vec::new();
    for (key, value) in headers {
        let bad = || format!("CA_HEADER_{key} is not a header");
        let key = key.parse().ok().with_context(bad)?;
        extra.push((key, value.parse().ok().with_context(bad)?));
    }
    let client = CaClient::new(ca_client::Config {
        address: address.to_string().into(),
        server_name: alternative_hostname.as_deref().map(Into::into),
        roots: roots.clone(),
        token: token.clone(),
        cluster_id: config.node.cluster.as_str().into(),
        impersonate: true,
        headers: extra,
    });
    let settings = cert::Settings {
        ttl: config.certificates.lifetime,
        ..cert::Settings::default()
    };
    Ok(Keeper::start(client, settings, cert::system_clock()))
}

/// Starts the discovery client; its first complete answer opens the gate.
fn follow_controller(config: &Config, store: Store, gates: &Gates) {
    let Discovery::Controller(server) = &config.discovery else {
        return;
    };
    let node = &config.node;
    let place = xds::Place {
        kind: "ztunnel",
        ip: node.instance_ip.map(|ip| ip.to_string()),
        pod: node.pod_name.clone(),
        namespace: node.pod_namespace.clone(),
        service_account: node.service_account.clone(),
        node: node.name.clone(),
        domain: node.cluster_domain.clone(),
    };
    let settings = xds::Config {
        address: server.address.clone(),
        alt_hostname: server.alternative_hostname.clone(),
        root: server.root.clone(),
        token: Some(server.token.clone()),
        cluster_id: node.cluster.clone(),
        headers: server.headers.clone(),
        node: xds::Node::of(&place, node.metadata.clone()),
    };
    let everything = picture::TYPES.map(|type_url| xds::Subscription {
        type_url,
        mode: xds::Mode::Wildcard,
    });
    let (client, mut handle) = xds::Client::new(settings, everything, Picture::new(store));
    let gate = gates.add("xds");
    task::spawn("xds", client.run());
    task::spawn("xds readiness", async move {
        handle.ready().await;
        gate.done();
    });
}

async fn join(threads: Threads) {
    // The threads have drained: this takes no time, but must not block the runtime while it does.
    let _ = tokio::task::spawn_blocking(|| threads.join()).await;
}
