//! TLS outside the mesh's own protocol: servers that are known by a DNS name and a root file.

mod named;

use std::fmt;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

/// How to call a gRPC server called `domain` whose certificate leads to one of the roots in
/// `roots_pem`.
pub fn client(domain: &str, roots_pem: &str) -> ClientTlsConfig {
    ClientTlsConfig::new()
        .domain_name(domain)
        .ca_certificate(Certificate::from_pem(roots_pem))
}

/// How to serve gRPC with a certificate chain and its key; clients need no certificate.
pub fn server(chain_pem: &str, key_pem: &str) -> ServerTlsConfig {
    ServerTlsConfig::new().identity(Identity::from_pem(chain_pem, key_pem))
}

/// Roots that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The file is not PEM.
    #[error("the roots are not PEM")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// A certificate in it is none.
    #[error("a root cannot be used")]
    Root(#[source] rustls::Error),
    /// The client's own certificate or key cannot be used.
    #[error("the client's certificate or key cannot be used")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The algorithms of TLS do not fit together.
    #[error("TLS cannot be set up")]
    Protocol(#[source] rustls::Error),
}

/// How to call HTTP/1.1 servers whose certificate leads to one of the roots in `roots_pem`; none of
/// them is trusted when it is empty.
///
/// # Errors
/// When the roots cannot be read.
pub fn https(roots_pem: &[u8]) -> Result<Arc<ClientConfig>, RootsError> {
    let roots = store(roots_pem)?;
    // Foreign servers may speak TLS 1.2, which mesh peers do not.
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(RootsError::Protocol)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Where distributions keep the roots of the operating system.
const SYSTEM_ROOTS: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The roots of the operating system, PEM; empty where it has none.
pub fn system_roots() -> Vec<u8> {
    let found = SYSTEM_ROOTS
        .iter()
        .find_map(|path| std::fs::read(path).ok());
    found.unwrap_or_default()
}

/// How a server is called that an application's owner describes. Has no key in its `Debug`.
#[derive(Clone, Copy, Default)]
pub struct Origination<'a> {
    /// Roots, PEM; `None` accepts any certificate.
    pub roots: Option<&'a [u8]>,
    /// Host names or URIs of which its certificate must have one; without any, the name that is called.
    pub names: &'a [Arc<str>],
    /// Our own chain and key, PEM, for servers that ask.
    pub client: Option<(&'a [u8], &'a [u8])>,
    /// Protocol that is spoken inside, by its ALPN name; `None` does not say.
    pub inside: Option<&'a str>,
}

impl fmt::Debug for Origination<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origination")
            .field("names", &self.names)
            .field("inside", &self.inside)
            .finish_non_exhaustive()
    }
}

/// How to call a server as its owner describes it, in TLS 1.2 or 1.3.
///
/// # Errors
/// When roots, certificate or key cannot be read.
pub fn originate(how: Origination<'_>) -> Result<Arc<ClientConfig>, RootsError> {
    let provider = provider();
    let verifier = named::Verifier {
        provider: Arc::clone(&provider),
        roots: how.roots.map(store).transpose()?,
        names: how.names.to_vec(),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(RootsError::Protocol)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match how.client {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
            let chain = chain.map_err(|it| RootsError::Client(it.into()))?;
            let key = PrivateKeyDer::from_pem_slice(key);
            let key = key.map_err(|it| RootsError::Client(it.into()))?;
            let made = builder.with_client_auth_cert(chain, key);
            made.map_err(|it| RootsError::Client(it.into()))?
        }
    };
    config.alpn_protocols = how.inside.iter().map(|it| it.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    let provider = CryptoProvider::get_default().cloned();
    provider.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()))
}

fn store(pem: &[u8]) -> Result<RootCertStore, RootsError> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(pem) {
        let root = root.map_err(RootsError::Pem)?;
        roots.add(root).map_err(RootsError::Root)?;
    }
    Ok(roots)
}
