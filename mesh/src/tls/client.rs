//! Connect: our certificate, and a server that must be one of the expected identities.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::{Credentials, Error, Peer, Stream};
use crate::identity::Identity;

/// Completes a handshake as the client. No server name is sent.
///
/// That the server accepts our certificate is only known once it has answered something.
///
/// # Errors
/// [`Error`], one variant per cause; also when it takes longer than `deadline`.
pub async fn connect<Io>(
    io: Io,
    credentials: &Credentials,
    expected: &Arc<[Identity]>,
    deadline: Duration,
) -> Result<(Stream<Io>, Peer), Error>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let config = credentials.client(Arc::clone(expected));
    // rustls wants a name; it is neither sent nor looked at
    let name = ServerName::from(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let handshake = TlsConnector::from(config).connect(name, io);
    let stream = tokio::time::timeout(deadline, handshake)
        .await
        .map_err(|_| Error::Deadline { deadline })?
        .map_err(Error::from_io)?;
    let peer = Peer::of(stream.get_ref().1)?;
    Ok((stream.into(), peer))
}
