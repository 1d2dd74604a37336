//! The agent's end of the node socket: accept ztunnels, hand over one pod at a time.

use std::fs::Permissions;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, listen, socket,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use super::conn::{Conn, Error, watch};
use super::message::{Ack, Request, decode_hello};

/// How long one message may take to be sent or answered (contract: node socket).
pub const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(5);

/// The agent's listening socket. Its file is removed when the listener is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: AsyncFd<OwnedFd>,
    path: PathBuf,
}

impl Listener {
    /// Listens at `path`, replacing a socket file that an earlier agent left behind. Must be called inside a
    /// tokio runtime.
    ///
    /// # Errors
    /// When the path cannot be bound.
    pub fn bind(path: &Path) -> Result<Self, Error> {
        let failed = |source: io::Error| Error::Socket {
            operation: "listen on",
            source,
        };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let socket = bind_at(path).map_err(|errno| failed(errno.into()))?;
        // Whoever dials is handed the namespaces of all pods. Nobody can before we listen.
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        let listening = Backlog::new(16).and_then(|backlog| listen(&socket, backlog));
        listening.map_err(|errno| failed(errno.into()))?;
        let socket = watch(socket, Interest::READABLE)?;
        Ok(Listener {
            socket,
            path: path.to_owned(),
        })
    }

    /// Waits for the next ztunnel to dial. Call [`Session::greet`] on the result, away from the accept loop.
    ///
    /// # Errors
    /// When the kernel cannot accept, for instance for want of descriptors; worth trying again after a pause.
    pub async fn accept(&self) -> Result<Conn, Error> {
        let socket = self
            .socket
            .async_io(Interest::READABLE, |socket| {
                let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
                accept4(socket.as_raw_fd(), flags).map_err(io::Error::from)
            })
            .await
            .map_err(|source| Error::Socket {
                operation: "accept on",
                source,
            })?;
        #[expect(
            unsafe_code,
            reason = "an accepted descriptor has no owner until it is wrapped"
        )]
        // SAFETY: accept4 has just made this descriptor, and nobody else has seen its number.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        Conn::over(socket)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the next agent replaces the file anyway.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The agent's end of a connection to one ztunnel that has said hello.
#[derive(Debug)]
pub struct Session {
    conn: Conn,
    limit: Duration,
}

impl Session {
    /// Waits for the hello that a ztunnel opens with.
    ///
    /// # Errors
    /// When it does not come within [`EXCHANGE_TIMEOUT`], or is something else.
    pub async fn greet(conn: Conn) -> Result<Self, Error> {
        Self::greet_within(conn, EXCHANGE_TIMEOUT).await
    }

    /// As [`Session::greet`], with another limit for each message of this session.
    ///
    /// # Errors
    /// When the hello does not come within `limit`, or is something else.
    pub async fn greet_within(conn: Conn, limit: Duration) -> Result<Self, Error> {
        let (packet, fd) = within(limit, conn.receive()).await?.ok_or(Error::Closed)?;
        if fd.is_some() {
            return Err(Error::UnwantedDescriptor);
        }
        decode_hello(&packet)?;
        Ok(Session { conn, limit })
    }

    /// Sends one request, with the namespace where it is an `Add`, and waits for its answer. The caller must
    /// not start another exchange before this one has returned, and must drop the session after an error.
    ///
    /// # Errors
    /// When the request cannot be sent, or no proper answer comes in time. A pod that ztunnel could not serve
    /// is not an error here: read [`Ack::error`].
    pub async fn exchange(
        &mut self,
        request: &Request,
        netns: Option<BorrowedFd<'_>>,
    ) -> Result<Ack, Error> {
        match (request, netns) {
            (Request::Add { uid, .. }, None) => {
                return Err(Error::MissingDescriptor { uid: uid.clone() });
            }
            (Request::Add { .. }, Some(_)) | (_, None) => {}
            (_, Some(_)) => return Err(Error::UnwantedDescriptor),
        }
        within(self.limit, self.conn.send(&request.encode(), netns)).await?;
        let (packet, fd) = within(self.limit, self.conn.receive())
            .await?
            .ok_or(Error::Closed)?;
        if fd.is_some() {
            return Err(Error::UnwantedDescriptor);
        }
        Ok(Ack::decode(&packet)?)
    }

    /// Returns when the ztunnel has gone away, or has spoken out of turn (which is as bad). Only for times when
    /// no exchange is under way. Dropping the future loses nothing.
    pub async fn ended(&self) {
        // Whatever comes, this session is over: an answer without a request, an error, or the end.
        let _ = self.conn.receive().await;
    }
}

fn bind_at(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket)
}

async fn within<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(limit, step)
        .await
        .map_err(|_| Error::Timeout { limit })?
}
