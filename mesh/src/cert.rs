//! Workload certificates and their life: key and request, certificate authority, keep, renew, forget.
//!
//! Runs on the control runtime; workers of the data path only read what it keeps. Private keys never
//! leave the process that made them.

mod keeper;
mod handle;
pub mod ca_client;
mod request;
pub mod schedule;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use handle::{CertificateState, Clock, KeeperHandle};
pub use keeper::Keeper;

use crate::identity::Identity;
use crate::tls::CredentialsError;

/// Signs certificates for workloads.
pub trait CertificateAuthority: Send + Sync + 'static {
    /// Asks for `identity` to be certified for `ttl`. The answer is PEM texts: the leaf, what stands
    /// between it and the root one by one, all roots in the last one (contract:
    /// docs/compat.md#certificate-service).
    fn sign(
        &self,
        identity: &Identity,
        csr_pem: String,
        ttl: Duration,
    ) -> impl Future<Output = Result<Vec<String>, SignError>> + Send;
}

/// Why an authority did not sign.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The service account token cannot be read.
    #[error("cannot read token {}", path.display())]
    Token {
        /// Where it should be.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// The token's text cannot be sent.
    #[error("token {} is not a header value", path.display())]
    BadToken {
        /// Where it is.
        path: PathBuf,
    },
    /// The file of trusted roots cannot be read.
    #[error("cannot read root certificates {}", path.display())]
    Roots {
        /// Where they should be.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// The connection cannot be set up.
    #[error("cannot use certificate authority {address}")]
    Transport {
        /// The configured address.
        address: Box<str>,
        /// What is wrong.
        #[source]
        source: tonic::transport::Error,
    },
    /// It answered with an error, or the call failed.
    #[error("certificate authority: {code:?}: {message}")]
    Status {
        /// The gRPC code.
        code: tonic::Code,
        /// What it says.
        message: Box<str>,
    },
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No key or request could be made.
    #[error("cannot make a key and a request for {identity}")]
    Request {
        /// For whom.
        identity: Identity,
        /// What went wrong.
        #[source]
        source: rcgen::Error,
    },
    /// The authority did not sign.
    #[error("no certificate for {identity}")]
    Sign {
        /// For whom.
        identity: Identity,
        /// Why.
        #[source]
        source: SignError,
    },
    /// The answer lacks the leaf or the roots.
    #[error("answer for {identity} has {parts} parts, at least a leaf and roots are needed")]
    Incomplete {
        /// For whom.
        identity: Identity,
        /// How many there were.
        parts: usize,
    },
    /// The answer is not what was asked for.
    #[error("answer for {identity} cannot be used")]
    Answer {
        /// For whom.
        identity: Identity,
        /// What is wrong with it.
        #[source]
        source: Box<CredentialsError>,
    },
    /// The certificate has ended already, or starts in the future: a clock is wrong.
    #[error("certificate for {identity} is not valid now")]
    NotValidNow {
        /// For whom.
        identity: Identity,
    },
    /// More identities than the keeper may hold.
    #[error("certificates are kept for at most {limit} identities")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The identity was forgotten while somebody waited for it.
    #[error("{identity} is no longer needed on this node")]
    Forgotten {
        /// Who.
        identity: Identity,
    },
    /// The keeper has stopped.
    #[error("certificates are no longer kept")]
    Stopped,
}

/// How certificates are kept (contract: docs/compat.md#certificates).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Life that is asked for.
    pub ttl: Duration,
    /// Requests under way at the same time.
    pub parallel: usize,
    /// Identities kept at most. Weft's own bound.
    pub identities: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(24 * 60 * 60),
            parallel: 8,
            identities: 4096,
        }
    }
}

/// The system's clock.
pub fn system_clock() -> Clock {
    Arc::new(SystemTime::now)
}
