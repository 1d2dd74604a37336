//! Turns the next hop into a stream: plain TCP from inside the pod, or a CONNECT over a pooled
//! tunnel.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use mesh::flow::{Direction, EndsFlow, Reason};
use mesh::hbone::{
    Authority, Baggage, ConnectHead, Dialed, Forwarded, OpenError, PoolKey, Traceparent,
    TunnelStream,
};
use mesh::identity::Identity;
use mesh::net::dial::Error as TcpError;
use mesh::tls::{self, HANDSHAKE_DEADLINE, Peer};
use tokio::net::TcpStream;

use super::resolve::Way;
use crate::dial;
use crate::pod::Pod;

/// For whom a hop is opened.
#[derive(Debug)]
pub struct Caller {
    /// Whose certificate proves us.
    pub identity: Identity,
    /// The application that calls.
    pub source: SocketAddr,
    /// The service it asked for, by host name.
    pub service: Option<Arc<str>>,
    /// What its workload says about itself.
    pub baggage: Baggage,
}

/// The stream to the next hop: where a same-node short cut will be a third kind.
pub enum Stream {
    /// Plain TCP.
    Plain(TcpStream),
    /// Through a tunnel.
    Tunnel(TunnelStream),
}

/// A hop that is open.
pub struct Connected {
    /// Its bytes.
    pub stream: Stream,
    /// Who the other proxy proved to be.
    pub peer: Option<Rc<Peer>>,
}

/// Why the hop could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No plain connection.
    #[error(transparent)]
    Plain(#[from] dial::Error),
    /// No tunnel, or no stream in it.
    #[error(transparent)]
    Tunnel(#[from] OpenError<dial::Error>),
}

impl EndsFlow for Error {
    fn reason(&self) -> Reason {
        match self {
            Error::Plain(error) => error.reason(),
            Error::Tunnel(error) => match error {
                OpenError::Dial(error) => error.reason(),
                OpenError::Refused(status) if status.as_u16() == 401 => Reason::RefusedByPeerPolicy,
                OpenError::Refused(_) => Reason::RefusedByPeer,
                OpenError::Deadline { .. } => Reason::AnswerTimeout,
                OpenError::Tls(error) => dial::tls_reason(error),
                // Said by our own HTTP/2: the peer broke its rules.
                OpenError::Lost(error) if error.is_library() && !error.is_io() => {
                    Reason::Http2Failed
                }
                OpenError::Lost(_) => Reason::TunnelLost,
                OpenError::Head(_) => Reason::BadHeader,
                OpenError::Draining => Reason::Drained,
            },
        }
    }
}

/// Opens the hop.
///
/// # Errors
/// [`Error`]; its reason says whose fault it is.
pub async fn open(pod: &Pod, way: Way, caller: Caller) -> Result<Connected, Error> {
    let (hop, authority, peers) = match way {
        Way::Plain(destination) => {
            let stream = dial::plain(&pod.netns, &pod.shared.config.doors, destination).await?;
            return Ok(Connected {
                stream: Stream::Plain(stream),
                peer: None,
            });
        }
        Way::Tunnel {
            hop,
            authority,
            peers,
        } => (hop, authority, peers),
    };
    let head = ConnectHead {
        baggage: Some(caller.baggage),
        forwarded: Some(Forwarded {
            source: caller.source,
            host: caller.service.as_deref().map(Into::into),
        }),
        traceparent: Some(Traceparent::fresh(rand::random(), rand::random())),
        ..ConnectHead::new(Authority::Ip(authority))
    };
    let key = PoolKey::new(caller.identity, peers, hop, caller.source.ip());
    let opened = pod
        .pool
        .open(&key, async || dial_tunnel(pod, &key, hop).await, &head)
        .await?;
    Ok(Connected {
        stream: Stream::Tunnel(opened.stream),
        peer: Some(opened.peer),
    })
}

async fn dial_tunnel(
    pod: &Pod,
    key: &PoolKey,
    hop: SocketAddr,
) -> Result<Dialed<tls::Stream<TcpStream>>, dial::Error> {
    let credentials = pod.shared.certificates.get(key.source());
    let credentials = credentials.await.map_err(dial::Error::Certificate)?;
    let stream = match dial::plain(&pod.netns, &pod.shared.config.doors, hop).await {
        Err(dial::Error::Connect(source @ TcpError::Deadline { .. })) => {
            return Err(dial::Error::Blocked {
                port: hop.port(),
                source,
            });
        }
        stream => stream?,
    };
    let local_address = stream.local_addr().map_err(dial::Error::Socket)?;
    let begun = Instant::now();
    let handshakes = &pod.shared.metrics.handshakes;
    let (io, peer) = tls::client::connect(stream, &credentials, key.peers(), HANDSHAKE_DEADLINE)
        .await
        .inspect_err(|error| handshakes.failed(Direction::Outbound, dial::tls_reason(error)))
        .map_err(|source| dial::Error::Tls { hop, source })?;
    let counted = handshakes.succeeded(Direction::Outbound, begun);
    Ok(Dialed {
        good_until: credentials.not_after().min(peer.not_after),
        io,
        peer,
        local_address,
        kept: Box::new(counted),
    })
}
