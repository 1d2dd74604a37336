//! What goes back to a client, watched to its end.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::http::HeaderMap;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::balance::{Picked, RequestPermit};
use crate::body::{Consent, Cut};
use crate::messages::Messages;
use crate::upstream::Lease;

/// How a response ended towards the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Whole.
    Whole,
    /// The endpoint broke it off.
    Upstream,
    /// It took too long.
    Deadline,
    /// The client went away.
    Client,
}

/// What was sent of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Bytes.
    pub bytes: u64,
    /// gRPC messages; none where they are not counted.
    pub messages: u64,
}

/// What is told when a response has ended, once.
pub trait Watch {
    /// This much of body was sent on; `trailers` came after it.
    fn ended(self: Box<Self>, how: Ended, sent: Sent, trailers: Option<&HeaderMap>);
}

/// A body towards a client.
pub struct Outgoing {
    kind: Kind,
    sent: u64,
    messages: Option<Messages>,
    trailers: Option<HeaderMap>,
    deadline: Option<Pin<Box<Sleep>>>,
    watch: Option<Box<dyn Watch>>,
    kept: Option<Kept>,
}

/// What is held for as long as a response is under way.
pub struct Kept {
    /// The endpoint's request under way.
    pub _picked: Picked,
    /// The destination's.
    pub _permit: RequestPermit,
    /// The body's that waits to be asked for.
    pub _consent: Option<Consent>,
}

enum Kind {
    Whole(Option<Bytes>),
    Upstream {
        body: Incoming,
        lease: Option<Lease>,
    },
}

impl Outgoing {
    /// An answer of our own.
    pub fn whole(bytes: Bytes) -> Self {
        Self {
            kind: Kind::Whole((!bytes.is_empty()).then_some(bytes)),
            sent: 0,
            messages: None,
            trailers: None,
            deadline: None,
            watch: None,
            kept: None,
        }
    }

    /// An endpoint's answer; its connection is given back at its end.
    pub fn upstream(body: Incoming, lease: Lease) -> Self {
        Self {
            kind: Kind::Upstream {
                body,
                lease: Some(lease),
            },
            sent: 0,
            messages: None,
            trailers: None,
            deadline: None,
            watch: None,
            kept: None,
        }
    }

    /// Counts its messages where it is gRPC.
    pub fn counted(mut self, is_grpc: bool) -> Self {
        self.messages = is_grpc.then(Messages::default);
        self
    }

    /// Cuts it at the end of `deadline`.
    pub fn until(mut self, deadline: Option<Pin<Box<Sleep>>>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Holds on to this until its end.
    pub fn keeping(mut self, kept: Kept) -> Self {
        self.kept = Some(kept);
        self
    }

    /// Tells `watch` of its end.
    pub fn watched(mut self, watch: Box<dyn Watch>) -> Self {
        self.watch = Some(watch);
        if self.is_end_stream() {
            self.finish(Ended::Whole);
        }
        self
    }

    fn finish(&mut self, how: Ended) {
        if let Kind::Upstream { lease, .. } = &mut self.kind
            && let Some(lease) = lease.take()
            && how == Ended::Whole
        {
            lease.give_back();
        }
        self.kept = None;
        if let Some(watch) = self.watch.take() {
            let sent = Sent {
                bytes: self.sent,
                messages: self.messages.as_ref().map_or(0, Messages::count),
            };
            watch.ended(how, sent, self.trailers.as_ref());
        }
    }

    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut self.kind {
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(|it| Ok(Frame::data(it)))),
            Kind::Upstream { body, .. } => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                Poll::Ready(frame.map(|it| it.map_err(Cut::Incoming)))
            }
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = &mut *self;
        let frame = match this.poll_inner(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let deadline = this.deadline.as_mut();
                if deadline.is_some_and(|it| it.as_mut().poll(cx).is_ready()) {
                    this.finish(Ended::Deadline);
                    return Poll::Ready(Some(Err(Cut::Deadline)));
                }
                return Poll::Pending;
            }
        };
        match &frame {
            None => this.finish(Ended::Whole),
            Some(Err(_)) => this.finish(Ended::Upstream),
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.sent += data.len() as u64;
                    if let Some(messages) = &mut this.messages {
                        messages.see(data);
                    }
                }
                if let Some(trailers) = frame.trailers_ref() {
                    this.trailers = Some(trailers.clone());
                }
                if this.is_end_stream() {
                    this.finish(Ended::Whole);
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Upstream { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |it| it.len() as u64))
            }
            Kind::Upstream { body, .. } => body.size_hint(),
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if self.watch.is_some() {
            self.finish(Ended::Client);
        }
    }
}
