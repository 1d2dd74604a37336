//! A stream of a tunnel whose first bytes may have been looked at: for a relay as it is, and for HTTP and
//! TLS as a reader and writer.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use mesh::hbone::{TunnelSink, TunnelSource, TunnelStream};
use mesh::relay::{Buffers, Duplex, End, Sink, Source};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream with bytes that were taken out of it and are still to be read.
pub struct Peeked {
    source: PeekedSource,
    sink: TunnelSink,
}

/// Bytes out of a tunnel, those that were looked at first.
pub struct PeekedSource {
    ahead: Bytes,
    source: TunnelSource,
    is_over: bool,
}

impl Peeked {
    /// Nothing looked at yet.
    pub fn new(stream: TunnelStream) -> Self {
        let (source, sink) = stream.split();
        Self {
            source: PeekedSource {
                ahead: Bytes::new(),
                source,
                is_over: false,
            },
            sink,
        }
    }

    /// What has been looked at.
    pub fn ahead(&self) -> &[u8] {
        &self.source.ahead
    }

    /// Looks at more bytes; `false` when there are no more.
    ///
    /// # Errors
    /// How the stream ended.
    pub async fn look(&mut self) -> Result<bool, End> {
        let buffers = Buffers::new();
        let more = poll_fn(|cx| self.source.source.poll_chunk(cx, &buffers)).await?;
        let Some(more) = more else {
            self.source.is_over = true;
            return Ok(false);
        };
        let ahead = std::mem::take(&mut self.source.ahead);
        self.source.ahead = if ahead.is_empty() {
            more
        } else {
            let mut both = BytesMut::with_capacity(ahead.len() + more.len());
            both.extend_from_slice(&ahead);
            both.extend_from_slice(&more);
            both.freeze()
        };
        Ok(true)
    }
}

impl Duplex for Peeked {
    type Source = PeekedSource;
    type Sink = TunnelSink;

    fn split(self) -> (PeekedSource, TunnelSink) {
        (self.source, self.sink)
    }
}

impl Source for PeekedSource {
    fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
    ) -> Poll<Result<Option<Bytes>, End>> {
        if !self.ahead.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.ahead))));
        }
        if self.is_over {
            return Poll::Ready(Ok(None));
        }
        self.source.poll_chunk(cx, buffers)
    }

    fn release(&mut self, bytes: usize) {
        self.source.release(bytes);
    }

    fn compact(&mut self, cx: &mut Context<'_>) {
        if !self.is_over {
            self.source.compact(cx);
        }
    }
}

fn io_error(end: End) -> io::Error {
    match end {
        End::Reset => io::ErrorKind::ConnectionReset.into(),
        End::Declined => io::ErrorKind::BrokenPipe.into(),
        End::TimedOut => io::ErrorKind::TimedOut.into(),
        end => io::Error::other(end),
    }
}

impl AsyncRead for Peeked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let source = &mut self.source;
        if source.ahead.is_empty() && !source.is_over {
            match ready!(source.source.poll_chunk(cx, &Buffers::new())) {
                Ok(Some(chunk)) => source.ahead = chunk,
                Ok(None) => source.is_over = true,
                Err(end) => return Poll::Ready(Err(io_error(end))),
            }
        }
        let length = source.ahead.len().min(buffer.remaining());
        buffer.put_slice(source.ahead.get(..length).unwrap_or_default());
        source.ahead.advance(length);
        if length > 0 {
            source.source.release(length);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peeked {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let room = ready!(self.sink.poll_ready(cx, bytes.len())).map_err(io_error)?;
        let length = room.min(bytes.len());
        let part = bytes.get(..length).unwrap_or_default();
        let sent = self.sink.send(Bytes::copy_from_slice(part));
        Poll::Ready(sent.map(|()| length).map_err(io_error))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sink.poll_flush(cx).map_err(io_error)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sink.poll_finish(cx).map_err(io_error)
    }
}
