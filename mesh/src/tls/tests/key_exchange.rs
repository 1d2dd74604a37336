//! Which key exchange two ends agree on, and that one end can insist.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::tls::certificates;
use crate::tls::provider::{KeyExchange, agreeing_to};
use crate::tls::verify::ServerVerifier;

/// The key exchange that a client and a server with these algorithms agree on.
async fn agreed(near: &CryptoProvider, far: &CryptoProvider) -> Option<String> {
    let ca = Ca::new();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates("roots", &ca.root_pem()).unwrap());
    let (chain, key) = ca.issue_pem(&Leaf::of(&server()));
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let chain = certificates("chain", &chain).unwrap();
    let verifier = ServerVerifier::new(Arc::new(roots), Arc::new([server()]));
    let client = ClientConfig::builder_with_provider(Arc::new(near.clone()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    let server = ServerConfig::builder_with_provider(Arc::new(far.clone()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (one, two) = tokio::io::duplex(64 * 1024);
    let connector = TlsConnector::from(Arc::new(client));
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let (connected, accepted) = tokio::join!(
        connector.connect("server".try_into().unwrap(), one),
        acceptor.accept(two),
    );
    assert_eq!(connected.is_ok(), accepted.is_ok());
    let connected = connected.ok()?;
    let group = connected.get_ref().1.negotiated_key_exchange_group();
    group.map(|it| format!("{:?}", it.name()))
}

#[tokio::test]
async fn post_quantum_is_preferred_and_where_it_is_insisted_on_nothing_else_is_agreed_to() {
    let preferred = agreeing_to(KeyExchange::Preferred);
    let only = agreeing_to(KeyExchange::PostQuantumOnly);
    let classical = CryptoProvider {
        kx_groups: vec![kx_group::X25519, kx_group::SECP256R1],
        ..agreeing_to(KeyExchange::Preferred)
    };
    for (near, far, expected) in [
        (&preferred, &preferred, Some("X25519MLKEM768")),
        (&preferred, &classical, Some("X25519")),
        (&classical, &preferred, Some("X25519")),
        (&only, &preferred, Some("X25519MLKEM768")),
        (&preferred, &only, Some("X25519MLKEM768")),
        (&only, &classical, None),
        (&classical, &only, None),
    ] {
        assert_eq!(agreed(near, far).await.as_deref(), expected);
    }
}
