//! One connection of the node socket: packets and the descriptors that travel with them.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    connect, recvmsg, sendmsg, socket, socketpair,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::message::{DecodeError, MAX_PACKET};

/// Room for as many descriptors as the kernel lets one packet bring (`SCM_MAX_FD`), so that every one of a
/// hostile packet gets an owner and is closed again.
const DESCRIPTORS: usize = 253;

/// Why an exchange on the node socket failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket itself failed.
    #[error("cannot {operation} the node socket")]
    Socket {
        /// What was tried.
        operation: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A packet to be sent is larger than the protocol allows.
    #[error("packet of {length} bytes is larger than {MAX_PACKET}")]
    TooLarge {
        /// Its size in bytes.
        length: usize,
    },
    /// A packet that came in was larger than the protocol allows.
    #[error("peer sent a packet larger than {MAX_PACKET} bytes")]
    Oversize,
    /// A packet that came in is not what the protocol expects here.
    #[error("peer sent bytes that cannot be read")]
    Decode(#[from] DecodeError),
    /// The packet came with more descriptors than the protocol has a use for.
    #[error("peer sent {count} descriptors with one packet, at most one is allowed")]
    ManyDescriptors {
        /// How many arrived.
        count: usize,
    },
    /// An `Add` came without the namespace.
    #[error("add request for pod {uid} came without a namespace descriptor")]
    MissingDescriptor {
        /// The pod's uid.
        uid: String,
    },
    /// A descriptor came with a request that has no use for one.
    #[error("peer sent a descriptor with a request that takes none")]
    UnwantedDescriptor,
    /// The peer closed the connection where an answer was due.
    #[error("peer closed the node socket")]
    Closed,
    /// The peer did not answer in time.
    #[error("peer did not answer within {limit:?}")]
    Timeout {
        /// How long was waited.
        limit: Duration,
    },
}

/// One end of a connected node socket. Packets are sent and received whole, or not at all.
#[derive(Debug)]
pub struct Conn {
    socket: AsyncFd<OwnedFd>,
}

impl Conn {
    /// Dials the agent's socket. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When there is no such socket, or nobody listens on it.
    pub fn connect(path: &Path) -> Result<Self, Error> {
        let failed = |errno: Errno| Error::Socket {
            operation: "connect to",
            source: errno.into(),
        };
        let socket = socket(
            AddressFamily::Unix,
            SockType::SeqPacket,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            None,
        )
        .map_err(failed)?;
        // A unix connect either succeeds at once or fails (EAGAIN when the backlog is full).
        connect(socket.as_raw_fd(), &UnixAddr::new(path).map_err(failed)?).map_err(failed)?;
        Self::over(socket)
    }

    /// Takes over a connected, non-blocking `SOCK_SEQPACKET` socket. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the runtime cannot watch the descriptor.
    pub fn over(socket: OwnedFd) -> Result<Self, Error> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        Ok(Conn {
            socket: watch(socket, interest)?,
        })
    }

    /// Two connected ends, for tests and for programs that hold both sides.
    ///
    /// # Errors
    /// When the kernel refuses the pair.
    pub fn pair() -> Result<(Self, Self), Error> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (one, other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)
            .map_err(|errno| Error::Socket {
                operation: "pair",
                source: errno.into(),
            })?;
        Ok((Self::over(one)?, Self::over(other)?))
    }

    /// Sends one packet, with a descriptor beside it where given.
    ///
    /// # Errors
    /// When the packet is too large or the socket fails.
    pub async fn send(&self, packet: &[u8], fd: Option<BorrowedFd<'_>>) -> Result<(), Error> {
        if packet.len() > MAX_PACKET {
            return Err(Error::TooLarge {
                length: packet.len(),
            });
        }
        let raw: Vec<RawFd> = fd.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let control = if raw.is_empty() { &[][..] } else { &rights[..] };
        self.socket
            .async_io(Interest::WRITABLE, |socket| {
                let iov = [IoSlice::new(packet)];
                let flags = MsgFlags::MSG_NOSIGNAL;
                sendmsg::<UnixAddr>(socket.as_raw_fd(), &iov, control, flags, None)
                    .map_err(io::Error::from)
            })
            .await
            .map_err(|source| Error::Socket {
                operation: "write to",
                source,
            })?;
        Ok(())
    }

    /// Receives one packet and the descriptor that came with it; `None` when the peer has closed.
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the packet is too large, brings more than one descriptor, or the socket fails.
    pub async fn receive(&self) -> Result<Option<(Vec<u8>, Option<OwnedFd>)>, Error> {
        let received = self
            .socket
            .async_io(Interest::READABLE, |socket| {
                receive_now(socket).map_err(io::Error::from)
            })
            .await;
        let Received {
            packet,
            mut descriptors,
            is_cut,
        } = match received {
            Ok(received) => received,
            Err(source) if source.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(source) => {
                return Err(Error::Socket {
                    operation: "read from",
                    source,
                });
            }
        };
        if is_cut {
            return Err(Error::Oversize);
        }
        if descriptors.len() > 1 {
            return Err(Error::ManyDescriptors {
                count: descriptors.len(),
            });
        }
        // The protocol has no empty packet, so nothing at all is the end of the connection.
        if packet.is_empty() && descriptors.is_empty() {
            return Ok(None);
        }
        Ok(Some((packet, descriptors.pop())))
    }
}

impl AsRawFd for Conn {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

struct Received {
    packet: Vec<u8>,
    descriptors: Vec<OwnedFd>,
    is_cut: bool,
}

fn receive_now(socket: &OwnedFd) -> Result<Received, Errno> {
    let mut packet = vec![0; MAX_PACKET];
    let mut control = nix::cmsg_space!([RawFd; DESCRIPTORS]);
    let mut iov = [IoSliceMut::new(&mut packet)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut iov, Some(&mut control), flags)?;
    let mut descriptors = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = part {
            descriptors.extend(raw.into_iter().map(own));
        }
    }
    let length = message.bytes;
    let is_cut = message.flags.contains(MsgFlags::MSG_TRUNC);
    packet.truncate(length);
    Ok(Received {
        packet,
        descriptors,
        is_cut,
    })
}

fn own(raw: RawFd) -> OwnedFd {
    #[expect(
        unsafe_code,
        reason = "a received descriptor has no owner until it is wrapped"
    )]
    // SAFETY: the kernel has just made this descriptor for us, and nobody else has seen its number.
    unsafe {
        OwnedFd::from_raw_fd(raw)
    }
}

/// Lets the runtime watch a descriptor.
pub(super) fn watch(socket: OwnedFd, interest: Interest) -> Result<AsyncFd<OwnedFd>, Error> {
    #[expect(
        unsafe_code,
        reason = "tokio asks for the promise that the descriptor stays the same"
    )]
    // SAFETY: an OwnedFd names one open descriptor for as long as it lives, and it is moved in here.
    let watched = unsafe { AsyncFd::register_with_interest(socket, interest) };
    watched.map_err(|error| Error::Socket {
        operation: "watch",
        source: error.into(),
    })
}
