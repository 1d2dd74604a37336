//! The gRPC endpoint: who is this client, open a session, run its stream.
//!
//! A stream is no task: it advances when the connection has room for its next message, so a client
//! that does not read is not worked for.

use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::{Stream, stream};
use mesh::lifecycle::drain;
use mesh::telemetry::report;
use mesh::xds::node::PAGES;
use prost_types::value::Kind;
use proto::discovery::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::counters::{Counters, Shared};
use super::scope::{self, Claim, Refusal};
use super::session::{self, Heard, Next, PageSize, Session};
use super::{push, session::Push};
use crate::ca::Caller;
use crate::ca::authenticate::Authenticator;
use crate::resources::Resources;
use crate::shelf::residents::Residents;

/// Largest request that is read: one that names what 200 000 resources a client holds.
const LARGEST_REQUEST: usize = 64 << 20;
/// A stream that says nothing for this long at its beginning is closed.
const FIRST_MESSAGE_WITHIN: Duration = Duration::from_secs(10);

/// Bounds of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Most streams at a time; more are refused with `ResourceExhausted`.
    pub streams: usize,
    /// Page for clients that understand pages.
    pub page: PageSize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            streams: 10_000,
            page: PageSize::PAGED,
        }
    }
}

/// The delta discovery service; cheap to clone.
#[derive(Clone)]
pub struct Service {
    shared: Arc<SharedParts>,
}

struct SharedParts {
    resources: Arc<Resources>,
    authenticator: Arc<dyn Authenticator>,
    residents: Arc<RwLock<Residents>>,
    drain: drain::Watch,
    settings: Settings,
    slots: Arc<Semaphore>,
    counters: Shared,
}

impl Service {
    /// Serves `resources` to whoever `authenticator` knows, until `drain` begins. What waypoints they are, `residents` say.
    pub fn new(
        resources: Arc<Resources>,
        authenticator: Arc<dyn Authenticator>,
        residents: Arc<RwLock<Residents>>,
        drain: drain::Watch,
        settings: Settings,
    ) -> Self {
        let shared = SharedParts {
            resources,
            authenticator,
            residents,
            drain,
            settings,
            slots: Arc::new(Semaphore::new(settings.streams)),
            counters: Shared::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// To be added to a tonic server or router.
    pub fn into_server(self) -> AggregatedDiscoveryServiceServer<Self> {
        AggregatedDiscoveryServiceServer::new(self).max_decoding_message_size(LARGEST_REQUEST)
    }

    /// Numbers so far.
    pub fn counters(&self) -> Counters {
        self.shared.counters.read()
    }

    /// Who calls. Callers hear only that they are not authenticated; the log has the reason.
    async fn authenticate(&self, metadata: &MetadataMap) -> Result<Caller, Status> {
        let header = metadata.get("authorization");
        let header = header
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let bearer = header.strip_prefix("Bearer ").unwrap_or_default().trim();
        match self.shared.authenticator.authenticate(bearer).await {
            Ok(caller) => Ok(caller),
            Err(error) => {
                tracing::warn!(error = %report(&error), "xDS client not authenticated");
                self.shared.refused(error.word());
                Err(Status::unauthenticated("authentication failed"))
            }
        }
    }
}

impl SharedParts {
    fn refused(&self, word: &'static str) {
        self.counters
            .write(|c| *c.refused.entry(word).or_default() += 1);
    }
}

/// What a stream sends.
type Responses = Pin<Box<dyn Stream<Item = Result<DeltaDiscoveryResponse, Status>> + Send>>;

#[tonic::async_trait]
impl AggregatedDiscoveryService for Service {
    type DeltaAggregatedResourcesStream = Responses;

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Responses>, Status> {
        let Ok(slot) = Arc::clone(&self.shared.slots).try_acquire_owned() else {
            self.shared.refused("too_many_streams");
            return Err(Status::resource_exhausted("too many streams"));
        };
        let caller = self.authenticate(request.metadata()).await?;
        self.shared.counters.write(|c| {
            c.streams += 1;
            c.open += 1;
        });
        let client = Client {
            changes: self.shared.resources.changes(),
            shared: Arc::clone(&self.shared),
            requests: request.into_inner(),
            caller,
            name: String::new(),
            session: None,
            began: Instant::now(),
            is_over: false,
            _slot: slot,
        };
        // Each step holds the client alone; nothing runs while the connection has no room.
        let responses = stream::unfold(Box::new(client), |mut client| async move {
            let item = Box::pin(client.next()).await?;
            Some((item, client))
        });
        Ok(Response::new(Box::pin(responses)))
    }
}

/// One open stream.
struct Client {
    shared: Arc<SharedParts>,
    requests: Streaming<DeltaDiscoveryRequest>,
    changes: watch::Receiver<u64>,
    caller: Caller,
    /// Node id, for the log.
    name: String,
    session: Option<Session>,
    began: Instant,
    is_over: bool,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.counters.write(|c| c.open -= 1);
        let sent = self.session.as_ref().map(Session::sent);
        tracing::debug!(node = %self.name, ?sent, "xDS stream is over");
    }
}

impl Client {
    /// The next item of the stream; `None` when it ends. After an error it has ended.
    async fn next(&mut self) -> Option<Result<DeltaDiscoveryResponse, Status>> {
        if self.is_over {
            return None;
        }
        let result = self.follow().await;
        self.is_over = !matches!(result, Ok(Some(_)));
        if let Err(status) = &result {
            tracing::info!(node = %self.name, caller = %self.caller.identity, code = ?status.code(), reason = status.message(), "xDS stream ended");
        }
        result.transpose()
    }

    /// Listens and waits until there is something to send.
    async fn follow(&mut self) -> Result<Option<DeltaDiscoveryResponse>, Status> {
        if self.session.is_none() && !self.first_message().await? {
            return Ok(None);
        }
        loop {
            self.changes.borrow_and_update();
            let wake = match self.try_next() {
                Next::Push(push) => return Ok(Some(self.send(push))),
                Next::Wait => None,
                Next::WaitUntil(elapsed) => Some(self.began + elapsed),
                Next::TooFarBehind => {
                    self.shared.refused("too_far_behind");
                    let text = "too far behind, connect again and say what you hold";
                    return Err(Status::unavailable(text));
                }
            };
            tokio::select! {
                request = self.requests.message() => match request {
                    Ok(Some(request)) => self.hear(request)?,
                    // A client that goes away is no error.
                    Ok(None) | Err(_) => return Ok(None),
                },
                // The sender lives as long as the resources, which this stream holds.
                _ = self.changes.changed() => self.gather().await,
                () = sleep_until(wake.unwrap_or(self.began)), if wake.is_some() => {}
                () = self.shared.drain.draining() => {
                    return Err(Status::unavailable("transport is closing"));
                }
            }
        }
    }

    fn try_next(&mut self) -> Next {
        let Some(session) = &mut self.session else {
            return Next::Wait;
        };
        let elapsed = self.began.elapsed();
        session.next(&self.shared.resources.read(), elapsed)
    }

    /// The first message says who the client is; `false` when it left without one.
    async fn first_message(&mut self) -> Result<bool, Status> {
        let deadline = self.began + FIRST_MESSAGE_WITHIN;
        let request = match timeout_at(deadline, self.requests.message()).await {
            Ok(Ok(Some(request))) => request,
            Ok(Ok(None) | Err(_)) => return Ok(false),
            Err(_) => return Err(Status::deadline_exceeded("no first message")),
        };
        let claim = claim(request.node.as_ref());
        self.name = claim.id.chars().take(128).collect();
        let scope = {
            let residents = self.shared.residents.read();
            let residents = residents.unwrap_or_else(PoisonError::into_inner);
            scope::decide(&self.caller, &claim, &residents)
        };
        let scope = scope.map_err(|refusal| {
            self.shared.refused(refusal.word());
            refused(&refusal)
        })?;
        tracing::info!(node = %self.name, caller = %self.caller.identity, "xDS client connected");
        let page = if scope.takes_pages {
            self.shared.settings.page
        } else {
            PageSize::WHOLE
        };
        self.session = Some(Session::new(scope, page));
        self.hear(request)?;
        Ok(true)
    }

    fn hear(&mut self, request: DeltaDiscoveryRequest) -> Result<(), Status> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let counters = &self.shared.counters;
        match session.receive(read(request)) {
            Heard::Subscribed => {}
            Heard::Acked(type_url) => counters.write_type(type_url, |c| c.acks += 1),
            Heard::Stale(type_url) => counters.write_type(type_url, |c| c.stale += 1),
            Heard::Nacked(type_url, reason) => {
                let reason: String = reason.chars().take(1_000).collect();
                tracing::warn!(node = %self.name, type_url, reason, "client refused resources");
                counters.write_type(type_url, |c| c.nacks += 1);
            }
            Heard::Unserved(type_url) => {
                tracing::warn!(node = %self.name, type_url, "client asks for a type that is not served to it");
            }
            Heard::TooManyNames => {
                self.shared.refused("too_many_names");
                return Err(Status::resource_exhausted("too many names"));
            }
        }
        Ok(())
    }

    /// Waits for the end of a burst of changes.
    async fn gather(&mut self) {
        let start = Instant::now();
        while let Some(wait) = push::gather(start.elapsed()) {
            self.changes.borrow_and_update();
            if timeout(wait, self.changes.changed()).await.is_err() {
                return;
            }
        }
    }

    fn send(&self, push: Push) -> DeltaDiscoveryResponse {
        self.shared.counters.write_type(push.type_url, |c| {
            c.pushes += 1;
            c.resources += push.resources.len() as u64;
            c.removed += push.removed.len() as u64;
            c.bytes += push
                .resources
                .iter()
                .map(|r| r.bytes.len() as u64)
                .sum::<u64>();
        });
        push::message(push)
    }
}

fn refused(refusal: &Refusal) -> Status {
    let text = report(refusal);
    match refusal {
        _ if refusal.may_pass() => Status::unavailable(text),
        Refusal::Disagrees { .. }
        | Refusal::NoPod
        | Refusal::Pod(_)
        | Refusal::NoGateway { .. } => Status::permission_denied(text),
        Refusal::NoNode | Refusal::NodeId { .. } | Refusal::Kind { .. } => {
            Status::invalid_argument(text)
        }
    }
}

fn claim(node: Option<&Node>) -> Claim {
    let Some(node) = node else {
        return Claim::default();
    };
    let text = |key: &str| {
        let value = node.metadata.as_ref()?.fields.get(key)?;
        match &value.kind {
            Some(Kind::StringValue(text)) if !text.is_empty() => Some(text.clone()),
            _ => None,
        }
    };
    Claim {
        id: node.id.clone(),
        namespace: text("NAMESPACE"),
        service_account: text("SERVICE_ACCOUNT"),
        node: text("NODE_NAME"),
        takes_pages: text(PAGES).is_some(),
    }
}

fn read(request: DeltaDiscoveryRequest) -> session::Request {
    session::Request {
        type_url: request.type_url,
        subscribe: request.resource_names_subscribe,
        unsubscribe: request.resource_names_unsubscribe,
        initial_versions: request.initial_resource_versions,
        nonce: request.response_nonce,
        refusal: request.error_detail.map(|status| status.message),
    }
}
