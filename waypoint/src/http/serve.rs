//! HTTP/1 and HTTP/2 served on a stream of a tunnel; switched protocols; the end.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;

use ::http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mesh::telemetry::report;
use tokio::io::{AsyncWriteExt, copy_bidirectional};

use super::outgoing::Outgoing;
use super::tell::Tale;
use crate::asked;
use crate::bytes::Peeked;
use crate::call::Call;
use crate::ending::Ending;
use crate::reply::Reply;
use crate::upstream::{Lease, Local, Raw};

/// Where a request leaves the connection whose protocol was switched with its answer.
#[derive(Default)]
pub struct Switch {
    lease: RefCell<Option<Lease>>,
}

impl Switch {
    /// The endpoint agreed to switch.
    pub fn set(&self, lease: Lease) {
        *self.lease.borrow_mut() = Some(lease);
    }
}

/// Serves HTTP/1 until the client leaves, or we drain.
pub async fn http1(call: Rc<Call>, stream: Peeked) {
    let drain = call.drain();
    let switch = Rc::new(Switch::default());
    let requests = &call.worker.shared.config.requests;
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(requests.head_deadline)
        .max_headers(requests.header_count)
        .max_header_size(requests.head_bytes)
        .max_buf_size(requests.head_bytes.max(BUFFER));
    let service = {
        let (call, switch) = (Rc::clone(&call), Rc::clone(&switch));
        service_fn(move |request| {
            let (call, switch) = (Rc::clone(&call), Rc::clone(&switch));
            async move { Ok::<_, Infallible>(super::answer(&call, request, Some(&switch)).await) }
        })
    };
    let mut connection = builder.serve_connection(TokioIo::new(stream), service);
    let ended = {
        let mut draining = pin!(drain.draining());
        let mut is_draining = false;
        poll_fn(|cx| {
            if !is_draining && draining.as_mut().poll(cx).is_ready() {
                is_draining = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            Pin::new(&mut connection).poll(cx)
        })
        .await
    };
    if let Err(error) = ended {
        tracing::debug!(client = %call.client, error = report(&error), "connection ended");
        return;
    }
    let lease = switch.lease.borrow_mut().take();
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    match lease {
        Some(lease) => switched(stream, &parts.read_buf, lease).await,
        // a refused switch leaves the stream open; else it is shut already
        None => {
            let _ = stream.shutdown().await;
        }
    }
}

/// Carries bytes of a protocol that both ends agreed to switch to.
async fn switched(mut client: Peeked, ahead: &[u8], lease: Lease) {
    let Some(Raw {
        mut io,
        ahead: answered,
    }) = lease.switched().await
    else {
        return;
    };
    let carried = async {
        io.write_all(ahead).await?;
        client.write_all(&answered).await?;
        client.flush().await?;
        copy_bidirectional(&mut client, &mut io).await
    };
    if let Err(error) = carried.await {
        tracing::debug!(error = report(&error), "switched connection ended");
    }
}

/// Serves HTTP/2 until the client leaves, or we drain.
pub async fn http2(call: Rc<Call>, stream: Peeked) {
    let drain = call.drain();
    let requests = &call.worker.shared.config.requests;
    let mut builder = http2::Builder::new(Local);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(requests.streams)
        .max_header_list_size(u32::try_from(requests.head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(BUFFER);
    let service = {
        let call = Rc::clone(&call);
        service_fn(move |request| {
            let call = Rc::clone(&call);
            async move {
                if request.headers().len() > call.worker.shared.config.requests.header_count {
                    return Ok::<_, Infallible>(refuse_large(&call, request));
                }
                Ok(super::answer(&call, request, None).await)
            }
        })
    };
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut draining = pin!(drain.draining());
    let mut is_draining = false;
    let ended = poll_fn(|cx| {
        if !is_draining && draining.as_mut().poll(cx).is_ready() {
            is_draining = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx)
    });
    if let Err(error) = ended.await {
        tracing::debug!(client = %call.client, error = report(&error), "connection ended");
    }
}

/// Answers a request with too many header lines: HTTP/1 counts while it reads, HTTP/2 only counts bytes.
fn refuse_large(call: &Rc<Call>, request: Request<Incoming>) -> Response<Outgoing> {
    let (parts, _) = request.into_parts();
    let served = call.worker.shared.served.snapshot();
    let settings = Arc::clone(served.observed(call.service_key()));
    let mut tale = Tale::begin(call, settings, &parts);
    let reply = Reply::from(Ending::HeadTooLarge);
    tale.answered_here(&reply);
    let is_grpc = asked::is_grpc_call(&parts.headers);
    let response = reply.write(is_grpc, parts.method == Method::HEAD);
    tale.sent(response.status(), response.headers());
    response.map(|body| Outgoing::whole(body).watched(Box::new(tale)))
}

/// Bytes that a connection may hold for a client that reads slowly, or have read ahead.
const BUFFER: usize = 64 * 1024;

/// Flow control of inner streams and connections; the tunnel around them has its own.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
