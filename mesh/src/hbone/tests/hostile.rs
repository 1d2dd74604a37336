//! Peers that send what they should not, or nothing.

use bytes::BytesMut;
use http::{Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::hbone::server::{Error, Tunnel};

/// A server over a bare pipe, without TLS, and a client of the h2 library.
async fn bare(settings: &Settings) -> (Tunnel<DuplexStream>, h2::client::SendRequest<Bytes>) {
    let (near, far) = tokio::io::duplex(1 << 20);
    let (client, server) = tokio::join!(h2::client::handshake(near), Tunnel::accept(far, settings));
    let (send, connection) = client.unwrap();
    task::spawn_local("client", async move {
        let _ = connection.await;
    });
    (server.unwrap(), send)
}

#[tokio::test]
async fn garbage_after_the_preface_ends_the_connection_with_a_reason() {
    on_a_worker(async {
        let (mut near, far) = tokio::io::duplex(1 << 20);
        near.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        near.write_all(&[0xff; 4096]).await.unwrap();
        let mut tunnel = Tunnel::accept(far, &Settings::default()).await.unwrap();
        let error = tunnel.next().await.unwrap().err().unwrap();
        assert!(matches!(error, Error::Protocol { .. }), "{error}");
        assert!(tunnel.next().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn something_other_than_http2_is_refused() {
    on_a_worker(async {
        let (mut near, far) = tokio::io::duplex(1 << 20);
        near.write_all(b"GET / HTTP/1.1\r\nhost: somewhere\r\n\r\n")
            .await
            .unwrap();
        let error = Tunnel::accept(far, &Settings::default())
            .await
            .err()
            .unwrap();
        assert!(
            matches!(error, Error::Protocol { .. } | Error::Lost(_)),
            "{error}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_sends_no_preface_is_let_go_in_time() {
    on_a_worker(async {
        let (mut near, far) = tokio::io::duplex(1 << 20);
        let patience = Duration::from_millis(20);
        let settings = Settings {
            handshake_deadline: patience,
            ..Settings::default()
        };
        near.write_all(b"PRI * HT").await.unwrap();
        let error = Tunnel::accept(far, &settings).await.err().unwrap();
        assert!(matches!(error, Error::Deadline { .. }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn oversized_headers_are_refused_and_other_streams_live_on() {
    on_a_worker(async {
        let (mut tunnel, mut send) = bare(&Settings::default()).await;
        task::spawn_local("server", async move {
            while let Some(Ok(incoming)) = tunnel.next().await {
                incoming.respond.refuse(StatusCode::IM_A_TEAPOT);
            }
        });
        // let the server's limit arrive, so that the client knows better and must be forced
        tokio::task::yield_now().await;
        let large = "x".repeat(100 * 1024);
        let request = Request::connect("10.0.0.1:80")
            .header("x-large", large)
            .body(())
            .unwrap();
        let (response, _) = send.send_request(request, true).unwrap();
        let status = response.await.map(|response| response.status());
        assert!(!matches!(status, Ok(StatusCode::IM_A_TEAPOT)), "{status:?}");
        let request = Request::connect("10.0.0.1:80").body(()).unwrap();
        let (response, _) = send.send_request(request, true).unwrap();
        assert_eq!(response.await.unwrap().status(), StatusCode::IM_A_TEAPOT);
    })
    .await;
}

#[tokio::test]
async fn only_connect_without_protocol_is_taken_and_refusals_end_the_stream() {
    on_a_worker(async {
        let (mut tunnel, mut send) = bare(&Settings::default()).await;
        task::spawn_local("server", async move {
            while let Some(Ok(incoming)) = tunnel.next().await {
                assert!(incoming.head.is_err());
                incoming.respond.refuse(StatusCode::BAD_REQUEST);
            }
        });
        for request in [
            Request::get("http://10.0.0.1:80/").body(()).unwrap(),
            Request::connect("not-an-authority:99999")
                .body(())
                .unwrap_or_default(),
            Request::connect("10.0.0.1:0").body(()).unwrap(),
        ] {
            let (response, _body) = send.send_request(request, false).unwrap();
            let mut response = response.await.unwrap();
            assert_eq!(response.status(), StatusCode::BAD_REQUEST);
            assert!(response.body_mut().data().await.is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_more_than_allowed_is_refused_and_the_connection_lives() {
    on_a_worker(async {
        let settings = Settings {
            server_streams: 2,
            ..Settings::default()
        };
        let (mut tunnel, mut send) = bare(&settings).await;
        let mut held = Vec::new();
        let open = |send: &mut h2::client::SendRequest<Bytes>| {
            let request = Request::connect("10.0.0.1:80").body(()).unwrap();
            send.send_request(request, false).unwrap()
        };
        for _ in 0..2 {
            held.push(open(&mut send));
            let incoming = tunnel.next().await.unwrap().unwrap();
            task::spawn_local("echo", echo(incoming.respond.accept(None).unwrap()));
        }
        task::spawn_local(
            "server",
            async move { while tunnel.next().await.is_some() {} },
        );
        let (first, mut body) = held.remove(0);
        let mut response = first.await.unwrap();
        body.send_data(Bytes::from_static(b"alive"), true).unwrap();
        let mut heard = BytesMut::new();
        while let Some(data) = response.body_mut().data().await {
            heard.extend_from_slice(&data.unwrap());
        }
        assert_eq!(&heard[..], b"alive");
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_just_leaves_is_no_error() {
    on_a_worker(async {
        let (mut near, far) = tokio::io::duplex(1 << 20);
        near.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await
            .unwrap();
        let mut tunnel = Tunnel::accept(far, &Settings::default()).await.unwrap();
        let leave = async {
            let mut some = [0; 9];
            near.read_exact(&mut some).await.unwrap();
            drop(near);
        };
        let (next, ()) = tokio::join!(tunnel.next(), leave);
        assert!(next.is_none());
    })
    .await;
}
