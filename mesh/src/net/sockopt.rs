//! Options on sockets: firewall mark, transparent addresses, keep-alive, original destination.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, Socket, TcpKeepalive};
use tokio::net::TcpStream;

/// How a TCP connection notices a peer that vanished (contract: TCP options,
/// docs/compat.md#hbone-parameters).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Whether silent connections are probed at all.
    pub is_probed: bool,
    /// Silence before the first probe.
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Unanswered probes after which the connection is dead.
    pub probes: u32,
    /// How long bytes may stay without acknowledgement; `None` for as long as the kernel tries.
    pub user_timeout: Option<Duration>,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self {
            is_probed: true,
            idle: Duration::from_secs(180),
            interval: Duration::from_secs(180),
            probes: 9,
            user_timeout: None,
        }
    }
}

/// What every stream of the data path gets: no delay, and keep-alive.
///
/// Without no-delay, small messages wait for the peer's delayed acknowledgement (40 ms).
///
/// # Errors
/// The kernel's error when the socket is already dead.
pub fn prepare_stream(stream: &TcpStream, keep_alive: &KeepAlive) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    set_keep_alive(&socket, keep_alive)
}

/// Where the peer meant to connect before the firewall redirected it here; `None` when the
/// connection was not redirected.
///
/// An IPv4 address mapped into IPv6 comes back as IPv4.
pub fn original_destination(stream: &TcpStream) -> Option<SocketAddr> {
    let socket = SockRef::from(stream);
    let local = stream.local_addr().ok()?;
    let found = if local.ip().to_canonical().is_ipv4() {
        socket.original_dst_v4()
    } else {
        socket.original_dst_v6()
    };
    found.ok()?.as_socket().map(canonical)
}

/// An address with IPv4-mapped IPv6 turned back into IPv4.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Lets the socket use addresses that are not this machine's (needs CAP_NET_ADMIN in its namespace).
pub(super) fn set_transparent(socket: &Socket, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        socket.set_ip_transparent_v6(true)
    } else {
        socket.set_ip_transparent_v4(true)
    }
}

/// Lets the socket bind to an address that no interface holds yet.
pub(super) fn set_freebind(socket: &Socket, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        socket.set_freebind_v6(true)
    } else {
        socket.set_freebind_v4(true)
    }
}

fn set_keep_alive(socket: &SockRef<'_>, keep_alive: &KeepAlive) -> io::Result<()> {
    if let Some(timeout) = keep_alive.user_timeout {
        socket.set_tcp_user_timeout(Some(timeout))?;
    }
    if !keep_alive.is_probed {
        return Ok(());
    }
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(keep_alive.idle)
            .with_interval(keep_alive.interval)
            .with_retries(keep_alive.probes),
    )
}
