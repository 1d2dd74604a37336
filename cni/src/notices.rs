//! Hears when somebody changes nftables or routing of a network namespace: the kernel tells whoever listens.
//!
//! A notice says only that it is worth looking. Some may be lost when very many come at once; that too is heard, as one
//! more notice. Our own changes are heard as well.

use std::io;
use std::os::fd::BorrowedFd;

use netlink_sys::constants::{NETLINK_NETFILTER, NETLINK_ROUTE};
use netlink_sys::{Socket, SocketAddr};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::netns;
use crate::nft::{Table, dump};

/// Groups of `rtnetlink`, as bits: IPv4 routes and rules, IPv6 routes and rules.
const ROUTING: u32 = 1 << 6 | 1 << 7 | 1 << 10 | 1 << 18;
/// The group of nftables, as a bit.
const NFTABLES: u32 = 1 << 6;

/// What is heard of one namespace.
#[derive(Debug)]
pub struct Notices {
    nftables: AsyncFd<Socket>,
    routing: AsyncFd<Socket>,
    tables: Vec<Table>,
}

impl Notices {
    /// Listens in this namespace for changes of these tables, and of rules and routes. Must be called inside a tokio
    /// runtime.
    ///
    /// # Errors
    /// When the namespace cannot be entered or the kernel does not let us listen.
    pub fn of(netns: BorrowedFd<'_>, tables: Vec<Table>) -> io::Result<Self> {
        let (nftables, routing) = netns::inside(netns, || {
            Ok::<_, io::Error>((
                listen(NETLINK_NETFILTER, NFTABLES)?,
                listen(NETLINK_ROUTE, ROUTING)?,
            ))
        })??;
        Ok(Notices {
            nftables: watch(nftables)?,
            routing: watch(routing)?,
            tables,
        })
    }

    /// Returns when something may have changed since the last call. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the kernel says no more.
    pub async fn changed(&self) -> io::Result<()> {
        let is_ours = |bytes: &[u8]| dump::concerns(bytes, &self.tables);
        tokio::select! {
            heard = hear(&self.nftables, is_ours) => heard,
            heard = hear(&self.routing, |_| true) => heard,
        }
    }
}

fn listen(protocol: isize, groups: u32) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.set_non_blocking(true)?;
    socket.bind(&SocketAddr::new(0, groups))?;
    Ok(socket)
}

fn watch(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    #[expect(
        unsafe_code,
        reason = "tokio asks for the promise that the descriptor stays the same"
    )]
    // SAFETY: the socket owns one open descriptor for as long as it lives, and it is moved in here.
    let watched = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
    watched.map_err(Into::into)
}

/// Reads until something is said that counts, and then all that was said by then.
async fn hear(socket: &AsyncFd<Socket>, counts: impl Fn(&[u8]) -> bool) -> io::Result<()> {
    let mut has_heard = false;
    loop {
        let mut ready = socket.readable().await?;
        loop {
            let mut buffer = Vec::with_capacity(64 * 1024);
            match socket.get_ref().recv(&mut buffer, 0) {
                Ok(_) => has_heard |= counts(&buffer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The kernel had more to say than the socket can hold.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => has_heard = true,
                Err(error) => return Err(error),
            }
        }
        if has_heard {
            return Ok(());
        }
        ready.clear_ready();
    }
}
