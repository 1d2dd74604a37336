//! Bytes of any kind on a connection, through a waypoint to an application: nothing panics, and an application sees
//! no request that the waypoint has not written.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mesh::lifecycle::task;
use mesh::model::AppProtocol;
use mesh::testing::fuzz::Target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::app::App;
use crate::client::PATIENCE;
use crate::world::{World, bound, run, vip};

/// The path of requests as a fuzz target.
pub(crate) const REQUEST_PATH: Target = Target::new("request_path", request_path, seeds);

/// Requests that applications have read so far, and those of them that no waypoint has written: each gets an id on
/// its way.
#[derive(Clone, Default)]
struct Read(Arc<(AtomicUsize, AtomicUsize)>);

/// Bytes, how long an end of the connection is waited for before we end it, and who waits.
type Job = (Vec<u8>, Duration, SyncSender<()>);

/// Follows the bytes: where they were whole requests, the connection ends with its answer.
const LAST: &[u8] = b"GET /last HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

struct Path {
    jobs: SyncSender<Job>,
    read: Read,
    /// Requests that may have been meant.
    lines: AtomicUsize,
}

static PATH: LazyLock<Path> = LazyLock::new(Path::start);

impl Path {
    fn start() -> Self {
        let (sender, jobs) = sync_channel::<Job>(0);
        let read = Read::default();
        let counted = read.clone();
        std::thread::spawn(move || {
            run(|| async move {
                let mut world = World::new().await;
                let at = serve(counted).await;
                let requests = Arc::default();
                let protocol = AppProtocol::Http11;
                world.service("web", 80, protocol, &[&App { at, requests }]);
                world.route(&bound("web", 80));
                while let Ok((data, patience, done)) = jobs.recv() {
                    Box::pin(talk(&world, &data, patience)).await;
                    let _ = done.send(());
                }
            });
        });
        Self {
            jobs: sender,
            read,
            lines: AtomicUsize::new(0),
        }
    }
}

/// An application with a parser of its own.
async fn serve(read: Read) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    task::spawn_local("application", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let read = read.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                read.0.0.fetch_add(1, Ordering::Relaxed);
                if !request.headers().contains_key("x-request-id") {
                    read.0.1.fetch_add(1, Ordering::Relaxed);
                }
                async move {
                    let body = request.into_body().collect().await?.to_bytes();
                    Ok::<_, hyper::Error>(Response::new(Full::new(body)))
                }
            });
            let server = hyper::server::conn::http1::Builder::new();
            let serving = server.serve_connection(TokioIo::new(stream), service);
            task::spawn_local("application connection", serving);
        }
    });
    at
}

/// Says it and listens to the end.
async fn talk(world: &World, data: &[u8], patience: Duration) {
    let mut stream = world.client.stream(&vip(80)).await.unwrap();
    let _ = stream.write_all(&[data, LAST].concat()).await;
    let mut heard = Vec::new();
    let reading = stream.read_to_end(&mut heard);
    if tokio::time::timeout(patience, reading).await.is_ok() {
        return;
    }
    // it waits for more
    let _ = stream.shutdown().await;
    let reading = stream.read_to_end(&mut heard);
    let ended = tokio::time::timeout(PATIENCE, reading).await;
    assert!(ended.is_ok(), "no end of {}", data.escape_ascii());
}

/// Says it on a connection of its own; how many requests applications have read then.
fn say(data: &[u8], patience: Duration) -> usize {
    let lines = data.windows(9).filter(|it| it == b" HTTP/1.1").count() + 1;
    let lines = PATH.lines.fetch_add(lines, Ordering::Relaxed) + lines;
    let (done, is_done) = sync_channel(1);
    PATH.jobs.send((data.to_vec(), patience, done)).unwrap();
    is_done.recv().unwrap();
    let (all, foreign) = &*PATH.read.0;
    let foreign = foreign.load(Ordering::Relaxed);
    assert_eq!(foreign, 0, "slipped past the waypoint");
    let all = all.load(Ordering::Relaxed);
    assert!(all <= lines, "more than were asked for");
    all
}

/// Bytes on a connection: an application reads at most as many requests as there are lines that could begin one, and
/// none that the waypoint has not written.
pub(crate) fn request_path(data: &[u8]) {
    say(data, Duration::from_millis(5));
}

fn seeds() -> Vec<Vec<u8>> {
    let canary = "GET /canary HTTP/1.1\r\nhost: a\r\n\r\n";
    let length = canary.len();
    [
        format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{canary}"),
        format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{canary}\r\n0\r\n\r\n"),
        format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n{canary}"),
        format!("GET / HTTP/1.1\r\nhost: a\r\n\r\n{canary}"),
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: x\r\n\r\n3;e=f\r\nabc\r\n0\r\nx: y\r\n\r\n"
            .to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

#[test]
fn no_bytes_make_a_request_that_the_waypoint_has_not_written() {
    // a body is no request, two requests are two, nothing comes after two lengths; and the last of each connection
    let read = seeds().into_iter().map(|seed| say(&seed, PATIENCE));
    assert_eq!(read.collect::<Vec<_>>(), [2, 4, 5, 8, 10]);
    mesh::testing::fuzz::drive(&REQUEST_PATH);
}
