//! Takes a captured connection and finds out where the pod meant to go.

use std::io;
use std::net::SocketAddr;

use mesh::flow::Reason;
use mesh::net::listen;
use mesh::net::sockopt::{self, KeepAlive};
use tokio::net::{TcpListener, TcpStream};

/// The next captured connection and the application's address.
///
/// # Errors
/// Only when the listener itself is broken.
pub async fn next(
    listener: &TcpListener,
    keep_alive: &KeepAlive,
) -> io::Result<(TcpStream, SocketAddr)> {
    listen::accept(listener, keep_alive).await
}

/// A captured connection's ends.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    /// The application.
    pub source: SocketAddr,
    /// Where it meant to go.
    pub destination: SocketAddr,
    /// Whether it came here by redirection; otherwise somebody dialled our own door.
    pub was_redirected: bool,
}

/// Where the pod meant to go: the destination before the redirection, or else the address that was
/// dialled.
///
/// # Errors
/// [`Reason::IoFailed`] when the kernel does not say where the connection arrived.
pub fn destination(stream: &TcpStream, source: SocketAddr) -> Result<Accepted, Reason> {
    let local = stream.local_addr().map_err(|_| Reason::IoFailed)?;
    let local = sockopt::canonical(local);
    let destination = sockopt::original_destination(stream).unwrap_or(local);
    Ok(Accepted {
        source,
        destination,
        was_redirected: destination != local,
    })
}
