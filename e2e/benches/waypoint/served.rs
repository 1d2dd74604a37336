//! The application: as little work as HTTP/1.1 allows. A path that ends in `/big` is answered with 64 KiB.

use std::net::SocketAddr;

use mesh::lifecycle::task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Bytes of a big answer.
pub(crate) const BIG: usize = 64 * 1024;

/// Starts it.
pub(crate) async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    task::spawn_local("application", async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            task::spawn_local("application connection", answer(stream));
        }
    });
    at
}

async fn answer(mut stream: TcpStream) {
    let small = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec();
    let mut big = format!("HTTP/1.1 200 OK\r\ncontent-length: {BIG}\r\n\r\n").into_bytes();
    big.resize(big.len() + BIG, b'x');
    let mut held = Vec::new();
    let mut piece = vec![0; 16 * 1024];
    loop {
        let Ok(length) = stream.read(&mut piece).await else {
            return;
        };
        if length == 0 {
            return;
        }
        held.extend_from_slice(&piece[..length]);
        while let Some(end) = held.windows(4).position(|it| it == b"\r\n\r\n") {
            let line = held.split(|it| *it == b'\r').next().unwrap();
            let is_big = line.windows(5).any(|it| it == b"/big ");
            let answer = if is_big { &big } else { &small };
            if stream.write_all(answer).await.is_err() {
                return;
            }
            held.drain(..end + 4);
        }
    }
}
