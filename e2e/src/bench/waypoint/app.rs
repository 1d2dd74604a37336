//! The application behind both proxies: says two bytes, or what it was sent; speaks HTTP/1 or HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mesh::lifecycle::task;
use tokio::net::TcpListener;
use waypoint::upstream::Local;

/// Starts one; where it listens.
///
/// # Errors
/// When no port can be had.
pub(super) async fn start(http2: bool) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?;
    task::spawn_local("application", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let io = TokioIo::new(stream);
            task::spawn_local("application connection", async move {
                let service = service_fn(answer);
                let _ = if http2 {
                    let server = hyper::server::conn::http2::Builder::new(Local);
                    server.serve_connection(io, service).await
                } else {
                    let server = hyper::server::conn::http1::Builder::new();
                    server.serve_connection(io, service).await
                };
            });
        }
    });
    Ok(at)
}

async fn answer(
    request: Request<Incoming>,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let sent = body.collect().await?.to_bytes();
    let said = match head.method {
        Method::POST => sent,
        _ => Bytes::from_static(b"ok"),
    };
    let is_grpc = head.headers.contains_key("grpc-timeout");
    let body = Full::new(said);
    let body = match is_grpc {
        true => {
            let status = [("grpc-status".to_owned(), HeaderValue::from_static("0"))];
            let trailers: HeaderMap =
                HeaderMap::try_from(&std::collections::HashMap::from(status)).unwrap_or_default();
            body.with_trailers(async { Some(Ok(trailers)) })
                .boxed_unsync()
        }
        false => body.boxed_unsync(),
    };
    Ok(Response::new(body))
}
