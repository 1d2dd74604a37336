//! What a client sends: read by one try after the other, kept as far as that is allowed.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::messages::Messages;

/// Why a body was cut.
#[derive(Debug, thiserror::Error)]
pub enum Cut {
    /// The other side's body was.
    #[error("body ended before its end")]
    Incoming(#[source] hyper::Error),
    /// It took too long.
    #[error("the response took too long")]
    Deadline,
    /// What was read of it is no longer kept, so that it cannot be sent again.
    #[error("the body was longer than what is kept of it")]
    NotKept,
}

/// How a client broke its body off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It went away, or reset the stream.
    Cut,
    /// What came is no body: a chunk without a length, say.
    Malformed,
}

/// Whether bytes were there, and were not what a body is made of.
fn is_malformed(error: &hyper::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(one) = cause {
        if let Some(io) = one.downcast_ref::<std::io::Error>() {
            let kind = io.kind();
            return matches!(
                kind,
                std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData
            );
        }
        cause = one.source();
    }
    false
}

/// What a client sends, read by one try after the other.
pub struct Source {
    inner: RefCell<Inner>,
}

struct Inner {
    body: Option<Incoming>,
    chunks: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    hint: SizeHint,
    /// Bytes taken from the client.
    taken: u64,
    /// gRPC messages in them, where they are counted.
    messages: Option<Messages>,
    /// Bytes that may be kept.
    room: usize,
    /// The beginning is no longer there.
    is_lost: bool,
    end: Option<End>,
    /// Told when the body has ended.
    waiting: Vec<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    /// The client went away.
    Cut,
    /// The client said something that is no body.
    Malformed,
}

impl Source {
    /// A body of which up to `room` bytes are kept, and whose messages are counted where it is gRPC.
    pub fn new(body: Incoming, room: usize, is_grpc: bool) -> Rc<Self> {
        let hint = body.size_hint();
        let is_empty = body.is_end_stream();
        Rc::new(Self {
            inner: RefCell::new(Inner {
                body: (!is_empty).then_some(body),
                chunks: Vec::new(),
                trailers: None,
                hint,
                taken: 0,
                messages: is_grpc.then(Messages::default),
                room,
                is_lost: false,
                end: is_empty.then_some(End::Whole),
                waiting: Vec::new(),
            }),
        })
    }

    /// A reader from the beginning; `None` when that is no longer kept.
    pub fn replay(self: &Rc<Self>) -> Option<Replay> {
        let inner = self.inner.borrow();
        if inner.body.is_none() && inner.chunks.is_empty() && inner.trailers.is_none() {
            return (!inner.is_lost).then_some(Replay::Empty);
        }
        (!inner.is_lost).then(|| Replay::Of {
            source: Rc::clone(self),
            at: 0,
            is_over: false,
        })
    }

    /// Keeps nothing from now on: there will be no other try.
    pub fn let_go(&self) {
        self.inner.borrow_mut().room = 0;
    }

    /// Bytes taken from the client so far.
    pub fn taken(&self) -> u64 {
        self.inner.borrow().taken
    }

    /// gRPC messages that have come so far; none where they are not counted.
    pub fn messages(&self) -> u64 {
        let inner = self.inner.borrow();
        inner.messages.as_ref().map_or(0, Messages::count)
    }

    /// How the client broke it off, if it did.
    pub fn broken(&self) -> Option<Broken> {
        match self.inner.borrow().end? {
            End::Whole => None,
            End::Cut => Some(Broken::Cut),
            End::Malformed => Some(Broken::Malformed),
        }
    }

    /// Waits until all of it was taken, by whoever reads it.
    pub async fn ended(&self) {
        std::future::poll_fn(|cx| {
            let mut inner = self.inner.borrow_mut();
            if inner.end.is_some() {
                return Poll::Ready(());
            }
            inner.waiting.retain(|it| !it.will_wake(cx.waker()));
            inner.waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The whole body, if it has ended and is kept.
    pub fn whole(&self) -> Option<Bytes> {
        let inner = self.inner.borrow();
        if inner.is_lost || inner.end != Some(End::Whole) {
            return None;
        }
        Some(match inner.chunks.as_slice() {
            [] => Bytes::new(),
            [one] => one.clone(),
            many => many.concat().into(),
        })
    }

    fn poll_frame(
        &self,
        cx: &mut Context<'_>,
        at: &mut usize,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        if inner.is_lost && *at < usize::MAX {
            return Poll::Ready(Some(Err(Cut::NotKept)));
        }
        if let Some(chunk) = inner.chunks.get(*at) {
            *at += 1;
            return Poll::Ready(Some(Ok(Frame::data(chunk.clone()))));
        }
        let Some(body) = &mut inner.body else {
            let trailers = inner.trailers.clone();
            return Poll::Ready(trailers.map(|it| Ok(Frame::trailers(it))));
        };
        let frame = match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            None => {
                inner.finish(End::Whole);
                return Poll::Ready(None);
            }
            Some(Err(error)) => {
                inner.finish(match is_malformed(&error) {
                    true => End::Malformed,
                    false => End::Cut,
                });
                return Poll::Ready(Some(Err(Cut::Incoming(error))));
            }
            Some(Ok(frame)) => frame,
        };
        let is_over = body.is_end_stream();
        match frame.into_data() {
            Ok(data) => {
                inner.taken += data.len() as u64;
                if let Some(messages) = &mut inner.messages {
                    messages.see(&data);
                }
                if inner.room >= data.len() && !inner.is_lost {
                    inner.room -= data.len();
                    inner.chunks.push(data.clone());
                    *at = inner.chunks.len();
                } else {
                    // This reader goes on alone.
                    inner.is_lost = true;
                    inner.chunks = Vec::new();
                    *at = usize::MAX;
                }
                if is_over {
                    inner.finish(End::Whole);
                }
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    inner.trailers = Some(trailers.clone());
                    inner.finish(End::Whole);
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Poll::Ready(None)
            }
        }
    }
}

impl Inner {
    fn finish(&mut self, end: End) {
        self.body = None;
        self.end = Some(end);
        for waker in self.waiting.drain(..) {
            waker.wake();
        }
    }
}

/// A body towards an endpoint.
pub enum Replay {
    /// None.
    Empty,
    /// These bytes.
    Whole(Option<Bytes>),
    /// What a client sends, from the beginning.
    Of {
        /// The client's body.
        source: Rc<Source>,
        /// How much this reader has seen.
        at: usize,
        /// Whether it has seen the end.
        is_over: bool,
    },
}

impl Body for Replay {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|it| Ok(Frame::data(it)))),
            Self::Of {
                source,
                at,
                is_over,
            } => {
                if *is_over {
                    return Poll::Ready(None);
                }
                let frame = ready!(source.poll_frame(cx, at));
                *is_over = !matches!(&frame, Some(Ok(frame)) if frame.is_data());
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Of { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |it| it.len() as u64))
            }
            Self::Of { source, .. } => source.inner.borrow().hint,
        }
    }
}
