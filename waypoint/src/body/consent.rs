//! A body that waits until the endpoint wants it (`Expect: 100-continue`; RFC 9110, 10.1.1).
//!
//! As long as nobody reads a client's body, the client is not told to go on: so its 100 is the endpoint's.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Sleep;

use super::Replay;

/// How long an endpoint may say nothing before its body comes anyway: it may not know of 100.
const PATIENCE: Duration = Duration::from_secs(1);

const OPEN: u8 = 0;
const WANTED: u8 = 1;
const UNWANTED: u8 = 2;

#[derive(Default)]
struct Said {
    word: AtomicU8,
    waker: AtomicWaker,
}

impl Said {
    /// The first word counts.
    fn say(&self, word: u8) {
        let _ = self
            .word
            .compare_exchange(OPEN, word, Ordering::AcqRel, Ordering::Acquire);
        self.waker.wake();
    }
}

/// The end of the one who hears the endpoint. Dropped once the endpoint's answer is over: what it did not ask
/// for until then it does not get.
pub struct Consent(Arc<Said>);

/// The body's end.
pub struct Unasked {
    said: Arc<Said>,
    patience: Pin<Box<Sleep>>,
}

impl Consent {
    /// Lets the body of `request` wait for the 100 of the endpoint that it is sent to.
    pub fn ask(request: &mut http::Request<Replay>) -> Self {
        let said = Arc::new(Said::default());
        let unasked = Unasked {
            said: Arc::clone(&said),
            patience: Box::pin(tokio::time::sleep(PATIENCE)),
        };
        let body = std::mem::replace(request.body_mut(), Replay::Empty);
        *request.body_mut() = body.once_asked(unasked);
        let heard = Arc::clone(&said);
        hyper::ext::on_informational(request, move |response| {
            if response.status() == http::StatusCode::CONTINUE {
                heard.say(WANTED);
            }
        });
        Self(said)
    }

    /// Whether the body has not begun.
    pub fn is_open(&self) -> bool {
        self.0.word.load(Ordering::Acquire) == OPEN
    }
}

impl Drop for Consent {
    fn drop(&mut self) {
        self.0.say(UNWANTED);
    }
}

impl Unasked {
    /// Whether the body is wanted, once that is known.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.said.waker.register(cx.waker());
        if self.said.word.load(Ordering::Acquire) == OPEN
            && self.patience.as_mut().poll(cx).is_ready()
        {
            self.said.say(WANTED);
        }
        match self.said.word.load(Ordering::Acquire) {
            OPEN => Poll::Pending,
            word => Poll::Ready(word == WANTED),
        }
    }
}
