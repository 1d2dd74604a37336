//! HTTP connections to endpoints, shared by the requests of one worker: reused, opened, let go.
//!
//! HTTP/1 connections carry one request at a time and come back when its response has ended; HTTP/2
//! connections are shared by as many as the destination allows. A connection goes through a tunnel where
//! the endpoint is in the mesh.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use mesh::identity::Identity;
use mesh::lifecycle::task;
use mesh::model::destination::TlsOrigination;
use mesh::proxy_protocol;
use tokio::sync::Notify;

mod drive;
pub mod tls;
pub mod dial;
pub mod name;

pub use dial::{ConnectError, Dialer};
pub use drive::{Local, Raw, Switched};

use crate::balance::{Cluster, ConnectionPermit, Overflow};
use crate::body::Replay;
use crate::egress::Outside;

/// How an endpoint is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    /// Where the application listens.
    pub address: SocketAddr,
    /// Name of an endpoint without an address, resolved for every connection; of `address` only the port counts then.
    pub host: Option<Arc<str>>,
    /// The tunnel that leads there; `None` is plain TCP.
    pub tunnel: Option<Through>,
    /// TLS to the application.
    pub tls: Option<Arc<Tls>>,
    /// The PROXY protocol's header that precedes the bytes.
    pub announced: Option<Announced>,
    /// What only a call tells of it; whatever that is, no address of the mesh is dialled then.
    pub outside: Option<Outside>,
}

/// How an application is told who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Announced {
    /// Version of the PROXY protocol, 1 or 2.
    pub version: u8,
    /// The client, and what it dialled; known with a call. Connections are shared by those of the same two only.
    pub ends: Option<(SocketAddr, SocketAddr)>,
}

impl Announced {
    fn header(self) -> Option<Vec<u8>> {
        let (source, destination) = self.ends?;
        Some(match self.version {
            1 => proxy_protocol::version1(source, destination),
            _ => proxy_protocol::version2(source, destination, None),
        })
    }
}

impl Way {
    /// The way for one client that dialled `dialled`.
    pub fn of(&self, client: SocketAddr, dialled: SocketAddr) -> Self {
        let mut way = self.clone();
        if let Some(announced) = &mut way.announced {
            announced.ends = Some((client, dialled));
        }
        way
    }
}

/// A tunnel to an endpoint's proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Through {
    /// The proxy's door.
    pub hop: SocketAddr,
    /// Whom it must prove to be.
    pub peers: Arc<[Identity]>,
}

/// TLS to an application, compared by what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls(pub TlsOrigination);

impl std::hash::Hash for Tls {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.sni.hash(state);
        self.0.subject_alt_names.hash(state);
    }
}

/// Which HTTP is spoken to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// What connections are shared by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// How it is reached.
    pub way: Way,
    /// What is spoken.
    pub version: Version,
}

/// How long and how many, for one destination.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Counts connections, and requests that wait for one.
    pub cluster: Arc<Cluster>,
    /// How long connecting may take.
    pub connect: Duration,
    /// A connection without requests is closed after this long.
    pub idle: Option<Duration>,
    /// Requests on one connection; 0 is without limit.
    pub requests: u32,
    /// HTTP/2 streams on one connection.
    pub streams: u32,
    /// Longest head of a response, in bytes.
    pub head: usize,
}

/// Why a request had no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// As many connections, or requests that wait for one, as the destination allows.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// The connection ended; `sent` tells whether the request may have been seen.
    #[error("connection ended before the answer")]
    Lost {
        /// Whether anything of the request was sent.
        sent: bool,
        /// What HTTP says.
        #[source]
        source: hyper::Error,
    },
}

/// An answer and what its connection is waiting for.
pub struct Answer {
    /// The answer.
    pub response: Response<Incoming>,
    /// Its connection: to be kept until the response's body has ended.
    pub lease: Lease,
}

/// The connections of one worker.
pub struct Upstream {
    dialer: Dialer,
    slots: RefCell<HashMap<Key, Rc<Slot>, foldhash::fast::RandomState>>,
    is_swept: Cell<bool>,
}

#[derive(Default)]
struct Slot {
    idle: RefCell<Vec<Kept>>,
    shared: RefCell<Vec<Rc<Shared>>>,
    dialling: Cell<bool>,
    dialled: Notify,
}

/// An HTTP/1 connection that carries nothing.
struct Kept {
    one: One,
    since: Instant,
    idle: Option<Duration>,
}

/// An HTTP/1 connection.
struct One {
    sender: http1::SendRequest<Replay>,
    switched: Switched,
    local: SocketAddr,
    requests: u32,
    _permit: ConnectionPermit,
}

/// An HTTP/2 connection.
struct Shared {
    sender: http2::SendRequest<Replay>,
    local: SocketAddr,
    streams: Cell<u32>,
    requests: Cell<u32>,
    since: Cell<Instant>,
    idle: Option<Duration>,
    _permit: ConnectionPermit,
}

/// A connection on loan to one request.
pub struct Lease {
    kind: Option<Loan>,
    /// Our end of the connection.
    pub local: SocketAddr,
}

enum Loan {
    One {
        one: One,
        slot: Rc<Slot>,
        idle: Option<Duration>,
        most: u32,
    },
    Shared(Rc<Shared>),
}

impl Lease {
    /// The response has ended as it should: the connection may carry the next request.
    pub fn give_back(mut self) {
        // a shared connection is given back by dropping
        if let Some(Loan::One {
            one,
            slot,
            idle,
            most,
        }) = self.kind.take_if(|it| matches!(it, Loan::One { .. }))
        {
            let is_spent = most > 0 && one.requests >= most;
            if !is_spent && !one.sender.is_closed() {
                slot.idle.borrow_mut().push(Kept {
                    one,
                    since: Instant::now(),
                    idle,
                });
            }
        }
    }

    /// The bytes of a connection whose protocol was switched; only HTTP/1 connections can be.
    pub async fn switched(mut self) -> Option<Raw> {
        match self.kind.take() {
            Some(Loan::One { one, .. }) => {
                let switched = one.switched.clone();
                drop(one);
                switched.take().await
            }
            _ => None,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(Loan::Shared(shared)) = &self.kind {
            shared.streams.set(shared.streams.get().saturating_sub(1));
            shared.since.set(Instant::now());
        }
    }
}

impl Upstream {
    /// Nothing open yet.
    pub fn new(dialer: Dialer) -> Rc<Self> {
        Rc::new(Self {
            dialer,
            slots: RefCell::default(),
            is_swept: Cell::new(false),
        })
    }

    /// What makes connections.
    pub fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// Sends a request to an endpoint and waits for the head of its answer. A request that a reused
    /// connection did not take goes to another one.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(
        self: &Rc<Self>,
        key: &Key,
        terms: Terms,
        request: Request<Replay>,
    ) -> Result<Answer, SendError> {
        let slot = self.slot(key);
        match key.version {
            Version::Http1 => self.send_alone(key, terms, slot, request).await,
            Version::Http2 => self.send_shared(key, terms, slot, request).await,
        }
    }

    fn slot(self: &Rc<Self>, key: &Key) -> Rc<Slot> {
        if let Some(slot) = self.slots.borrow().get(key) {
            return Rc::clone(slot);
        }
        let slot = Rc::new(Slot::default());
        let mut slots = self.slots.borrow_mut();
        slots.insert(key.clone(), Rc::clone(&slot));
        drop(slots);
        self.start_sweeping();
        slot
    }

    async fn send_alone(
        &self,
        key: &Key,
        terms: Terms,
        slot: Rc<Slot>,
        mut request: Request<Replay>,
    ) -> Result<Answer, SendError> {
        loop {
            let (mut one, was_kept) = match slot.take_idle() {
                Some(one) => (one, true),
                None => (self.open_alone(key, &terms).await?, false),
            };
            one.requests = one.requests.saturating_add(1);
            match one.sender.try_send_request(request).await {
                Ok(response) => {
                    let local = one.local;
                    let kind = Some(Loan::One {
                        one,
                        slot,
                        idle: terms.idle,
                        most: terms.requests,
                    });
                    let lease = Lease { kind, local };
                    return Ok(Answer { response, lease });
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if was_kept => request = unsent,
                    unsent => {
                        return Err(SendError::Lost {
                            sent: unsent.is_none(),
                            source: error.into_error(),
                        });
                    }
                },
            }
        }
    }

    async fn open_alone(&self, key: &Key, terms: &Terms) -> Result<One, SendError> {
        let _pending = terms.cluster.enter_pending()?;
        let permit = terms.cluster.enter_connection()?;
        let connecting = Box::pin(self.dialer.open(&key.way, Some(Version::Http1)));
        let made = tokio::time::timeout(terms.connect, connecting);
        let (io, local) = made.await.map_err(|_| ConnectError::Deadline)??;
        let (sender, switched) = drive::http1(io, terms.head).await?;
        Ok(One {
            sender,
            switched,
            local,
            requests: 0,
            _permit: permit,
        })
    }

    async fn send_shared(
        &self,
        key: &Key,
        terms: Terms,
        slot: Rc<Slot>,
        mut request: Request<Replay>,
    ) -> Result<Answer, SendError> {
        loop {
            let (shared, was_there) = match slot.take_shared(&terms) {
                Some(shared) => (shared, true),
                None if slot.dialling.get() => {
                    slot.dialled.notified().await;
                    continue;
                }
                None => (self.open_shared(key, &terms, &slot).await?, false),
            };
            shared.streams.set(shared.streams.get() + 1);
            shared.requests.set(shared.requests.get().saturating_add(1));
            let lease = Lease {
                local: shared.local,
                kind: Some(Loan::Shared(Rc::clone(&shared))),
            };
            match shared.sender.clone().try_send_request(request).await {
                Ok(response) => return Ok(Answer { response, lease }),
                Err(mut error) => match error.take_message() {
                    Some(unsent) if was_there => {
                        slot.forget(&shared);
                        request = unsent;
                    }
                    unsent => {
                        return Err(SendError::Lost {
                            sent: unsent.is_none(),
                            source: error.into_error(),
                        });
                    }
                },
            }
        }
    }

    async fn open_shared(
        &self,
        key: &Key,
        terms: &Terms,
        slot: &Rc<Slot>,
    ) -> Result<Rc<Shared>, SendError> {
        let _pending = terms.cluster.enter_pending()?;
        let permit = terms.cluster.enter_connection()?;
        let dialling = Dialling::begin(slot);
        let connecting = Box::pin(self.dialer.open(&key.way, Some(Version::Http2)));
        let made = tokio::time::timeout(terms.connect, connecting);
        let (io, local) = made.await.map_err(|_| ConnectError::Deadline)??;
        let sender = drive::http2(io, terms.head).await?;
        let shared = Rc::new(Shared {
            sender,
            local,
            streams: Cell::new(0),
            requests: Cell::new(0),
            since: Cell::new(Instant::now()),
            idle: terms.idle,
            _permit: permit,
        });
        slot.shared.borrow_mut().push(Rc::clone(&shared));
        drop(dialling);
        Ok(shared)
    }

    /// One timer for all: closes connections that were long without a request, and ends with the last.
    fn start_sweeping(self: &Rc<Self>) {
        if self.is_swept.replace(true) {
            return;
        }
        let upstream = Rc::downgrade(self);
        task::spawn_local("upstream", async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(upstream) = upstream.upgrade() else {
                    return;
                };
                if upstream.sweep() == 0 {
                    upstream.is_swept.set(false);
                    return;
                }
            }
        });
    }

    fn sweep(&self) -> usize {
        let mut slots = self.slots.borrow_mut();
        slots.retain(|_, slot| {
            let now = Instant::now();
            let is_fresh = |since: Instant, idle: Option<Duration>| {
                idle.is_none_or(|idle| now.duration_since(since) < idle)
            };
            let mut idle = slot.idle.borrow_mut();
            idle.retain(|it| !it.one.sender.is_closed() && is_fresh(it.since, it.idle));
            let mut shared = slot.shared.borrow_mut();
            shared.retain(|it| {
                let is_used = it.streams.get() > 0;
                !it.sender.is_closed() && (is_used || is_fresh(it.since.get(), it.idle))
            });
            // whoever waits or dials holds the slot
            !idle.is_empty() || !shared.is_empty() || Rc::strong_count(slot) > 1
        });
        slots.len()
    }
}

/// How often unused connections are looked for.
const SWEEP: Duration = Duration::from_secs(5);

impl Slot {
    /// The connection that was used last: the others may grow old.
    fn take_idle(&self) -> Option<One> {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|it| !it.one.sender.is_closed());
        let ready = idle.iter().rposition(|it| it.one.sender.is_ready())?;
        Some(idle.remove(ready).one)
    }

    fn take_shared(&self, terms: &Terms) -> Option<Rc<Shared>> {
        let mut shared = self.shared.borrow_mut();
        shared.retain(|it| {
            let is_spent = terms.requests > 0 && it.requests.get() >= terms.requests;
            !it.sender.is_closed() && !is_spent
        });
        let free = shared.iter().find(|it| {
            let most = usize::try_from(terms.streams).unwrap_or(usize::MAX);
            usize::try_from(it.streams.get()).is_ok_and(|streams| streams < most.max(1))
        });
        free.map(Rc::clone)
    }

    fn forget(&self, shared: &Rc<Shared>) {
        let mut all = self.shared.borrow_mut();
        all.retain(|it| !Rc::ptr_eq(it, shared));
    }
}

/// A dial under way that others wait for; ends however it ends.
struct Dialling(Rc<Slot>);

impl Dialling {
    fn begin(slot: &Rc<Slot>) -> Self {
        slot.dialling.set(true);
        Self(Rc::clone(slot))
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        self.0.dialling.set(false);
        self.0.dialled.notify_waiters();
    }
}
