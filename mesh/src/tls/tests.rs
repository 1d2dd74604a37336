//! Handshakes that succeed and every way they must not.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::ExtendedKeyUsagePurpose;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Credentials, CredentialsError, Error};
use crate::identity::{Identity, TrustDomain};
use crate::testing::ca::{Ca, Leaf, identity};
use crate::testing::pipe::handshake;

fn client() -> Identity {
    identity("default", "client")
}

fn server() -> Identity {
    identity("default", "server")
}

/// What the server says about a client with this leaf.
async fn refusal(ca: &Ca, leaf: Leaf) -> Error {
    let client_id = Identity::parse(&leaf.uris[0]).unwrap();
    let credentials = ca.issue_as(&client_id, &leaf, &ca.root_pem());
    let (_, accepted) = handshake(&credentials, &ca.issue(&server()), &[server()]).await;
    match accepted {
        Ok((_, peer)) => panic!("{} must be refused", peer.identity),
        Err(error) => error,
    }
}

#[tokio::test]
async fn both_ends_know_each_other_and_agree_on_a_post_quantum_key_exchange() {
    let ca = Ca::new();
    let expected = [identity("other", "one"), server()];
    let (connected, accepted) =
        handshake(&ca.issue(&client()), &ca.issue(&server()), &expected).await;
    let (mut near, seen_by_client) = connected.unwrap();
    let (mut far, seen_by_server) = accepted.unwrap();
    assert_eq!(seen_by_client.identity, server());
    assert_eq!(seen_by_server.identity, client());
    assert_eq!(seen_by_client.group, "X25519MLKEM768");
    assert_eq!(seen_by_server.group, "X25519MLKEM768");
    assert!(seen_by_client.not_after > SystemTime::now());
    near.write_all(b"hello").await.unwrap();
    let mut word = [0; 5];
    far.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"hello");
    let (_, connection) = far.get_ref();
    assert_eq!(connection.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(
        connection.protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_3)
    );
}

#[tokio::test]
async fn a_server_that_is_somebody_else_is_refused_by_name() {
    let ca = Ca::new();
    let (connected, _) = handshake(
        &ca.issue(&client()),
        &ca.issue(&server()),
        &[identity("x", "y")],
    )
    .await;
    let error = connected.err().unwrap();
    let Error::WrongIdentity { got, expected } = &error else {
        panic!("{error}")
    };
    assert_eq!((got, &**expected), (&server(), &[identity("x", "y")][..]));
}

#[tokio::test]
async fn a_server_is_never_accepted_when_nobody_is_expected() {
    let ca = Ca::new();
    let (connected, _) = handshake(&ca.issue(&client()), &ca.issue(&server()), &[]).await;
    assert!(matches!(connected.err(), Some(Error::WrongIdentity { .. })));
}

#[tokio::test]
async fn a_client_of_another_trust_domain_is_refused() {
    let ca = Ca::new();
    let stranger = Identity::new(
        TrustDomain::parse("other.example").unwrap(),
        "default",
        "client",
    );
    let error = refusal(&ca, Leaf::of(&stranger)).await;
    let Error::WrongTrustDomain { got, expected } = error else {
        panic!("{error}")
    };
    assert_eq!(
        (got.as_str(), expected.as_str()),
        ("other.example", "cluster.local")
    );
}

#[tokio::test]
async fn certificates_outside_their_validity_are_refused() {
    let ca = Ca::new();
    let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
    let expired = Leaf {
        not_after: now - hour,
        not_before: now - 2 * hour,
        ..Leaf::of(&client())
    };
    assert!(matches!(
        refusal(&ca, expired.clone()).await,
        Error::Expired
    ));
    let early = Leaf {
        not_before: now + hour,
        not_after: now + 2 * hour,
        ..Leaf::of(&client())
    };
    assert!(matches!(refusal(&ca, early).await, Error::NotYetValid));

    let server_leaf = Leaf {
        uris: vec![server().to_string()],
        ..expired
    };
    let old = ca.issue_as(&server(), &server_leaf, &ca.root_pem());
    let (connected, accepted) = handshake(&ca.issue(&client()), &old, &[server()]).await;
    assert!(matches!(connected.err(), Some(Error::Expired)));
    assert!(matches!(accepted.err(), Some(Error::Refused(_))));
}

#[tokio::test]
async fn certificates_for_the_other_end_are_refused() {
    let ca = Ca::new();
    let purposes = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let leaf = Leaf {
        purposes,
        ..Leaf::of(&client())
    };
    assert!(matches!(refusal(&ca, leaf).await, Error::WrongPurpose));

    let purposes = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = Leaf {
        purposes,
        ..Leaf::of(&server())
    };
    let wrong = ca.issue_as(&server(), &leaf, &ca.root_pem());
    let (connected, _) = handshake(&ca.issue(&client()), &wrong, &[server()]).await;
    assert!(matches!(connected.err(), Some(Error::WrongPurpose)));
}

#[tokio::test]
async fn certificates_of_an_unknown_authority_are_refused_at_both_ends() {
    let ca = Ca::new();
    for (name, is_expected) in [
        (
            "other root",
            (|e| matches!(e, Error::UnknownIssuer)) as fn(&Error) -> bool,
        ),
        ("test root", |e| matches!(e, Error::BadSignature)),
    ] {
        let foreign = Ca::named(name);
        let stranger = foreign.issue_as(&client(), &Leaf::of(&client()), &ca.root_pem());
        let (_, accepted) = handshake(&stranger, &ca.issue(&server()), &[server()]).await;
        assert!(is_expected(&accepted.err().unwrap()), "client of {name}");

        let stranger = foreign.issue_as(&server(), &Leaf::of(&server()), &ca.root_pem());
        let (connected, _) = handshake(&ca.issue(&client()), &stranger, &[server()]).await;
        assert!(is_expected(&connected.err().unwrap()), "server of {name}");
    }
}

#[tokio::test]
async fn a_client_without_certificate_is_refused() {
    let ca = Ca::new();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(super::certificates("roots", &ca.root_pem()).unwrap());
    let verifier = super::verify::ServerVerifier::new(Arc::new(roots), Arc::new([server()]));
    let config = rustls::ClientConfig::builder_with_provider(super::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let credentials = ca.issue(&server());
    let name = "nobody".try_into().unwrap();
    let (_connected, accepted) = tokio::join!(
        connector.connect(name, near),
        super::server::accept(far, &credentials, Duration::from_secs(20)),
    );
    assert!(matches!(accepted.err(), Some(Error::NoCertificate)));
}

#[tokio::test]
async fn identity_never_comes_from_a_dns_name_and_is_the_first_uri_that_is_one() {
    let ca = Ca::new();
    let name = client().to_string();
    let dns_only = Leaf {
        uris: vec!["https://x/y".into()],
        dns: vec!["client.default".into()],
        ..Leaf::of(&client())
    };
    let (chain, key) = ca.issue_pem(&dns_only);
    let refused = Credentials::from_pem(client(), &chain, &key, &ca.root_pem());
    assert!(matches!(
        refused,
        Err(CredentialsError::OtherIdentity { got: None, .. })
    ));

    let second = Leaf {
        uris: vec!["spiffe://td/other/shape".into(), name],
        ..Leaf::of(&client())
    };
    let credentials = ca.issue_as(&client(), &second, &ca.root_pem());
    let (_, accepted) = handshake(&credentials, &ca.issue(&server()), &[server()]).await;
    assert_eq!(accepted.unwrap().1.identity, client());
}

#[tokio::test]
async fn what_is_not_tls_is_told_apart_from_a_peer_that_leaves_and_one_that_says_nothing() {
    let ca = Ca::new();
    let credentials = ca.issue(&server());
    let (mut near, far) = tokio::io::duplex(64 * 1024);
    near.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let accepted = super::server::accept(far, &credentials, Duration::from_secs(20)).await;
    assert!(matches!(accepted.err(), Some(Error::Protocol(_))));

    let (near, far) = tokio::io::duplex(64 * 1024);
    drop(near);
    let accepted = super::server::accept(far, &credentials, Duration::from_secs(20)).await;
    assert!(matches!(accepted.err(), Some(Error::Closed(_))));

    let (_near, far) = tokio::io::duplex(64 * 1024);
    let accepted = super::server::accept(far, &credentials, Duration::from_millis(10)).await;
    assert!(matches!(accepted.err(), Some(Error::Deadline { .. })));
}

#[test]
fn a_key_that_is_not_the_leafs_is_refused_and_no_key_is_ever_printed() {
    let ca = Ca::new();
    let (chain, _) = ca.issue_pem(&Leaf::of(&client()));
    let (_, other) = ca.issue_pem(&Leaf::of(&client()));
    let refused = Credentials::from_pem(client(), &chain, &other, &ca.root_pem());
    assert!(matches!(refused, Err(CredentialsError::Key(_))));
    let shown = format!("{:?}", ca.issue(&client()));
    assert!(shown.starts_with("Credentials { identity"), "{shown}");
    assert!(!shown.contains("key"), "{shown}");
}
