//! Requests that ask for another protocol: granted, and then every byte comes back.

use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use mesh::lifecycle::task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The answer to a request that asks for another protocol; `None` for one that does not.
pub(super) fn accept(request: &Request<Incoming>) -> Option<Response<()>> {
    let protocol = request.headers().get(header::UPGRADE)?.clone();
    if protocol.as_bytes().eq_ignore_ascii_case(b"h2c") {
        return None; // Not spoken this way; prior knowledge is.
    }
    let mut answer = Response::new(());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::UPGRADE, protocol);
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    Some(answer)
}

/// Sends back what comes, once the answer is on its way.
pub(super) fn echo(request: Request<Incoming>) {
    task::spawn_local("upgraded connection", async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else {
            return;
        };
        let mut stream = TokioIo::new(upgraded);
        let mut buffer = vec![0; 16 << 10];
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            let bytes = buffer.get(..length).unwrap_or_default();
            if stream.write_all(bytes).await.is_err() || stream.flush().await.is_err() {
                return;
            }
        }
        let _ = stream.shutdown().await;
    });
}
