//! Listening sockets, and accepting from them without ever giving up on a passing error.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::sockopt;

/// Longest pause after an error that accepting again at once would only repeat (out of descriptors).
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// How a listening socket is made (contract: life in a pod's namespace, docs/compat.md#pod-sockets).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// Firewall mark of the listener and of what it accepts.
    pub mark: Option<u32>,
    /// Accept connections to addresses that are not ours.
    pub transparent: bool,
    /// Let another process listen on the same address at the same time.
    pub reuse_port: bool,
    /// Connections waiting to be accepted.
    pub backlog: i32,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            mark: None,
            transparent: false,
            reuse_port: false,
            backlog: 128,
        }
    }
}

/// A non-blocking listener on `address`, in the network namespace of the calling thread.
///
/// `[::]` also takes IPv4. The result is a plain socket so that it can be made on a short-lived
/// thread and given to a runtime afterwards (`tokio::net::TcpListener::from_std`).
///
/// # Errors
/// What the kernel says, for example when the address is taken or an option needs a capability.
pub fn bind(address: SocketAddr, options: &SocketOptions) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    if options.reuse_port {
        socket.set_reuse_port(true)?;
    }
    if let Some(mark) = options.mark {
        socket.set_mark(mark)?;
    }
    if options.transparent {
        sockopt::set_transparent(&socket, address.is_ipv6())?;
    }
    socket.bind(&address.into())?;
    socket.listen(options.backlog)?;
    Ok(socket.into())
}

/// The next connection, with no-delay and keep-alive set, and the peer's address (IPv4-mapped
/// addresses as IPv4).
///
/// Connections that died in the queue are passed over, and when descriptors or memory run out it
/// waits and tries again.
///
/// # Errors
/// Only what will not pass: the socket itself is unusable.
pub async fn accept(
    listener: &TcpListener,
    keep_alive: &sockopt::KeepAlive,
) -> io::Result<(TcpStream, SocketAddr)> {
    let mut pause = FIRST_PAUSE;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if sockopt::prepare_stream(&stream, keep_alive).is_ok() {
                    return Ok((stream, sockopt::canonical(peer)));
                }
            }
            Err(error) if is_fatal(&error) => return Err(error),
            Err(error) if is_scarcity(&error) => {
                tracing::warn!(%error, "cannot accept for lack of resources, waiting");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => tracing::debug!(%error, "a connection failed before it was accepted"),
        }
    }
}

fn is_fatal(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP | libc::EFAULT) | None
    )
}

fn is_scarcity(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}
