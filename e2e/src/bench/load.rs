//! The loads: a server that drains or echoes, and clients that send, ping and connect. Runs inside pods.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// Port of the server that reads everything and answers with the count.
pub const SINK: u16 = 7001;
/// Port of the server that echoes.
pub const ECHO: u16 = 7002;

/// Size of a small message.
const SMALL: usize = 128;
/// Size of the echo on a new connection.
const HELLO: usize = 64;
/// Longest time a single read may take; a stuck bench must end by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// One load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Load {
    /// One connection that carries so many bytes.
    Bulk(u64),
    /// One connection and so many round trips of 128 bytes.
    Small(u32),
    /// So many connections, one after the other, each with an echo of 64 bytes.
    Connect(u32),
}

/// What a client measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// Units of work done: bytes, round trips or connections.
    pub units: u64,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Median and 99th percentile of one unit, in microseconds; zero for bulk.
    pub p50_us: f64,
    /// See `p50_us`.
    pub p99_us: f64,
}

/// Serves until killed.
///
/// # Errors
/// When a port cannot be had.
pub fn serve() -> Result<()> {
    let sink = TcpListener::bind(("::", SINK)).context("sink port")?;
    let echo = TcpListener::bind(("::", ECHO)).context("echo port")?;
    std::thread::spawn(move || accept(&sink, drain));
    accept(&echo, reflect);
    Ok(())
}

fn accept(listener: &TcpListener, work: fn(TcpStream) -> std::io::Result<()>) {
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || work(stream));
    }
}

fn drain(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    let mut total: u64 = 0;
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            n => total += n as u64,
        }
    }
    stream.write_all(&total.to_be_bytes())
}

fn reflect(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 4096];
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(buffer.get(..n).unwrap_or_default())?;
    }
}

fn connect(server: IpAddr, port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::new(server, port), PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Runs one load against a server.
///
/// # Errors
/// When the server is not there, too slow, or answers something else than it was sent.
pub fn run(server: IpAddr, load: Load) -> Result<Measured> {
    match load {
        Load::Bulk(bytes) => bulk(server, bytes),
        Load::Small(count) => small(server, count),
        Load::Connect(count) => connections(server, count),
    }
}

fn bulk(server: IpAddr, bytes: u64) -> Result<Measured> {
    let mut stream = connect(server, SINK)?;
    let block = vec![0x5a; 256 * 1024];
    let begun = Instant::now();
    let mut left = bytes;
    while left > 0 {
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        stream.write_all(block.get(..n).unwrap_or_default())?;
        left -= n as u64;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer)?;
    if u64::from_be_bytes(answer) != bytes {
        bail!("sent {bytes} bytes, {} arrived", u64::from_be_bytes(answer));
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Measured {
        units: bytes,
        seconds,
        p50_us: 0.0,
        p99_us: 0.0,
    })
}

fn small(server: IpAddr, count: u32) -> Result<Measured> {
    let mut stream = connect(server, ECHO)?;
    timed(count, || echo(&mut stream, SMALL))
}

fn connections(server: IpAddr, count: u32) -> Result<Measured> {
    timed(count, || echo(&mut connect(server, ECHO)?, HELLO))
}

fn echo(stream: &mut TcpStream, size: usize) -> Result<()> {
    let message = [0x33; SMALL];
    let mut answer = [0; SMALL];
    let (message, answer) = (message.get(..size), answer.get_mut(..size));
    let (Some(message), Some(answer)) = (message, answer) else {
        bail!("{size} is too large")
    };
    stream.write_all(message)?;
    stream.read_exact(answer)?;
    if message != answer {
        bail!("the echo differs");
    }
    Ok(())
}

fn timed(count: u32, mut unit: impl FnMut() -> Result<()>) -> Result<Measured> {
    let mut times = Vec::with_capacity(count as usize);
    let begun = Instant::now();
    for _ in 0..count {
        let start = Instant::now();
        unit()?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    let seconds = begun.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index into at most u32::MAX times"
        )]
        let index = (times.len() as f64 * share) as usize;
        times
            .get(index.min(times.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    };
    Ok(Measured {
        units: u64::from(count),
        seconds,
        p50_us: at(0.5),
        p99_us: at(0.99),
    })
}
