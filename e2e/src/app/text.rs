//! A server outside of the mesh that says one text to everybody, in plain HTTP/1.1: keys of an issuer, say.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::{Context, Result};

/// Where it listens.
pub const PORT: u16 = 9080;

/// Serves `text` until killed.
///
/// # Errors
/// When the port cannot be had.
pub fn serve(text: &str) -> Result<()> {
    let listener = TcpListener::bind(("::", PORT)).with_context(|| format!("port {PORT}"))?;
    for stream in listener.incoming().flatten() {
        let text = text.to_owned();
        // Whoever leaves early has his reasons.
        std::thread::spawn(move || answer(&text, stream));
    }
    Ok(())
}

/// Answers one request.
fn answer(text: &str, mut stream: TcpStream) -> Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    let length = text.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
    )?;
    Ok(())
}
