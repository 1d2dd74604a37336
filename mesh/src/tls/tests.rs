//! Handshakes that succeed and every way they must not.

mod key_exchange;
mod refusals;
mod roots;

use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Credentials, CredentialsError, Error};
use crate::identity::Identity;
use crate::testing::ca::{Ca, Leaf, identity};
use crate::testing::pipe::handshake;

fn client() -> Identity {
    identity("default", "client")
}

fn server() -> Identity {
    identity("default", "server")
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
