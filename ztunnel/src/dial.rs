//! Connections made from inside a pod, and which row of the table of reasons each failure is.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mesh::flow::{EndsFlow, Reason};
use mesh::net::dial::{self, CONNECT_DEADLINE, DialOptions};
use mesh::{cert, tls};
use tokio::net::TcpStream;

use crate::config::Doors;
use crate::netns::Namespace;

/// Why a connection from inside a pod was not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket could not be made inside the pod.
    #[error("cannot make a socket inside the pod")]
    Socket(#[source] io::Error),
    /// TCP failed.
    #[error(transparent)]
    Connect(#[from] dial::Error),
    /// TCP to the other proxy's door was not answered, as a network policy would have it.
    #[error("the other proxy does not answer; a network policy may block port {port}")]
    Blocked {
        /// The other proxy's port.
        port: u16,
        /// What TCP says.
        source: dial::Error,
    },
    /// There is no certificate to call with.
    #[error("no certificate for the pod")]
    Certificate(#[source] Arc<cert::Error>),
    /// The handshake with the other proxy failed.
    #[error("handshake with {hop} failed")]
    Tls {
        /// The other proxy.
        hop: SocketAddr,
        /// Why.
        source: tls::Error,
    },
}

impl EndsFlow for Error {
    fn reason(&self) -> Reason {
        match self {
            Error::Socket(_) => Reason::ConnectFailed,
            Error::Connect(error) => connect_reason(error),
            Error::Blocked { .. } => Reason::TunnelPortBlocked,
            Error::Certificate(_) => Reason::NoOwnCertificate,
            Error::Tls { source, .. } => tls_reason(source),
        }
    }
}

/// A connection to `destination` from the pod's own address.
///
/// # Errors
/// [`Error::Socket`] or [`Error::Connect`].
pub async fn plain(
    netns: &Namespace,
    doors: &Doors,
    destination: SocketAddr,
) -> Result<TcpStream, Error> {
    let options = DialOptions {
        mark: Some(doors.mark),
        ..DialOptions::default()
    };
    let socket = netns
        .within(|| dial::socket(destination, &options))
        .and_then(|made| made)
        .map_err(Error::Socket)?;
    Ok(dial::connect(socket, destination, CONNECT_DEADLINE, &doors.keep_alive).await?)
}

/// Which row of the table a failed TCP connection is.
pub fn connect_reason(error: &dial::Error) -> Reason {
    match error {
        dial::Error::Deadline { .. } => Reason::ConnectTimeout,
        dial::Error::Connect { source, .. } => match source.kind() {
            io::ErrorKind::ConnectionRefused => Reason::ConnectRefused,
            io::ErrorKind::TimedOut => Reason::ConnectTimeout,
            _ => Reason::ConnectFailed,
        },
    }
}

/// Which row of the table a failed handshake is.
pub fn tls_reason(error: &tls::Error) -> Reason {
    match error {
        tls::Error::NoCertificate => Reason::NoCertificate,
        tls::Error::Expired => Reason::CertificateExpired,
        tls::Error::NotYetValid => Reason::CertificateNotYetValid,
        tls::Error::UnknownIssuer => Reason::UnknownIssuer,
        tls::Error::WrongPurpose => Reason::WrongPurpose,
        tls::Error::NoSpiffeId => Reason::NoIdentity,
        tls::Error::WrongTrustDomain { .. } => Reason::WrongTrustDomain,
        tls::Error::WrongIdentity { .. } => Reason::WrongIdentity,
        tls::Error::Deadline { .. } => Reason::HandshakeTimeout,
        tls::Error::Protocol(_) => Reason::NotTls,
        tls::Error::BadSignature
        | tls::Error::BadCertificate(_)
        | tls::Error::Refused(_)
        | tls::Error::Closed(_) => Reason::TlsFailed,
    }
}
