//! An application that says what it was asked, and misbehaves where the path says so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mesh::lifecycle::task;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use waypoint::upstream::Local;

/// What it speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http1,
    Http2,
}

/// A running application.
pub(crate) struct App {
    pub(crate) at: SocketAddr,
    pub(crate) requests: Arc<AtomicUsize>,
}

impl App {
    /// Starts one that takes any bytes and says each piece twice; counts connections.
    pub(crate) async fn echo() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        task::spawn_local("application", async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                task::spawn_local("application connection", async move {
                    let mut piece = vec![0; 4096];
                    while let Ok(length) = stream.read(&mut piece).await
                        && let Some(said @ [_, ..]) = piece.get(..length)
                        && stream.write_all(&said.repeat(2)).await.is_ok()
                    {}
                });
            }
        });
        Self { at, requests }
    }

    /// Starts one that calls itself `name`.
    pub(crate) async fn start(name: &'static str, speaks: Speaks) -> Self {
        Self::serve(name, speaks, None).await
    }

    /// Starts one behind TLS.
    pub(crate) async fn start_tls(
        name: &'static str,
        speaks: Speaks,
        config: Arc<rustls::ServerConfig>,
    ) -> Self {
        Self::serve(name, speaks, Some(config.into())).await
    }

    async fn serve(name: &'static str, speaks: Speaks, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        task::spawn_local("application", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (counted, tls) = (Arc::clone(&counted), tls.clone());
                task::spawn_local("application connection", async move {
                    match tls {
                        None => talk(name, speaks, stream, counted).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                talk(name, speaks, stream, counted).await;
                            }
                        }
                    }
                });
            }
        });
        Self { at, requests }
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

async fn talk(
    name: &'static str,
    speaks: Speaks,
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    counted: Arc<AtomicUsize>,
) {
    let service = service_fn(move |request| answer(name, request, Arc::clone(&counted)));
    let io = TokioIo::new(stream);
    let _ = match speaks {
        Speaks::Http1 => {
            let server = hyper::server::conn::http1::Builder::new();
            server.serve_connection(io, service).await
        }
        Speaks::Http2 => {
            let server = hyper::server::conn::http2::Builder::new(Local);
            server.serve_connection(io, service).await
        }
    };
}

async fn answer(
    name: &'static str,
    request: Request<Incoming>,
    counted: Arc<AtomicUsize>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let number = counted.fetch_add(1, Ordering::Relaxed) + 1;
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let words: Vec<_> = path.split('/').skip(1).collect();
    let mut status = StatusCode::OK;
    match words.as_slice() {
        ["status", code] => status = code.parse().unwrap(),
        ["delay", millis] => {
            tokio::time::sleep(Duration::from_millis(millis.parse().unwrap())).await
        }
        ["break"] => return Err(std::io::Error::other("as asked")),
        ["fail", times] if number <= times.parse().unwrap() => {
            status = StatusCode::SERVICE_UNAVAILABLE
        }
        _ => {}
    }
    let body = body
        .collect()
        .await
        .map(|it| it.to_bytes())
        .unwrap_or_default();
    let mut headers = serde_json::Map::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let before = headers.get(name.as_str()).and_then(Value::as_str);
        let value = before.map_or(value.clone(), |before| format!("{before}|{value}"));
        headers.insert(name.as_str().to_owned(), value.into());
    }
    let said = json!({
        "app": name,
        "method": parts.method.as_str(),
        "path": parts.uri.path_and_query().map(|it| it.as_str()),
        "authority": parts.uri.authority().map(|it| it.as_str()),
        "version": format!("{:?}", parts.version),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    let mut response = Response::new(Full::new(Bytes::from(said.to_string())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert("x-app", name.parse().unwrap());
    Ok(response)
}
