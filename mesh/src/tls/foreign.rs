//! TLS outside the mesh's own protocol: servers that are known by a DNS name and a root file.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
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
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots_pem) {
        let root = root.map_err(RootsError::Pem)?;
        roots.add(root).map_err(RootsError::Root)?;
    }
    // Foreign servers may speak TLS 1.2, which mesh peers do not.
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(RootsError::Protocol)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
