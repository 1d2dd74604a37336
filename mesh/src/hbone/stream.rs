//! One CONNECT stream of a tunnel as a relay stream.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::{Reason, RecvStream, SendStream};
use std::collections::VecDeque;

use crate::relay::{self, Buffers, Duplex, End, Sink, Source};

/// Longest frame we send, so that small streams get between the frames of large ones.
const FRAME: usize = relay::buffer::SMALL;

/// Frames shorter than this are stored together when nobody can take them.
const SMALL_FRAME: usize = 1024;

/// A stream of bytes through a tunnel, either end.
pub struct TunnelStream {
    receive: RecvStream,
    send: SendStream<Bytes>,
    place: Option<Rc<dyn Place>>,
}

/// Something that must live as long as any half of a stream, such as its place in a pool.
pub(super) trait Place {}

impl TunnelStream {
    pub(super) fn new(
        receive: RecvStream,
        send: SendStream<Bytes>,
        place: Option<Rc<dyn Place>>,
    ) -> Self {
        Self {
            receive,
            send,
            place,
        }
    }
}

impl Duplex for TunnelStream {
    type Source = TunnelSource;
    type Sink = TunnelSink;

    fn split(self) -> (TunnelSource, TunnelSink) {
        let source = TunnelSource {
            receive: self.receive,
            backlog: VecDeque::new(),
            dense: BytesMut::new(),
            ended: None,
            _place: self.place.clone(),
        };
        (
            source,
            TunnelSink {
                send: self.send,
                reserved: 0,
                is_over: false,
                _place: self.place,
            },
        )
    }
}

/// Bytes out of a tunnel.
pub struct TunnelSource {
    receive: RecvStream,
    /// Taken from HTTP/2 while nobody could take them, oldest first.
    backlog: VecDeque<Bytes>,
    /// The newest part of the backlog, small frames put together.
    dense: BytesMut,
    /// How the stream ended, found while filling the backlog.
    ended: Option<Result<(), End>>,
    _place: Option<Rc<dyn Place>>,
}

impl TunnelSource {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, End>> {
        loop {
            match ready!(self.receive.poll_data(cx)) {
                Some(Ok(frame)) if frame.is_empty() => {}
                Some(Ok(frame)) => return Poll::Ready(Ok(Some(frame))),
                None => return Poll::Ready(Ok(None)),
                Some(Err(error)) => {
                    return Poll::Ready(match end_of(error) {
                        End::Declined => Ok(None),
                        end => Err(end),
                    });
                }
            }
        }
    }

    fn stored(&mut self) -> Option<Bytes> {
        self.backlog.pop_front().or_else(|| {
            let dense = std::mem::take(&mut self.dense);
            (!dense.is_empty()).then(|| dense.freeze())
        })
    }
}

impl Source for TunnelSource {
    fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        _buffers: &Buffers,
    ) -> Poll<Result<Option<Bytes>, End>> {
        if let Some(chunk) = self.stored() {
            return Poll::Ready(Ok(Some(chunk)));
        }
        match self.ended.take() {
            Some(Ok(())) => Poll::Ready(Ok(None)),
            Some(Err(end)) => Poll::Ready(Err(end)),
            None => self.poll_frame(cx),
        }
    }

    fn release(&mut self, bytes: usize) {
        // an error means that the stream is over: nobody waits for the window
        let _ = self.receive.flow_control().release_capacity(bytes);
    }

    /// Takes what has arrived out of HTTP/2 without giving the window back: the peer cannot send
    /// more than its window, and a thousand frames of few bytes cost no more than their bytes.
    fn compact(&mut self, cx: &mut Context<'_>) {
        while self.ended.is_none() {
            match self.poll_frame(cx) {
                Poll::Ready(Ok(Some(frame))) if frame.len() < SMALL_FRAME => {
                    self.dense.extend_from_slice(&frame);
                }
                Poll::Ready(Ok(Some(frame))) => {
                    let dense = std::mem::take(&mut self.dense);
                    if !dense.is_empty() {
                        self.backlog.push_back(dense.freeze());
                    }
                    self.backlog.push_back(frame);
                }
                Poll::Ready(Ok(None)) => self.ended = Some(Ok(())),
                Poll::Ready(Err(end)) => self.ended = Some(Err(end)),
                Poll::Pending => return,
            }
        }
    }
}

/// Bytes into a tunnel.
pub struct TunnelSink {
    send: SendStream<Bytes>,
    /// Window asked for and not yet used.
    reserved: usize,
    /// END_STREAM was sent, or the stream is dead.
    is_over: bool,
    _place: Option<Rc<dyn Place>>,
}

impl TunnelSink {
    fn over(&mut self, error: h2::Error) -> End {
        self.is_over = true;
        end_of(error)
    }
}

impl Sink for TunnelSink {
    fn poll_ready(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<Result<usize, End>> {
        if self.reserved != wanted {
            self.reserved = wanted;
            self.send.reserve_capacity(wanted);
        }
        loop {
            let room = self.send.capacity();
            if room > 0 {
                return Poll::Ready(Ok(room.min(wanted).min(FRAME)));
            }
            match ready!(self.send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(self.over(error))),
                None => {
                    // the stream takes no more: it was reset, and poll_reset knows how
                    self.is_over = true;
                    return Poll::Ready(Err(match self.send.poll_reset(cx) {
                        Poll::Ready(Ok(reason)) => end_of_reason(reason),
                        Poll::Ready(Err(error)) => end_of(error),
                        Poll::Pending => End::Reset,
                    }));
                }
            }
        }
    }

    fn send(&mut self, chunk: Bytes) -> Result<(), End> {
        self.reserved = self.reserved.saturating_sub(chunk.len());
        self.send
            .send_data(chunk, false)
            .map_err(|error| self.over(error))
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        // the connection's own task writes
        Poll::Ready(Ok(()))
    }

    fn pending(&self) -> usize {
        0
    }

    fn poll_finish(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        if !self.is_over {
            self.is_over = true;
            self.send.send_data(Bytes::new(), true).map_err(end_of)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let end = match ready!(self.send.poll_reset(cx)) {
            Ok(reason) => end_of_reason(reason),
            Err(error) => end_of(error),
        };
        self.is_over = true;
        Poll::Ready(end)
    }

    fn reset(&mut self) {
        if !self.is_over {
            self.is_over = true;
            // RFC 9113, section 8.5: a TCP error is a stream error of this type
            self.send.send_reset(Reason::CONNECT_ERROR);
        }
    }
}

/// A stream that is let go before its end was aborted, and the peer must be able to tell.
impl Drop for TunnelSink {
    fn drop(&mut self) {
        self.reset();
    }
}

/// Sorts how HTTP/2 ended a stream.
pub(super) fn end_of(error: h2::Error) -> End {
    if error.is_io() {
        return End::TunnelLost(error.into_io());
    }
    match error.reason() {
        Some(reason) if error.is_reset() => end_of_reason(reason),
        _ => End::TunnelLost(Some(io::Error::other(error))),
    }
}

fn end_of_reason(reason: Reason) -> End {
    match reason {
        // contract: both count as a proper end
        Reason::NO_ERROR | Reason::CANCEL => End::Declined,
        _ => End::Reset,
    }
}
