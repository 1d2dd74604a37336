//! Opens a packet socket on one interface, in the namespace that the interface is in.

use std::io;
use std::mem::size_of;
use std::os::fd::OwnedFd;

use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::network::namespace::{self, Namespace};

/// Bytes the kernel may hold for a reader that is late; it may give less.
const BUFFER: usize = 8 << 20;

/// Why a capture cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Namespace(#[from] namespace::Error),
    #[error("cannot listen on interface {interface}")]
    Listen {
        interface: String,
        source: io::Error,
    },
}

/// A socket that sees every frame in and out of `interface`.
pub(crate) fn open(namespace: &Namespace, interface: &str) -> Result<OwnedFd, Error> {
    let opened = namespace.run(|| listen(interface))?;
    opened.map_err(|source| Error::Listen {
        interface: interface.to_owned(),
        source,
    })
}

fn listen(interface: &str) -> io::Result<OwnedFd> {
    let index = if_nametoindex(interface)?;
    // Protocol 0 hears nothing until it is bound, so no frame of another interface slips in.
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
    let _ = socket.set_recv_buffer_size(BUFFER);
    socket.bind(&link_address(index)?)?;
    Ok(socket.into())
}

fn link_address(index: u32) -> io::Result<SockAddr> {
    let every_protocol = u16::try_from(libc::ETH_P_ALL).unwrap_or_default().to_be();
    let index = i32::try_from(index).map_err(io::Error::other)?;
    #[expect(unsafe_code, reason = "socket2 has no constructor for link addresses")]
    // SAFETY: the storage is zeroed and large enough for a sockaddr_ll, of which all needed fields are set.
    let made = unsafe {
        SockAddr::try_init(|storage, length| {
            let address = storage.cast::<libc::sockaddr_ll>();
            (*address).sll_family = u16::try_from(libc::AF_PACKET).unwrap_or_default();
            (*address).sll_protocol = every_protocol;
            (*address).sll_ifindex = index;
            *length = u32::try_from(size_of::<libc::sockaddr_ll>()).unwrap_or_default();
            Ok(())
        })
    };
    made.map(|((), address)| address)
}
