//! A TCP connection as a relay stream.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::buffer::{Buffers, LARGE, SMALL};
use super::{Duplex, End, Sink, Source};

/// Bytes gathered before a write is forced.
const GATHER_BYTES: usize = 256 * 1024;
/// Pieces handed to the kernel in one write.
const GATHER_PIECES: usize = 32;

/// Bytes from a TCP peer.
pub struct TcpSource {
    half: OwnedReadHalf,
    next_read: usize,
}

/// Bytes to a TCP peer.
pub struct TcpSink {
    half: Option<OwnedWriteHalf>,
    queue: VecDeque<Bytes>,
    queued: usize,
    is_finished: bool,
}

impl Duplex for TcpStream {
    type Source = TcpSource;
    type Sink = TcpSink;

    fn split(self) -> (TcpSource, TcpSink) {
        let (read, write) = self.into_split();
        (
            TcpSource {
                half: read,
                next_read: SMALL,
            },
            TcpSink {
                half: Some(write),
                queue: VecDeque::new(),
                queued: 0,
                is_finished: false,
            },
        )
    }
}

impl Source for TcpSource {
    fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
    ) -> Poll<Result<Option<Bytes>, End>> {
        let mut buffer = buffers.take(self.next_read);
        let mut space = ReadBuf::new(buffer.space());
        let capacity = space.capacity();
        ready!(Pin::new(&mut self.half).poll_read(cx, &mut space)).map_err(End::from_io)?;
        let filled = space.filled().len();
        self.next_read = match filled {
            0 => return Poll::Ready(Ok(None)),
            _ if filled == capacity => LARGE,
            _ if filled * 4 < capacity => SMALL,
            _ => self.next_read,
        };
        Poll::Ready(Ok(Some(buffer.freeze(filled))))
    }
}

impl TcpSink {
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let Some(half) = &mut self.half else {
            return Poll::Ready(Err(End::Reset));
        };
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); GATHER_PIECES];
            let mut used = 0;
            for (slice, chunk) in slices.iter_mut().zip(&self.queue) {
                *slice = IoSlice::new(chunk);
                used += 1;
            }
            let slices = slices.get(..used).unwrap_or_default();
            let written = ready!(Pin::new(&mut *half).poll_write_vectored(cx, slices));
            let written = written.map_err(End::from_io)?;
            if written == 0 {
                return Poll::Ready(Err(End::Io(io::ErrorKind::WriteZero.into())));
            }
            self.queued -= written;
            advance(&mut self.queue, written);
        }
        Poll::Ready(Ok(()))
    }
}

fn advance(queue: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(first) = queue.front_mut() {
        if written < first.len() {
            first.advance(written);
            return;
        }
        written -= first.len();
        queue.pop_front();
    }
    // an idle connection holds no memory for writing
    queue.shrink_to_fit();
}

impl Sink for TcpSink {
    fn poll_ready(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<Result<usize, End>> {
        if self.queued >= GATHER_BYTES || self.queue.len() >= GATHER_PIECES {
            ready!(self.poll_write(cx))?;
        }
        Poll::Ready(Ok(wanted))
    }

    fn send(&mut self, chunk: Bytes) -> Result<(), End> {
        self.queued += chunk.len();
        self.queue.push_back(chunk);
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        self.poll_write(cx)
    }

    fn pending(&self) -> usize {
        self.queued
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        ready!(self.poll_write(cx))?;
        let Some(half) = &mut self.half else {
            return Poll::Ready(Err(End::Reset));
        };
        self.is_finished = true;
        ready!(Pin::new(half).poll_shutdown(cx)).map_err(End::from_io)?;
        Poll::Ready(Ok(()))
    }

    fn reset(&mut self) {
        self.queue = VecDeque::new();
        self.queued = 0;
        if let Some(half) = self.half.take() {
            // closing with a zero linger sends RST instead of FIN; an error means it is dead already
            let _ = SockRef::from(half.as_ref()).set_linger(Some(Duration::ZERO));
            half.forget();
        }
    }
}

/// A stream that is let go before its end was aborted, and the peer must be able to tell.
impl Drop for TcpSink {
    fn drop(&mut self) {
        if !self.is_finished {
            self.reset();
        }
    }
}
