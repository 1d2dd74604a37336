//! Peers that send what they should not, or nothing.

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
        let refused = response.await.unwrap().status();
        assert_eq!(refused, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
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
            Request::connect("10.0.0.1").body(()).unwrap(),
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

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame by hand: length, type, flags, stream, payload.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A header with literal name and value, not indexed, no Huffman code (RFC 7541, 6.2.2).
fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let length = |text: &[u8]| u8::try_from(text.len()).unwrap();
    [&[0, length(name)], name, &[length(value)], value].concat()
}

/// Sends hand-written requests and returns the HEADERS frames of the answers.
async fn answers(requests: &[Vec<u8>]) -> Vec<(u8, u8, Vec<u8>)> {
    let (mut near, far) = tokio::io::duplex(1 << 20);
    near.write_all(PREFACE).await.unwrap();
    near.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    for request in requests {
        near.write_all(request).await.unwrap();
    }
    let mut tunnel = Tunnel::accept(far, &Settings::default()).await.unwrap();
    task::spawn_local("server", async move {
        let mut held = Vec::new();
        while let Some(Ok(incoming)) = tunnel.next().await {
            match incoming.head {
                Ok(head) => {
                    assert_eq!(head.authority.to_string(), "10.0.0.1:80");
                    assert_eq!(head.baggage.unwrap().namespace.as_deref(), Some("default"));
                    held.push(incoming.respond.accept(None).unwrap());
                }
                Err(_) => incoming.respond.refuse(StatusCode::BAD_REQUEST),
            }
        }
    });
    let mut found = Vec::new();
    while found.len() < requests.len() {
        let (kind, flags, stream, payload) = next_frame(&mut near).await;
        if kind == 1 {
            found.push((stream, flags, payload));
        }
    }
    found
}

#[tokio::test]
async fn a_connect_written_by_hand_is_answered_with_200_and_stays_open() {
    on_a_worker(async {
        let block = [
            literal(b":method", b"CONNECT"),
            literal(b":authority", b"10.0.0.1:80"),
            literal(b"baggage", b"k8s.namespace.name=default"),
        ]
        .concat();
        // END_HEADERS; the answer is the static entry `:status 200` and no END_STREAM
        let answers = answers(&[frame(1, 4, 1, &block)]).await;
        assert_eq!(answers, [(1, 4, vec![0x88])]);
    })
    .await;
}

#[tokio::test]
async fn a_get_written_by_hand_is_answered_with_400_and_the_end_of_the_stream() {
    on_a_worker(async {
        let block = [
            literal(b":method", b"GET"),
            literal(b":scheme", b"http"),
            literal(b":path", b"/"),
            literal(b":authority", b"10.0.0.1:80"),
        ]
        .concat();
        // static entry `:status 400`, END_HEADERS and END_STREAM
        let answers = answers(&[frame(1, 4, 1, &block)]).await;
        assert_eq!(answers, [(1, 5, vec![0x8c])]);
    })
    .await;
}

/// A CONNECT with the least that it needs, on this stream.
fn connect_request(stream: u8) -> Vec<u8> {
    let block = [
        literal(b":method", b"CONNECT"),
        literal(b":authority", b"10.0.0.1:80"),
    ]
    .concat();
    frame(1, 4, stream, &block)
}

/// One frame of the other end: type, flags, stream, payload.
async fn next_frame(near: &mut DuplexStream) -> (u8, u8, u8, Vec<u8>) {
    let mut head = [0; 9];
    near.read_exact(&mut head).await.unwrap();
    let length = usize::from(head[1]) << 8 | usize::from(head[2]);
    let mut payload = vec![0; length];
    near.read_exact(&mut payload).await.unwrap();
    (head[3], head[4], head[8], payload)
}

#[tokio::test]
async fn a_stream_more_than_allowed_is_refused_and_the_connection_lives() {
    on_a_worker(async {
        let settings = Settings {
            server_streams: 2,
            ..Settings::default()
        };
        let (mut near, far) = tokio::io::duplex(1 << 20);
        near.write_all(PREFACE).await.unwrap();
        near.write_all(&frame(4, 0, 0, &[])).await.unwrap();
        for stream in [1, 3, 5] {
            near.write_all(&connect_request(stream)).await.unwrap();
        }
        let mut tunnel = Tunnel::accept(far, &settings).await.unwrap();
        task::spawn_local("server", async move {
            while let Some(Ok(incoming)) = tunnel.next().await {
                task::spawn_local("echo", echo(incoming.respond.accept(None).unwrap()));
            }
        });
        let mut answers = Vec::new();
        while answers.len() < 3 {
            let (kind, _, stream, payload) = next_frame(&mut near).await;
            if matches!(kind, 1 | 3) {
                answers.push((kind, stream, payload));
            }
        }
        answers.sort();
        // two answers `:status 200`, and RST_STREAM with REFUSED_STREAM
        let expected = [
            (1, 1, vec![0x88]),
            (1, 3, vec![0x88]),
            (3, 5, vec![0, 0, 0, 7]),
        ];
        assert_eq!(answers, expected);
        near.write_all(&frame(0, 1, 1, b"alive")).await.unwrap();
        loop {
            if let (0, _, 1, payload) = next_frame(&mut near).await {
                assert_eq!(payload, b"alive");
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_authority_that_is_none_at_all_resets_its_stream_only() {
    on_a_worker(async {
        let (mut near, far) = tokio::io::duplex(1 << 20);
        near.write_all(PREFACE).await.unwrap();
        near.write_all(&frame(4, 0, 0, &[])).await.unwrap();
        let authorities: [&[u8]; 3] = [b"not an authority", b"[fd00::1", b"10.0.0.1:99999"];
        for (stream, authority) in [1, 3, 5].into_iter().zip(authorities) {
            let block = [
                literal(b":method", b"CONNECT"),
                literal(b":authority", authority),
            ];
            near.write_all(&frame(1, 4, stream, &block.concat()))
                .await
                .unwrap();
        }
        near.write_all(&connect_request(7)).await.unwrap();
        let mut tunnel = Tunnel::accept(far, &Settings::default()).await.unwrap();
        task::spawn_local("server", async move {
            let mut held = Vec::new();
            while let Some(Ok(incoming)) = tunnel.next().await {
                match incoming.head {
                    Ok(_) => held.push(incoming.respond.accept(None)),
                    Err(_) => incoming.respond.refuse(StatusCode::BAD_REQUEST),
                }
            }
        });
        // the first answer of each stream: after a refusal comes RST_STREAM with NO_ERROR
        let mut answers = std::collections::BTreeMap::new();
        while answers.len() < 4 {
            let (kind, _, stream, payload) = next_frame(&mut near).await;
            if matches!(kind, 1 | 3) {
                answers.entry(stream).or_insert((kind, payload));
            }
        }
        // RST_STREAM with PROTOCOL_ERROR, by HTTP/2 itself; `:status 400` where it sees an authority
        let malformed = (3, vec![0, 0, 0, 1]);
        let expected = [
            malformed.clone(),
            malformed,
            (1, vec![0x8c]),
            (1, vec![0x88]),
        ];
        assert_eq!(answers.into_values().collect::<Vec<_>>(), expected);
    })
    .await;
}

/// What a server makes of these frames behind a proper opening; every stream that it is shown is
/// accepted and held.
async fn ends_with(frames: &[u8]) -> Option<h2::Reason> {
    let (mut near, far) = tokio::io::duplex(1 << 20);
    near.write_all(PREFACE).await.unwrap();
    near.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    near.write_all(frames).await.unwrap();
    let mut tunnel = Tunnel::accept(far, &Settings::default()).await.unwrap();
    let mut held = Vec::new();
    loop {
        match tunnel.next().await? {
            Ok(incoming) => held.push(incoming.respond.accept(None)),
            Err(Error::Protocol { reason, .. }) => return Some(reason),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn floods_of_frames_that_cost_more_than_they_bring_end_the_connection() {
    on_a_worker(async {
        let opening_and_resetting = (0..100u8).flat_map(|number| {
            let stream = number * 2 + 1;
            let reset = frame(3, 0, stream, &[0, 0, 0, 8]);
            [connect_request(stream), reset].concat()
        });
        let headers_without_end = std::iter::once(frame(1, 0, 1, &[]))
            .chain(std::iter::repeat_n(frame(9, 0, 1, &[]), 10_000))
            .flatten();
        let nothing_at_all = std::iter::once(connect_request(1))
            .chain(std::iter::repeat_n(frame(0, 0, 1, &[]), 1000))
            .flatten();
        let floods: [(&str, Vec<u8>); 3] = [
            ("streams opened and reset", opening_and_resetting.collect()),
            ("headers that never end", headers_without_end.collect()),
            ("data without bytes", nothing_at_all.collect()),
        ];
        for (flood, frames) in floods {
            let reason = ends_with(&frames).await;
            assert_eq!(reason, Some(h2::Reason::ENHANCE_YOUR_CALM), "{flood}");
        }
    })
    .await;
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]

    #[test]
    fn noise_on_a_connection_never_panics_and_always_ends(
        kind in 0u8..12,
        flags: u8,
        payload in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        tail in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(on_a_worker(async {
            let (mut near, far) = tokio::io::duplex(1 << 20);
            near.write_all(PREFACE).await.unwrap();
            near.write_all(&frame(kind, flags, 1, &payload)).await.unwrap();
            near.write_all(&tail).await.unwrap();
            near.shutdown().await.unwrap();
            if let Ok(mut tunnel) = Tunnel::accept(far, &Settings::default()).await {
                while let Some(Ok(incoming)) = tunnel.next().await {
                    incoming.respond.refuse(StatusCode::BAD_REQUEST);
                }
            }
        }));
    }
}
