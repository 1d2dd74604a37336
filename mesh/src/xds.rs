//! Recipe of the xDS client: stream -> session -> apply, for as long as the process lives.
//!
//! In: a controller that speaks delta xDS. Out: calls of [`Apply`], answers to [`Demand`].
//! Never: forgetting. What was applied stays in use however long the controller is away.
//! Next on the path of a config object: `mesh::wire` and `mesh::state`, behind [`Apply`].
//! Source: contract, docs/compat.md#xds-client.

pub mod server;
mod stream;
mod message;
mod demand;
pub mod session;
pub mod node;
pub mod address;
pub mod backoff;
mod counters;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message;
use tokio::sync::{mpsc, watch};

pub use address::{Address, Root};
pub use counters::{Counters, Terminations, TypeCounters};
pub use demand::{Demand, Error as DemandError};
pub use node::{Node, Place};
pub use server::Server;
pub use session::{Mode, Subscription};
pub use stream::Error;

use crate::settings::Secret;
use crate::telemetry::report;
use backoff::{Backoff, Ended};
use demand::{Ask, Waiters};
use session::{Asked, Session, Taken};
use stream::Stream;

/// Where the controller is and who we are.
#[derive(Clone, Debug)]
pub struct Config {
    /// XDS_ADDRESS.
    pub address: Address,
    /// ALT_XDS_HOSTNAME: one more name that the controller's certificate may have.
    pub alt_hostname: Option<String>,
    /// XDS_ROOT_CA.
    pub root: Root,
    /// File of the bearer token, read for every stream; `None` sends no token.
    pub token: Option<PathBuf>,
    /// CLUSTER_ID, sent as header `clusterid`.
    pub cluster_id: String,
    /// XDS_HEADER_*: more headers.
    pub headers: Vec<(String, Secret)>,
    /// Node id and metadata.
    pub node: Node,
}

/// Who takes what the controller says.
pub trait Apply: Send {
    /// Takes new and changed `resources` and forgets `removed`; no name is in both. Every good one is
    /// taken whatever the others are. A name that is not known may be removed.
    ///
    /// Returns the resources that cannot be taken, by name, each with the reason; of those the last
    /// good version stays in use. The controller is told.
    fn apply(
        &mut self,
        type_url: &'static str,
        resources: Vec<(String, Bytes)>,
        removed: Vec<String>,
    ) -> Vec<(String, String)>;

    /// Takes note of `names` that came without content that could be read at all. The controller is told.
    fn note_empty(&mut self, type_url: &'static str, names: Vec<String>) {
        let _ = (type_url, names);
    }
}

/// The client; [`Client::run`] is its life.
pub struct Client<A> {
    config: Config,
    session: Session,
    apply: A,
    asks: mpsc::Receiver<Ask>,
    waiters: Waiters,
    backoff: Backoff,
    counters: counters::Shared,
    ready: watch::Sender<bool>,
}

/// What others may ask of a running client; cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    demand: Demand,
    counters: counters::Shared,
    ready: watch::Receiver<bool>,
}

impl Handle {
    /// For asking for single names.
    pub fn demand(&self) -> &Demand {
        &self.demand
    }

    /// Numbers so far.
    pub fn counters(&self) -> Counters {
        self.counters.read()
    }

    /// Whether every wildcard type has been received in full and applied.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Waits until [`Handle::is_ready`]. Never returns when the client is dropped before.
    pub async fn ready(&mut self) {
        if self.ready.wait_for(|ready| *ready).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl<A: Apply> Client<A> {
    /// A client of `subscriptions` that hands everything to `apply`. Nothing happens before it runs.
    pub fn new(
        config: Config,
        subscriptions: impl IntoIterator<Item = Subscription>,
        apply: A,
    ) -> (Self, Handle) {
        let (demand, asks) = Demand::new();
        let (ready, readiness) = watch::channel(false);
        let counters = counters::Shared::default();
        let handle = Handle {
            demand,
            counters: counters.clone(),
            ready: readiness,
        };
        let client = Self {
            config,
            session: Session::new(subscriptions),
            apply,
            asks,
            waiters: Waiters::default(),
            backoff: Backoff::new(),
            counters,
            ready,
        };
        (client, handle)
    }

    /// Connects, follows, and connects again, for ever. Ends by being dropped, at any point.
    pub async fn run(mut self) {
        loop {
            let (progress, result) = Box::pin(self.follow()).await;
            let wait = self.after(progress, &result);
            tokio::time::sleep(wait).await;
        }
    }

    /// One stream from its beginning to its end, and whether anything was received.
    async fn follow(&mut self) -> (bool, Result<(), Error>) {
        let first = self.session.connect();
        let first = first
            .into_iter()
            .map(|r| message::request(r, &self.config.node))
            .collect();
        let mut stream = match Stream::open(&self.config, first).await {
            Ok(stream) => stream,
            Err(error) => return (false, Err(error)),
        };
        tracing::info!(address = %self.config.address, "connected to the controller");
        let mut progress = false;
        loop {
            let result = tokio::select! {
                received = stream.receive() => match received {
                    Ok(Some(response)) => {
                        if !progress {
                            self.counters.write(|c| {
                                c.streams += 1;
                                c.is_connected = true;
                            });
                        }
                        progress = true;
                        self.take(&stream, response).await
                    }
                    Ok(None) => return (progress, Ok(())),
                    Err(error) => Err(error),
                },
                Some(ask) = self.asks.recv() => self.ask(&stream, ask).await,
            };
            if let Err(error) = result {
                return (progress, Err(error));
            }
        }
    }

    /// A response: apply it, remember, answer.
    async fn take(
        &mut self,
        stream: &Stream,
        response: proto::discovery::DeltaDiscoveryResponse,
    ) -> Result<(), Error> {
        let (receipt, bytes) = (Instant::now(), response.encoded_len() as u64);
        let received = response.resources.len() as u64;
        let delivery = match self.session.take(message::response(response)) {
            Taken::Apply(delivery) => delivery,
            Taken::Ignored(request) => {
                tracing::debug!(type_url = %request.type_url, "resources of a type nobody wants");
                self.counters.write(|c| c.unknown_type_messages += 1);
                return stream
                    .send(message::request(request, &self.config.node))
                    .await;
            }
        };
        let type_url = delivery.type_url;
        let removed = delivery.removed.len() as u64;
        let empty: Vec<String> = delivery.receipt.empty().map(str::to_owned).collect();
        if !empty.is_empty() {
            self.apply.note_empty(type_url, empty);
        }
        let refused = self
            .apply
            .apply(type_url, delivery.resources, delivery.removed);
        let Some(settled) = self.session.settle(delivery.receipt, refused) else {
            return Ok(());
        };
        for (name, reason) in &settled.refused {
            tracing::warn!(
                type_url,
                name,
                reason,
                "resource refused, its last good version stays"
            );
        }
        let held = self.session.held(type_url) as u64;
        self.counters.write(|c| {
            let counters = c.types.entry(type_url).or_default();
            counters.messages += 1;
            counters.bytes += bytes;
            counters.resources += received;
            counters.removed += removed;
            counters.rejects += settled.refused.len() as u64;
            counters.held = held;
            c.last_message = Some(receipt);
            c.apply_time += receipt.elapsed();
        });
        self.waiters.release(type_url, settled.answered);
        stream
            .send(message::request(settled.request, &self.config.node))
            .await?;
        if self.session.is_ready() {
            self.ready
                .send_if_modified(|ready| !std::mem::replace(ready, true));
        }
        Ok(())
    }

    /// Somebody wants a name.
    async fn ask(&mut self, stream: &Stream, ask: Ask) -> Result<(), Error> {
        if ask.is_abandoned() {
            return Ok(());
        }
        match self.session.ask(ask.type_url, &ask.name) {
            Asked::Answered => ask.answer(true),
            Asked::Refused => ask.answer(false),
            Asked::Wait => self.waiters.add(ask),
            Asked::Send(request) => {
                self.waiters.add(ask);
                return stream
                    .send(message::request(request, &self.config.node))
                    .await;
            }
        }
        Ok(())
    }

    /// Counts and logs how a stream ended; says how long to wait.
    fn after(&mut self, progress: bool, result: &Result<(), Error>) -> Duration {
        let is_ordinary = match result {
            Ok(()) => true,
            Err(error) => error.is_ordinary(),
        };
        let wait = self.backoff.after(match (progress, is_ordinary) {
            (false, _) => Ended::WithoutProgress,
            (true, true) => Ended::Normally,
            (true, false) => Ended::AfterProgress,
        });
        self.counters.write(|c| {
            c.is_connected = false;
            match result {
                Ok(()) => c.terminations.complete += 1,
                Err(Error::Status(_)) if is_ordinary => c.terminations.reconnect += 1,
                Err(Error::Status(_) | Error::Stuck) => c.terminations.error += 1,
                Err(_) => c.terminations.connection_error += 1,
            }
        });
        match result {
            Ok(()) => tracing::info!(?wait, "the controller closed the stream"),
            Err(error) if is_ordinary => {
                tracing::info!(error = %report(error), ?wait, "stream to the controller ended");
            }
            Err(error) => {
                tracing::warn!(error = %report(error), ?wait, "no stream to the controller, the last state stays in use");
            }
        }
        wait
    }
}
