//! The servers: HTTP/1.1 and HTTP/2 on one port, every request answered; every TCP byte comes back on another.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::rc::Rc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use mesh::lifecycle::task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::answer::Server;
use super::here::Here;

/// Serves for ever; the error names the port that could not be had.
pub(super) async fn serve(
    server: Server,
    port: u16,
    tcp_port: Option<u16>,
) -> Result<(), (u16, io::Error)> {
    let server = Rc::new(server);
    let web = listen(port).await.map_err(|error| (port, error))?;
    if let Some(tcp_port) = tcp_port {
        let plain = listen(tcp_port).await.map_err(|error| (tcp_port, error))?;
        task::spawn_local("tcp echo", async move {
            loop {
                if let Some(stream) = accept(&plain).await {
                    task::spawn_local(
                        "tcp echo connection",
                        async move { drop(echo(stream).await) },
                    );
                }
            }
        });
    }
    answer_on(&web, server).await;
    Ok(())
}

/// Answers whoever connects, for ever.
pub(super) async fn answer_on(web: &TcpListener, server: Rc<Server>) {
    loop {
        if let Some(stream) = accept(web).await {
            task::spawn_local("http connection", answer_all(stream, server.clone()));
        }
    }
}

/// Both families where the machine has both.
async fn listen(port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, port)).await
        }
        Err(error) => Err(error),
    }
}

async fn accept(listener: &TcpListener) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(_) => {
            // Out of descriptors, most likely: let some connection end.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            None
        }
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 << 10];
    let (mut reader, mut writer) = stream.split();
    loop {
        match reader.read(&mut buffer).await? {
            0 => return writer.shutdown().await,
            length => {
                writer
                    .write_all(buffer.get(..length).unwrap_or_default())
                    .await?
            }
        }
    }
}

async fn answer_all(stream: TcpStream, server: Rc<Server>) {
    let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else {
        return;
    };
    let _ = stream.set_nodelay(true);
    let answer = |request| {
        let server = server.clone();
        async move { server.answer(request, plain(peer), plain(local)).await }
    };
    let mut builder = auto::Builder::new(Here);
    builder.http1().timer(TokioTimer::new()).half_close(true);
    builder.http2().timer(TokioTimer::new());
    let connection =
        builder.serve_connection_with_upgrades(TokioIo::new(stream), service_fn(answer));
    // How it ended is the client's business.
    drop(connection.await);
}

/// An IPv4 client of a socket for both families is shown as what it is.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
