//! Takes a tunnel on 15008: handshake with this waypoint's certificate, then HTTP/2. Who is calling?

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use mesh::cert;
use mesh::hbone::{Tunnel, server};
use mesh::net::sockopt;
use mesh::tls::{self, HANDSHAKE_DEADLINE};
use tokio::net::TcpStream;

use crate::call::Link;
use crate::worker::Worker;

/// Why no tunnel came about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no certificate to answer with.
    #[error("no certificate to answer with")]
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

/// Completes the handshake and starts HTTP/2.
///
/// # Errors
/// [`Error`] says which step failed, and why.
pub async fn open(
    worker: &Worker,
    stream: TcpStream,
    source: SocketAddr,
) -> Result<(Tunnel<tls::Stream<TcpStream>>, Rc<Link>), Error> {
    let local = sockopt::canonical(stream.local_addr().map_err(Error::Socket)?);
    let credentials = worker.shared.certificates.get(&worker.shared.identity);
    let credentials = credentials.await.map_err(Error::Certificate)?;
    let (stream, peer) = tls::server::accept(stream, &credentials, HANDSHAKE_DEADLINE).await?;
    let tunnel = Tunnel::accept(stream, &worker.shared.tunnels).await?;
    let link = Link {
        source,
        local,
        good_until: credentials.not_after().min(peer.not_after),
        peer,
    };
    Ok((tunnel, Rc::new(link)))
}
