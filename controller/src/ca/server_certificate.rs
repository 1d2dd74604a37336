//! The certificate that the controller itself shows to its clients, signed by its own authority.
//!
//! Made anew long before it ends; connections that are open keep the one they began with.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rcgen::KeyPair;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use time::{Duration, OffsetDateTime};
use tokio::sync::watch;

use super::root::SigningRoot;
use super::sign::{self, Moment, SignError};

/// Life of one certificate; the next is made when half of it is over.
const LIFE: Duration = Duration::hours(24);
/// When the next one is made: half of a life.
const RENEWAL_PERIOD: std::time::Duration = std::time::Duration::from_secs(12 * 3600);

/// Why there is no (new) server certificate.
#[derive(Debug, thiserror::Error)]
pub enum ServerCertificateError {
    /// No key could be made.
    #[error("cannot make a key")]
    Key(#[source] rcgen::Error),
    /// The authority could not sign it.
    #[error("cannot sign the server's certificate")]
    Sign(#[source] SignError),
    /// The chain of the authority cannot be read.
    #[error("cannot read the signed chain")]
    Chain(#[source] rustls::pki_types::pem::Error),
    /// The TLS library does not take key or chain.
    #[error("key and chain cannot be used for TLS")]
    Use(#[source] rustls::Error),
}

/// The controller's own certificate.
pub struct ServerCertificate {
    root: watch::Receiver<Arc<SigningRoot>>,
    names: Vec<String>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl ServerCertificate {
    /// A first certificate for these DNS names, signed with the `root` of the moment, as all later ones.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(
        root: watch::Receiver<Arc<SigningRoot>>,
        names: Vec<String>,
    ) -> Result<Self, ServerCertificateError> {
        let first = make(&root.borrow(), &names)?;
        let current = RwLock::new(Arc::new(first));
        Ok(Self {
            root,
            names,
            current,
        })
    }

    /// Makes the next one; new connections get it.
    ///
    /// # Errors
    /// When it cannot be made; the present one stays in use.
    pub fn renew(&self) -> Result<(), ServerCertificateError> {
        let root = Arc::clone(&self.root.borrow());
        let next = Arc::new(make(&root, &self.names)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// How long to wait before the next renewal: half of a life.
    pub fn renewal_period() -> std::time::Duration {
        RENEWAL_PERIOD
    }
}

fn make(root: &SigningRoot, names: &[String]) -> Result<CertifiedKey, ServerCertificateError> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(ServerCertificateError::Key)?;
    let moment = Moment {
        now: OffsetDateTime::now_utc(),
        serial: rand::random(),
    };
    let signed =
        sign::sign_server(root, moment, LIFE, &key, names).map_err(ServerCertificateError::Sign)?;
    // The last element of the chain is the roots, which clients have already.
    let (_, shown) = signed.chain.split_last().unwrap_or((&EMPTY, &[]));
    let chain = shown
        .iter()
        .map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(ServerCertificateError::Chain)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    CertifiedKey::from_der(chain, key, &mesh::tls::provider()).map_err(ServerCertificateError::Use)
}

const EMPTY: String = String::new();

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(
            &self.current.read().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCertificate")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}
