//! Every kind of wrong papers, shown by a client and by a server: what we say, and what the peer hears.

use std::sync::Arc;

use rcgen::ExtendedKeyUsagePurpose;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, ClientConfig, RootCertStore, ServerConfig};
use tokio::io::DuplexStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::testing::pipe::PATIENCE;
use crate::tls::verify::{ClientVerifier, ServerVerifier};
use crate::tls::{certificates, client as our_client, provider, server as our_server};

const HOUR: Duration = Duration::from_secs(3600);
const ELSEWHERE: &str = "spiffe://elsewhere.example/ns/default/sa/peer";

fn us() -> Identity {
    identity("default", "us")
}

fn peer() -> Identity {
    identity("default", "peer")
}

/// What a peer shows: certificates, and a key that need not be theirs.
struct Papers(Arc<CertifiedKey>);

impl Papers {
    fn of((chain, key): (String, String)) -> Self {
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let key = provider().key_provider.load_private_key(key).unwrap();
        let chain = certificates("chain", &chain).unwrap();
        Self(Arc::new(CertifiedKey::new(chain, key)))
    }

    fn none() -> Self {
        let (_, key) = Ca::new().issue_pem(&Leaf::of(&peer()));
        Self::of((String::new(), key))
    }
}

/// Shows them whoever asks.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

impl rustls::client::ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        (!self.0.cert.is_empty()).then(|| Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn trusting(ca: &Ca) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates("roots", &ca.root_pem()).unwrap());
    Arc::new(roots)
}

/// A client with these papers calls us: what we say of it, and the alert it hears.
async fn as_client(ca: &Ca, papers: &Papers) -> (Error, AlertDescription) {
    let verifier = ServerVerifier::new(trusting(ca), Arc::new([us()]));
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(Shown(Arc::clone(&papers.0))));
    let (near, far) = tokio::io::duplex(64 * 1024);
    let connector = TlsConnector::from(Arc::new(config));
    let credentials = ca.issue(&us());
    let call = async {
        // a client is told only after its own part is done
        let mut stream = connector.connect("us".try_into().unwrap(), near).await?;
        stream.read_exact(&mut [0]).await
    };
    let accept = our_server::accept(far, &credentials, PATIENCE);
    let (heard, accepted) = tokio::join!(call, accept);
    (refusal(accepted), alert(heard.map(drop)))
}

/// A server with these papers is called by us: what we say of it, and the alert it hears.
async fn as_server(ca: &Ca, papers: &Papers) -> (Error, std::io::Result<()>) {
    let verifier = ClientVerifier::new(trusting(ca), us().trust_domain).unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(Shown(Arc::clone(&papers.0))));
    let (near, far) = tokio::io::duplex(64 * 1024);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let credentials = ca.issue(&us());
    let expected = [peer()].into();
    let (connected, heard) = tokio::join!(
        our_client::connect(near, &credentials, &expected, PATIENCE),
        acceptor.accept(far),
    );
    (refusal(connected), heard.map(drop))
}

fn refusal(result: Result<(crate::tls::Stream<DuplexStream>, super::super::Peer), Error>) -> Error {
    match result {
        Ok((_, peer)) => panic!("{} must be refused", peer.identity),
        Err(error) => error,
    }
}

fn alert(heard: std::io::Result<()>) -> AlertDescription {
    let error = heard.expect_err("the peer must hear of it");
    let inner = error.get_ref().and_then(|it| it.downcast_ref());
    match inner {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        _ => panic!("no alert: {error}"),
    }
}

/// What we must say of a peer.
type Says = fn(&Error) -> bool;

/// What is wrong with a leaf of our authority, what we say, and the alert the peer hears.
type Fault = (&'static str, fn(&mut Leaf), Says, AlertDescription);

const LEAVES: [Fault; 5] = [
    (
        "ended an hour ago",
        |leaf| {
            let now = SystemTime::now();
            (leaf.not_before, leaf.not_after) = (now - 2 * HOUR, now - HOUR);
        },
        |error| matches!(error, Error::Expired),
        AlertDescription::CertificateExpired,
    ),
    (
        "begins in an hour",
        |leaf| {
            let now = SystemTime::now();
            (leaf.not_before, leaf.not_after) = (now + HOUR, now + 2 * HOUR);
        },
        |error| matches!(error, Error::NotYetValid),
        AlertDescription::CertificateExpired,
    ),
    (
        "for signing code",
        |leaf| leaf.purposes = vec![ExtendedKeyUsagePurpose::CodeSigning],
        |error| matches!(error, Error::WrongPurpose),
        AlertDescription::UnsupportedCertificate,
    ),
    (
        "without a workload's name",
        |leaf| {
            leaf.uris = vec!["https://peer.example/".into()];
            leaf.dns = vec!["peer.default".into()];
        },
        |error| matches!(error, Error::NoSpiffeId),
        AlertDescription::CertificateUnknown,
    ),
    (
        "of another trust domain",
        |leaf| leaf.uris = vec![ELSEWHERE.into()],
        |error| {
            matches!(error, Error::WrongTrustDomain { got, expected }
                if got.as_str() == "elsewhere.example" && expected.as_str() == "cluster.local")
        },
        AlertDescription::CertificateUnknown,
    ),
];

async fn refused_at_both_ends(
    ca: &Ca,
    what: &str,
    papers: &Papers,
    is_said: Says,
    hears: AlertDescription,
) {
    let (said, heard) = as_client(ca, papers).await;
    assert!(is_said(&said), "client, {what}: {said}");
    assert_eq!(heard, hears, "client, {what}");
    let (said, heard) = as_server(ca, papers).await;
    assert!(is_said(&said), "server, {what}: {said}");
    assert_eq!(alert(heard), hears, "server, {what}");
}

#[tokio::test]
async fn wrong_leaves_are_refused_at_both_ends_each_for_its_own_reason() {
    let ca = Ca::new();
    for (what, change, is_said, hears) in LEAVES {
        let mut leaf = Leaf::of(&peer());
        change(&mut leaf);
        let papers = Papers::of(ca.issue_pem(&leaf));
        refused_at_both_ends(&ca, what, &papers, is_said, hears).await;
    }
}

#[tokio::test]
async fn leaves_of_other_authorities_are_refused_at_both_ends_also_of_our_roots_name() {
    let ca = Ca::new();
    for name in ["another root", "test root"] {
        let papers = Papers::of(Ca::named(name).issue_pem(&Leaf::of(&peer())));
        let is_said: Says = |error| matches!(error, Error::UnknownIssuer);
        refused_at_both_ends(&ca, name, &papers, is_said, AlertDescription::UnknownCA).await;
    }
}

#[tokio::test]
async fn a_leaf_that_the_peer_has_no_key_for_is_refused_at_both_ends() {
    let ca = Ca::new();
    let (chain, _) = ca.issue_pem(&Leaf::of(&peer()));
    let (_, another_key) = ca.issue_pem(&Leaf::of(&peer()));
    let papers = Papers::of((chain, another_key));
    let is_said: Says = |error| matches!(error, Error::BadSignature);
    refused_at_both_ends(
        &ca,
        "stolen",
        &papers,
        is_said,
        AlertDescription::DecryptError,
    )
    .await;
}

#[tokio::test]
async fn a_certificate_for_the_other_end_is_refused() {
    let ca = Ca::new();
    let only = |purpose| {
        let leaf = Leaf {
            purposes: vec![purpose],
            ..Leaf::of(&peer())
        };
        Papers::of(ca.issue_pem(&leaf))
    };
    let server_only = only(ExtendedKeyUsagePurpose::ServerAuth);
    let client_only = only(ExtendedKeyUsagePurpose::ClientAuth);
    let (said, _) = as_client(&ca, &server_only).await;
    assert!(matches!(said, Error::WrongPurpose), "{said}");
    let (said, _) = as_server(&ca, &client_only).await;
    assert!(matches!(said, Error::WrongPurpose), "{said}");
}

#[tokio::test]
async fn a_server_that_is_somebody_else_of_our_trust_domain_is_refused_by_name() {
    let ca = Ca::new();
    let other = identity("default", "other");
    let papers = Papers::of(ca.issue_pem(&Leaf::of(&other)));
    let (said, heard) = as_server(&ca, &papers).await;
    let Error::WrongIdentity { got, expected } = &said else {
        panic!("{said}")
    };
    assert_eq!((got, &**expected), (&other, &[peer()][..]));
    assert_eq!(alert(heard), AlertDescription::CertificateUnknown);
}

#[tokio::test]
async fn whoever_shows_no_certificate_is_refused_at_both_ends() {
    let ca = Ca::new();
    let (said, heard) = as_client(&ca, &Papers::none()).await;
    assert!(matches!(said, Error::NoCertificate), "{said}");
    assert_eq!(heard, AlertDescription::CertificateRequired);
    let (said, heard) = as_server(&ca, &Papers::none()).await;
    assert!(matches!(said, Error::NoCertificate), "{said}");
    assert!(heard.is_err());
}
