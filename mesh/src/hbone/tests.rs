//! Tunnels end to end: both ends over memory or loopback, on one thread as in a worker.

mod pool;
mod hostile;
mod bulk;

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::LocalSet;

use super::{Authority, ConnectHead, Incoming, OpenError, Opened, Pool, PoolKey, Settings};
use crate::identity::Identity;
use crate::lifecycle::task;
use crate::relay::{Buffers, Counters, Duplex, End, Sink, Source, copy, pipe};
use crate::testing::ca::{Ca, identity};
use crate::testing::pipe::{Exchange, Listener, PATIENCE, accept, key};
use crate::tls::{self, Credentials};

/// What tests run in: a current-thread runtime with a local set, and an end to patience.
fn on_a_worker<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let work = Box::pin(work);
    async {
        let work = tokio::time::timeout(PATIENCE, work);
        LocalSet::new()
            .run_until(work)
            .await
            .expect("took too long")
    }
}

/// A client and a server that know each other.
struct Pair {
    client: Arc<Credentials>,
    server: Arc<Credentials>,
    exchange: Exchange,
    pool: Rc<Pool<tls::Error>>,
    key: PoolKey,
}

impl Pair {
    fn new(settings: Settings) -> (Self, Listener) {
        let ca = Ca::new();
        let (client, server) = (identity("default", "client"), identity("default", "server"));
        let (exchange, listener) = Exchange::new();
        let pair = Self {
            key: key(&client, &server),
            client: ca.issue(&client),
            server: ca.issue(&server),
            exchange,
            pool: Pool::new(settings),
        };
        (pair, listener)
    }

    async fn open(&self, authority: &str) -> Result<Opened, OpenError<tls::Error>> {
        let head = ConnectHead::new(Authority::parse(authority).unwrap());
        let expected = Arc::clone(self.key.peers());
        let dial = async || self.exchange.dial(&self.client, &expected).await;
        self.pool.open(&self.key, dial, &head).await
    }

    /// Serves every connection: each stream is answered and then echoed.
    fn echo(&self, listener: Listener, settings: Settings) {
        self.serve(listener, settings, |incoming| {
            let stream = incoming.respond.accept(None).unwrap();
            task::spawn_local("echo", echo(stream));
        });
    }

    /// Serves every connection with `each` request handed over.
    fn serve(
        &self,
        mut listener: Listener,
        settings: Settings,
        each: impl Fn(Incoming) + Clone + 'static,
    ) {
        let credentials = Arc::clone(&self.server);
        task::spawn_local("listener", async move {
            while let Some((mut tunnel, _)) = accept(&mut listener, &credentials, &settings).await {
                let each = each.clone();
                task::spawn_local("tunnel", async move {
                    while let Some(Ok(incoming)) = tunnel.next().await {
                        each(incoming);
                    }
                });
            }
        });
    }
}

async fn echo(stream: impl Duplex) {
    let (mut source, mut sink) = stream.split();
    while let Ok(Some(chunk)) = read(&mut source).await {
        let length = chunk.len();
        if write(&mut sink, chunk).await.is_err() {
            return;
        }
        source.release(length);
    }
    let _ = poll_fn(|cx| sink.poll_finish(cx)).await;
}

async fn read(source: &mut impl Source) -> Result<Option<Bytes>, End> {
    let buffers = Buffers::new();
    poll_fn(|cx| source.poll_chunk(cx, &buffers)).await
}

/// Reads until the end and releases everything.
async fn read_all(source: &mut impl Source) -> Result<Vec<u8>, End> {
    let mut all = Vec::new();
    while let Some(chunk) = read(source).await? {
        source.release(chunk.len());
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

async fn write(sink: &mut impl Sink, mut chunk: Bytes) -> Result<(), End> {
    while !chunk.is_empty() {
        let room = poll_fn(|cx| sink.poll_ready(cx, chunk.len())).await?;
        sink.send(chunk.split_to(room.min(chunk.len())))?;
    }
    poll_fn(|cx| sink.poll_flush(cx)).await
}

async fn finish(sink: &mut impl Sink) {
    poll_fn(|cx| sink.poll_finish(cx)).await.unwrap();
}

/// Sends a message through an echo and waits until as many bytes are back.
async fn ping_pong(source: &mut impl Source, sink: &mut impl Sink, message: &Bytes) {
    write(sink, message.clone()).await.unwrap();
    hear(source, message.len()).await;
}

/// Reads and releases at least `wanted` bytes.
async fn hear(source: &mut impl Source, wanted: usize) {
    let mut heard = 0;
    while heard < wanted {
        let chunk = read(source).await.unwrap().unwrap();
        source.release(chunk.len());
        heard += chunk.len();
    }
}

/// Waits for a condition; never for a time.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("never came true: {what}");
}

#[tokio::test]
async fn a_stream_carries_bytes_both_ways_and_each_end_knows_the_other() {
    on_a_worker(async {
        let (pair, listener) = Pair::new(Settings::default());
        let (send, seen) = std::sync::mpsc::channel();
        pair.serve(listener, Settings::default(), move |incoming| {
            send.send(incoming.head.unwrap()).unwrap();
            let baggage = super::Baggage {
                namespace: Some("default".into()),
                ..Default::default()
            };
            task::spawn_local(
                "echo",
                echo(incoming.respond.accept(Some(&baggage)).unwrap()),
            );
        });
        let opened = pair.open("10.0.0.2:8080").await.unwrap();
        assert_eq!(opened.peer.identity, identity("default", "server"));
        assert_eq!(opened.peer.group, "X25519MLKEM768");
        assert_eq!(
            opened.baggage.unwrap().namespace.as_deref(),
            Some("default")
        );
        assert!(!opened.was_pooled);
        assert_eq!(seen.recv().unwrap().authority.to_string(), "10.0.0.2:8080");
        let (mut source, mut sink) = opened.stream.split();
        write(&mut sink, Bytes::from_static(b"hello"))
            .await
            .unwrap();
        finish(&mut sink).await;
        assert_eq!(read_all(&mut source).await.unwrap(), b"hello");
    })
    .await;
}

#[test]
fn a_connection_that_waits_or_copies_holds_little_memory() {
    let (pair, _) = Pair::new(Settings::default());
    let opening = size_of_val(&pair.open("10.0.0.2:1"));
    let ((near, _), (far, _)) = (pipe(), pipe());
    let (counters, buffers) = (Counters::default(), Buffers::new());
    let copying = size_of_val(&copy(near, far, &counters, &buffers));
    assert!(
        opening <= 1400 && copying <= 600,
        "open {opening} bytes, copy {copying} bytes"
    );
}

#[test]
fn a_worker_may_be_a_local_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(async {
        let (pair, listener) = Pair::new(Settings::default());
        pair.echo(listener, Settings::default());
        let (mut source, mut sink) = pair.open("10.0.0.2:1").await.unwrap().stream.split();
        ping_pong(&mut source, &mut sink, &Bytes::from_static(b"hello")).await;
    });
}

#[tokio::test]
async fn each_end_may_finish_first_and_the_other_goes_on() {
    on_a_worker(async {
        let (pair, listener) = Pair::new(Settings::default());
        pair.serve(listener, Settings::default(), |incoming| {
            let (mut source, mut sink) = incoming.respond.accept(None).unwrap().split();
            task::spawn_local("server", async move {
                // the server's end first
                write(&mut sink, Bytes::from_static(b"greeting"))
                    .await
                    .unwrap();
                finish(&mut sink).await;
                assert_eq!(read_all(&mut source).await.unwrap(), b"much later");
            });
        });
        let (mut source, mut sink) = pair.open("10.0.0.2:1").await.unwrap().stream.split();
        assert_eq!(read_all(&mut source).await.unwrap(), b"greeting");
        write(&mut sink, Bytes::from_static(b"much later"))
            .await
            .unwrap();
        finish(&mut sink).await;
    })
    .await;
}

#[tokio::test]
async fn an_aborted_stream_is_told_from_a_finished_one_in_both_directions() {
    on_a_worker(async {
        let (pair, listener) = Pair::new(Settings::default());
        let (send, mut halves) = tokio::sync::mpsc::unbounded_channel();
        pair.serve(listener, Settings::default(), move |incoming| {
            let _ = send.send(incoming.respond.accept(None).unwrap().split());
        });
        let (mut source, sink) = pair.open("10.0.0.2:1").await.unwrap().stream.split();
        let (mut far_source, far_sink) = halves.recv().await.unwrap();
        drop(sink);
        assert!(matches!(read_all(&mut far_source).await, Err(End::Reset)));
        drop(far_sink);
        assert!(matches!(read_all(&mut source).await, Err(End::Reset)));

        let (mut source, mut sink) = pair.open("10.0.0.2:1").await.unwrap().stream.split();
        let (_far_source, mut far_sink) = halves.recv().await.unwrap();
        far_sink.reset();
        assert!(matches!(read_all(&mut source).await, Err(End::Reset)));
        assert!(matches!(poll_fn(|cx| sink.poll_gone(cx)).await, End::Reset));
    })
    .await;
}

#[tokio::test]
async fn the_relay_joins_a_tunnel_to_a_pipe_and_keeps_the_ends() {
    on_a_worker(async {
        let (pair, listener) = Pair::new(Settings::default());
        pair.echo(listener, Settings::default());
        let tunnel = pair.open("10.0.0.2:1").await.unwrap().stream;
        let (near, far) = pipe();
        let (mut source, mut sink) = far.split();
        let (counters, buffers) = (Counters::default(), Buffers::new());
        let talk = async {
            write(&mut sink, Bytes::from(vec![9; 3_000_000]))
                .await
                .unwrap();
            finish(&mut sink).await;
        };
        let (outcome, (), heard) = tokio::join!(
            copy(near, tunnel, &counters, &buffers),
            talk,
            read_all(&mut source)
        );
        outcome.ended.unwrap();
        assert_eq!(heard.unwrap().len(), 3_000_000);
        assert_eq!((outcome.sent, outcome.received), (3_000_000, 3_000_000));
    })
    .await;
}
