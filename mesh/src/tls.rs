//! The one place rustls is configured: mutual TLS 1.3 between mesh peers, identities checked by SPIFFE id.
//!
//! Names in certificates other than SPIFFE URIs are never looked at. No sessions are resumed: a
//! resumed session would skip the check of who the peer is.

pub mod server;
pub mod client;
pub mod foreign;
mod credentials;
mod verify;
mod peer;
mod provider;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use credentials::certificates;
pub use credentials::{CertificateInfo, Credentials, CredentialsError};
pub use peer::{Peer, leaf_identity};
pub use provider::{KeyExchange, TooLate, install_default, install_post_quantum, provider};
pub use verify::check_chain;

use crate::identity::{Identity, TrustDomain};

/// Time for a peer to complete a handshake before it is let go.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// An encrypted stream to a mesh peer, either end.
pub type Stream<Io> = tokio_rustls::TlsStream<Io>;

/// Why a handshake with a mesh peer failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The peer showed no certificate.
    #[error("peer presented no certificate")]
    NoCertificate,
    /// The peer's certificate, or one above it, is no longer valid.
    #[error("peer's certificate has expired")]
    Expired,
    /// The peer's certificate, or one above it, is not valid yet.
    #[error("peer's certificate is not valid yet")]
    NotYetValid,
    /// The chain does not lead to one of our roots.
    #[error("peer's certificate is not signed by a root we trust")]
    UnknownIssuer,
    /// The peer does not own its certificate: what it signed of the handshake does not fit.
    #[error("signature of the peer's handshake is wrong")]
    BadSignature,
    /// The certificate may not be used for this end of a connection.
    #[error("peer's certificate is not meant for this end of a connection")]
    WrongPurpose,
    /// No URI in the certificate is a SPIFFE id of the mesh's shape.
    #[error("peer's certificate holds no workload identity")]
    NoSpiffeId,
    /// The client belongs to another trust domain than ours, or the server to another one than any of
    /// those it may be.
    #[error("peer is of trust domain {got}, not {expected}")]
    WrongTrustDomain {
        /// The peer's.
        got: TrustDomain,
        /// Ours.
        expected: TrustDomain,
    },
    /// The server is somebody else than it must be.
    #[error("peer is {got}, expected {}", list(expected))]
    WrongIdentity {
        /// Who it is.
        got: Identity,
        /// Who it may be.
        expected: Arc<[Identity]>,
    },
    /// The certificate cannot be read or is of a kind we do not take.
    #[error("peer's certificate cannot be verified")]
    BadCertificate(#[source] rustls::Error),
    /// The peer ended the handshake with an alert, for example because it does not accept us.
    #[error("peer refused the handshake")]
    Refused(#[source] rustls::Error),
    /// What the peer sent is not TLS 1.3 as we speak it.
    #[error("peer does not speak our TLS")]
    Protocol(#[source] rustls::Error),
    /// The connection ended during the handshake.
    #[error("connection ended during the handshake")]
    Closed(#[source] io::Error),
    /// The peer took too long.
    #[error("handshake took longer than {} ms", deadline.as_millis())]
    Deadline {
        /// How long we waited.
        deadline: Duration,
    },
}

impl Error {
    /// Sorts what a TLS stream reported. Also of use after the handshake: a TLS 1.3 client learns
    /// only with its first read that the server did not accept its certificate.
    pub fn from_io(error: io::Error) -> Self {
        Self::inside(&error).unwrap_or(Self::Closed(error))
    }

    /// The TLS failure that an I/O error carries, if it carries one.
    pub fn inside(error: &io::Error) -> Option<Self> {
        let cause = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        Some(Self::from_rustls(cause))
    }

    fn from_rustls(cause: &rustls::Error) -> Self {
        match cause {
            rustls::Error::NoCertificatesPresented => Self::NoCertificate,
            rustls::Error::InvalidCertificate(reason) => verify::sort(reason, cause),
            rustls::Error::AlertReceived(_) => Self::Refused(cause.clone()),
            _ => Self::Protocol(cause.clone()),
        }
    }
}

fn list(identities: &[Identity]) -> String {
    let names: Vec<_> = identities.iter().map(ToString::to_string).collect();
    if names.is_empty() {
        "nobody".to_owned()
    } else {
        names.join(" or ")
    }
}
