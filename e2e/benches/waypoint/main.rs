//! A waypoint beside Envoy 1.40, configured for the same work: requests per CPU-second, latency at a fixed rate, memory.
//!
//! `cargo bench -p e2e --features packages --bench waypoint`; with `-- bad-input` what bad input costs a waypoint. Both take mutual TLS and HBONE, read requests inside of it, find
//! one of so many routes, write Istio's standard line about each and send them on in plain TCP; one worker each, on a
//! processor of its own, with client and application together on the other. Rounds are interleaved; a second waypoint in each
//! round shows what differs without a reason. CPU is what the scheduler counted for all threads of a process.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement ends where it fails, and is read by a person"
)]

#[path = "../../../waypoint/tests/requests/app.rs"]
#[expect(dead_code, reason = "shared with the waypoint's own tests")]
mod app;
mod bad;
#[path = "../../../waypoint/tests/requests/client.rs"]
#[expect(dead_code, reason = "shared with the waypoint's own tests")]
mod client;
mod envoy;
mod load;
mod served;
mod show;
mod weft;
#[path = "../../../waypoint/tests/requests/world.rs"]
#[expect(dead_code, reason = "shared with the waypoint's own tests")]
mod world;

use std::time::Duration;

use load::Load;
use show::{Cell, Row};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds of every load.
const ROUNDS: usize = 7;
/// How long a load lasts in each round.
const TIME: Duration = Duration::from_millis(1500);
/// Requests a second where latency is measured.
const RATE: u32 = 1000;
/// Routes that memory is measured with.
const ROUTES: [usize; 3] = [1, 100, 1000];

/// A proxy under test.
pub(crate) struct Proxy {
    pub(crate) client: client::Client,
    pub(crate) pid: i32,
    /// Ends it.
    pub(crate) _process: Box<dyn std::any::Any>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|it| it == weft::ALONE) {
        return weft::alone(&arguments[at + 1], arguments[at + 2].parse().unwrap());
    }
    world::run(|| async move {
        load::pin(0, 1);
        let app = served::start().await;
        if arguments.iter().any(|it| it == "bad-input") {
            return bad::input(app).await;
        }
        println!(
            "| work | Envoy | Weft | Weft against Envoy (min-max) | Weft against itself (min-max) |"
        );
        println!("|---|---|---|---|---|");
        for (routes, loads) in [
            (1, &[Load::HTTP1, Load::HTTP2, Load::BIG][..]),
            (1000, &[Load::HTTP1][..]),
        ] {
            let proxies = [
                envoy::start(app, routes).await,
                weft::start(app, routes).await,
                weft::start(app, routes).await,
            ];
            for load in loads {
                per_cpu_second(&proxies, *load, routes).await.print();
            }
            if routes == 1 {
                latency(&proxies).await.print();
            }
        }
        for routes in ROUTES {
            let proxies = [
                envoy::start(app, routes).await,
                weft::start(app, routes).await,
                weft::start(app, routes).await,
            ];
            memory(&proxies, routes).await.print();
        }
    });
}

/// Requests per CPU-second of the proxy.
async fn per_cpu_second(proxies: &[Proxy; 3], load: Load, routes: usize) -> Row {
    let mut row = Row::new(format!(
        "requests per CPU-second: {}, {routes} routes",
        load.name
    ));
    for round in 0..ROUNDS {
        let mut found = [0.0; 3];
        for at in order(round) {
            let proxy = &proxies[at];
            let before = e2e::bench::cpu::of_process(proxy.pid).unwrap();
            let requests = load::as_fast_as_can_be(&proxy.client, load, routes, TIME).await;
            let spent = e2e::bench::cpu::of_process(proxy.pid).unwrap() - before;
            found[at] = requests as f64 / (spent as f64 / 1e9);
        }
        row.round(found.map(Cell::Number));
    }
    row
}

/// Latency at a rate that both can serve, without leaving out what waited.
async fn latency(proxies: &[Proxy; 3]) -> Row {
    let mut row = Row::new(format!("p99 at {RATE} requests a second, HTTP/1.1"));
    for round in 0..ROUNDS {
        let mut found = [0.0; 3];
        for at in order(round) {
            let mut times = load::at_a_rate(&proxies[at].client, RATE, TIME).await;
            times.sort_unstable();
            let p99 = times[times.len() * 99 / 100];
            found[at] = p99.as_secs_f64() * 1e6;
        }
        row.round(found.map(Cell::Microseconds));
    }
    row
}

/// Resident memory after some thousand requests.
async fn memory(proxies: &[Proxy; 3], routes: usize) -> Row {
    let mut row = Row::new(format!("resident memory, {routes} routes"));
    for proxy in proxies {
        load::as_fast_as_can_be(&proxy.client, Load::HTTP1, routes, TIME).await;
    }
    let kib = |proxy: &Proxy| e2e::bench::memory::of_process(proxy.pid).unwrap().0;
    row.round([0, 1, 2].map(|at| Cell::Mebibytes(kib(&proxies[at]) as f64 / 1024.0)));
    row
}

/// Who is measured first changes from round to round.
fn order(round: usize) -> [usize; 3] {
    match round % 3 {
        0 => [0, 1, 2],
        1 => [2, 0, 1],
        _ => [1, 2, 0],
    }
}
