//! Recipe of a tunnel: accept -> for each stream: target -> sniff -> HTTP or opaque bytes.
//! Next hop: `http` or `tcp`.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use mesh::hbone::{BadHead, Baggage, ConnectHead, Incoming, Responder};
use mesh::lifecycle::task;
use mesh::model::AppProtocol;
use mesh::net::listen;
use mesh::state::Lookup;
use mesh::telemetry::report;
use mesh::wire;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::bytes::Peeked;
use crate::call::{Call, Link, Target};
use crate::observe::record::{Party, Served};
use crate::worker::Worker;

pub mod accept;
pub mod target;
pub mod sniff;

use sniff::Spoken;
use target::Found;

/// How long a stream may wait for something that the controller still owes us.
const PATIENCE: Duration = Duration::from_secs(5);

/// Names that one stream may have the controller asked for.
const QUESTIONS: usize = 4;

/// How long closed streams may take to say goodbye after the deadline.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Why a stream was not taken.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// Its head is not one of ours.
    #[error(transparent)]
    Head(#[from] BadHead),
    /// It is for nobody.
    #[error(transparent)]
    Unknown(#[from] target::Unknown),
    /// The controller did not answer in time.
    #[error("the controller did not say in time who that is")]
    Unanswered,
    /// Neither routes nor policies have come yet.
    #[error("the controller has not yet said what is served here")]
    NotReady,
    /// This waypoint is not for it.
    #[error("this waypoint does not serve {0}")]
    NotServed(Box<str>),
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Self::Head(_) => StatusCode::BAD_REQUEST,
            Self::Unknown(_) | Self::NotServed(_) => StatusCode::NOT_FOUND,
            Self::Unanswered | Self::NotReady => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Takes tunnels until the listener breaks; whoever calls stops it by dropping it.
pub async fn serve(worker: Rc<Worker>, door: TcpListener) {
    let keep_alive = worker.shared.config.keep_alive;
    loop {
        match listen::accept(&door, &keep_alive).await {
            Ok((stream, source)) => {
                task::spawn_local("tunnel", tunnel(Rc::clone(&worker), stream, source));
            }
            Err(error) => {
                tracing::error!(%error, "the door is broken");
                return;
            }
        }
    }
}

/// One connection of another proxy: handshake, then streams until it closes or we drain.
async fn tunnel(worker: Rc<Worker>, stream: TcpStream, source: std::net::SocketAddr) {
    let drain = worker.drain.clone();
    let accepted = tokio::select! {
        accepted = Box::pin(accept::open(&worker, stream, source)) => accepted,
        () = drain.draining() => return,
    };
    let (mut tunnel, link) = match accepted {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::info!(%source, error = report(&error), "no tunnel");
            return;
        }
    };
    let (draining, closing) = (drain.draining(), drain.closing());
    let left = link.good_until.duration_since(SystemTime::now());
    let expired = tokio::time::sleep(left.unwrap_or_default());
    tokio::pin!(draining, closing, expired);
    let mut is_draining = false;
    loop {
        let incoming = tokio::select! {
            incoming = tunnel.next() => incoming,
            () = &mut draining, if !is_draining => {
                is_draining = true;
                tunnel.drain();
                continue;
            }
            () = &mut expired, if !is_draining => {
                is_draining = true;
                tunnel.drain();
                continue;
            }
            () = &mut closing => {
                let rest = async { while tunnel.next().await.is_some() {} };
                let _ = tokio::time::timeout(LAST_WORDS, rest).await;
                return;
            }
        };
        match incoming {
            None => return,
            Some(Err(error)) => {
                tracing::debug!(%source, error = report(&error), "tunnel ended");
                return;
            }
            Some(Ok(Incoming { head, respond })) => {
                let (worker, link, hold) = (Rc::clone(&worker), Rc::clone(&link), drain.hold());
                let drain = drain.clone();
                task::spawn_local("stream", async move {
                    tokio::select! {
                        () = Box::pin(stream_of(worker, link, head, respond)) => {}
                        () = drain.closing() => {}
                    }
                    drop(hold);
                });
            }
        }
    }
}

/// One stream from its head to its end.
async fn stream_of(
    worker: Rc<Worker>,
    link: Rc<Link>,
    head: Result<ConnectHead, BadHead>,
    mut respond: Responder,
) {
    let call = tokio::select! {
        () = respond.gone() => return,
        call = Box::pin(admit(&worker, &link, head)) => call,
    };
    let (call, declared) = match call {
        Ok(call) => call,
        Err(refused) => {
            let peer = link.peer.identity.to_string();
            tracing::info!(source = %link.source, peer, error = report(&refused), "stream refused");
            respond.refuse(refused.status());
            return;
        }
    };
    let stream = match respond.accept(None) {
        Ok(stream) => stream,
        Err(end) => {
            tracing::debug!(error = report(&end), "the caller left before its answer");
            return;
        }
    };
    let mut stream = Peeked::new(stream);
    let drain = worker.drain.clone();
    let spoken = tokio::select! {
        spoken = sniff::sniff(&mut stream, declared) => spoken,
        // who has said nothing by now has nothing to lose
        () = drain.draining() => return,
    };
    let call = Rc::new(call);
    match spoken {
        Ok(Spoken::Http1) => crate::http::serve::http1(call, stream).await,
        Ok(Spoken::Http2) => crate::http::serve::http2(call, stream).await,
        Ok(Spoken::Tls(name)) => crate::tcp::carry(&call, stream, Some(name)).await,
        Ok(Spoken::Bytes) => crate::tcp::carry(&call, stream, None).await,
        Err(end) => tracing::debug!(error = report(&end), "stream ended before it began"),
    }
}

/// Finds out whom a stream is for, and that this waypoint is for that.
async fn admit(
    worker: &Rc<Worker>,
    link: &Rc<Link>,
    head: Result<ConnectHead, BadHead>,
) -> Result<(Call, AppProtocol), Refused> {
    let head = head?;
    ready(worker).await?;
    let (target, declared) = find(worker, link, &head).await?;
    let client = head.forwarded.as_ref().map_or(link.source, |it| it.source);
    let call = Call {
        worker: Rc::clone(worker),
        link: Rc::clone(link),
        client: client.ip(),
        client_port: head.forwarded.as_ref().map_or(0, |it| it.source.port()),
        source: caller(worker, link, &head, client.ip()),
        service: service(worker, &target),
        target,
        authority: head.authority.to_string().into(),
    };
    Ok((call, declared))
}

/// Who calls, as far as the picture of the mesh or its proxy's own words go; only its identity is proved.
fn caller(worker: &Worker, link: &Link, head: &ConnectHead, client: IpAddr) -> Arc<Party> {
    let proved = Some(&link.peer.identity);
    let snapshot = worker.shared.state.load();
    let known = snapshot.workload_by_address(snapshot.network(), client);
    let known = known.filter(|it| *it.identity() == link.peer.identity);
    Arc::new(match (known, &head.baggage) {
        (Some(workload), _) => {
            let labels = workload
                .labels()
                .iter()
                .map(|(key, value)| (&**key, &**value));
            Party::of_workload(workload, labels, proved)
        }
        (None, Some(baggage)) => Party::of_baggage(baggage, proved),
        (None, None) => Party::of_baggage(&Baggage::default(), proved),
    })
}

/// The service that is called; nothing for a workload itself.
fn service(worker: &Worker, target: &Target) -> Arc<Served> {
    let snapshot = worker.shared.state.load();
    let service = match target {
        Target::Service { key, .. } => snapshot.service_by_name(key).found(),
        Target::Workload { .. } => None,
    };
    Arc::new(service.map(Served::of).unwrap_or_default())
}

/// Waits until the controller has said what is served, at most as long as patience lasts.
async fn ready(worker: &Worker) -> Result<(), Refused> {
    let served = &worker.shared.served;
    if served.load().is_complete {
        return Ok(());
    }
    let mut changed = served.changed();
    let wait = async {
        while !served.load().is_complete {
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    waited.map_err(|_| Refused::NotReady)
}

/// Whom a stream is for, and what its owner says is spoken there.
async fn find(
    worker: &Worker,
    link: &Link,
    head: &ConnectHead,
) -> Result<(Target, AppProtocol), Refused> {
    let mut questions = Questions::new(worker);
    let not_served = || Refused::NotServed(head.authority.to_string().into());
    let namespace = &link.peer.identity.namespace;
    loop {
        let name = {
            let snapshot = worker.shared.state.load();
            let served = worker.shared.served.load();
            match target::find(&snapshot, &head.authority, namespace, &questions.answered)? {
                Found::Ask(name) => name,
                Found::Service {
                    key,
                    port,
                    protocol,
                } => {
                    served.service(&key).ok_or_else(not_served)?;
                    let target = Target::Service { key, port };
                    return Ok((target, protocol));
                }
                Found::Workload { id, address } => {
                    let node = &worker.shared.config.node;
                    let own = node.instance_ip.filter(|_| served.serves_workloads());
                    let own = own.ok_or_else(not_served)?;
                    let (ours, answered) = (&node.namespace, &questions.answered);
                    match target::is_in_front(&snapshot, own, ours, address.ip(), answered) {
                        Lookup::Ask(name) if !answered.contains(&name) => name,
                        Lookup::Found(true) => {
                            let destinations = &worker.shared.destinations;
                            let itself = destinations.itself(&snapshot, id, address);
                            let itself = itself.ok_or_else(not_served)?;
                            return Ok((Target::Workload { itself }, AppProtocol::Unknown));
                        }
                        Lookup::Found(false) | Lookup::Absent | Lookup::Ask(_) => {
                            return Err(not_served());
                        }
                    }
                }
            }
        };
        questions.ask(name).await?;
    }
}

/// What one stream has the controller asked for.
struct Questions<'a> {
    worker: &'a Worker,
    until: Instant,
    answered: Vec<Box<str>>,
}

impl<'a> Questions<'a> {
    fn new(worker: &'a Worker) -> Self {
        Self {
            worker,
            until: Instant::now() + PATIENCE,
            answered: Vec::new(),
        }
    }

    async fn ask(&mut self, name: Box<str>) -> Result<(), Refused> {
        let left = self.until.saturating_duration_since(Instant::now());
        let demand = self.worker.shared.demand.as_ref();
        let demand = demand.ok_or(Refused::Unanswered)?;
        let asked = demand.fetch(wire::address::TYPE_URL, &name, left).await;
        asked.map_err(|_| Refused::Unanswered)?;
        self.answered.push(name);
        match self.answered.len() > QUESTIONS {
            true => Err(Refused::Unanswered),
            false => Ok(()),
        }
    }
}
