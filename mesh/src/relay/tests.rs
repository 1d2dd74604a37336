//! Copying between streams of every kind.

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Buffers, Counters, Duplex, End, Outcome, Side, Sink, Source, copy, pipe};

const PATIENCE: Duration = Duration::from_secs(20);

/// Two ends of a TCP connection over loopback.
async fn tcp() -> (TcpStream, TcpStream) {
    let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
    let listener = TcpListener::bind(any).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (near, far) = (near.unwrap(), far.unwrap().0);
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    (near, far)
}

async fn patiently<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("took too long")
}

/// Runs `work` beside a copy between two streams and returns both results.
async fn beside<A: Duplex, B: Duplex, F: Future>(a: A, b: B, work: F) -> (Outcome, F::Output) {
    let (counters, buffers) = (Counters::default(), Buffers::new());
    patiently(async { tokio::join!(copy(a, b, &counters, &buffers), work) }).await
}

#[tokio::test]
async fn each_direction_may_end_first_and_the_other_goes_on() {
    for client_first in [true, false] {
        let (mut client, near) = tcp().await;
        let (far, mut server) = tcp().await;
        let (outcome, ()) = beside(near, far, async {
            let (first, second) = if client_first {
                (&mut client, &mut server)
            } else {
                (&mut server, &mut client)
            };
            first.write_all(b"question").await.unwrap();
            first.shutdown().await.unwrap();
            let mut heard = Vec::new();
            second.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, b"question");
            second.write_all(b"a longer answer").await.unwrap();
            second.shutdown().await.unwrap();
            heard.clear();
            first.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, b"a longer answer");
        })
        .await;
        outcome.ended.unwrap();
        let (question, answer) = if client_first { (8, 15) } else { (15, 8) };
        assert_eq!((outcome.sent, outcome.received), (question, answer));
    }
}

#[tokio::test]
async fn a_reset_reaches_the_other_side_as_a_reset_and_names_who_did_it() {
    let (client, near) = tcp().await;
    let (far, mut server) = tcp().await;
    let (outcome, error) = beside(near, far, async {
        client.set_zero_linger().unwrap();
        drop(client);
        server.read(&mut [0; 1]).await.unwrap_err()
    })
    .await;
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(
        matches!(outcome.ended, Err((Side::First, End::Reset))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn letting_go_of_a_copy_resets_both_sides() {
    let (mut client, near) = tcp().await;
    let (far, mut server) = tcp().await;
    let (counters, buffers) = (Counters::default(), Buffers::new());
    let copying = copy(near, far, &counters, &buffers);
    let cut = tokio::time::timeout(Duration::from_millis(20), copying).await;
    assert!(cut.is_err());
    for end in [&mut client, &mut server] {
        let error = patiently(end.read(&mut [0; 1])).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn bytes_through_two_copies_and_a_pipe_arrive_whole_both_ways() {
    // what a same-node short cut is: accepted connection, pipe, connection to the application
    let (client, near) = tcp().await;
    let (far, server) = tcp().await;
    let (left, right) = pipe();
    let size = 5 * 1024 * 1024;
    let pattern: Vec<u8> = (0..size).map(|i: usize| (i * 31 % 251) as u8).collect();
    let (counters, buffers) = (Counters::default(), Buffers::new());
    let (other_counters, other_buffers) = (Counters::default(), Buffers::new());
    let exchange = |stream: TcpStream| async {
        let (mut read, mut write) = stream.into_split();
        let mut heard = Vec::new();
        let send = async {
            write.write_all(&pattern).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let (sent, _) = tokio::join!(send, read.read_to_end(&mut heard));
        assert!(heard == pattern);
        sent
    };
    let (one, two, (), ()) = patiently(async {
        tokio::join!(
            copy(near, left, &counters, &buffers),
            copy(right, far, &other_counters, &other_buffers),
            exchange(client),
            exchange(server),
        )
    })
    .await;
    one.ended.unwrap();
    two.ended.unwrap();
    assert_eq!(
        (counters.sent(), counters.received()),
        (size as u64, size as u64)
    );
}

#[tokio::test]
async fn a_stalled_reader_stops_the_sender_within_bounded_memory() {
    let (mut client, near) = tcp().await;
    let (left, right) = pipe();
    let (counters, buffers) = (Counters::default(), Buffers::new());
    let (_source, _sink) = right.split();
    let chunk = vec![7; 1 << 20];
    let stuffing = async {
        loop {
            client.write_all(&chunk).await.unwrap();
        }
    };
    let copying = copy(near, left, &counters, &buffers);
    let stalled = tokio::time::timeout(Duration::from_millis(300), async {
        tokio::join!(copying, stuffing)
    });
    assert!(stalled.await.is_err());
    assert!(
        counters.sent() <= 1024 * 1024,
        "{} bytes taken in",
        counters.sent()
    );
}

#[tokio::test]
async fn an_idle_connection_holds_no_buffer() {
    let (mut client, near) = tcp().await;
    let (mut source, _sink) = near.split();
    let buffers = Buffers::new();
    client.write_all(b"x").await.unwrap();
    let chunk = patiently(poll_fn(|cx| source.poll_chunk(cx, &buffers)))
        .await
        .unwrap();
    assert_eq!(chunk, Some(Bytes::from_static(b"x")));
    let before = buffers.idle_bytes();
    let pending = poll_fn(|cx| std::task::Poll::Ready(source.poll_chunk(cx, &buffers))).await;
    assert!(pending.is_pending());
    assert_eq!(buffers.idle_bytes(), before);
    assert_eq!(before, super::buffer::SMALL);
}

#[tokio::test]
async fn a_pipe_tells_a_finish_from_a_reset_and_from_a_reader_that_left() {
    let buffers = Buffers::new();
    let (left, right) = pipe();
    let (_, mut sink) = left.split();
    let (mut source, _keep) = right.split();
    sink.send(Bytes::from_static(b"last")).unwrap();
    poll_fn(|cx| sink.poll_finish(cx)).await.unwrap();
    drop(sink);
    assert_eq!(
        poll_fn(|cx| source.poll_chunk(cx, &buffers))
            .await
            .unwrap()
            .unwrap(),
        "last"
    );
    assert_eq!(
        poll_fn(|cx| source.poll_chunk(cx, &buffers)).await.unwrap(),
        None
    );

    let (left, right) = pipe();
    let (_keep, sink) = left.split();
    let (mut source, _other) = right.split();
    drop(sink);
    assert!(matches!(
        poll_fn(|cx| source.poll_chunk(cx, &buffers)).await,
        Err(End::Reset)
    ));

    let (left, right) = pipe();
    let (_keep, mut sink) = left.split();
    drop(right.split().0);
    assert!(matches!(
        poll_fn(|cx| sink.poll_gone(cx)).await,
        End::Declined
    ));
}
