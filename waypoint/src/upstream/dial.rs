//! Makes a byte stream to an endpoint: through a tunnel or plainly, with TLS inside where it is wanted.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use mesh::cert::{self, KeeperHandle};
use mesh::hbone::{Authority, ConnectHead, Dialed, OpenError, Pool, PoolKey};
use mesh::identity::Identity;
use mesh::net::dial::{self, CONNECT_DEADLINE, DialOptions};
use mesh::net::sockopt::KeepAlive;
use mesh::state;
use mesh::tls::{self, HANDSHAKE_DEADLINE};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Through, Version, Way, name};
use crate::bytes::Peeked;
use crate::egress::{self, Forbidden};

/// A stream of bytes, whatever it goes through.
pub trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It took too long.
    #[error("no connection in time")]
    Deadline,
    /// TCP failed.
    #[error(transparent)]
    Tcp(#[from] dial::Error),
    /// The endpoint's name has no address.
    #[error(transparent)]
    Name(#[from] name::Error),
    /// The socket could not be made.
    #[error("cannot make a socket")]
    Socket(#[source] io::Error),
    /// The tunnel or the stream in it was not opened.
    #[error(transparent)]
    Tunnel(#[from] OpenError<TunnelError>),
    /// HTTP did not begin.
    #[error("HTTP did not begin")]
    Http(#[source] hyper::Error),
    /// TLS to the application failed.
    #[error("TLS to the application failed")]
    Tls(#[source] io::Error),
    /// TLS to the application cannot begin.
    #[error(transparent)]
    TlsSettings(#[from] super::tls::Error),
    /// It would not lead out of the mesh, where it has to.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The client could not be announced to the application.
    #[error("cannot announce the client to the application")]
    Announce(#[source] io::Error),
}

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// There is no certificate to call with.
    #[error("no certificate to call with")]
    Certificate(#[source] Arc<cert::Error>),
    /// TCP failed.
    #[error(transparent)]
    Tcp(#[from] dial::Error),
    /// The socket could not be made.
    #[error("cannot make a socket")]
    Socket(#[source] io::Error),
    /// The handshake failed.
    #[error("handshake with {hop} failed")]
    Tls {
        /// The other proxy.
        hop: SocketAddr,
        /// Why.
        source: tls::Error,
    },
}

/// What is needed to make connections.
pub struct Dialer {
    /// This waypoint's certificates.
    pub certificates: KeeperHandle,
    /// Whose certificate proves us.
    pub identity: Identity,
    /// Open tunnels.
    pub pool: Rc<Pool<TunnelError>>,
    /// How connections notice peers that vanished.
    pub keep_alive: KeepAlive,
    /// Settings of TLS to applications.
    pub tls: super::tls::Configs,
    /// The picture of the mesh.
    pub state: state::Reader,
    /// This waypoint's address.
    pub own: Option<IpAddr>,
}

impl Dialer {
    /// Opens a stream to an endpoint, for what is spoken inside of it (`None` for opaque bytes); also says which end of
    /// it is ours.
    ///
    /// # Errors
    /// [`ConnectError`] says which step failed, and why.
    pub async fn open(
        &self,
        way: &Way,
        inside: Option<Version>,
    ) -> Result<(Box<dyn Io>, SocketAddr), ConnectError> {
        let (mut io, local): (Box<dyn Io>, _) = match &way.tunnel {
            None => {
                let stream = self.reach(way).await?;
                let local = stream.local_addr().map_err(ConnectError::Socket)?;
                (Box::new(stream), local)
            }
            Some(through) => {
                let opened = self.tunnel(through, way.address).await?;
                (
                    Box::new(Peeked::new(opened.stream)),
                    opened.hop_local_address,
                )
            }
        };
        if let Some(header) = way.announced.and_then(|it| it.header()) {
            let written = io.write_all(&header).await;
            written.map_err(ConnectError::Announce)?;
        }
        match &way.tls {
            None => Ok((io, local)),
            Some(tls) => {
                let host = way.host.as_ref();
                let originated = self.tls.originate(io, tls, host, inside);
                Ok((originated.await?, local))
            }
        }
    }

    /// A plain connection to an endpoint. Of several addresses of a name the first that answers is taken.
    ///
    /// # Errors
    /// [`ConnectError::Name`], [`ConnectError::Socket`] or, of the last address, [`ConnectError::Tcp`] or
    /// [`ConnectError::Forbidden`].
    pub async fn reach(&self, way: &Way) -> Result<TcpStream, ConnectError> {
        let Some(host) = &way.host else {
            return self.allowed(way, way.address).await;
        };
        let mut addresses = name::addresses(host, way.address.port()).await?.into_iter();
        loop {
            let Some(address) = addresses.next() else {
                let host = Arc::clone(host);
                return Err(name::Error::Empty { host }.into());
            };
            match self.allowed(way, address).await {
                Err(error) if addresses.len() > 0 => {
                    tracing::debug!(%host, %address, %error, "the next address of the name is tried");
                }
                done => return done,
            }
        }
    }

    /// A plain connection to an address that a client may have chosen.
    async fn allowed(&self, way: &Way, to: SocketAddr) -> Result<TcpStream, ConnectError> {
        if let Some(outside) = &way.outside {
            egress::check(&self.state.load(), self.own, outside, to.ip())?;
        }
        self.plain(to).await
    }

    /// A plain connection.
    ///
    /// # Errors
    /// [`ConnectError::Socket`] or [`ConnectError::Tcp`].
    pub async fn plain(&self, destination: SocketAddr) -> Result<TcpStream, ConnectError> {
        let socket = dial::socket(destination, &DialOptions::default());
        let socket = socket.map_err(ConnectError::Socket)?;
        let made = dial::connect(socket, destination, CONNECT_DEADLINE, &self.keep_alive);
        Ok(made.await?)
    }

    /// A stream through a tunnel.
    ///
    /// # Errors
    /// [`ConnectError::Tunnel`].
    pub async fn tunnel(
        &self,
        through: &Through,
        destination: SocketAddr,
    ) -> Result<mesh::hbone::Opened, ConnectError> {
        // One pool serves all: the address of the caller does not matter, our own is always used.
        let anywhere = SocketAddr::from(([0, 0, 0, 0], 0)).ip();
        let key = PoolKey::new(
            self.identity.clone(),
            through.peers.to_vec(),
            through.hop,
            anywhere,
        );
        let head = ConnectHead::new(Authority::Ip(destination));
        let dial = async || self.handshake(&key, through.hop).await;
        Ok(self.pool.open(&key, dial, &head).await?)
    }

    async fn handshake(
        &self,
        key: &PoolKey,
        hop: SocketAddr,
    ) -> Result<Dialed<tls::Stream<TcpStream>>, TunnelError> {
        let credentials = self.certificates.get(key.source());
        let credentials = credentials.await.map_err(TunnelError::Certificate)?;
        let socket = dial::socket(hop, &DialOptions::default()).map_err(TunnelError::Socket)?;
        let stream = dial::connect(socket, hop, CONNECT_DEADLINE, &self.keep_alive).await?;
        let local_address = stream.local_addr().map_err(TunnelError::Socket)?;
        let made = tls::client::connect(stream, &credentials, key.peers(), HANDSHAKE_DEADLINE);
        let (io, peer) = made
            .await
            .map_err(|source| TunnelError::Tls { hop, source })?;
        Ok(Dialed {
            good_until: credentials.not_after().min(peer.not_after),
            io,
            peer,
            local_address,
            kept: Box::new(()),
        })
    }
}
