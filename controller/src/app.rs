//! Wiring only: builds every part in order and hands it its neighbours; no decisions.

mod place;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use mesh::identity::TrustDomain;
use mesh::lifecycle::ready::{Gate, Gates};
use mesh::lifecycle::{drain, shutdown, task};
use mesh::net::listen::{SocketOptions, bind};
use mesh::settings::Reader;
use mesh::telemetry::{log, metrics, report};
use mesh::{admin, tls};
use proto::type_urls;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::ca::authenticate::review::ReviewAuthenticator;
use crate::ca::authenticate::{Authenticator, JwksAuthenticator};
use crate::ca::plug::Plug;
use crate::ca::root::SigningRoot;
use crate::ca::server_certificate::ServerCertificate;
use crate::ca::{self, Authority};
use crate::config::{Config, Files, Tokens, env};
use crate::deploy::{self, Inbox};
use crate::index::Index;
use crate::metrics::Metrics;
use crate::pages::{self, Sources};
use crate::problems::Problems;
use crate::resources::Resources;
use crate::status::Statuses;
use crate::watch::{Feed, Origin};
use crate::{listen, publish};
use place::Place;

/// Types that are published; policies stand before what they protect.
const TYPE_URLS: [&str; 5] = [
    type_urls::AUTHORIZATION,
    type_urls::ROUTE_POLICY,
    type_urls::SERVICE_ROUTES,
    type_urls::WAYPOINT,
    type_urls::ADDRESS,
];
/// Time for clients to be let go when the program stops.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
/// Pause before a failed renewal of the server's certificate is tried again.
const RENEWAL_PAUSE: Duration = Duration::from_secs(60);

/// Runs the program as told by its environment, until it is asked to stop.
///
/// # Errors
/// When a setting is bad or a part cannot start.
pub fn start() -> anyhow::Result<()> {
    let config = env::read(Reader::from_env())?;
    let log = log::init(config.log.format, &config.log.filter)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let requested = shutdown::requested();
        let listeners = Listeners::bind(&config)?;
        let stopped = async {
            match requested.await {
                Ok(signal) => tracing::info!(signal, "asked to stop"),
                Err(error) => tracing::error!(%error, "cannot listen for signals"),
            }
        };
        Box::pin(serve(config, listeners, Some(log), stopped)).await
    })
}

/// Where the program listens; bound before anything else, so that tests can ask for free ports.
#[derive(Debug)]
pub struct Listeners {
    /// Discovery and certificates.
    pub grpc: TcpListener,
    /// Admin pages.
    pub admin: TcpListener,
}

impl Listeners {
    /// Binds both.
    ///
    /// # Errors
    /// When an address is taken or not ours.
    pub fn bind(config: &Config) -> anyhow::Result<Self> {
        let one = |address| -> anyhow::Result<TcpListener> {
            let listener = bind(address, &SocketOptions::default())
                .with_context(|| format!("cannot listen on {address}"))?;
            Ok(TcpListener::from_std(listener)?)
        };
        let (grpc, admin) = (one(config.listen.grpc)?, one(config.listen.admin)?);
        // Whoever asked for free ports finds them here.
        tracing::info!(grpc = %grpc.local_addr()?, admin = %admin.local_addr()?, "listening");
        Ok(Self { grpc, admin })
    }
}

/// Runs the program on listeners that are bound already, until `shutdown` resolves. `log` is the handle of
/// this process's log, for the page that changes its filter.
///
/// # Errors
/// When a part cannot start.
pub async fn serve(
    config: Config,
    listeners: Listeners,
    log: Option<log::Handle>,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    tls::install_default();
    let (trigger, drain) = drain::channel();
    let gates = Gates::default();
    let synced_gate = gates.add("objects");
    let problems = Arc::new(Problems::default());
    let (metrics, registry) = counters();

    let system = &config.cluster.system_namespace;
    let place = Box::pin(Place::open(config.objects, system)).await?;
    let feed = Feed::open(place.origin.clone())?;
    let index = Index::new(config.cluster, Arc::clone(&problems), metrics.clone());
    let (outlets, inlets) = between();

    let root = signing_root(&config.files, &problems, &drain)?;
    let certificate = Arc::new(ServerCertificate::new(root.clone(), config.server_names)?);
    let news = inlets.news(root.clone());
    let sources = ca_sources(config.tokens, &place, &index, inlets)?;
    let discovery = publish::Service::new(
        Arc::clone(&outlets.resources),
        Arc::clone(&sources.authenticator),
        Arc::clone(&sources.residents),
        drain.clone(),
        publish::Settings::default(),
    );
    let authority = Authority::new(config.authority, sources, root.clone(), metrics.clone());
    let pages = pages::routes(Sources {
        registry,
        metrics,
        gates,
        resources: Arc::clone(&outlets.resources),
        problems,
        discovery: discovery.clone(),
        type_urls: TYPE_URLS.to_vec(),
        log,
    });

    task::spawn("admin", admin::serve(listeners.admin, pages, drain.clone()));
    task::spawn(
        "certificate",
        renew(Arc::clone(&certificate), root, drain.clone()),
    );
    let incoming = listen::incoming(listeners.grpc, certificate, drain.clone())?;
    let server = task::spawn(
        "gRPC",
        serve_grpc(incoming, discovery, authority, drain.clone()),
    );
    place.write(config.deployment, news, &outlets, &drain);
    let following = follow(feed, index, outlets, synced_gate);
    let index = task::spawn("index", until_drain(drain.clone(), following));
    drop(drain);

    // A part that ends by itself is a defect: starting again is better than serving without it.
    tokio::select! {
        () = shutdown => {}
        _ = server => anyhow::bail!("the gRPC server ended by itself"),
        _ = index => anyhow::bail!("the index ended by itself"),
    }
    if !trigger.drain(DRAIN_DEADLINE).await {
        tracing::info!("some clients were still connected at the deadline");
    }
    Ok(())
}

fn counters() -> (Metrics, metrics::Metrics) {
    let (metrics, registry) = (Metrics::default(), metrics::Metrics::default());
    registry.register(|registry| metrics.register(registry));
    (metrics, registry)
}

/// Both services on one port.
async fn serve_grpc(
    incoming: listen::Incoming,
    discovery: publish::Service,
    authority: Authority,
    drain: drain::Watch,
) {
    let serving = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .add_service(discovery.into_server())
        .add_service(ca::serve::Service::new(Arc::new(authority)).into_server())
        .serve_with_incoming_shutdown(incoming, drain.draining());
    if let Err(error) = Box::pin(serving).await {
        tracing::error!(error = report(&error), "the gRPC server ended");
    }
}

async fn until_drain(drain: drain::Watch, work: impl Future<Output = ()>) {
    tokio::select! {
        () = drain.draining() => {}
        () = work => {}
    }
}

/// What the authority needs to know of the cluster, from the index's side.
struct Inlets {
    trust_domain: watch::Receiver<TrustDomain>,
    synced: watch::Receiver<bool>,
    moved: watch::Receiver<u64>,
}

impl Inlets {
    /// What deployed waypoints depend on.
    fn news(&self, root: watch::Receiver<Arc<SigningRoot>>) -> deploy::News {
        deploy::News {
            root,
            trust_domain: self.trust_domain.clone(),
            synced: self.synced.clone(),
        }
    }
}

fn between() -> (Outlets, Inlets) {
    let (trust_domain_sender, trust_domain) = watch::channel(TrustDomain::default());
    let (synced_sender, synced) = watch::channel(false);
    let (moved_sender, moved) = watch::channel(0);
    let outlets = Outlets {
        resources: Arc::new(Resources::new(TYPE_URLS)),
        trust_domain: trust_domain_sender,
        synced: synced_sender,
        moved: moved_sender,
        statuses: Statuses::default(),
        inbox: Inbox::default(),
    };
    (
        outlets,
        Inlets {
            trust_domain,
            synced,
            moved,
        },
    )
}

fn ca_sources(
    tokens: Tokens,
    place: &Place,
    index: &Index,
    inlets: Inlets,
) -> anyhow::Result<ca::Sources> {
    let Inlets {
        trust_domain,
        synced,
        moved,
    } = inlets;
    let domain = trust_domain.clone();
    let authenticator: Arc<dyn Authenticator> = match (tokens, &place.origin) {
        (Tokens::Keys { jwks, expected }, _) => {
            Arc::new(JwksAuthenticator::new(&jwks, expected, domain))
        }
        (Tokens::Review(audiences), Origin::ApiServer(api)) => {
            Arc::new(ReviewAuthenticator::new(api.clone(), audiences, domain))
        }
        (Tokens::Review(_), Origin::Directory(_)) => {
            anyhow::bail!("a directory reviews no tokens: WEFT_JWKS is needed")
        }
    };
    Ok(ca::Sources {
        authenticator,
        residents: index.residents(),
        trust_domain,
        synced,
        moved,
    })
}

/// What the index feeds.
struct Outlets {
    resources: Arc<Resources>,
    trust_domain: watch::Sender<TrustDomain>,
    synced: watch::Sender<bool>,
    moved: watch::Sender<u64>,
    statuses: Statuses,
    inbox: Inbox,
}

/// The one task that owns all objects.
async fn follow(mut feed: Feed, mut index: Index, outlets: Outlets, gate: Gate) {
    let mut gate = Some(gate);
    loop {
        let batch = feed.next().await;
        let is_synced = batch.synced;
        let gone = batch.changes.iter().filter(|it| it.object.is_none());
        outlets.statuses.forget(gone.map(|it| &it.key));
        outlets.inbox.leave(&batch.changes);
        let mut outcome = index.apply(batch);
        outlets.moved.send_modify(|count| *count += 1);
        let trust_domain = &index.mesh_config().trust_domain;
        outlets.trust_domain.send_if_modified(|current| {
            let is_new = current != trust_domain;
            current.clone_from(trust_domain);
            is_new
        });
        outlets.resources.commit(outcome.take_changes());
        outlets.statuses.wish(outcome.statuses);
        if let Some(gate) = gate.take_if(|_| is_synced) {
            outlets.resources.complete();
            outlets.synced.send_replace(true);
            gate.done();
            tracing::info!("objects are read, ready to serve");
        }
    }
}

/// What is signed with; the operator's files are followed.
fn signing_root(
    files: &Files,
    problems: &Arc<Problems>,
    drain: &drain::Watch,
) -> anyhow::Result<watch::Receiver<Arc<SigningRoot>>> {
    if let Some(directory) = &files.plugged_in {
        let (plug, root) = Plug::open(directory.clone(), files.state.clone())?;
        let (roots, root) = watch::channel(Arc::new(root));
        let (drain, problems) = (drain.clone(), Arc::clone(problems));
        task::spawn("signing certificate", async move {
            until_drain(drain, plug.follow(roots, &problems)).await;
        });
        return Ok(root);
    }
    let root = SigningRoot::load_or_create(
        &files.state,
        &TrustDomain::default(),
        OffsetDateTime::now_utc(),
    )?;
    Ok(watch::channel(Arc::new(root)).1)
}

/// A new certificate in time, and at once when there is another root.
async fn renew(
    certificate: Arc<ServerCertificate>,
    mut root: watch::Receiver<Arc<SigningRoot>>,
    drain: drain::Watch,
) {
    let mut pause = ServerCertificate::renewal_period();
    loop {
        let replaced = async {
            // Without a plugged-in root nobody can replace it.
            if root.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = drain.draining() => return,
            () = replaced => {}
            () = tokio::time::sleep(pause) => {}
        }
        pause = match certificate.renew() {
            Ok(()) => ServerCertificate::renewal_period(),
            Err(error) => {
                tracing::error!(
                    error = report(&error),
                    "the server keeps its old certificate"
                );
                RENEWAL_PAUSE
            }
        };
    }
}
