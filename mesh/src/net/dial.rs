//! Outgoing connections: the socket is made first (perhaps inside a pod's namespace), connected later.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};

use super::sockopt::{KeepAlive, prepare_stream, set_freebind, set_transparent};

/// Time to establish a TCP connection (contract: docs/compat.md#hbone-parameters).
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// How an outgoing socket is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DialOptions {
    /// Firewall mark.
    pub mark: Option<u32>,
    /// Source address; the kernel chooses when absent. The port is always the kernel's choice.
    pub source: Option<IpAddr>,
    /// The source is not one of our addresses: needs CAP_NET_ADMIN in the socket's namespace.
    pub transparent: bool,
}

/// An unconnected, non-blocking socket for `destination`'s address family, in the network namespace
/// of the calling thread.
///
/// # Errors
/// What the kernel says: a missing capability, or a source address that cannot be used.
pub fn socket(destination: SocketAddr, options: &DialOptions) -> io::Result<std::net::TcpStream> {
    let ipv6 = destination.is_ipv6();
    let socket = Socket::new(
        Domain::for_address(destination),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    if let Some(mark) = options.mark {
        socket.set_mark(mark)?;
    }
    if options.transparent {
        set_transparent(&socket, ipv6)?;
        set_freebind(&socket, ipv6)?;
    }
    if let Some(source) = options.source {
        // ports are chosen at connect time, so that many connections can share one source port
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    Ok(socket.into())
}

/// Why a connection was not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused, or the peer did.
    #[error("cannot connect to {destination}")]
    Connect {
        /// Whom we called.
        destination: SocketAddr,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// No answer in time; towards port 15008 that is probably a NetworkPolicy.
    #[error("no answer from {destination} within {} ms", deadline.as_millis())]
    Deadline {
        /// Whom we called.
        destination: SocketAddr,
        /// How long we waited.
        deadline: Duration,
    },
}

/// Connects a socket made by [`socket`], with no-delay and keep-alive.
///
/// # Errors
/// [`Error`] names the destination.
pub async fn connect(
    socket: std::net::TcpStream,
    destination: SocketAddr,
    deadline: Duration,
    keep_alive: &KeepAlive,
) -> Result<TcpStream, Error> {
    let failed = |source| Error::Connect {
        destination,
        source,
    };
    let connecting = TcpSocket::from_std_stream(socket).connect(destination);
    let stream = tokio::time::timeout(deadline, connecting)
        .await
        .map_err(|_| Error::Deadline {
            destination,
            deadline,
        })?
        .map_err(failed)?;
    prepare_stream(&stream, keep_alive).map_err(failed)?;
    Ok(stream)
}
