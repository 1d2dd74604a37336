//! Share connections per (source identity, peer identities, address); one dial at a time per key.
//!
//! One pool belongs to one pod on one worker. No lock is held while dialling: those who want the
//! same key wait for that dial only, and share its failure.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use super::client::{Connection, Failure, Made, Slot};
use super::{BadHead, Baggage, ConnectHead, Settings, TunnelStream};
use crate::identity::Identity;
use crate::lifecycle::task;
use crate::tls::{self, Peer};

/// What connections are shared by (contract: docs/compat.md#hbone-pool).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    source: Identity,
    peers: Arc<[Identity]>,
    hop: SocketAddr,
    source_ip: IpAddr,
}

impl PoolKey {
    /// Connections of `source` at `source_ip` to `hop`, which is one of `peers` (in any order).
    pub fn new(
        source: Identity,
        mut peers: Vec<Identity>,
        hop: SocketAddr,
        source_ip: IpAddr,
    ) -> Self {
        peers.sort_unstable();
        peers.dedup();
        Self {
            source,
            peers: peers.into(),
            hop,
            source_ip,
        }
    }

    /// Who calls.
    pub fn source(&self) -> &Identity {
        &self.source
    }

    /// Who may answer; what TLS must be told to expect.
    pub fn peers(&self) -> &Arc<[Identity]> {
        &self.peers
    }

    /// Where to connect.
    pub fn hop(&self) -> SocketAddr {
        self.hop
    }
}

/// A connection ready for HTTP/2.
pub struct Dialed<Io> {
    /// The encrypted stream.
    pub io: Io,
    /// Who answered.
    pub peer: Peer,
    /// Our end of the TCP connection.
    pub local_address: SocketAddr,
    /// When the first of the two certificates it was made with ends. Streams that are open by then go
    /// on, new ones get a connection made with certificates that are valid.
    pub good_until: SystemTime,
    /// Dropped when the connection has ended.
    pub kept: Box<dyn std::any::Any>,
}

/// An open stream and what is known about its way.
pub struct Opened {
    /// The bytes.
    pub stream: TunnelStream,
    /// Who is at the other end of the connection.
    pub peer: Rc<Peer>,
    /// Our end of its TCP connection.
    pub hop_local_address: SocketAddr,
    /// What the destination says about itself.
    pub baggage: Option<Baggage>,
    /// The connection was there already.
    pub was_pooled: bool,
}

/// Why no stream was opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError<E: std::error::Error + 'static> {
    /// No connection; shared by all who waited for it.
    #[error("cannot reach the tunnel's other end")]
    Dial(#[source] Arc<E>),
    /// The peer took the request and did not answer.
    #[error("no answer to the request within {} ms", deadline.as_millis())]
    Deadline {
        /// How long we waited.
        deadline: Duration,
    },
    /// The peer answered something other than 200.
    #[error("peer refused the stream with {0}")]
    Refused(StatusCode),
    /// The connection was ended by TLS; most often the peer does not accept our certificate.
    #[error("tunnel ended by TLS")]
    Tls(#[source] tls::Error),
    /// The connection ended before the stream was open.
    #[error("tunnel was lost")]
    Lost(#[source] h2::Error),
    /// The request cannot be written.
    #[error("request cannot be written")]
    Head(#[source] BadHead),
    /// The pool is shutting down.
    #[error("tunnels are being drained")]
    Draining,
}

/// Connections of one pod on one worker; `E` is how a dial fails.
pub struct Pool<E> {
    settings: Settings,
    entries: RefCell<HashMap<PoolKey, Entry<E>, foldhash::fast::RandomState>>,
    is_draining: Cell<bool>,
    is_swept: Cell<bool>,
    me: Weak<Self>,
}

struct Entry<E> {
    connections: Vec<Rc<Connection>>,
    dial: Option<Rc<Dial<E>>>,
}

/// A dial under way and those who wait for it.
struct Dial<E> {
    failure: RefCell<Option<Arc<E>>>,
    done: Notify,
}

enum Turn<E> {
    Use(Slot, Rc<Connection>),
    Wait(Rc<Dial<E>>),
    Dial(DialGuard<E>),
}

/// Ends a dial however it ends, also when whoever dialled gave up.
struct DialGuard<E> {
    pool: Weak<Pool<E>>,
    key: PoolKey,
    dial: Rc<Dial<E>>,
}

impl<E> Drop for DialGuard<E> {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            let mut entries = pool.entries.borrow_mut();
            if let Some(entry) = entries.get_mut(&self.key) {
                entry.dial = None;
                if entry.connections.is_empty() {
                    entries.remove(&self.key);
                }
            }
        }
        self.dial.done.notify_waiters();
    }
}

impl<E: std::error::Error + 'static> Pool<E> {
    /// An empty pool.
    pub fn new(settings: Settings) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            settings,
            entries: RefCell::default(),
            is_draining: Cell::new(false),
            is_swept: Cell::new(false),
            me: me.clone(),
        })
    }

    /// Opens a stream, over a connection that is there if one has a place, else over one that `dial`
    /// makes. A stream that a pooled connection lost unserved is tried once more.
    ///
    /// # Errors
    /// [`OpenError`]; a failed dial fails everybody who waited for it.
    pub async fn open<Io, D>(
        &self,
        key: &PoolKey,
        dial: D,
        head: &ConnectHead,
    ) -> Result<Opened, OpenError<E>>
    where
        Io: AsyncRead + AsyncWrite + Unpin + 'static,
        D: AsyncFnOnce() -> Result<Dialed<Io>, E>,
    {
        let mut request = Some(head.write().map_err(OpenError::Head)?);
        let mut dial = Some(dial);
        let mut may_retry = true;
        loop {
            if self.is_draining.get() {
                return Err(OpenError::Draining);
            }
            let (slot, connection, was_pooled) = match self.turn(key) {
                Turn::Use(slot, connection) => (slot, connection, true),
                Turn::Wait(other) => {
                    other.done.notified().await;
                    match other.failure.borrow().clone() {
                        Some(failure) => return Err(OpenError::Dial(failure)),
                        None => continue,
                    }
                }
                Turn::Dial(guard) => {
                    let Some(dial) = dial.take() else {
                        return Err(OpenError::Draining);
                    };
                    // boxed: a handshake's state is large, and every later stage would carry its space
                    let (slot, connection) = Box::pin(self.dial(guard, dial)).await?;
                    (slot, connection, false)
                }
            };
            let request = request.take().map_or_else(|| head.write(), Ok);
            let request = request.map_err(OpenError::Head)?;
            let deadline = self.settings.answer_deadline;
            // boxed for the same reason
            let answer = Box::pin(Connection::open(slot, request));
            let answered = tokio::time::timeout(deadline, answer);
            match answered
                .await
                .map_err(|_| OpenError::Deadline { deadline })?
            {
                Ok((stream, baggage)) => {
                    return Ok(Opened {
                        stream,
                        peer: Rc::clone(&connection.peer),
                        hop_local_address: connection.local_address,
                        baggage,
                        was_pooled,
                    });
                }
                Err(failure) if failure.was_not_served() => {
                    connection.retire();
                    if !(was_pooled && std::mem::take(&mut may_retry)) {
                        return Err(failure.into());
                    }
                }
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    /// Takes no more streams; connections close when their last stream ends.
    pub fn drain(&self) {
        self.is_draining.set(true);
        self.entries.borrow_mut().clear();
    }

    /// Connections that are held.
    pub fn connections(&self) -> usize {
        self.entries
            .borrow()
            .values()
            .map(|entry| entry.connections.len())
            .sum()
    }

    /// Keys that are held, with or without connections.
    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        self.entries.borrow().len()
    }

    /// What to do for a stream now; decided without waiting.
    fn turn(&self, key: &PoolKey) -> Turn<E> {
        let mut entries = self.entries.borrow_mut();
        if let Some(entry) = entries.get_mut(key) {
            entry.connections.retain(|connection| !connection.is_over());
            for connection in &entry.connections {
                if let Some(slot) = connection.slot() {
                    return Turn::Use(slot, Rc::clone(connection));
                }
            }
            if let Some(dial) = &entry.dial {
                return Turn::Wait(Rc::clone(dial));
            }
        }
        let dial = Rc::new(Dial {
            failure: RefCell::new(None),
            done: Notify::new(),
        });
        let entry = entries.entry(key.clone()).or_insert_with(|| Entry {
            connections: Vec::new(),
            dial: None,
        });
        entry.dial = Some(Rc::clone(&dial));
        Turn::Dial(DialGuard {
            pool: self.me.clone(),
            key: key.clone(),
            dial,
        })
    }

    async fn dial<Io, D>(
        &self,
        guard: DialGuard<E>,
        dial: D,
    ) -> Result<(Slot, Rc<Connection>), OpenError<E>>
    where
        Io: AsyncRead + AsyncWrite + Unpin + 'static,
        D: AsyncFnOnce() -> Result<Dialed<Io>, E>,
    {
        let Dialed {
            io,
            peer,
            local_address,
            good_until,
            kept,
        } = dial().await.map_err(|error| {
            let error = Arc::new(error);
            *guard.dial.failure.borrow_mut() = Some(Arc::clone(&error));
            OpenError::Dial(error)
        })?;
        let settings = &self.settings;
        let life = good_until.duration_since(SystemTime::now());
        let made = Made {
            peer,
            local_address,
            life: life.unwrap_or_default(),
            kept,
        };
        let connection = Connection::start(io, made, settings).await?;
        let slot = connection.slot().ok_or(OpenError::Draining)?;
        if !self.is_draining.get() {
            if let Some(entry) = self.entries.borrow_mut().get_mut(&guard.key) {
                entry.connections.push(Rc::clone(&connection));
            }
            self.start_sweeping();
        }
        Ok((slot, connection))
    }

    /// One timer for all: closes connections that were long without a stream, and ends with the last.
    fn start_sweeping(&self) {
        if self.is_swept.replace(true) {
            return;
        }
        let pool = self.me.clone();
        let pause = (self.settings.idle_release / 10).max(Duration::from_millis(10));
        task::spawn_local("tunnel_pool", async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(pool) = pool.upgrade() else { return };
                if pool.sweep() == 0 {
                    pool.is_swept.set(false);
                    return;
                }
            }
        });
    }

    fn sweep(&self) -> usize {
        let release = self.settings.idle_release;
        let mut entries = self.entries.borrow_mut();
        entries.retain(|_, entry| {
            entry.connections.retain(|connection| {
                let idle = connection.idle_since().map(|since| since.elapsed());
                !connection.is_over() && idle.is_none_or(|idle| idle < release)
            });
            !entry.connections.is_empty() || entry.dial.is_some()
        });
        entries.len()
    }
}

impl<E: std::error::Error + 'static> From<Failure> for OpenError<E> {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(status) => Self::Refused(status),
            Failure::Tls(error) => Self::Tls(error),
            Failure::Lost(error) => Self::Lost(error),
        }
    }
}
