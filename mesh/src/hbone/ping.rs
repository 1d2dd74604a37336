//! Notice dead peers: ask after a silence, give up when nothing at all comes back.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use h2::{Ping, PingPong};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::Settings;
use crate::tls;

/// What was noticed about a connection below HTTP/2.
#[derive(Default)]
pub(super) struct Signs {
    /// Bytes came since this was last cleared.
    heard: Cell<bool>,
    /// The TLS error that ended it; HTTP/2 would keep only its text.
    failure: RefCell<Option<tls::Error>>,
}

impl Signs {
    /// What TLS said when it ended the connection, once.
    pub(super) fn take_failure(&self) -> Option<tls::Error> {
        self.failure.borrow_mut().take()
    }
}

/// A stream that leaves [`Signs`].
pub(super) struct Watched<Io> {
    io: Io,
    signs: Rc<Signs>,
}

impl<Io> Watched<Io> {
    pub(super) fn new(io: Io) -> (Self, Rc<Signs>) {
        let signs = Rc::new(Signs::default());
        (
            Self {
                io,
                signs: Rc::clone(&signs),
            },
            signs,
        )
    }

    fn note(&self, error: &io::Error) {
        if let Some(failure) = tls::Error::inside(error) {
            *self.signs.failure.borrow_mut() = Some(failure);
        }
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Watched<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buffer));
        match &read {
            Ok(()) if buffer.filled().len() > before => self.signs.heard.set(true),
            Ok(()) => {}
            Err(error) => self.note(error),
        }
        Poll::Ready(read)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Watched<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Asks a silent peer whether it is alive. One timer per connection, nothing sent while bytes come.
pub(super) struct Pinger {
    ping: Option<PingPong>,
    signs: Rc<Signs>,
    timer: Pin<Box<Sleep>>,
    is_waiting: bool,
    settings: Settings,
}

impl Pinger {
    pub(super) fn new(ping: Option<PingPong>, signs: Rc<Signs>, settings: &Settings) -> Self {
        let timer = Box::pin(tokio::time::sleep(settings.ping_interval));
        Self {
            ping,
            signs,
            timer,
            is_waiting: false,
            settings: settings.clone(),
        }
    }

    /// Completes when the peer must be taken for dead.
    pub(super) fn poll_dead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(ping) = &mut self.ping else {
            return Poll::Pending;
        };
        loop {
            if !self.is_waiting {
                ready!(self.timer.as_mut().poll(cx));
                let mut next = self.settings.ping_interval;
                if !self.signs.heard.replace(false) {
                    // an error means that the connection is over, which it says itself
                    self.is_waiting = ping.send_ping(Ping::opaque()).is_ok();
                    next = self.settings.ping_timeout;
                }
                self.timer.as_mut().reset(Instant::now() + next);
                continue;
            }
            match ping.poll_pong(cx) {
                Poll::Ready(Ok(_)) => {
                    self.is_waiting = false;
                    self.signs.heard.set(false);
                    self.timer
                        .as_mut()
                        .reset(Instant::now() + self.settings.ping_interval);
                    continue;
                }
                Poll::Ready(Err(_)) => return Poll::Pending,
                Poll::Pending => {}
            }
            ready!(self.timer.as_mut().poll(cx));
            if !self.signs.heard.replace(false) {
                return Poll::Ready(());
            }
            // the answer may be stuck behind other bytes, but somebody is there
            self.timer
                .as_mut()
                .reset(Instant::now() + self.settings.ping_timeout);
        }
    }
}
