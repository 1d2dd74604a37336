//! Recipe of the inbound path: accept -> read request -> authorize -> deliver -> relay -> record.
//! Next hop: the application. Plain connections go the same way without a tunnel.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::StatusCode;
use mesh::flow::{Direction, EndsFlow, Reason};
use mesh::hbone::{Authority, BadHead, Baggage, Incoming};
use mesh::lifecycle::{drain, task};
use mesh::state::{Hit, Lookup, Snapshot, WorkloadView};
use mesh::tls::Peer;
use tokio::net::{TcpListener, TcpStream};

use crate::carry::{abort, carry};
use crate::connections::{Asked, Facts, Tunnel};
use crate::pod::{Attempt, Pod};
use crate::record::{Draft, baggage, party};

pub mod reconsider;
pub mod accept;
pub mod request;
pub mod authorize;
pub mod deliver;
pub mod plaintext;

use authorize::{Caller, Denial};

/// The TCP connection and the proven peer that a tunnel's requests share.
#[derive(Debug)]
pub struct Link {
    /// Address of the other proxy's end: the client's own address unless a proxy stands between.
    pub source: SocketAddr,
    /// Address of the pod that was dialled.
    pub local: SocketAddr,
    /// Who the other end proved to be.
    pub peer: Rc<Peer>,
}

/// Takes tunnels of other proxies until the drain begins; each connection is a task, and each
/// CONNECT in it another one.
pub async fn serve_tunnels(pod: Rc<Pod>, listener: TcpListener, drain: drain::Watch) {
    let draining = drain.draining();
    tokio::pin!(draining);
    loop {
        tokio::select! {
            () = &mut draining => return,
            accepted = accept::next(&listener) => match accepted {
                Ok((stream, source)) => {
                    let (pod, drain) = (Rc::clone(&pod), drain.clone());
                    task::spawn_local("tunnel", tunnel(pod, stream, source, drain));
                }
                Err(error) => {
                    tracing::error!(pod = &*pod.uid, %error, "tunnel door is broken");
                    return;
                }
            },
        }
    }
}

/// Takes plain connections until the drain begins; each is a task of its own.
pub async fn serve_plain(pod: Rc<Pod>, listener: TcpListener, drain: drain::Watch) {
    let draining = drain.draining();
    tokio::pin!(draining);
    loop {
        tokio::select! {
            () = &mut draining => return,
            accepted = accept::next(&listener) => match accepted {
                Ok((stream, source)) => {
                    let (pod, hold) = (Rc::clone(&pod), drain.hold());
                    task::spawn_local("plain connection", async move {
                        plain(&pod, stream, source).await;
                        drop(hold);
                    });
                }
                Err(error) => {
                    tracing::error!(pod = &*pod.uid, %error, "plain door is broken");
                    return;
                }
            },
        }
    }
}

/// One connection of another proxy: handshake, then requests until it closes or we drain.
async fn tunnel(pod: Rc<Pod>, stream: TcpStream, source: SocketAddr, drain: drain::Watch) {
    let accepted = tokio::select! {
        accepted = accept::open(&pod, stream, source) => accepted,
        () = drain.draining() => return,
    };
    let (mut tunnel, link) = match accepted {
        Ok(accepted) => accepted,
        Err(error) => {
            let draft = Draft::open(Direction::Inbound, source, &pod.shared.metrics);
            return draft.fail(&error);
        }
    };
    let link = Rc::new(link);
    let (draining, closing) = (drain.draining(), drain.closing());
    tokio::pin!(draining, closing);
    let mut is_draining = false;
    loop {
        let incoming = tokio::select! {
            incoming = tunnel.next() => incoming,
            () = &mut draining, if !is_draining => {
                is_draining = true;
                tunnel.drain();
                continue;
            }
            () = &mut closing => return,
        };
        match incoming {
            None => return,
            Some(Err(error)) => {
                let error = mesh::telemetry::report(&error);
                tracing::debug!(pod = &*pod.uid, %source, error, "tunnel ended");
                return;
            }
            Some(Ok(incoming)) => {
                let (pod, link, hold) = (Rc::clone(&pod), Rc::clone(&link), drain.hold());
                task::spawn_local("inbound connection", async move {
                    connect_request(&pod, &link, incoming).await;
                    drop(hold);
                });
            }
        }
    }
}

/// One CONNECT from its head to its record.
async fn connect_request(pod: &Pod, link: &Link, incoming: Incoming) {
    let mut draft = Draft::open(Direction::Inbound, link.source, &pod.shared.metrics);
    draft.source.identity = Some(link.peer.identity.clone());
    draft.destination.address = Some(link.local);
    let Incoming { head, mut respond } = incoming;
    let head = match head {
        Ok(head) => head,
        Err(bad) => {
            let reason = bad_head(&bad);
            respond.refuse(status(reason));
            return draft.refuse(reason);
        }
    };
    let authority: Arc<str> = head.authority.to_string().into();
    draft.tunnel_authority = Some(Arc::clone(&authority));
    let admitted = tokio::select! {
        admitted = admit(pod, link, &head.authority, &mut draft) => admitted,
        () = respond.gone() => return draft.refuse(Reason::ClientReset),
    };
    let application = match admitted {
        Ok(application) => application,
        Err(refused) => {
            respond.refuse(status(refused.reason()));
            return draft.fail(&refused);
        }
    };
    let mut entry = pod.connections.add(Facts {
        direction: Direction::Inbound,
        source: link.source,
        asked: Asked::Authority(authority),
        destination: application,
        tunnel: Some(Tunnel {
            hop: link.source,
            peer: Rc::clone(&link.peer),
        }),
    });
    let stream = tokio::select! {
        delivered = deliver(pod, application, link.source) => match delivered {
            Ok(stream) => stream,
            Err(error) => {
                respond.refuse(status(error.reason()));
                return draft.fail(&error);
            }
        },
        reason = entry.closed() => {
            respond.refuse(status(reason));
            return draft.refuse(reason);
        }
        () = respond.gone() => return draft.refuse(Reason::ClientReset),
    };
    let Ok(tunnel) = respond.accept(own_baggage(pod).as_ref()) else {
        return draft.refuse(Reason::ClientReset);
    };
    carry(pod, tunnel, stream, entry, draft).await;
}

/// One plain connection from accept to record.
async fn plain(pod: &Pod, stream: TcpStream, source: SocketAddr) {
    let mut draft = Draft::open(Direction::Inbound, source, &pod.shared.metrics);
    let admitted = match plaintext::destination(&stream, &pod.shared.config.doors) {
        Err(reason) => Err(Refused::Early(reason)),
        Ok(destination) => admit_plain(pod, source, destination, &mut draft).await,
    };
    let destination = match admitted {
        Ok(destination) => destination,
        Err(refused) => {
            abort(stream);
            return draft.fail(&refused);
        }
    };
    let mut entry = pod.connections.add(Facts {
        direction: Direction::Inbound,
        source,
        asked: Asked::Address(destination),
        destination,
        tunnel: None,
    });
    let delivered = tokio::select! {
        delivered = deliver(pod, destination, source) => delivered,
        reason = entry.closed() => {
            abort(stream);
            return draft.refuse(reason);
        }
    };
    match delivered {
        Ok(application) => carry(pod, stream, application, entry, draft).await,
        Err(error) => {
            abort(stream);
            draft.fail(&error);
        }
    }
}

/// Calls the application as if the client had.
async fn deliver(
    pod: &Pod,
    application: SocketAddr,
    client: SocketAddr,
) -> Result<TcpStream, deliver::Error> {
    deliver::connect(
        &pod.netns,
        &pod.shared.config.doors,
        application,
        client.ip(),
    )
    .await
}

/// Why a connection was turned away before anything was dialled.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// It makes no sense, or something it needs has not arrived.
    #[error("refused: {}", .0.word())]
    Early(Reason),
    /// A policy says so.
    #[error(transparent)]
    Denied(#[from] Denial),
}

impl EndsFlow for Refused {
    fn reason(&self) -> Reason {
        match self {
            Refused::Early(reason) => *reason,
            Refused::Denied(denial) => denial.reason(),
        }
    }
}

/// Where a plain connection goes, once it is allowed.
async fn admit_plain(
    pod: &Pod,
    source: SocketAddr,
    destination: SocketAddr,
    draft: &mut Draft,
) -> Result<SocketAddr, Refused> {
    draft.destination.address = Some(destination);
    let caller = Caller {
        identity: None,
        address: source.ip(),
    };
    let outcome = pod.ask(|snapshot| {
        let own = match pod.own_record(snapshot) {
            Attempt::Answer(own) => own,
            Attempt::Later(why) => return Attempt::Later(why),
        };
        describe(snapshot, own, source, draft);
        authorize::decide(snapshot, own, &caller, destination)
    });
    let verdict = outcome.await.map_err(Refused::Early)?;
    settle(verdict, draft)?;
    Ok(destination)
}

/// What a CONNECT asks for, once it is allowed.
async fn admit(
    pod: &Pod,
    link: &Link,
    authority: &Authority,
    draft: &mut Draft,
) -> Result<SocketAddr, Refused> {
    let caller = Caller {
        identity: Some(&link.peer.identity),
        address: link.source.ip(),
    };
    let outcome = pod.ask(|snapshot| {
        let own = match pod.own_record(snapshot) {
            Attempt::Answer(own) => own,
            Attempt::Later(why) => return Attempt::Later(why),
        };
        describe(snapshot, own, link.source, draft);
        let asked = request::Asked {
            authority,
            dialled: link.local.ip(),
            pod: own,
            doors: &pod.shared.config.doors,
        };
        let application = match request::target(snapshot, &asked) {
            Ok(application) => application,
            Err(reason) => return Attempt::Answer(Err(reason)),
        };
        match authorize::decide(snapshot, own, &caller, application) {
            Attempt::Answer(verdict) => Attempt::Answer(Ok((application, verdict))),
            Attempt::Later(why) => Attempt::Later(why),
        }
    });
    let (application, verdict) = outcome
        .await
        .and_then(|answer| answer)
        .map_err(Refused::Early)?;
    settle(verdict, draft)?;
    Ok(application)
}

/// Notes in the record who both ends are, as far as the mesh knows.
fn describe(snapshot: &Snapshot, pod: WorkloadView<'_>, source: SocketAddr, draft: &mut Draft) {
    let proven = draft.source.identity.take();
    let found = snapshot.find_address(pod.network(), source.ip(), pod.namespace());
    let client = match found {
        Lookup::Found(Hit::Workload(id)) => snapshot.workload(id),
        _ => None,
    };
    draft.source = party(Some(source), client, proven);
    let own_identity = draft
        .source
        .identity
        .is_some()
        .then(|| pod.identity().clone());
    draft.destination = party(draft.destination.address, Some(pod), own_identity);
}

/// Notes the rule behind a refusal.
fn settle(verdict: Result<(), Denial>, draft: &mut Draft) -> Result<(), Denial> {
    verdict.inspect_err(|denial| draft.origin.clone_from(&denial.origin))
}

fn bad_head(bad: &BadHead) -> Reason {
    match bad {
        BadHead::Method(_) | BadHead::ExtendedConnect => Reason::NotConnect,
        BadHead::Authority => Reason::BadAuthority,
        BadHead::Unwritable { .. } => Reason::BadHeader,
    }
}

fn status(reason: Reason) -> StatusCode {
    StatusCode::from_u16(reason.connect_status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}

/// What this pod says about itself in an answer.
fn own_baggage(pod: &Pod) -> Option<Baggage> {
    if !pod.shared.config.tunnels.response_baggage {
        return None;
    }
    let snapshot = pod.shared.state.load();
    match pod.own_record(&snapshot) {
        Attempt::Answer(own) => Some(baggage(own)),
        Attempt::Later(_) => None,
    }
}
