//! Two stream ends joined in memory: bytes sent into one come out of the other.
//!
//! What two connections of one process can be joined with when no network lies between them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::{Buffers, Duplex, End, Sink, Source};

/// Bytes on their way in one direction before the sender must wait.
const CAPACITY: usize = 256 * 1024;

/// A pair of streams, each the other's peer, on one worker.
pub fn pipe() -> (PipeEnd, PipeEnd) {
    let (there, back) = (Way::default(), Way::default());
    let (there, back) = (Rc::new(RefCell::new(there)), Rc::new(RefCell::new(back)));
    (
        PipeEnd {
            from: Rc::clone(&back),
            to: Rc::clone(&there),
        },
        PipeEnd {
            from: there,
            to: back,
        },
    )
}

/// One end of a [`pipe`].
pub struct PipeEnd {
    from: Rc<RefCell<Way>>,
    to: Rc<RefCell<Way>>,
}

/// Bytes out of a pipe.
pub struct PipeSource(Rc<RefCell<Way>>);

/// Bytes into a pipe.
pub struct PipeSink(Rc<RefCell<Way>>);

#[derive(Default)]
struct Way {
    chunks: VecDeque<Bytes>,
    queued: usize,
    /// Handed to the reader, not yet released by it.
    lent: usize,
    state: State,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    Finished,
    Reset,
    Declined,
}

impl Way {
    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }
}

impl Duplex for PipeEnd {
    type Source = PipeSource;
    type Sink = PipeSink;

    fn split(self) -> (PipeSource, PipeSink) {
        (PipeSource(self.from), PipeSink(self.to))
    }
}

impl Source for PipeSource {
    fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        _buffers: &Buffers,
    ) -> Poll<Result<Option<Bytes>, End>> {
        let mut way = self.0.borrow_mut();
        if way.state == State::Reset {
            return Poll::Ready(Err(End::Reset));
        }
        if let Some(chunk) = way.chunks.pop_front() {
            way.lent += chunk.len();
            return Poll::Ready(Ok(Some(chunk)));
        }
        if way.state == State::Finished {
            return Poll::Ready(Ok(None));
        }
        way.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn release(&mut self, bytes: usize) {
        let mut way = self.0.borrow_mut();
        way.lent = way.lent.saturating_sub(bytes);
        way.queued = way.queued.saturating_sub(bytes);
        way.wake_writer();
    }
}

impl Drop for PipeSource {
    fn drop(&mut self) {
        let mut way = self.0.borrow_mut();
        way.chunks.clear();
        if way.state == State::Open {
            way.state = State::Declined;
        }
        way.wake_writer();
    }
}

impl Sink for PipeSink {
    fn poll_ready(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<Result<usize, End>> {
        let mut way = self.0.borrow_mut();
        match way.state {
            State::Reset => return Poll::Ready(Err(End::Reset)),
            State::Declined | State::Finished => return Poll::Ready(Err(End::Declined)),
            State::Open => {}
        }
        if way.queued >= CAPACITY {
            way.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(wanted.min(CAPACITY - way.queued)))
    }

    fn send(&mut self, chunk: Bytes) -> Result<(), End> {
        let mut way = self.0.borrow_mut();
        way.queued += chunk.len();
        way.chunks.push_back(chunk);
        way.wake_reader();
        Ok(())
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        Poll::Ready(Ok(()))
    }

    fn pending(&self) -> usize {
        0
    }

    fn poll_finish(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let mut way = self.0.borrow_mut();
        if way.state == State::Open {
            way.state = State::Finished;
        }
        way.wake_reader();
        Poll::Ready(Ok(()))
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let mut way = self.0.borrow_mut();
        match way.state {
            State::Reset => Poll::Ready(End::Reset),
            State::Declined => Poll::Ready(End::Declined),
            State::Open | State::Finished => {
                way.writer = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn reset(&mut self) {
        let mut way = self.0.borrow_mut();
        if way.state != State::Finished {
            way.state = State::Reset;
            way.chunks.clear();
        }
        way.wake_reader();
    }
}

impl Drop for PipeSink {
    fn drop(&mut self) {
        self.reset();
    }
}
