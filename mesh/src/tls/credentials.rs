//! What a workload proves itself with, and everything built from it once: key, chain, configurations.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, version};

use super::verify::{ClientVerifier, ServerVerifier};
use super::{peer, provider};
use crate::identity::Identity;

const HTTP2: &[u8] = b"h2";

/// A certificate chain with its key and the roots it trusts; the TLS configurations of both ends are
/// built with it once and shared by every connection.
///
/// The key is inside the configurations only: it cannot be read back or printed.
pub struct Credentials {
    identity: Identity,
    chain: Vec<CertificateInfo>,
    roots: Vec<CertificateInfo>,
    trusted: Arc<RootCertStore>,
    server: Arc<ServerConfig>,
    client: ClientConfig,
}

/// What a dump shows of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// Serial number, lower-case hex.
    pub serial: Box<str>,
    /// Start of its validity.
    pub not_before: SystemTime,
    /// End of its validity.
    pub not_after: SystemTime,
    /// The certificate itself (public).
    pub der: CertificateDer<'static>,
}

/// Why a key and certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// There is no certificate in the chain.
    #[error("certificate chain is empty")]
    EmptyChain,
    /// A certificate of the chain or of the roots cannot be read.
    #[error("certificate {position} of the {part} cannot be read")]
    Unreadable {
        /// `chain` or `roots`.
        part: &'static str,
        /// Counted from 0.
        position: usize,
    },
    /// Text that should be PEM is not.
    #[error("{part} is not valid PEM")]
    Pem {
        /// `chain`, `key` or `roots`.
        part: &'static str,
        /// What is wrong with it.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The leaf certifies somebody else.
    #[error("certificate is for {}, not for {expected}", name(got.as_ref()))]
    OtherIdentity {
        /// Who is in the leaf, if anybody.
        got: Option<Identity>,
        /// Who should be.
        expected: Identity,
    },
    /// There is no usable root.
    #[error("trust roots cannot be used")]
    Roots(#[source] rustls::server::VerifierBuilderError),
    /// The key cannot be used or is not the leaf's.
    #[error("private key does not fit the certificate")]
    Key(#[source] rustls::Error),
}

fn name(identity: Option<&Identity>) -> String {
    identity.map_or_else(|| "nobody".to_owned(), ToString::to_string)
}

impl Credentials {
    /// Checks that the parts belong together and builds the configurations.
    ///
    /// `chain` starts with the leaf, whose first SPIFFE id must be `identity`.
    ///
    /// # Errors
    /// [`CredentialsError`] says which part is wrong.
    pub fn new(
        identity: Identity,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        roots: Vec<CertificateDer<'static>>,
    ) -> Result<Self, CredentialsError> {
        let leaf = chain.first().ok_or(CredentialsError::EmptyChain)?;
        let got = peer::leaf_identity(leaf);
        if got.as_ref() != Some(&identity) {
            return Err(CredentialsError::OtherIdentity {
                got,
                expected: identity,
            });
        }
        let chain_info = infos("chain", &chain)?;
        let root_info = infos("roots", &roots)?;
        let mut trusted = RootCertStore::empty();
        for (position, root) in roots.into_iter().enumerate() {
            let unreadable = |_| CredentialsError::Unreadable {
                part: "roots",
                position,
            };
            trusted.add(root).map_err(unreadable)?;
        }
        let trusted = Arc::new(trusted);
        let clients = ClientVerifier::new(Arc::clone(&trusted), identity.trust_domain.clone())?;
        let server = server_config(chain.clone(), key.clone_key(), Arc::new(clients))?;
        let nobody = ServerVerifier::new(Arc::clone(&trusted), Arc::new([]));
        let client = client_config(chain, key, nobody)?;
        Ok(Self {
            identity,
            chain: chain_info,
            roots: root_info,
            trusted,
            server: Arc::new(server),
            client,
        })
    }

    /// As [`Credentials::new`], from PEM texts.
    ///
    /// # Errors
    /// [`CredentialsError`] says which part is wrong.
    pub fn from_pem(
        identity: Identity,
        chain: &str,
        key: &str,
        roots: &str,
    ) -> Result<Self, CredentialsError> {
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|source| {
            CredentialsError::Pem {
                part: "key",
                source,
            }
        })?;
        Self::new(
            identity,
            certificates("chain", chain)?,
            key,
            certificates("roots", roots)?,
        )
    }

    /// Whose credentials these are.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The leaf and what stands between it and a root.
    pub fn chain(&self) -> &[CertificateInfo] {
        &self.chain
    }

    /// The roots that peers must lead to.
    pub fn roots(&self) -> &[CertificateInfo] {
        &self.roots
    }

    /// Serial number of the leaf, lower-case hex.
    pub fn serial(&self) -> &str {
        self.chain.first().map_or("", |leaf| &leaf.serial)
    }

    /// Start of the leaf's validity.
    pub fn not_before(&self) -> SystemTime {
        self.chain
            .first()
            .map_or(SystemTime::UNIX_EPOCH, |leaf| leaf.not_before)
    }

    /// When the first certificate of the chain ends.
    pub fn not_after(&self) -> SystemTime {
        let ends = self.chain.iter().map(|certificate| certificate.not_after);
        ends.min().unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// The configuration of every accepted connection.
    pub(super) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// The configuration for calling one of `expected`: a shallow copy of the shared one with
    /// another verifier in it, so that what is expect of one peer can never leak to another.
    pub(super) fn client(&self, expected: Arc<[Identity]>) -> Arc<ClientConfig> {
        let mut config = self.client.clone();
        let verifier = ServerVerifier::new(Arc::clone(&self.trusted), expected);
        config
            .dangerous()
            .set_certificate_verifier(Arc::new(verifier));
        Arc::new(config)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("identity", &self.identity)
            .field("serial", &self.serial())
            .finish_non_exhaustive()
    }
}

/// Certificates of a PEM text; `part` names it in the error.
pub(crate) fn certificates(
    part: &'static str,
    pem: &str,
) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|source| CredentialsError::Pem { part, source })
}

fn infos(
    part: &'static str,
    certificates: &[CertificateDer<'static>],
) -> Result<Vec<CertificateInfo>, CredentialsError> {
    let info = |(position, der): (usize, &CertificateDer<'static>)| {
        let unreadable = CredentialsError::Unreadable { part, position };
        let certificate = peer::parse(der).ok_or(unreadable)?;
        Ok(CertificateInfo {
            serial: peer::serial(&certificate),
            not_before: peer::time(certificate.validity().not_before.timestamp()),
            not_after: peer::time(certificate.validity().not_after.timestamp()),
            der: der.clone(),
        })
    };
    certificates.iter().enumerate().map(info).collect()
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: Arc<dyn ClientCertVerifier>,
) -> Result<ServerConfig, CredentialsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])
        .map_err(CredentialsError::Key)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(CredentialsError::Key)?;
    config.alpn_protocols = vec![HTTP2.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

fn client_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    servers: ServerVerifier,
) -> Result<ClientConfig, CredentialsError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])
        .map_err(CredentialsError::Key)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(servers))
        .with_client_auth_cert(chain, key)
        .map_err(CredentialsError::Key)?;
    config.alpn_protocols = vec![HTTP2.to_vec()];
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    Ok(config)
}
