//! The server behind the pages: bounded, and never in the way of traffic.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::page::{Answer, Question, Routes};
use crate::lifecycle::drain;
use crate::lifecycle::task;

/// Connections served at once; more wait in the listen queue.
const MAX_CONNECTIONS: usize = 64;
/// Longest body of a POST, in bytes.
const MAX_BODY: usize = 1 << 20;
/// Time a client has to send its request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after accept fails, so that a lack of descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener of either kind.
trait Accept {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    async fn next(&self) -> io::Result<Self::Stream>;
}

impl Accept for TcpListener {
    type Stream = TcpStream;
    async fn next(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;
    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// Serves pages on a TCP listener until the drain begins.
pub async fn serve(listener: TcpListener, routes: Routes, drain: drain::Watch) {
    accept_loop(listener, routes, drain).await;
}

/// Serves pages on a unix socket until the drain begins.
pub async fn serve_unix(listener: UnixListener, routes: Routes, drain: drain::Watch) {
    accept_loop(listener, routes, drain).await;
}

async fn accept_loop(listener: impl Accept, routes: Routes, drain: drain::Watch) {
    let routes = Arc::new(routes);
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        tokio::select! {
            () = drain.draining() => return,
            accepted = listener.next() => match accepted {
                Ok(stream) => {
                    let routes = Arc::clone(&routes);
                    task::spawn("admin connection", async move {
                        connection(stream, routes).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "admin accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn connection<S>(stream: S, routes: Arc<Routes>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let routes = Arc::clone(&routes);
        async move { Ok::<_, Infallible>(respond(request, &routes).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "admin connection ended");
    }
}

async fn respond(request: Request<Incoming>, routes: &Routes) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let answer = if head.uri.path() == "/" {
        Answer::text(StatusCode::OK, routes.index())
    } else {
        match routes.find(&head.method, head.uri.path()) {
            Err(status) => Answer::text(status, format!("{status}\n")),
            Ok(handler) => match Limited::new(body, MAX_BODY).collect().await {
                Err(error) => Answer::text(StatusCode::PAYLOAD_TOO_LARGE, format!("{error}\n")),
                Ok(body) => {
                    let query = head.uri.query().unwrap_or_default().to_owned();
                    handler(Question {
                        method: head.method,
                        query,
                        body: body.to_bytes(),
                    })
                    .await
                }
            },
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = answer.status;
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static(answer.content_type),
    );
    response
}
