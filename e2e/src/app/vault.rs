//! A server outside of the mesh that speaks HTTP/1.1 inside of TLS only, and says who it is.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Where it listens.
pub const PORT: u16 = 9443;
/// What it says.
pub const TREASURE: &str = "gold";

/// Serves with these files until killed.
///
/// # Errors
/// When the files cannot be used or the port cannot be had.
pub fn serve(certificate: &Path, key: &Path) -> Result<()> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    let config = Arc::new(config);
    let listener = TcpListener::bind(("::", PORT)).with_context(|| format!("port {PORT}"))?;
    for stream in listener.incoming().flatten() {
        let config = Arc::clone(&config);
        // Whoever does not like the certificate leaves: that is no failure here.
        std::thread::spawn(move || answer(config, stream));
    }
    Ok(())
}

/// Answers one request.
fn answer(config: Arc<ServerConfig>, stream: TcpStream) -> Result<()> {
    let mut stream = StreamOwned::new(ServerConnection::new(config)?, stream);
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    let length = TREASURE.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{TREASURE}"
    )?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}
