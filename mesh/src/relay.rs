//! Move bytes both ways between two streams until both are done; half-closes, resets and counters kept.
//!
//! [`Duplex`] is the one stream of the data path: a TCP connection, a tunnel and an in-memory
//! [`pipe`] look the same here, so what joins an outbound connection to an inbound one can change
//! without either noticing. Nothing needs to be `Send`: a connection lives on one worker.

mod copy;
mod pipe;
mod tcp;
pub mod buffer;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;

pub use buffer::Buffers;
pub use copy::copy;
pub use pipe::{PipeEnd, pipe};
pub use tcp::{TcpSink, TcpSource};

/// Two directions of bytes to and from one peer.
pub trait Duplex {
    /// Where its bytes come from.
    type Source: Source;
    /// Where bytes for it go.
    type Sink: Sink;

    /// Takes the directions apart; the stream ends when both halves are gone.
    fn split(self) -> (Self::Source, Self::Sink);
}

/// Bytes from a peer.
pub trait Source {
    /// The next bytes, never empty; `None` when the peer has finished sending (half-close).
    ///
    /// # Errors
    /// How the stream ended before its end. After an error or `None` it is not polled again.
    fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
    ) -> Poll<Result<Option<Bytes>, End>>;

    /// `bytes` of what was handed out have left this process: the peer may send as many again.
    fn release(&mut self, bytes: usize) {
        let _ = bytes;
    }

    /// Called while nobody can take bytes: a chance to store what has already arrived more densely.
    /// Must not take more than the peer was already allowed to send.
    fn compact(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }
}

/// Bytes to a peer.
pub trait Sink {
    /// How many of `wanted` bytes may be sent now, at least one.
    ///
    /// # Errors
    /// The peer takes no more bytes. [`End::Declined`] means it does not want them and is no fault.
    fn poll_ready(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<Result<usize, End>>;

    /// Takes `chunk`, no longer than what `poll_ready` allowed.
    ///
    /// # Errors
    /// As `poll_ready`.
    fn send(&mut self, chunk: Bytes) -> Result<(), End>;

    /// Pushes on what was taken.
    ///
    /// # Errors
    /// As `poll_ready`.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>>;

    /// Bytes taken but still held by this process outside the peer's own flow control.
    fn pending(&self) -> usize;

    /// Flushes, then tells the peer that no more bytes follow (FIN, END_STREAM).
    ///
    /// # Errors
    /// As `poll_ready`.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>>;

    /// Completes when the peer stops taking bytes, while there is nothing to send.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let _ = cx;
        Poll::Pending
    }

    /// Ends the stream at once, in a way that the peer can tell from a proper end.
    fn reset(&mut self);
}

/// How a stream ended other than by its proper end.
#[derive(Debug, thiserror::Error)]
pub enum End {
    /// The peer aborted it: TCP reset, or RST_STREAM with an error code.
    #[error("stream was reset by its peer")]
    Reset,
    /// The peer wants no more bytes (RST_STREAM with NO_ERROR or CANCEL); what it sends may go on.
    #[error("peer takes no more bytes")]
    Declined,
    /// The peer stopped answering.
    #[error("peer stopped answering")]
    TimedOut,
    /// The tunnel that carried the stream is gone.
    #[error("tunnel was lost")]
    TunnelLost(#[source] Option<io::Error>),
    /// The kernel's error.
    #[error("stream failed")]
    Io(#[source] io::Error),
}

impl End {
    /// An I/O error, sorted.
    pub fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::NotConnected => Self::Reset,
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Io(error),
        }
    }
}

/// One of the two streams given to [`copy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first one.
    First,
    /// The second one.
    Second,
}

/// What [`copy`] did.
#[derive(Debug)]
pub struct Outcome {
    /// Bytes taken from the first stream.
    pub sent: u64,
    /// Bytes taken from the second stream.
    pub received: u64,
    /// Both directions ended properly, or the stream that failed and how.
    pub ended: Result<(), (Side, End)>,
}

/// Bytes moved so far; may be read from any thread while [`copy`] runs.
///
/// Only the worker that copies writes them, once per chunk.
#[derive(Debug, Default)]
pub struct Counters {
    sent: AtomicU64,
    received: AtomicU64,
    totals: OnceLock<Arc<Totals>>,
}

/// Bytes of many connections of one worker together; may be read from any thread.
#[derive(Debug, Default)]
pub struct Totals {
    /// Bytes taken from the first streams.
    pub sent: AtomicU64,
    /// Bytes taken from the second streams.
    pub received: AtomicU64,
}

impl Counters {
    /// Bytes taken from the first stream.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes taken from the second stream.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Counts what moves from now on into `totals` too; only the first call counts.
    pub fn count_into(&self, totals: Arc<Totals>) {
        let _ = self.totals.set(totals);
    }

    fn add(&self, from: Side, bytes: usize) {
        let own = match from {
            Side::First => &self.sent,
            Side::Second => &self.received,
        };
        let of_all = self.totals.get().map(|totals| match from {
            Side::First => &totals.sent,
            Side::Second => &totals.received,
        });
        for counter in std::iter::once(own).chain(of_all) {
            // a single writer, the worker: no read-modify-write needed
            counter.store(
                counter.load(Ordering::Relaxed) + bytes as u64,
                Ordering::Relaxed,
            );
        }
    }
}
