//! Connections without a network: byte pipes, handshakes over them, and a tunnel with both its ends.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::sync::mpsc;

use crate::hbone::{Dialed, PoolKey, Settings, Tunnel};
use crate::identity::Identity;
use crate::tls::{self, Credentials, Peer};

/// Time that no step of a test should need.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Both results of one handshake: the client's, then the server's.
pub type Handshake = (
    Result<(tls::Stream<DuplexStream>, Peer), tls::Error>,
    Result<(tls::Stream<DuplexStream>, Peer), tls::Error>,
);

/// A handshake over memory; the client expects one of `expected`.
pub async fn handshake(
    client: &Credentials,
    server: &Credentials,
    expected: &[Identity],
) -> Handshake {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let expected: Arc<[Identity]> = expected.into();
    tokio::join!(
        tls::client::connect(near, client, &expected, PATIENCE),
        tls::server::accept(far, server, PATIENCE),
    )
}

/// A server without a network: every dial is handed to whoever accepts.
#[derive(Clone)]
pub struct Exchange {
    near: mpsc::UnboundedSender<DuplexStream>,
    dials: Rc<std::cell::Cell<usize>>,
}

/// The accepting end of an [`Exchange`].
pub type Listener = mpsc::UnboundedReceiver<DuplexStream>;

impl Exchange {
    /// An exchange and its accepting end.
    pub fn new() -> (Self, Listener) {
        let (near, listener) = mpsc::unbounded_channel();
        (
            Self {
                near,
                dials: Rc::default(),
            },
            listener,
        )
    }

    /// How often somebody dialled.
    pub fn dials(&self) -> usize {
        self.dials.get()
    }

    /// A dial for [`crate::hbone::Pool::open`] with a handshake.
    ///
    /// # Errors
    /// What TLS says.
    pub async fn dial(
        &self,
        credentials: &Credentials,
        expected: &Arc<[Identity]>,
    ) -> Result<Dialed<tls::Stream<DuplexStream>>, tls::Error> {
        self.dials.set(self.dials.get() + 1);
        let (near, far) = tokio::io::duplex(256 * 1024);
        let _ = self.near.send(far);
        let (io, peer) = tls::client::connect(near, credentials, expected, PATIENCE).await?;
        let local_address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 1);
        let good_until = credentials.not_after().min(peer.not_after);
        Ok(Dialed {
            io,
            peer,
            local_address,
            good_until,
            kept: Box::new(()),
        })
    }
}

/// Accepts one connection of an [`Exchange`] up to HTTP/2; panics when it fails.
pub async fn accept(
    listener: &mut Listener,
    credentials: &Credentials,
    settings: &Settings,
) -> Option<(Tunnel<tls::Stream<DuplexStream>>, Peer)> {
    let io = listener.recv().await?;
    let (io, peer) = tls::server::accept(io, credentials, PATIENCE)
        .await
        .unwrap();
    Some((Tunnel::accept(io, settings).await.unwrap(), peer))
}

/// A key from `source` to `peer` at a made-up address.
pub fn key(source: &Identity, peer: &Identity) -> PoolKey {
    let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let hop = SocketAddr::new(Ipv4Addr::new(10, 0, 0, 2).into(), crate::hbone::PORT);
    PoolKey::new(source.clone(), vec![peer.clone()], hop, ip)
}

/// An error that cannot happen, for dials that cannot fail.
pub type Never = Infallible;
