//! Accept: our certificate, a client certificate required.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::{Credentials, Error, Peer, Stream};

/// Completes a handshake as the server and says who called.
///
/// # Errors
/// [`Error`], one variant per cause; also when it takes longer than `deadline`.
pub async fn accept<Io>(
    io: Io,
    credentials: &Credentials,
    deadline: Duration,
) -> Result<(Stream<Io>, Peer), Error>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let handshake = TlsAcceptor::from(credentials.server()).accept(io);
    let stream = tokio::time::timeout(deadline, handshake)
        .await
        .map_err(|_| Error::Deadline { deadline })?
        .map_err(Error::from_io)?;
    let peer = Peer::of(stream.get_ref().1)?;
    Ok((stream.into(), peer))
}
