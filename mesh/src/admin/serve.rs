//! The server behind the pages: bounded, and never in the way of traffic.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::page::{Answer, Question, Routes};
use crate::lifecycle::drain;
use crate::lifecycle::task;

/// Connections served at once; more wait in the listen queue.
const MAX_CONNECTIONS: usize = 64;
/// Longest body of a POST, in bytes.
const MAX_BODY: usize = 1 << 20;
/// Time a client has to send its request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time a client has to send the body after it.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest life of a connection, whatever it does: who reads its answer byte by byte, or asks again
/// and again, must not keep others (a probe) from being served.
const LONGEST: Duration = Duration::from_secs(120);
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
        .serve_connection(TokioIo::new(stream), service);
    match timeout(LONGEST, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "admin connection ended"),
        Err(_) => tracing::debug!("admin connection took too long"),
    }
}

async fn respond(request: Request<Incoming>, routes: &Routes) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let answer = if head.uri.path() == "/" {
        Answer::text(StatusCode::OK, routes.index())
    } else {
        match routes.find(&head.method, head.uri.path()) {
            Err(status) => Answer::text(status, format!("{status}\n")),
            Ok(handler) => {
                match timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
                    Err(_) => Answer::text(StatusCode::REQUEST_TIMEOUT, "the body took too long\n"),
                    Ok(Err(error)) => {
                        Answer::text(StatusCode::PAYLOAD_TOO_LARGE, format!("{error}\n"))
                    }
                    Ok(Ok(body)) => {
                        let query = head.uri.query().unwrap_or_default().to_owned();
                        let accept = accepted(&head.headers);
                        handler(Question {
                            method: head.method,
                            query,
                            accept,
                            body: body.to_bytes(),
                        })
                        .await
                    }
                }
            }
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

/// Every line of the header as one.
fn accepted(headers: &HeaderMap) -> String {
    let lines = headers.get_all(http::header::ACCEPT).iter();
    let lines: Vec<&str> = lines.filter_map(|it| it.to_str().ok()).collect();
    lines.join(",")
}

#[cfg(test)]
mod tests {
    use http::Method;
    use prometheus_client::metrics::counter::Counter;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::time::Instant;

    use super::super::page::metrics_page;
    use super::*;
    use crate::telemetry::metrics::Metrics;

    /// A page of a mebibyte, metrics, and one that counts what it is sent.
    fn routes() -> Arc<Routes> {
        let large = |_| async { Answer::text(StatusCode::OK, "x".repeat(1 << 20)) };
        let count = |question: Question| async move {
            Answer::text(StatusCode::OK, question.body.len().to_string())
        };
        let metrics = Metrics::default();
        metrics.register(|it| it.register("calls", "Calls", Counter::<u64>::default()));
        let metrics = move |question: Question| {
            let answer = metrics_page(&metrics, &question);
            async move { answer }
        };
        let routes = Routes::default().with(Method::GET, "/large", large).with(
            Method::GET,
            "/metrics",
            metrics,
        );
        Arc::new(routes.with(Method::POST, "/count", count))
    }

    /// A connection with `request` on it; the time is the test's own.
    async fn open(request: &str) -> (DuplexStream, tokio::task::JoinHandle<Option<()>>) {
        let (mut near, far) = tokio::io::duplex(4096);
        let served = task::spawn("admin connection", connection(far, routes()));
        near.write_all(request.as_bytes()).await.unwrap();
        (near, served)
    }

    async fn heard(mut near: impl AsyncRead + Unpin) -> String {
        let mut text = Vec::new();
        near.read_to_end(&mut text).await.unwrap();
        String::from_utf8(text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_gets_the_body_and_one_that_is_too_long_is_refused() {
        let post = "POST /count HTTP/1.1\r\nconnection: close\r\ncontent-length: ";
        let (near, _served) = open(&format!("{post}5\r\n\r\nhello")).await;
        let answer = heard(near).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n5"), "{answer}");
        let (near, _served) = open(&format!("{post}{}\r\n\r\n", MAX_BODY + 1)).await;
        let (read, mut write) = tokio::io::split(near);
        let body = vec![b'x'; MAX_BODY + 1];
        let (answer, _) = tokio::join!(heard(read), write.write_all(&body));
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn metrics_come_in_the_form_that_was_asked_for() {
        let open = "# TYPE calls counter\ncalls_total 0\n# EOF\n";
        let plain = "# TYPE calls_total counter\ncalls_total 0\n";
        for (accept, media_type, end) in [
            ("", "text/plain; version=0.0.4; charset=utf-8", plain),
            (
                "accept: */*\r\n",
                "text/plain; version=0.0.4; charset=utf-8",
                plain,
            ),
            (
                "accept: text/html\r\naccept: application/openmetrics-text\r\n",
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                open,
            ),
        ] {
            let get = format!("GET /metrics HTTP/1.1\r\nconnection: close\r\n{accept}\r\n");
            let (near, _served) = super::tests::open(&get).await;
            let answer = heard(near).await;
            let type_line = format!("content-type: {media_type}\r\n");
            assert!(answer.contains(&type_line), "{accept}: {answer}");
            assert!(answer.ends_with(end), "{accept}: {answer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_or_half_of_it_or_does_not_read_is_let_go() {
        let begun = Instant::now();
        for (request, limit) in [
            ("", HEAD_TIMEOUT),
            ("GET /large HTTP/1.1\r\nhost:", HEAD_TIMEOUT),
            (
                "POST /count HTTP/1.1\r\ncontent-length: 9\r\n\r\nhalf",
                BODY_TIMEOUT + HEAD_TIMEOUT,
            ),
            ("GET /large HTTP/1.1\r\n\r\n", LONGEST),
        ] {
            let before = begun.elapsed();
            let (_near, served) = open(request).await;
            let ended = timeout(LONGEST * 2, served).await;
            let took = begun.elapsed() - before;
            assert!(ended.is_ok() && took <= limit, "{request:?}: {took:?}");
        }
    }
}
