//! Requests through a proxy: as many as it can take, or so many a second.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mesh::lifecycle::task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use waypoint::bytes::Peeked;

use crate::client::{Client, get};
use crate::world::vip;

/// Connections in the tunnel that ask at once.
const CONNECTIONS: usize = 16;
/// HTTP/2 connections, and requests at once on each.
const SHARED: (usize, usize) = (4, 8);

/// A kind of work.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) name: &'static str,
    is_http2: bool,
    path: &'static str,
}

impl Load {
    pub(crate) const HTTP1: Self = Self {
        name: "HTTP/1.1, 2 bytes",
        is_http2: false,
        path: "",
    };
    pub(crate) const HTTP2: Self = Self {
        name: "HTTP/2 to HTTP/1.1, 2 bytes",
        is_http2: true,
        path: "",
    };
    pub(crate) const BIG: Self = Self {
        name: "HTTP/1.1, 64 KiB",
        is_http2: false,
        path: "/big",
    };
}

/// Lets a process run on one processor only; 0 is this one.
pub(crate) fn pin(pid: i32, processor: usize) {
    let mut set = nix::sched::CpuSet::new();
    set.set(processor).unwrap();
    // Threads that are there already stay where they are: each is pinned by itself.
    let tasks = format!(
        "/proc/{}/task",
        if pid == 0 {
            "self".to_owned()
        } else {
            pid.to_string()
        }
    );
    for task in std::fs::read_dir(tasks).unwrap().flatten() {
        let thread: i32 = task.file_name().to_string_lossy().parse().unwrap();
        let thread = nix::unistd::Pid::from_raw(thread);
        nix::sched::sched_setaffinity(thread, &set).unwrap();
    }
}

/// The path of the last of so many routes.
fn path(routes: usize, load: Load) -> String {
    format!("/r{}{}", routes - 1, load.path)
}

/// Asks for this long, each connection again as soon as it was answered; how many answers there were.
pub(crate) async fn as_fast_as_can_be(
    client: &Client,
    load: Load,
    routes: usize,
    time: Duration,
) -> u64 {
    let path = path(routes, load);
    let until = Instant::now() + time;
    let mut asking = Vec::new();
    if load.is_http2 {
        for _ in 0..SHARED.0 {
            let connection = client.http2(&vip(80)).await;
            for _ in 0..SHARED.1 {
                let mut connection = connection.clone();
                let path = path.clone();
                asking.push(task::spawn_local("client", async move {
                    let mut count = 0;
                    while Instant::now() < until {
                        let answer = connection.ask(get(&path)).await;
                        assert_eq!(answer.status, 200, "{:?}", answer.body);
                        count += 1;
                    }
                    count
                }));
            }
        }
    } else {
        for _ in 0..CONNECTIONS {
            let mut stream = client.stream(&vip(80)).await.unwrap();
            let request = request(&path);
            asking.push(task::spawn_local("client", async move {
                let mut count = 0;
                while Instant::now() < until {
                    ask(&mut stream, &request).await;
                    count += 1;
                }
                count
            }));
        }
    }
    let mut all = 0;
    for one in asking {
        all += one.await.unwrap().expect("a client");
    }
    all
}

/// Asks so many times a second for this long; how long each took from when it should have been asked.
pub(crate) async fn at_a_rate(client: &Client, rate: u32, time: Duration) -> Vec<Duration> {
    let request = Rc::new(request("/r0"));
    let begun = Instant::now();
    let apart = Duration::from_secs(1) / rate * u32::try_from(CONNECTIONS).unwrap();
    let mut asking = Vec::new();
    for number in 0..CONNECTIONS {
        let mut stream = client.stream(&vip(80)).await.unwrap();
        let request = Rc::clone(&request);
        asking.push(task::spawn_local("client", async move {
            let mut times = Vec::new();
            let first = begun
                + apart * u32::try_from(number).unwrap() / u32::try_from(CONNECTIONS).unwrap();
            let mut due = first + apart;
            while due < begun + time {
                tokio::time::sleep_until(due.into()).await;
                ask(&mut stream, &request).await;
                times.push(due.elapsed());
                due += apart;
            }
            times
        }));
    }
    let mut all = Vec::new();
    for one in asking {
        all.extend(one.await.unwrap().expect("a client"));
    }
    all
}

/// A client that asks so many times a second, until it is told to finish.
pub(crate) struct Steady {
    stop: Rc<Cell<bool>>,
    asking: JoinHandle<Option<Vec<Duration>>>,
}

impl Steady {
    /// Starts one.
    pub(crate) async fn start(client: &Client, rate: u32) -> Self {
        let mut stream = client.stream(&vip(80)).await.unwrap();
        let stop = Rc::new(Cell::new(false));
        let is_over = Rc::clone(&stop);
        let asking = task::spawn_local("steady client", async move {
            let request = request("/r0");
            let mut times = Vec::new();
            let mut due = Instant::now();
            while !is_over.get() {
                ask(&mut stream, &request).await;
                times.push(due.elapsed());
                due += Duration::from_secs(1) / rate;
                tokio::time::sleep_until(due.into()).await;
            }
            times
        });
        Self { stop, asking }
    }

    /// How long each answer took from when it should have been asked for.
    pub(crate) async fn finish(self) -> Vec<Duration> {
        self.stop.set(true);
        self.asking.await.unwrap().expect("a client")
    }
}

fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: web.shop\r\nuser-agent: load\r\n\r\n").into_bytes()
}

/// One request and its whole answer.
async fn ask(stream: &mut Peeked, request: &[u8]) {
    stream.write_all(request).await.unwrap();
    let mut heard = Vec::with_capacity(1024);
    let mut piece = vec![0; 64 * 1024];
    let mut whole = usize::MAX;
    while heard.len() < whole {
        let length = stream.read(&mut piece).await.unwrap();
        assert!(length > 0, "the connection ended");
        heard.extend_from_slice(&piece[..length]);
        if whole == usize::MAX
            && let Some(end) = heard.windows(4).position(|it| it == b"\r\n\r\n")
        {
            let head = std::str::from_utf8(&heard[..end]).unwrap();
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            let length = head
                .lines()
                .find_map(|it| it.strip_prefix("content-length: "));
            whole = end + 4 + length.expect("a length").parse::<usize>().unwrap();
        }
    }
}
