//! TLS to an application, as a DestinationRule or BackendTLSPolicy asks for it.

use super::Version;
use super::dial::{ConnectError, Io};
use mesh::model::destination::TlsOrigination;

/// Puts TLS on a stream.
///
/// # Errors
/// [`ConnectError::Unsupported`] for now: the connection is refused rather than made without TLS.
pub(super) async fn originate(
    io: Box<dyn Io>,
    tls: &TlsOrigination,
    version: Version,
) -> Result<Box<dyn Io>, ConnectError> {
    let _ = (io, tls, version);
    Err(ConnectError::Unsupported(
        "TLS to applications is not spoken",
    ))
}
