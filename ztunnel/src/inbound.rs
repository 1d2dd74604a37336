//! Recipe of the inbound path: accept -> read request -> authorize -> deliver -> relay -> record.
//! Next hop: the application. Plain connections go the same way without a tunnel.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use http::StatusCode;
use mesh::flow::{Direction, EndsFlow, Reason};
use mesh::hbone::{self, BadHead, Baggage, ConnectHead, Incoming, Responder};
use mesh::lifecycle::{drain, task};
use mesh::net::sockopt;
use mesh::proxy_protocol;
use mesh::telemetry::report;
use mesh::tls::Peer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::carry::{abort, carry, given_up};
use crate::connections::{Asked, Cut, Entry, Facts, Tunnel};
use crate::metrics::handshakes;
use crate::pod::{LAST_WORDS, Pod};
use crate::record::{Draft, baggage};

pub mod reconsider;
pub mod admit;
pub mod accept;
pub mod request;
pub mod authorize;
mod report;
pub mod deliver;
pub mod plaintext;

use admit::NotAdmitted;
use deliver::Delivery;

/// The TCP connection and the proven peer that a tunnel's requests share.
#[derive(Debug)]
pub struct Link {
    /// Address of the other proxy's end: the client's own address unless a proxy stands between.
    pub source: SocketAddr,
    /// Address of the pod that was dialled.
    pub local: SocketAddr,
    /// Who the other end proved to be.
    pub peer: Rc<Peer>,
    /// When the first of the two certificates it was made with ends: it takes no requests after that.
    pub good_until: SystemTime,
    /// Counts the tunnel as open.
    pub counted: handshakes::Tunnel,
}

/// Takes tunnels of other proxies until the drain begins; each connection is a task, and each
/// CONNECT in it another one.
pub async fn serve_tunnels(pod: Rc<Pod>, listener: TcpListener, drain: drain::Watch) {
    let keep_alive = pod.shared.config.doors.keep_alive;
    let draining = drain.draining();
    tokio::pin!(draining);
    loop {
        tokio::select! {
            () = &mut draining => return,
            accepted = accept::next(&listener, &keep_alive) => match accepted {
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
    let keep_alive = pod.shared.config.doors.keep_alive;
    let draining = drain.draining();
    tokio::pin!(draining);
    loop {
        tokio::select! {
            () = &mut draining => return,
            accepted = accept::next(&listener, &keep_alive) => match accepted {
                Ok((stream, source)) => {
                    let (pod, drain, hold) = (Rc::clone(&pod), drain.clone(), drain.hold());
                    task::spawn_local("plain connection", async move {
                        plain(&pod, stream, source, drain).await;
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
    let _socket = pod.shared.metrics.table.socket(Direction::Inbound);
    let local = stream.local_addr().ok().map(sockopt::canonical);
    let accepted = tokio::select! {
        accepted = Box::pin(accept::open(&pod, stream, source)) => accepted,
        () = drain.draining() => Err(accept::Error::Drained),
    };
    let (mut tunnel, link) = match accepted {
        Ok(accepted) => accepted,
        Err(error) => {
            let mut draft = Draft::open(Direction::Inbound, source, &pod.shared.metrics);
            draft.destination.address = local;
            return draft.fail(&error);
        }
    };
    let link = Rc::new(link);
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
            () = &mut closing => return say_goodbye(&mut tunnel).await,
        };
        match incoming {
            None => return,
            Some(Err(error)) => {
                let error = report(&error);
                tracing::debug!(pod = &*pod.uid, %source, error, "tunnel ended");
                return;
            }
            Some(Ok(Incoming { head, respond })) => {
                let (pod, link, hold) = (Rc::clone(&pod), Rc::clone(&link), drain.hold());
                let head = Box::new(head);
                let closing = drain.clone();
                task::spawn_local("inbound connection", async move {
                    connect_request(&pod, &link, head, respond, closing).await;
                    drop(hold);
                });
            }
        }
    }
}

/// The streams of a tunnel are being cut. Its peer is to hear that from them, and not take the tunnel for lost: so what
/// is still to be said goes out first. Requests that come by now are refused.
async fn say_goodbye<Io: AsyncRead + AsyncWrite + Unpin>(tunnel: &mut hbone::Tunnel<Io>) {
    let rest = async { while tunnel.next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST_WORDS, rest).await;
}

/// One CONNECT from its head to its record.
async fn connect_request(
    pod: &Pod,
    link: &Link,
    head: Box<Head>,
    mut respond: Responder,
    drain: drain::Watch,
) {
    let mut draft = Draft::open(Direction::Inbound, link.source, &pod.shared.metrics);
    draft.source.identity = Some(link.peer.identity.clone());
    draft.destination.address = Some(link.local);
    // Getting to a stream takes more room than carrying its bytes: boxed, it is given back here.
    let opened = tokio::select! {
        biased;
        () = Box::pin(async move { drain.closing().await }) => {
            Err(Refused::Early(Reason::Drained))
        }
        () = respond.gone() => Err(Refused::Early(Reason::ClientReset)),
        opened = Box::pin(open(pod, link, head, &mut draft)) => opened,
    };
    match opened {
        Err(refused) => {
            respond.refuse(status(refused.reason()));
            refused.record(draft);
        }
        Ok((stream, entry)) => match respond.accept(own_baggage(pod).as_ref()) {
            Ok(tunnel) => carry(pod, tunnel, stream, entry, draft).await,
            Err(end) => {
                tracing::debug!(error = report(&end), "the client left before its answer");
                draft.refuse(Reason::ClientReset);
            }
        },
    }
}

/// What a request began with. Boxed on its way, because nobody needs it once bytes flow.
type Head = Result<ConnectHead, BadHead>;

/// From the head of a CONNECT to the application's stream, noted in the table.
async fn open(
    pod: &Pod,
    link: &Link,
    head: Box<Head>,
    draft: &mut Draft,
) -> Result<(TcpStream, Entry), Refused> {
    let head = (*head)?;
    let text: Arc<str> = head.authority.to_string().into();
    draft.tunnel_authority = Some(Arc::clone(&text));
    let target = admit::tunnelled(pod, link, &head, draft).await?;
    let identity = &link.peer.identity;
    let announce = |destination| proxy_protocol::version2(link.source, destination, Some(identity));
    let delivery = Delivery {
        application: target.at,
        client: link.source.ip(),
        header: target.announced.map(announce),
    };
    let entry = pod.connections.add(Facts {
        direction: Direction::Inbound,
        source: link.source,
        asked: Asked::Authority(text),
        destination: target.application,
        tunnel: Some(Tunnel {
            hop: link.source,
            peer: Rc::clone(&link.peer),
        }),
    });
    deliver(pod, &delivery, entry).await
}

/// One plain connection from accept to record.
async fn plain(pod: &Pod, stream: TcpStream, source: SocketAddr, drain: drain::Watch) {
    let _socket = pod.shared.metrics.table.socket(Direction::Inbound);
    let mut draft = Draft::open(Direction::Inbound, source, &pod.shared.metrics);
    let opened = tokio::select! {
        biased;
        why = Box::pin(given_up(&stream, drain)) => Err(Refused::Early(why)),
        opened = Box::pin(open_plain(pod, &stream, source, &mut draft)) => opened,
    };
    match opened {
        Ok((application, entry)) => carry(pod, stream, application, entry, draft).await,
        Err(refused) => {
            abort(stream);
            refused.record(draft);
        }
    }
}

/// From a redirected connection to the application's stream, noted in the table.
async fn open_plain(
    pod: &Pod,
    stream: &TcpStream,
    source: SocketAddr,
    draft: &mut Draft,
) -> Result<(TcpStream, Entry), Refused> {
    let doors = &pod.shared.config.doors;
    let destination = plaintext::destination(stream, doors).map_err(Refused::Early)?;
    draft.destination.address = Some(destination);
    admit::plain(pod, source, destination, draft).await?;
    let entry = pod.connections.add(Facts {
        direction: Direction::Inbound,
        source,
        asked: Asked::Address(destination),
        destination,
        tunnel: None,
    });
    let delivery = Delivery {
        application: destination,
        client: source.ip(),
        header: None,
    };
    deliver(pod, &delivery, entry).await
}

/// Calls the application as if the client had, unless a policy changes its mind meanwhile.
async fn deliver(
    pod: &Pod,
    delivery: &Delivery,
    mut entry: Entry,
) -> Result<(TcpStream, Entry), Refused> {
    let doors = &pod.shared.config.doors;
    tokio::select! {
        delivered = deliver::connect(&pod.netns, doors, delivery) => {
            Ok((delivered?, entry))
        }
        cut = entry.closed() => Err(Refused::Cut(cut)),
    }
}

/// Why a connection did not reach the application.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// The head of the CONNECT is not one of ours.
    #[error(transparent)]
    Head(#[from] BadHead),
    /// It makes no sense, or somebody gave it up.
    #[error("given up: {}", .0.word())]
    Early(Reason),
    /// It was closed from here before the application took it.
    #[error("closed: {}", .0.reason.word())]
    Cut(Cut),
    /// It is not for this pod, or a policy says no.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// The application could not be called.
    #[error(transparent)]
    Deliver(#[from] deliver::Error),
}

impl Refused {
    /// Writes the record of what was refused.
    fn record(self, mut draft: Box<Draft>) {
        if let Self::Cut(cut) = &self {
            draft.origin.clone_from(&cut.origin);
        }
        draft.fail(&self);
    }
}

impl EndsFlow for Refused {
    fn reason(&self) -> Reason {
        match self {
            Refused::Head(BadHead::Method(_) | BadHead::ExtendedConnect) => Reason::NotConnect,
            Refused::Head(BadHead::Authority) => Reason::BadAuthority,
            Refused::Head(BadHead::Unwritable { .. }) => Reason::BadHeader,
            Refused::Early(reason) => *reason,
            Refused::Cut(cut) => cut.reason,
            Refused::NotAdmitted(error) => error.reason(),
            Refused::Deliver(error) => error.reason(),
        }
    }
}

/// What a peer hears of a request that is not served; never a success, whatever the reason.
fn status(reason: Reason) -> StatusCode {
    let status = StatusCode::from_u16(reason.connect_status()).ok();
    let status = status.filter(|status| !status.is_success());
    status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}

/// What this pod says about itself in an answer.
fn own_baggage(pod: &Pod) -> Option<Baggage> {
    if !pod.shared.config.tunnels.response_baggage {
        return None;
    }
    let snapshot = pod.shared.state.load();
    pod.own_record(&snapshot).map(baggage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_a_small_task() {
        fn size_of_future<F: Future>(
            _: impl FnOnce(&'static Pod, &'static Link, Box<Head>, Responder, drain::Watch) -> F,
        ) -> usize {
            size_of::<F>()
        }
        let size = size_of_future(connect_request);
        assert!(size <= 1280, "{size} bytes for each open connection");
    }
}
