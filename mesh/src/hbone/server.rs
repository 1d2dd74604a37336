//! One accepted connection: CONNECT streams until the peer leaves or we drain.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};

use super::ping::{Pinger, Signs, Watched};
use super::stream::{TunnelStream, end_of};
use super::{BadHead, Baggage, ConnectHead, Settings, head};
use crate::relay::End;
use crate::tls;

/// Why an accepted connection ended other than by the peer's leaving.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The HTTP/2 preface did not come in time.
    #[error("no HTTP/2 preface within {} ms", deadline.as_millis())]
    Deadline {
        /// How long we waited.
        deadline: Duration,
    },
    /// What the peer sends is not HTTP/2, or breaks its rules, or exceeds our limits.
    #[error("peer broke the rules of HTTP/2: {reason}")]
    Protocol {
        /// The code we closed with, in HTTP/2's words.
        reason: Reason,
        /// What HTTP/2 says.
        #[source]
        source: h2::Error,
    },
    /// The peer closed the whole connection with an error of its own.
    #[error("peer closed the tunnel: {reason}")]
    ClosedByPeer {
        /// The peer's code, in HTTP/2's words.
        reason: Reason,
    },
    /// The peer answers no more.
    #[error("peer stopped answering")]
    Dead,
    /// TLS ended the connection.
    #[error("tunnel ended by TLS")]
    Tls(#[source] tls::Error),
    /// The network ended the connection while streams were open.
    #[error("connection was lost")]
    Lost(#[source] io::Error),
}

/// One connection from a peer. Drives all its streams: [`Tunnel::next`] must be called until it
/// returns `None`, also when no more requests are wanted.
pub struct Tunnel<Io> {
    connection: Connection<Watched<Io>, Bytes>,
    pinger: Pinger,
    signs: Rc<Signs>,
    is_over: bool,
}

/// A request on a connection.
pub struct Incoming {
    /// Where to; an error is answered with 400 by [`Responder::refuse`].
    pub head: Result<ConnectHead, BadHead>,
    /// How to answer.
    pub respond: Responder,
}

/// The answer to one request; dropping it aborts the stream.
pub struct Responder {
    respond: SendResponse<Bytes>,
    receive: RecvStream,
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Tunnel<Io> {
    /// Takes a connection whose TLS handshake is done, and waits for the HTTP/2 preface.
    ///
    /// # Errors
    /// [`Error`]; it took longer than the settings allow, or is not HTTP/2.
    pub async fn accept(io: Io, settings: &Settings) -> Result<Self, Error> {
        let (io, signs) = Watched::new(io);
        let deadline = settings.handshake_deadline;
        let mut connection = tokio::time::timeout(deadline, builder(settings).handshake(io))
            .await
            .map_err(|_| Error::Deadline { deadline })?
            .map_err(|error| sort(error, &signs))?;
        let pinger = Pinger::new(connection.ping_pong(), Rc::clone(&signs), settings);
        Ok(Self {
            connection,
            pinger,
            signs,
            is_over: false,
        })
    }

    /// The next request; `None` when the connection has ended. After an error comes `None`.
    pub async fn next(&mut self) -> Option<Result<Incoming, Error>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`Tunnel::next`], to be polled beside something else.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Incoming, Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if self.pinger.poll_dead(cx).is_ready() {
            self.is_over = true;
            self.connection.abrupt_shutdown(Reason::NO_ERROR);
            let _ = self.connection.poll_closed(cx);
            return Poll::Ready(Some(Err(Error::Dead)));
        }
        let accepted = ready!(self.connection.poll_accept(cx));
        Poll::Ready(match accepted {
            Some(Ok((request, respond))) => {
                let head = ConnectHead::read(&request);
                let respond = Responder {
                    respond,
                    receive: request.into_body(),
                };
                Some(Ok(Incoming { head, respond }))
            }
            Some(Err(error)) => {
                self.is_over = true;
                let had_streams = self.connection.has_streams();
                let failure = sort(error, &self.signs);
                match failure {
                    // on teardown whoever writes last may find nobody there
                    Error::Lost(_) if !had_streams => None,
                    failure => Some(Err(failure)),
                }
            }
            None => {
                self.is_over = true;
                None
            }
        })
    }

    /// Tells the peer that no more streams are taken (GOAWAY); those that are open go on.
    pub fn drain(&mut self) {
        self.connection.graceful_shutdown();
    }
}

impl Responder {
    /// Answers 200 and opens the stream.
    ///
    /// # Errors
    /// The peer has gone meanwhile.
    pub fn accept(mut self, baggage: Option<&Baggage>) -> Result<TunnelStream, End> {
        let mut response = Response::new(());
        if let Some(baggage) = baggage
            && head::write_baggage(response.headers_mut(), baggage).is_err()
        {
            tracing::debug!("our own baggage does not fit into a header, left out");
        }
        let send = self
            .respond
            .send_response(response, false)
            .map_err(end_of)?;
        Ok(TunnelStream::new(self.receive, send, None))
    }

    /// Answers with an error and nothing else.
    pub fn refuse(mut self, status: StatusCode) {
        let mut response = Response::new(());
        *response.status_mut() = status;
        // an error means that nobody waits for the answer
        let _ = self.respond.send_response(response, true);
    }

    /// Completes when the peer gives the request up before it was answered.
    pub async fn gone(&mut self) {
        let _ = poll_fn(|cx| self.respond.poll_reset(cx)).await;
    }
}

fn builder(settings: &Settings) -> Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(settings.stream_window)
        .initial_connection_window_size(settings.connection_window)
        .max_frame_size(settings.frame_size)
        .max_header_list_size(settings.server_header_list)
        .max_concurrent_streams(settings.server_streams)
        .max_send_buffer_size(settings.send_buffer)
        .data_frame_budget(settings.small_frame_budget);
    builder
}

fn sort(error: h2::Error, signs: &Signs) -> Error {
    if let Some(failure) = signs.take_failure() {
        return Error::Tls(failure);
    }
    if !error.is_io() {
        let reason = error.reason().unwrap_or(Reason::INTERNAL_ERROR);
        return if error.is_remote() {
            Error::ClosedByPeer { reason }
        } else {
            Error::Protocol {
                reason,
                source: error,
            }
        };
    }
    Error::Lost(
        error
            .into_io()
            .unwrap_or_else(|| io::ErrorKind::ConnectionReset.into()),
    )
}
