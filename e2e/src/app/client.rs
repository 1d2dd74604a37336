//! The clients of journeys: each does one thing and says what it saw.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{COLLECT, Digest, Digester, ECHO, GREET, GREETING, LAST, RESET, pattern};

/// Longest time one read or connect may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Line with which [`Task::Talk`] says that it goes on.
pub const TALKING: &str = "talking";
/// Pause between two words of a talk.
const PACE: Duration = Duration::from_millis(5);

/// What a client does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// Sends, ends its direction, reads the digest of what arrived.
    FinishFirst {
        /// Bytes to send.
        bytes: usize,
    },
    /// Reads the greeting and the server's end, then sends on.
    FinishLast {
        /// Bytes to send.
        bytes: usize,
    },
    /// Several [`Task::FinishFirst`] at once, each with content of its own.
    Bulk {
        /// Connections.
        streams: u64,
        /// Bytes on each.
        bytes: usize,
    },
    /// Sends a byte to a server that resets.
    ProvokeReset,
    /// Resets its own connection, then checks that the server still serves.
    Reset,
    /// Connects and waits for the other side to end it.
    ExpectRefusal {
        /// Port to dial.
        port: u16,
    },
    /// Talks to the echo until its own standard input ends, then sends more and finishes. Says
    /// [`TALKING`] once it has been answered.
    Talk {
        /// Bytes to send at the end.
        bytes: usize,
    },
    /// Sends to the echo without a pause until its own standard input ends, then finishes; says
    /// [`TALKING`] once it has been answered. What was sent and what came back are digested.
    Flood,
    /// Sends raw bytes and reads the answer to its end.
    Raw {
        /// Port to dial.
        port: u16,
        /// Pieces to send: bytes, and how often.
        pieces: Vec<(Vec<u8>, usize)>,
    },
}

/// What it saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seen {
    /// What was sent and what the server says arrived, per connection.
    Digests(Vec<(Digest, Digest)>),
    /// How the connection ended.
    Ended {
        /// `end`, `reset`, `refused` or `timeout`.
        how: String,
        /// Bytes that came before.
        received: usize,
    },
}

/// Does it.
///
/// # Errors
/// When what must work does not.
pub fn run(server: IpAddr, task: &Task) -> Result<Seen> {
    match *task {
        Task::FinishFirst { bytes } => Ok(Seen::Digests(vec![finish_first(server, 1, bytes)?])),
        Task::FinishLast { bytes } => Ok(Seen::Digests(vec![finish_last(server, bytes)?])),
        Task::Bulk { streams, bytes } => {
            let start = |seed| std::thread::spawn(move || finish_first(server, seed, bytes));
            let threads: Vec<_> = (0..streams).map(start).collect();
            let join = |t: std::thread::JoinHandle<_>| t.join().unwrap_or_else(|_| bail!("panic"));
            Ok(Seen::Digests(
                threads.into_iter().map(join).collect::<Result<_>>()?,
            ))
        }
        Task::ProvokeReset => ending(connect(server, RESET)?, b"!"),
        Task::Reset => reset(server),
        Task::ExpectRefusal { port } => match connect(server, port) {
            Ok(stream) => ending(stream, b"hello"),
            Err(error) => Ok(ended(how(&error), 0)),
        },
        Task::Talk { bytes } => talk(connect(server, ECHO)?, bytes),
        Task::Flood => flood(connect(server, ECHO)?),
        Task::Raw { port, ref pieces } => {
            let mut stream = connect(server, port)?;
            for (piece, times) in pieces {
                for _ in 0..*times {
                    if let Err(error) = stream.write_all(piece) {
                        return Ok(ended(how(&error.into()), 0));
                    }
                }
            }
            ending(stream, b"")
        }
    }
}

fn connect(server: IpAddr, port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::new(server, port), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn send(stream: &mut TcpStream, seed: u64, bytes: usize) -> Result<Digest> {
    let content = pattern(seed, bytes);
    let mut digester = Digester::default();
    digester.add(&content);
    stream.write_all(&content).context("sending")?;
    stream
        .shutdown(Shutdown::Write)
        .context("ending our direction")?;
    Ok(digester.digest())
}

fn finish_first(server: IpAddr, seed: u64, bytes: usize) -> Result<(Digest, Digest)> {
    let mut stream = connect(server, COLLECT)?;
    let sent = send(&mut stream, seed, bytes)?;
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .context("reading the digest")?;
    Ok((sent, serde_json::from_slice(&answer).context("the digest")?))
}

fn finish_last(server: IpAddr, bytes: usize) -> Result<(Digest, Digest)> {
    let mut stream = connect(server, GREET)?;
    let mut greeting = Vec::new();
    stream
        .read_to_end(&mut greeting)
        .context("reading the greeting to its end")?;
    if greeting != GREETING {
        bail!("the greeting was {:?}", String::from_utf8_lossy(&greeting));
    }
    let sent = send(&mut stream, 2, bytes)?;
    drop(stream);
    for _ in 0..200 {
        let mut answer = Vec::new();
        connect(server, LAST)?.read_to_end(&mut answer)?;
        let arrived: Digest = serde_json::from_slice(&answer)?;
        if arrived.bytes == sent.bytes {
            return Ok((sent, arrived));
        }
        std::thread::sleep(Duration::from_millis(10)); // until the server has read to the end
    }
    bail!("the server did not get everything")
}

fn reset(server: IpAddr) -> Result<Seen> {
    let mut stream = connect(server, ECHO)?;
    stream.write_all(b"x")?;
    stream.read_exact(&mut [0])?;
    let off = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::Linger, &off)?;
    drop(stream);
    Ok(Seen::Digests(vec![finish_first(server, 3, 1000)?]))
}

/// Says that it goes on; the answer ends when it is told to finish.
fn go_on() -> Result<std::thread::JoinHandle<std::io::Result<usize>>> {
    let mut out = std::io::stdout();
    writeln!(out, "{TALKING}")?;
    out.flush()?;
    Ok(std::thread::spawn(|| {
        std::io::stdin().read_to_end(&mut Vec::new())
    }))
}

fn flood(mut stream: TcpStream) -> Result<Seen> {
    const PIECE: usize = 16 * 1024;
    let mut reader = stream.try_clone()?;
    let (first, answered) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || -> std::io::Result<Digest> {
        let mut digester = Digester::default();
        let mut buffer = vec![0; PIECE];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(digester.digest()),
                n => digester.add(buffer.get(..n).unwrap_or_default()),
            }
            let _ = first.send(());
        }
    });
    let mut digester = Digester::default();
    let mut told = None;
    for seed in 0.. {
        let piece = pattern(seed, PIECE);
        digester.add(&piece);
        stream.write_all(&piece).context("sending")?;
        if told.is_none() && answered.try_recv().is_ok() {
            told = Some(go_on()?);
        }
        if told.as_ref().is_some_and(|it| it.is_finished()) {
            break;
        }
        std::thread::sleep(PACE); // about 3 MB/s: the machine is shared
    }
    stream
        .shutdown(Shutdown::Write)
        .context("ending our direction")?;
    let got = reading.join().unwrap_or_else(|_| panicked())?;
    Ok(Seen::Digests(vec![(digester.digest(), got)]))
}

fn panicked<T>() -> std::io::Result<T> {
    Err(std::io::Error::other("panic"))
}

fn talk(mut stream: TcpStream, bytes: usize) -> Result<Seen> {
    stream.set_nodelay(true)?;
    exchange(&mut stream)?;
    let told = go_on()?;
    while !told.is_finished() {
        if let Err(error) = exchange(&mut stream) {
            return Ok(ended(how(&error.into()), 0));
        }
        std::thread::sleep(PACE); // a talk, not a flood
    }
    let mut writer = stream.try_clone()?;
    let sending = std::thread::spawn(move || send(&mut writer, 4, bytes));
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("the last answer")?;
    let sent = sending.join().unwrap_or_else(|_| bail!("panic"))?;
    let mut digester = Digester::default();
    digester.add(&answer);
    Ok(Seen::Digests(vec![(sent, digester.digest())]))
}

/// One word and its echo.
fn exchange(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"word")?;
    stream.read_exact(&mut [0; 4])
}

/// Sends, then reads until the connection ends one way or another.
fn ending(mut stream: TcpStream, words: &[u8]) -> Result<Seen> {
    if let Err(error) = stream.write_all(words) {
        return Ok(ended(how(&error.into()), 0));
    }
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => Ok(ended("end", answer.len())),
        Err(error) => Ok(ended(how(&error.into()), answer.len())),
    }
}

fn ended(how: &str, received: usize) -> Seen {
    Seen::Ended {
        how: how.to_owned(),
        received,
    }
}

fn how(error: &anyhow::Error) -> &'static str {
    match error
        .downcast_ref::<std::io::Error>()
        .map(std::io::Error::kind)
    {
        Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => "reset",
        Some(ErrorKind::ConnectionRefused) => "refused",
        Some(ErrorKind::UnexpectedEof) => "end",
        Some(ErrorKind::TimedOut | ErrorKind::WouldBlock) => "timeout",
        _ => "failed",
    }
}
