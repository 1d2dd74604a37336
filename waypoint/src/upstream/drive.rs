//! Connections as hyper drives them, each on a task of its own; what is left of one whose protocol was
//! switched.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::rc::Rc;

use bytes::Bytes;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use mesh::lifecycle::task;
use tokio::sync::Notify;

use super::ConnectError;
use super::dial::Io;
use crate::body::Replay;

/// Spawns on the current thread.
#[derive(Clone, Copy, Debug)]
pub struct Local;

impl<F> hyper::rt::Executor<F> for Local
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        task::spawn_local("http", future);
    }
}

/// Bytes of a connection that no longer speaks HTTP.
pub struct Raw {
    /// The connection.
    pub io: Box<dyn Io>,
    /// Bytes that were read already.
    pub ahead: Bytes,
}

/// Where the bytes of a connection are put once its protocol was switched.
#[derive(Clone, Default)]
pub struct Switched {
    raw: Rc<RefCell<Option<Raw>>>,
    over: Rc<Notify>,
}

impl Switched {
    /// The bytes, once HTTP has let go of them; `None` when the connection ended otherwise.
    pub async fn take(self) -> Option<Raw> {
        let over = self.over.notified();
        if let Some(raw) = self.raw.borrow_mut().take() {
            return Some(raw);
        }
        over.await;
        self.raw.borrow_mut().take()
    }
}

/// Starts HTTP/1.
pub(super) async fn http1(
    io: Box<dyn Io>,
    head: usize,
) -> Result<(http1::SendRequest<Replay>, Switched), ConnectError> {
    let (sender, mut connection) = http1::Builder::new()
        .max_headers(HEADERS)
        .max_header_size(head)
        .handshake(TokioIo::new(io))
        .await
        .map_err(ConnectError::Http)?;
    let switched = Switched::default();
    let left = switched.clone();
    task::spawn_local("upstream connection", async move {
        let ended = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
        if let Err(error) = &ended {
            tracing::debug!(%error, "connection to an endpoint ended");
        }
        let parts = connection.into_parts();
        if ended.is_ok() {
            *left.raw.borrow_mut() = Some(Raw {
                io: parts.io.into_inner(),
                ahead: parts.read_buf,
            });
        }
        left.over.notify_waiters();
        // Who wants the bytes is waiting by now, or holds its end; else they are closed here.
    });
    Ok((sender, switched))
}

/// Header lines of a response.
const HEADERS: usize = 100;

/// Starts HTTP/2.
pub(super) async fn http2(
    io: Box<dyn Io>,
    head: usize,
) -> Result<http2::SendRequest<Replay>, ConnectError> {
    let (sender, connection) = http2::Builder::new(Local)
        .timer(TokioTimer::new())
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
        .handshake(TokioIo::new(io))
        .await
        .map_err(ConnectError::Http)?;
    task::spawn_local("upstream connection", async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection to an endpoint ended");
        }
    });
    Ok(sender)
}
