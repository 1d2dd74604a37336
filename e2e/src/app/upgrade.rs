//! A client that upgrades its connection, as a browser does for WebSocket, and wants its bytes back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, bail};

/// Longest time one read may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest head of an answer, bytes.
const LONGEST_HEAD: usize = 16 << 10;

/// Asks `authority` for an upgrade, and checks that both directions carry bytes afterwards.
///
/// # Errors
/// When it is not granted, or the bytes do not come back.
pub fn run(authority: &str) -> Result<()> {
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!(
        "GET /chat HTTP/1.1\r\nhost: {authority}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") && answer.len() < LONGEST_HEAD {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        answer.extend(byte);
    }
    let answer = String::from_utf8_lossy(&answer).to_lowercase();
    if !answer.starts_with("http/1.1 101 ") || !answer.contains("\r\nupgrade: websocket\r\n") {
        bail!("not upgraded: {answer}");
    }
    for round in 0..3_u8 {
        let sent = vec![round; 10_000];
        stream.write_all(&sent)?;
        let mut back = vec![0; sent.len()];
        stream.read_exact(&mut back)?;
        if back != sent {
            bail!("other bytes came back in round {round}");
        }
    }
    Ok(())
}
