//! The server of a journey: one port per way a TCP application can behave.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use nix::sys::socket::{setsockopt, sockopt};

use super::{COLLECT, Digest, Digester, ECHO, GREET, GREETING, LAST, RESET};

/// What the last greeted connection carried.
static LAST_SEEN: Mutex<Digest> = Mutex::new(Digest { bytes: 0, hash: 0 });

type Behaviour = fn(TcpStream) -> std::io::Result<()>;

/// Serves until killed.
///
/// # Errors
/// When a port cannot be had.
pub fn serve() -> Result<()> {
    let ports: [(u16, Behaviour); 5] = [
        (COLLECT, collect),
        (GREET, greet),
        (LAST, last),
        (RESET, reset),
        (ECHO, echo),
    ];
    let mut threads = Vec::new();
    for (port, behaviour) in ports {
        let listener = TcpListener::bind(("::", port)).with_context(|| format!("port {port}"))?;
        threads.push(std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || behaviour(stream));
            }
        }));
    }
    for thread in threads {
        let _ = thread.join();
    }
    Ok(())
}

fn read_to_end(stream: &mut TcpStream) -> std::io::Result<Digest> {
    let mut digester = Digester::default();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(digester.digest()),
            n => digester.add(buffer.get(..n).unwrap_or_default()),
        }
    }
}

fn collect(mut stream: TcpStream) -> std::io::Result<()> {
    let digest = read_to_end(&mut stream)?;
    stream.write_all(&serde_json::to_vec(&digest)?)
}

fn greet(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(GREETING)?;
    stream.shutdown(Shutdown::Write)?;
    let digest = read_to_end(&mut stream)?;
    *LAST_SEEN.lock().unwrap_or_else(PoisonError::into_inner) = digest;
    Ok(())
}

fn last(mut stream: TcpStream) -> std::io::Result<()> {
    let digest = LAST_SEEN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    stream.write_all(&serde_json::to_vec(&digest)?)
}

fn reset(mut stream: TcpStream) -> std::io::Result<()> {
    stream.read_exact(&mut [0])?;
    // Lingering for no time makes close() send RST instead of FIN.
    setsockopt(
        &stream,
        sockopt::Linger,
        &nix::libc::linger {
            l_onoff: 1,
            l_linger: 0,
        },
    )?;
    Ok(())
}

fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(buffer.get(..n).unwrap_or_default())?;
    }
}
