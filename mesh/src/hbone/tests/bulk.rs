//! Many bytes, many small messages, slow readers, and no delays.

use std::hash::Hasher;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use twox_hash::XxHash64;

use super::*;
use crate::hbone::{Dialed, Tunnel};
use crate::net::sockopt::{KeepAlive, prepare_stream};

const MIB: usize = 1024 * 1024;

/// Different bytes for every seed.
fn noise(seed: usize, length: usize) -> Bytes {
    let mut state = seed as u64 + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8))
        .flat_map(|_| next())
        .take(length)
        .collect()
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = XxHash64::with_seed(0);
    hasher.write(bytes);
    hasher.finish()
}

#[tokio::test]
async fn sixteen_bulk_streams_share_a_tunnel_and_arrive_whole() {
    on_a_worker(async {
        let (pair, listener) = Pair::new(Settings::default());
        pair.echo(listener, Settings::default());
        let one = |seed: usize| {
            let pair = &pair;
            async move {
                let bytes = noise(seed, 4 * MIB + seed);
                let sent = hash(&bytes);
                let opened = pair.open("10.0.0.2:1").await.unwrap();
                let (mut source, mut sink) = opened.stream.split();
                let send = async {
                    write(&mut sink, bytes).await.unwrap();
                    finish(&mut sink).await;
                };
                let ((), heard) = tokio::join!(send, read_all(&mut source));
                assert_eq!(hash(&heard.unwrap()), sent);
            }
        };
        futures_util::future::join_all((0..16).map(one)).await;
        assert_eq!(pair.exchange.dials(), 1);
    })
    .await;
}

/// Every accepted stream is relayed into a pipe, as into an application's connection. The first
/// application is handed out and reads nothing, the others echo.
fn applications_of_which_the_first_stalls(
    pair: &Pair,
    listener: Listener,
    settings: Settings,
) -> tokio::sync::mpsc::UnboundedReceiver<crate::relay::PipeEnd> {
    let (send, stalled) = tokio::sync::mpsc::unbounded_channel();
    let first = Rc::new(std::cell::Cell::new(true));
    pair.serve(listener, settings, move |incoming| {
        let stream = incoming.respond.accept(None).unwrap();
        let (near, application) = pipe();
        task::spawn_local("relay", async move {
            copy(stream, near, &Counters::default(), &Buffers::new()).await
        });
        if first.replace(false) {
            let _ = send.send(application);
        } else {
            task::spawn_local("echo", echo(application));
        }
    });
    stalled
}

#[tokio::test]
async fn a_hundred_streams_of_small_messages_survive_a_stalled_reader() {
    on_a_worker(async {
        let (pair, listener) = Pair::new(Settings::default());
        // 4 MiB in frames of 100 bytes would cost 6.5 MiB of this, if they stayed frames
        let settings = Settings {
            small_frame_budget: MIB,
            ..Settings::default()
        };
        let mut stalled = applications_of_which_the_first_stalls(&pair, listener, settings);
        let (mut stalled_source, mut stalled_sink) =
            pair.open("10.0.0.2:1").await.unwrap().stream.split();
        let stalled_application = stalled.recv().await.unwrap();
        // 4 MiB in pieces of 100 bytes, until flow control stops us
        let message = Bytes::from(vec![1; 100]);
        let mut sent = 0;
        let stuffing = async {
            loop {
                write(&mut stalled_sink, message.clone()).await.unwrap();
                sent += message.len();
                if sent % 10_000 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        };
        assert!(
            tokio::time::timeout(Duration::from_secs(2), stuffing)
                .await
                .is_err()
        );
        assert!(sent > 4 * MIB - 200, "flow control stopped us at {sent}");
        assert!(sent <= 6 * MIB, "{sent} bytes were buffered");
        // everybody else still talks
        let one = |_| async {
            let (mut source, mut sink) = pair.open("10.0.0.2:1").await.unwrap().stream.split();
            for _ in 0..20 {
                ping_pong(&mut source, &mut sink, &message).await;
            }
        };
        futures_util::future::join_all((0..99).map(one)).await;
        assert_eq!(pair.exchange.dials(), 1);
        // and when the stalled one wakes up, nothing is missing
        task::spawn_local("echo", echo(stalled_application));
        hear(&mut stalled_source, sent).await;
    })
    .await;
}

#[tokio::test]
async fn streams_that_are_let_go_unread_give_their_window_back() {
    on_a_worker(async {
        let (pair, listener) = Pair::new(Settings::default());
        pair.serve(listener, Settings::default(), |incoming| {
            let (_source, mut sink) = incoming.respond.accept(None).unwrap().split();
            task::spawn_local("sender", async move {
                let _ = write(&mut sink, Bytes::from(vec![1; 8 * MIB])).await;
            });
        });
        // 16 MiB may be under way on the whole connection: five streams would use it up
        for _ in 0..12 {
            let (mut source, _sink) = pair.open("10.0.0.2:1").await.unwrap().stream.split();
            let mut taken = 0;
            while taken < 4 * MIB {
                taken += read(&mut source).await.unwrap().unwrap().len();
            }
        }
        assert_eq!(pair.exchange.dials(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_slow_reader_bounds_what_is_buffered_for_it() {
    on_a_worker(async {
        let settings = Settings {
            stream_window: 256 * 1024,
            ..Settings::default()
        };
        let (pair, listener) = Pair::new(settings.clone());
        let (send, mut streams) = tokio::sync::mpsc::unbounded_channel();
        pair.serve(listener, settings, move |incoming| {
            let _ = send.send(incoming.respond.accept(None).unwrap());
        });
        let (_source, mut sink) = pair.open("10.0.0.2:1").await.unwrap().stream.split();
        let (mut far_source, _far_sink) = streams.recv().await.unwrap().split();
        let mut sent = 0;
        let chunk = Bytes::from(vec![1; 64 * 1024]);
        let mut stuff = async |limit: Duration| {
            let _ = tokio::time::timeout(limit, async {
                loop {
                    write(&mut sink, chunk.clone()).await.unwrap();
                    sent += chunk.len();
                }
            })
            .await;
            sent
        };
        let bound = 256 * 1024 + Settings::default().send_buffer + 128 * 1024;
        let before = stuff(Duration::from_millis(300)).await;
        assert!(before <= bound, "{before} bytes buffered, {bound} allowed");
        // what is read but not released does not let more in
        let held = read(&mut far_source).await.unwrap().unwrap();
        assert_eq!(stuff(Duration::from_millis(200)).await, before);
        far_source.release(held.len());
        let mut released = held.len();
        while released < 256 * 1024 {
            let chunk = read(&mut far_source).await.unwrap().unwrap();
            far_source.release(chunk.len());
            released += chunk.len();
        }
        assert!(stuff(Duration::from_millis(200)).await > before);
    })
    .await;
}

/// Bytes of a question, sent in two halves, and of its answer.
const MESSAGE: usize = 128;

/// An application that answers only when it has the whole question: until then its host has
/// nothing to send that an acknowledgement could travel with, and delays it.
async fn answer_whole_questions(mut stream: TcpStream) {
    let mut question = [0; MESSAGE];
    while stream.read_exact(&mut question).await.is_ok() {
        stream.write_all(&question).await.unwrap();
    }
}

/// Serves one connection over loopback and relays its streams to an application over loopback, as
/// an inbound proxy does.
async fn proxy_over_loopback(pair: &Pair) -> (SocketAddr, SocketAddr) {
    let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
    let listener = TcpListener::bind(any).await.unwrap();
    let application = TcpListener::bind(any).await.unwrap();
    let addresses = (
        listener.local_addr().unwrap(),
        application.local_addr().unwrap(),
    );
    let server = Arc::clone(&pair.server);
    task::spawn_local("application", async move {
        answer_whole_questions(application.accept().await.unwrap().0).await;
    });
    task::spawn_local("server", async move {
        let (stream, _) = crate::net::listen::accept(&listener, &KeepAlive::default())
            .await
            .unwrap();
        let (io, _) = tls::server::accept(stream, &server, PATIENCE)
            .await
            .unwrap();
        let mut tunnel = Tunnel::accept(io, &Settings::default()).await.unwrap();
        while let Some(Ok(incoming)) = tunnel.next().await {
            task::spawn_local("relay", async move {
                let application = connect(addresses.1).await;
                let stream = incoming.respond.accept(None).unwrap();
                copy(stream, application, &Counters::default(), &Buffers::new()).await
            });
        }
    });
    addresses
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    prepare_stream(&stream, &KeepAlive::default()).unwrap();
    stream
}

/// The median of so many round trips over loopback, each question in two writes: what Nagle's
/// algorithm and delayed acknowledgements trip over. `prepare` gets the tunnel's socket.
async fn median_round_trip(rounds: usize, prepare: impl Fn(&TcpStream)) -> Duration {
    let (pair, _) = Pair::new(Settings::default());
    let (hop, application) = proxy_over_loopback(&pair).await;
    let expected = Arc::clone(pair.key.peers());
    let dial = async || -> Result<_, tls::Error> {
        let stream = connect(hop).await;
        prepare(&stream);
        let local_address = stream.local_addr().unwrap();
        let (io, peer) = tls::client::connect(stream, &pair.client, &expected, PATIENCE).await?;
        Ok(Dialed {
            good_until: peer.not_after,
            io,
            peer,
            local_address,
            kept: Box::new(()),
        })
    };
    let head = ConnectHead::new(Authority::Ip(application));
    let opened = pair.pool.open(&pair.key, dial, &head).await.unwrap();
    let (mut source, mut sink) = opened.stream.split();
    let mut times = Vec::new();
    for round in 0..rounds {
        let started = Instant::now();
        write(&mut sink, noise(round, MESSAGE / 2)).await.unwrap();
        tokio::task::yield_now().await;
        write(&mut sink, noise(round, MESSAGE / 2)).await.unwrap();
        hear(&mut source, MESSAGE).await;
        times.push(started.elapsed());
    }
    // a busy machine delays only some of them
    times.sort_unstable();
    times[rounds / 2]
}

/// A delayed acknowledgement takes 40 ms at least.
const DELAYED: Duration = Duration::from_millis(20);

#[tokio::test]
async fn small_round_trips_over_loopback_never_wait_for_a_delayed_acknowledgement() {
    on_a_worker(async {
        let ours = median_round_trip(50, |_| ()).await;
        assert!(ours < DELAYED, "{ours:?}");
        // the same arrangement notices when the option is forgotten
        let without = median_round_trip(20, |hop| hop.set_nodelay(false).unwrap()).await;
        assert!(without > DELAYED, "{without:?}");
    })
    .await;
}
