//! One connection that we made: its streams counted, its own task, its end noticed.

use std::cell::Cell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::{Request, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::ping::{Pinger, Signs, Watched};
use super::stream::{Place, TunnelStream};
use super::{Baggage, Settings, head};
use crate::lifecycle::task;
use crate::tls::{self, Peer};

/// A connection to a peer, shared by streams.
pub(super) struct Connection {
    send: SendRequest<Bytes>,
    pub(super) peer: Rc<Peer>,
    pub(super) local_address: SocketAddr,
    streams: Cell<usize>,
    limit: usize,
    idle_since: Cell<Instant>,
    is_over: Rc<Cell<bool>>,
    /// No new streams from then on; `None` is never.
    good_until: Option<Instant>,
    signs: Rc<Signs>,
}

/// What is known of a connection before HTTP/2 begins on it.
pub(super) struct Made {
    pub(super) peer: Peer,
    pub(super) local_address: SocketAddr,
    /// How long it takes new streams.
    pub(super) life: Duration,
    /// Dropped when the connection has ended.
    pub(super) kept: Box<dyn std::any::Any>,
}

/// How opening a stream failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The peer answered, and not with 200.
    Refused(StatusCode),
    /// TLS ended the connection, for example because the peer does not accept our certificate.
    Tls(tls::Error),
    /// HTTP/2 or the network ended the stream or the connection.
    Lost(h2::Error),
}

/// A stream's place on a connection, given back when dropped.
pub(super) struct Slot(Rc<Connection>);

impl Place for Slot {}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get().saturating_sub(1));
        self.0.idle_since.set(Instant::now());
    }
}

impl Connection {
    /// Starts HTTP/2 on a connection whose TLS handshake is done, and the task that drives it.
    pub(super) async fn start<Io>(
        io: Io,
        made: Made,
        settings: &Settings,
    ) -> Result<Rc<Self>, Failure>
    where
        Io: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (io, signs) = Watched::new(io);
        let (send, mut connection) = builder(settings)
            .handshake(io)
            .await
            .map_err(|error| sort(error, &signs))?;
        let mut pinger = Pinger::new(connection.ping_pong(), Rc::clone(&signs), settings);
        let is_over = Rc::new(Cell::new(false));
        let over = Rc::clone(&is_over);
        let kept = made.kept;
        task::spawn_local("tunnel", async move {
            poll_fn(|cx| {
                if pinger.poll_dead(cx).is_ready() {
                    tracing::debug!("tunnel's peer stopped answering");
                    return Poll::Ready(());
                }
                std::pin::Pin::new(&mut connection).poll(cx).map(|ended| {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "tunnel ended");
                    }
                })
            })
            .await;
            over.set(true);
            drop(kept);
        });
        Ok(Rc::new(Self {
            send,
            peer: Rc::new(made.peer),
            local_address: made.local_address,
            streams: Cell::new(0),
            limit: settings.client_streams,
            idle_since: Cell::new(Instant::now()),
            is_over,
            good_until: Instant::now().checked_add(made.life),
            signs,
        }))
    }

    /// Can no longer carry new streams.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.get() || self.good_until.is_some_and(|end| end <= Instant::now())
    }

    /// Takes it out of use for new streams.
    pub(super) fn retire(&self) {
        self.is_over.set(true);
    }

    /// Since when no stream uses it; `None` while one does.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.streams.get() == 0).then(|| self.idle_since.get())
    }

    /// A place for one more stream, unless it is full or over.
    pub(super) fn slot(self: &Rc<Self>) -> Option<Slot> {
        let limit = self.limit.min(self.send.current_max_send_streams()).max(1);
        if self.is_over() || self.streams.get() >= limit {
            return None;
        }
        self.streams.set(self.streams.get() + 1);
        Some(Slot(Rc::clone(self)))
    }

    /// Opens a stream in its place.
    pub(super) async fn open(
        slot: Slot,
        request: Request<()>,
    ) -> Result<(TunnelStream, Option<Baggage>), Failure> {
        let connection = Rc::clone(&slot.0);
        let failed = |error| sort(error, &connection.signs);
        let mut send = connection.send.clone().ready().await.map_err(failed)?;
        let (response, body) = send.send_request(request, false).map_err(failed)?;
        let response = response.await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            return Err(Failure::Refused(response.status()));
        }
        let baggage = head::read_baggage(response.headers());
        let stream = TunnelStream::new(response.into_body(), body, Some(Rc::new(slot)));
        Ok((stream, baggage))
    }
}

impl Failure {
    /// The peer has not acted on the request: it may be sent again elsewhere.
    pub(super) fn was_not_served(&self) -> bool {
        match self {
            Self::Lost(error) => {
                error.is_io()
                    || error.is_go_away()
                    || error.reason() == Some(h2::Reason::REFUSED_STREAM)
            }
            Self::Refused(_) | Self::Tls(_) => false,
        }
    }
}

fn builder(settings: &Settings) -> Builder {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(settings.stream_window)
        .initial_connection_window_size(settings.connection_window)
        .max_frame_size(settings.frame_size)
        .max_header_list_size(settings.client_header_list)
        .max_send_buffer_size(settings.send_buffer)
        .data_frame_budget(settings.small_frame_budget);
    builder
}

fn sort(error: h2::Error, signs: &Signs) -> Failure {
    match signs.take_failure() {
        Some(failure) => Failure::Tls(failure),
        None => Failure::Lost(error),
    }
}
