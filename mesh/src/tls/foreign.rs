//! TLS outside the mesh's own protocol: gRPC servers that are known by a DNS name and a root file.

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
