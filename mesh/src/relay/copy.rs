//! The copy loop: two directions in one task.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::{Buffers, Counters, Duplex, End, Outcome, Side, Sink, Source};

/// Bytes one direction moves before the worker's other tasks get their turn.
const TURN: usize = 1024 * 1024;

/// Copies `first` to `second` and back until both directions are done.
///
/// A direction that ends properly is finished on the other side while the opposite one goes on. An
/// error on either stream resets both. An error on a stream that comes after its last byte both
/// ways is a normal end, because a peer may close as soon as it has everything.
pub async fn copy<A: Duplex, B: Duplex>(
    first: A,
    second: B,
    counters: &Counters,
    buffers: &Buffers,
) -> Outcome {
    let (first_source, first_sink) = first.split();
    let (second_source, second_sink) = second.split();
    let mut there = Direction::new(Side::First, first_source, second_sink);
    let mut back = Direction::new(Side::Second, second_source, first_sink);
    let ended = poll_fn(|cx| {
        let one = there.poll(cx, counters, buffers);
        let other = back.poll(cx, counters, buffers);
        match (one, other) {
            (Poll::Ready(Err(end)), _) | (_, Poll::Ready(Err(end))) => Poll::Ready(Err(end)),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    })
    .await;
    if ended.is_err() {
        there.sink.reset();
        back.sink.reset();
    }
    Outcome {
        sent: counters.sent(),
        received: counters.received(),
        ended,
    }
}

struct Direction<S, K> {
    from: Side,
    source: S,
    sink: K,
    /// Read but not yet taken by the sink.
    held: Option<Bytes>,
    /// Handed to the sink but not yet released to the source.
    unreleased: usize,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Copying,
    Finishing,
    Done,
}

type Turn = Poll<Result<(), (Side, End)>>;

impl<S: Source, K: Sink> Direction<S, K> {
    fn new(from: Side, source: S, sink: K) -> Self {
        Self {
            from,
            source,
            sink,
            held: None,
            unreleased: 0,
            phase: Phase::Copying,
        }
    }

    fn to(&self) -> Side {
        match self.from {
            Side::First => Side::Second,
            Side::Second => Side::First,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, counters: &Counters, buffers: &Buffers) -> Turn {
        let mut moved = 0;
        while self.phase == Phase::Copying {
            if let Some(chunk) = self.held.take() {
                moved += chunk.len();
                match self.push(cx, chunk) {
                    Poll::Ready(Ok(())) => continue,
                    Poll::Ready(Err(end)) => return self.sink_ended(end),
                    Poll::Pending => {
                        self.source.compact(cx);
                        return Poll::Pending;
                    }
                }
            }
            if moved >= TURN {
                cx.waker().wake_by_ref();
                return self.idle(cx);
            }
            match self.source.poll_chunk(cx, buffers) {
                Poll::Ready(Ok(Some(chunk))) => {
                    counters.add(self.from, chunk.len());
                    self.held = Some(chunk);
                }
                Poll::Ready(Ok(None)) => self.phase = Phase::Finishing,
                Poll::Ready(Err(End::Declined)) => self.phase = Phase::Finishing,
                Poll::Ready(Err(end)) => return Poll::Ready(Err((self.from, end))),
                Poll::Pending => return self.idle(cx),
            }
        }
        if self.phase == Phase::Finishing {
            match self.sink.poll_finish(cx) {
                Poll::Ready(Ok(())) => self.phase = Phase::Done,
                Poll::Ready(Err(end)) if self.sink.pending() == 0 => {
                    // every byte had left: the peer closed first, which is its right
                    tracing::trace!(%end, "peer was gone before our end reached it");
                    self.phase = Phase::Done;
                }
                Poll::Ready(Err(end)) => return self.sink_ended(end),
                Poll::Pending => {
                    self.settle();
                    return Poll::Pending;
                }
            }
            self.settle();
        }
        Poll::Ready(Ok(()))
    }

    /// Hands as much of `chunk` to the sink as it takes; the rest is held.
    fn push(&mut self, cx: &mut Context<'_>, mut chunk: Bytes) -> Poll<Result<(), End>> {
        while !chunk.is_empty() {
            match self.sink.poll_ready(cx, chunk.len()) {
                Poll::Ready(Ok(room)) => {
                    let piece = chunk.split_to(room.min(chunk.len()));
                    self.unreleased += piece.len();
                    self.sink.send(piece)?;
                }
                Poll::Ready(Err(end)) => return Poll::Ready(Err(end)),
                Poll::Pending => {
                    self.held = Some(chunk);
                    self.settle();
                    return Poll::Pending;
                }
            }
        }
        self.settle();
        Poll::Ready(Ok(()))
    }

    /// Nothing to read for now: push on what was taken, and notice a peer that left.
    fn idle(&mut self, cx: &mut Context<'_>) -> Turn {
        let flushed = self.sink.poll_flush(cx);
        self.settle();
        match flushed {
            Poll::Ready(Ok(())) => match self.sink.poll_gone(cx) {
                Poll::Ready(end) => self.sink_ended(end),
                Poll::Pending => Poll::Pending,
            },
            Poll::Ready(Err(end)) => self.sink_ended(end),
            Poll::Pending => Poll::Pending,
        }
    }

    fn sink_ended(&mut self, end: End) -> Turn {
        self.held = None;
        if let End::Declined = end {
            // this direction is over, the other may still have something to say
            self.phase = Phase::Done;
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(Err((self.to(), end)))
    }

    /// Lets the source's peer send as many bytes as have left through the sink.
    fn settle(&mut self) {
        let left = self.unreleased - self.sink.pending().min(self.unreleased);
        if left > 0 {
            self.unreleased -= left;
            self.source.release(left);
        }
    }
}
