//! The servers: every request is answered with what was seen of it; every TCP byte comes back.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use mesh::lifecycle::task;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Longest request body that is read, bytes; a longer one is counted as far as this.
const LONGEST_BODY: usize = 64 << 20;

/// What a server saw of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Name of the pod that answered (`POD_NAME`).
    pub pod: String,
    /// Who asked, as the server's socket has it.
    pub peer: SocketAddr,
    /// The server's own end.
    pub local: SocketAddr,
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers, names in lower case; several values are joined with `, `.
    pub headers: BTreeMap<String, String>,
    /// Length of the body, bytes.
    pub body: usize,
}

/// Serves for ever; the error names the port that could not be had.
pub(super) async fn serve(port: u16, tcp_port: Option<u16>) -> Result<(), (u16, io::Error)> {
    let pod = std::env::var("POD_NAME").unwrap_or_default();
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
    loop {
        if let Some(stream) = accept(&web).await {
            let pod = pod.clone();
            task::spawn_local("http connection", async move {
                drop(answer_all(stream, pod).await)
            });
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

async fn answer_all(stream: TcpStream, pod: String) -> hyper::Result<()> {
    let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else {
        return Ok(());
    };
    let _ = stream.set_nodelay(true);
    let answer = |request| answer(request, pod.clone(), plain(peer), plain(local));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await
}

async fn answer(
    request: Request<Incoming>,
    pod: String,
    peer: SocketAddr,
    local: SocketAddr,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|before| {
                before.push_str(", ");
                before.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    let body = Limited::new(body, LONGEST_BODY)
        .collect()
        .await
        .map(|body| body.to_bytes().len());
    let seen = Seen {
        pod,
        peer,
        local,
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers,
        body: body.unwrap_or(LONGEST_BODY),
    };
    let mut text = serde_json::to_string(&seen).unwrap_or_default();
    text.push('\n');
    let mut response = Response::new(Full::new(Bytes::from(text)));
    let json = hyper::header::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, json);
    Ok(response)
}

/// An IPv4 client of a socket for both families is shown as what it is.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
