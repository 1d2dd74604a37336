//! A waypoint beside Envoy at the same work: requests per CPU-second, time at a fixed rate, memory by routes.
//!
//! Both take tunnels (mutual TLS, HTTP/2 CONNECT), read the requests inside of them, choose one of N routes by
//! path, try again as the mesh's default says, write Istio's line about each request, count, and send the request
//! to one application over plain TCP. Proxies run on processor 1 with one worker each; load and application share
//! processor 0. Every round measures Envoy, Weft and Weft once more at each case: how far the last two are apart
//! is how little the comparison can tell.

mod report;
mod proxy;
mod envoy;
pub mod weft;
mod load;
mod app;
mod papers;
mod pin;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;

use load::{Load, Measured};
use proxy::{Kind, Proxy};
use report::Series;

/// Where the service is, as callers name it; nobody listens there.
const SERVICE: &str = "10.0.0.1";
/// Port of the service that is HTTP/1, and of the one that is gRPC.
const PORTS: [u16; 2] = [80, 81];
/// Numbers of routes.
const ROUTES: [usize; 3] = [1, 100, 1_000];
/// What is asked, of how many routes, and how often in a second when the rate is fixed.
const CASES: [(Load, usize, u32); 5] = [
    (Load::Small, 1, 2_000),
    (Load::Small, 100, 2_000),
    (Load::Small, 1_000, 2_000),
    (Load::Unary, 1, 2_000),
    (Load::Large, 1, 400),
];
/// How long one measurement of throughput takes, and one at a fixed rate.
const CLOSED: Duration = Duration::from_millis(1_000);
const FIXED: Duration = Duration::from_millis(1_500);
/// Longest wait for a proxy to start, or for one answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What both proxies are told.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    /// How many routes there are; route `n` is for paths below `/rn`.
    routes: usize,
    /// Where the application takes HTTP/1, and where HTTP/2.
    apps: [SocketAddr; 2],
}

/// What one proxy did at one case, in one round.
struct Cost {
    closed: Measured,
    /// Nanoseconds of CPU that the requests of `closed` took.
    cpu: u64,
    fixed: Measured,
}

/// Measures so many rounds; the answer is Markdown. `program` is this executable, which also is the waypoint.
///
/// # Errors
/// When Envoy is not installed, there is one processor only, or a proxy does not answer.
pub fn run(program: &Path, rounds: usize, say_round: impl Fn(usize)) -> Result<String> {
    mesh::tls::install_default();
    let envoy = envoy::program()?;
    pin::this_thread(0)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let measured = Box::pin(measure(program, &envoy, rounds, say_round));
    LocalSet::new().block_on(&runtime, measured)
}

async fn measure(
    program: &Path,
    envoy: &Path,
    rounds: usize,
    say_round: impl Fn(usize),
) -> Result<String> {
    let apps = [app::start(false).await?, app::start(true).await?];
    let mut proxies = Vec::new();
    for routes in ROUTES {
        let told = Told { routes, apps };
        for kind in [Kind::Envoy, Kind::Weft] {
            let program = if kind == Kind::Envoy { envoy } else { program };
            proxies.push(Proxy::start(kind, program, &told).await?);
        }
    }
    let find = |kind, routes| {
        let found = proxies
            .iter()
            .find(|it| it.kind == kind && it.routes == routes);
        found.context("a proxy of that many routes")
    };
    let mut series: Vec<Series> = CASES.iter().map(Series::new).collect();
    for proxy in &proxies {
        // every kind of request once, so that connections are there and pages are touched
        for load in [Load::Small, Load::Unary] {
            load::closed(proxy, load, CLOSED).await?;
        }
    }
    let memory = proxies
        .iter()
        .map(Proxy::memory)
        .collect::<Result<Vec<_>>>()?;
    for round in 0..rounds {
        for one in &mut series {
            for turn in 0..3 {
                // whoever is first profits or suffers from it in turn
                let side = (turn + round) % 3;
                let kind = if side == 0 { Kind::Envoy } else { Kind::Weft };
                let proxy = find(kind, one.routes)?;
                let before = proxy.cpu()?;
                let closed = load::closed(proxy, one.load, CLOSED).await?;
                let cpu = proxy.cpu()? - before;
                let fixed = load::fixed(proxy, one.load, one.rate, FIXED).await?;
                one.push(side, Cost { closed, cpu, fixed });
            }
        }
        say_round(round + 1);
    }
    Ok(report::render(&series, &proxies, &memory))
}
