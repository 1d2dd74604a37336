//! Takes a tunnel on 15008: handshake with the pod's own certificate, then HTTP/2.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use mesh::flow::{Direction, EndsFlow, Reason};
use mesh::hbone::{Tunnel, server};
use mesh::net::sockopt::{self, KeepAlive};
use mesh::tls::{self, HANDSHAKE_DEADLINE};
use mesh::{cert, net::listen};
use tokio::net::{TcpListener, TcpStream};

use super::Link;
use crate::dial::tls_reason;
use crate::places::Full;
use crate::pod::{Attempt, Pod};

/// Why no tunnel came about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pod's own record is missing, or too many wait for it.
    #[error("the pod is not known to the mesh yet")]
    Unknown(Reason),
    /// Too many handshakes are under way.
    #[error("too many callers of this pod are in their handshake")]
    Crowded,
    /// So many of them are this caller's that the rest is for others.
    #[error("too many handshakes of this caller are under way")]
    Greedy,
    /// This proxy or the pod has no time left.
    #[error("drained before the handshake was complete")]
    Drained,
    /// There is no certificate to answer with.
    #[error("no certificate for the pod")]
    Certificate(#[source] Arc<cert::Error>),
    /// The handshake failed.
    #[error("handshake failed")]
    Tls(#[from] tls::Error),
    /// What follows the handshake is not HTTP/2.
    #[error("tunnel failed")]
    Tunnel(#[from] server::Error),
    /// The socket is gone already.
    #[error("the connection is gone")]
    Socket(#[source] io::Error),
}

impl EndsFlow for Error {
    fn reason(&self) -> Reason {
        match self {
            Error::Unknown(reason) => *reason,
            Error::Crowded | Error::Greedy => Reason::Overloaded,
            Error::Drained => Reason::Drained,
            Error::Certificate(_) => Reason::NoOwnCertificate,
            Error::Tls(error) => tls_reason(error),
            Error::Tunnel(_) => Reason::Http2Failed,
            Error::Socket(_) => Reason::ClientReset,
        }
    }
}

/// The next connection and its other end.
///
/// # Errors
/// Only when the listener itself is broken.
pub async fn next(
    listener: &TcpListener,
    keep_alive: &KeepAlive,
) -> io::Result<(TcpStream, SocketAddr)> {
    listen::accept(listener, keep_alive).await
}

/// Completes the handshake and starts HTTP/2.
///
/// # Errors
/// [`Error`] says which step failed, and why.
pub async fn open(
    pod: &Pod,
    stream: TcpStream,
    source: SocketAddr,
) -> Result<(Tunnel<tls::Stream<TcpStream>>, Link), Error> {
    let place = pod.handshakes.enter(source.ip());
    let _place = place.map_err(|full| match full {
        Full::Everybody => Error::Crowded,
        Full::Caller => Error::Greedy,
    })?;
    let local = sockopt::canonical(stream.local_addr().map_err(Error::Socket)?);
    let known = pod.ask(|snapshot, _| match pod.own_record(snapshot) {
        Some(own) => Attempt::Answer(own.identity().clone()),
        None => Attempt::Later(Reason::WorkloadUnknown),
    });
    let identity = known.await.map_err(Error::Unknown)?;
    let credentials = pod
        .shared
        .certificates
        .get(&identity)
        .await
        .map_err(Error::Certificate)?;
    let begun = Instant::now();
    let handshakes = &pod.shared.metrics.handshakes;
    let (stream, peer) = tls::server::accept(stream, &credentials, HANDSHAKE_DEADLINE)
        .await
        .inspect_err(|error| handshakes.failed(Direction::Inbound, tls_reason(error)))?;
    let counted = handshakes.succeeded(Direction::Inbound, begun);
    let tunnel = Tunnel::accept(stream, &pod.shared.tunnels).await?;
    Ok((
        tunnel,
        Link {
            source,
            local,
            good_until: credentials.not_after().min(peer.not_after),
            peer: Rc::new(peer),
            counted,
        },
    ))
}
