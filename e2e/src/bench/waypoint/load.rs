//! Asks a proxy: as fast as it answers, or at a fixed rate, where a request's time counts from when it was due.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use mesh::lifecycle::task;
use tokio::task::JoinHandle;
use waypoint::bytes::Peeked;
use waypoint::upstream::Local;

use super::proxy::Proxy;
use super::{PATIENCE, PORTS, SERVICE};

/// Connections of HTTP/1; streams at once on one connection of HTTP/2.
const AT_ONCE: u32 = 32;

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// HTTP/1 GET, answered with two bytes.
    Small,
    /// HTTP/2 as gRPC calls once: 128 bytes there and back, trailers.
    Unary,
    /// HTTP/1 POST of 64 KiB, answered with as many.
    Large,
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    /// Requests that were answered.
    pub(super) requests: usize,
    /// Median and 99th percentile of their times, in microseconds.
    pub(super) p50_us: f64,
    /// See `p50_us`.
    pub(super) p99_us: f64,
}

impl Measured {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        let at = |percent: usize| {
            let found = times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
            found.map_or(0.0, |it| it.as_secs_f64() * 1e6)
        };
        Self {
            requests: times.len(),
            p50_us: at(50),
            p99_us: at(99),
        }
    }
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Load {
    fn body(self) -> Bytes {
        match self {
            Self::Small => Bytes::new(),
            Self::Unary => Bytes::from_static(&[0x2a; 128]),
            Self::Large => Bytes::from_static(&[0x2a; 64 << 10]),
        }
    }

    fn expected(self) -> usize {
        match self {
            Self::Small => 2,
            Self::Unary | Self::Large => self.body().len(),
        }
    }

    fn request(self, route: usize) -> Result<Request<Full<Bytes>>> {
        let path = format!("/r{route}/item");
        let request = Request::builder().header("user-agent", "bench");
        let request = match self {
            Self::Small => request.uri(path).header("host", "web.shop"),
            Self::Large => request
                .method(Method::POST)
                .uri(path)
                .header("host", "web.shop"),
            Self::Unary => request
                .method(Method::POST)
                .version(Version::HTTP_2)
                .uri(format!("http://web.shop{path}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .header("grpc-timeout", "10S"),
        };
        Ok(request.body(Full::new(self.body()))?)
    }
}

impl Sender {
    async fn open(proxy: &Proxy, load: Load) -> Result<Self> {
        let [http, grpc] = PORTS;
        let port = if load == Load::Unary { grpc } else { http };
        let stream = proxy.stream(&format!("{SERVICE}:{port}")).await?;
        let io = TokioIo::new(Peeked::new(stream));
        if load == Load::Unary {
            let (sender, connection) = http2::handshake(Local, io).await?;
            task::spawn_local("client", connection);
            return Ok(Self::Http2(sender));
        }
        let (sender, connection) = http1::handshake(io).await?;
        task::spawn_local("client", connection);
        Ok(Self::Http1(sender))
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        Ok(match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        })
    }

    /// One request, read to its end.
    async fn ask(&mut self, load: Load, route: usize) -> Result<()> {
        let asked = async {
            let response = self.send(load.request(route)?).await?;
            let status = response.status();
            let length = response.into_body().collect().await?.to_bytes().len();
            if status != StatusCode::OK || length != load.expected() {
                bail!("{load:?} was answered with {status} and {length} bytes");
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, asked)
            .await
            .with_context(|| format!("{load:?} was not answered in {PATIENCE:?}"))?
    }
}

/// When the requests of one line are due.
#[derive(Clone, Copy)]
enum Pace {
    /// When the one before was answered.
    Answered,
    /// So far apart, from so long after the start.
    Every(Duration, Duration),
}

/// Asks as fast as answers come.
///
/// # Errors
/// When an answer is not what it should be.
pub(super) async fn closed(proxy: &Proxy, load: Load, time: Duration) -> Result<Measured> {
    lines(proxy, load, time, |_| Pace::Answered).await
}

/// Asks `rate` times in a second, evenly.
///
/// # Errors
/// When an answer is not what it should be.
pub(super) async fn fixed(
    proxy: &Proxy,
    load: Load,
    rate: u32,
    time: Duration,
) -> Result<Measured> {
    let between = Duration::from_secs(1) * AT_ONCE / rate;
    lines(proxy, load, time, |line| {
        Pace::Every(between, between * line / AT_ONCE)
    })
    .await
}

async fn lines(
    proxy: &Proxy,
    load: Load,
    time: Duration,
    pace: impl Fn(u32) -> Pace,
) -> Result<Measured> {
    let mut senders = Vec::new();
    let shared = match load {
        Load::Unary => Some(Sender::open(proxy, load).await?),
        Load::Small | Load::Large => None,
    };
    for _ in 0..AT_ONCE {
        senders.push(match &shared {
            Some(Sender::Http2(sender)) => Sender::Http2(sender.clone()),
            _ => Sender::open(proxy, load).await?,
        });
    }
    let begun = Instant::now();
    let routes = proxy.routes;
    let running: Vec<JoinHandle<Result<Vec<Duration>>>> = (0..)
        .zip(senders)
        .map(|(number, sender)| {
            let line = Rc::new((pace(number), load, routes));
            tokio::task::spawn_local(async move {
                let (pace, load, routes) = *line;
                line_of(sender, load, pace, (begun, time), (number as usize, routes)).await
            })
        })
        .collect();
    let mut times = Vec::new();
    for line in running {
        times.extend(line.await??);
    }
    Ok(Measured::of(times))
}

/// One request after the other until the time is over; each to another route.
async fn line_of(
    mut sender: Sender,
    load: Load,
    pace: Pace,
    (begun, time): (Instant, Duration),
    (first, routes): (usize, usize),
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for turn in 0.. {
        let due = match pace {
            Pace::Answered => Instant::now(),
            Pace::Every(between, offset) => begun + offset + between * turn,
        };
        if due >= begun + time {
            return Ok(times);
        }
        // The runtime's timer counts in milliseconds; this processor is for us.
        while Instant::now() < due {
            tokio::task::yield_now().await;
        }
        let route = (first + turn as usize * 37) % routes;
        sender.ask(load, route).await?;
        times.push(due.elapsed());
    }
    Ok(times)
}
