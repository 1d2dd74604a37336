//! Live connections of one pod: for the dump, for closing a pod's, and for deciding again when
//! policies change.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh::flow::{Direction, Reason};
use mesh::model::Origin;
use mesh::relay::Counters;
use mesh::tls::Peer;
use tokio::sync::{Notify, oneshot};

/// What is known of a live connection.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Which door.
    pub direction: Direction,
    /// Who opened it: the application, or the tunnel's TCP peer.
    pub source: SocketAddr,
    /// What was dialled: the original destination, or the tunnel's authority.
    pub asked: Asked,
    /// Where the bytes go: the application's address, for inbound and plain connections.
    pub destination: SocketAddr,
    /// The other proxy, when there is a tunnel: its address and what its certificate said.
    pub tunnel: Option<Tunnel>,
}

/// What the client asked for.
#[derive(Clone, Debug)]
pub enum Asked {
    /// An address.
    Address(SocketAddr),
    /// A CONNECT authority.
    Authority(Arc<str>),
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Asked::Address(address) => address.fmt(f),
            Asked::Authority(authority) => f.write_str(authority),
        }
    }
}

/// The tunnel under a connection.
#[derive(Clone, Debug)]
pub struct Tunnel {
    /// Address of the other proxy's end.
    pub hop: SocketAddr,
    /// Who it proved to be.
    pub peer: Rc<Peer>,
}

/// Why a connection is closed from here.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The reason.
    pub reason: Reason,
    /// The rule behind it, when a policy decided.
    pub origin: Option<Origin>,
}

impl From<Reason> for Cut {
    fn from(reason: Reason) -> Self {
        let origin = None;
        Self { reason, origin }
    }
}

#[derive(Debug)]
struct Live {
    facts: Facts,
    counters: Rc<Counters>,
    since: Instant,
    close: Option<oneshot::Sender<Cut>>,
}

/// The table; one per pod, on its worker.
#[derive(Debug, Default)]
pub struct Connections {
    next: Cell<u64>,
    live: RefCell<HashMap<u64, Live, foldhash::fast::RandomState>>,
    removed: Notify,
    /// Set when the pod leaves: whoever is still on his way is closed on arrival.
    shut: Cell<Option<Reason>>,
}

/// A connection's place in the table; leaving the scope takes it out.
#[derive(Debug)]
pub struct Entry {
    table: Rc<Connections>,
    id: u64,
    counters: Rc<Counters>,
    closed: oneshot::Receiver<Cut>,
}

/// One connection as the dump shows it.
#[derive(Clone, Debug)]
pub struct View {
    /// Which door.
    pub direction: Direction,
    /// Who opened it.
    pub source: SocketAddr,
    /// What was asked for.
    pub asked: String,
    /// Where the bytes go.
    pub destination: SocketAddr,
    /// Address of the other proxy, identity read from its certificate, negotiated group.
    pub tunnel: Option<(SocketAddr, String, &'static str)>,
    /// Bytes towards the destination and back.
    pub bytes: (u64, u64),
    /// How long it has been open.
    pub age: Duration,
}

impl Connections {
    /// Notes a connection. An inbound one is noted in the same breath in which it is admitted, so
    /// that no change of policy can fall between.
    pub fn add(self: &Rc<Self>, facts: Facts) -> Entry {
        let counters = Rc::new(Counters::default());
        let id = self.next.get();
        self.next.set(id.wrapping_add(1));
        let (close, closed) = oneshot::channel();
        let mut close = Some(close);
        if let Some(reason) = self.shut.get()
            && let Some(close) = close.take()
        {
            let _ = close.send(reason.into());
        }
        let live = Live {
            facts,
            counters: Rc::clone(&counters),
            since: Instant::now(),
            close,
        };
        self.live.borrow_mut().insert(id, live);
        Entry {
            table: Rc::clone(self),
            id,
            counters,
            closed,
        }
    }

    /// Closes the connections for which `verdict` gives a reason.
    pub fn close_where(&self, mut verdict: impl FnMut(&Facts) -> Option<Cut>) {
        for live in self.live.borrow_mut().values_mut() {
            if let Some(cut) = verdict(&live.facts)
                && let Some(close) = live.close.take()
            {
                // The connection may just be ending by itself: then nobody listens, and that is fine.
                let _ = close.send(cut);
            }
        }
    }

    /// Closes all connections, and those that are still to come.
    pub fn shut(&self, reason: Reason) {
        self.shut.set(Some(reason));
        self.close_where(|_| Some(reason.into()));
    }

    /// Resolves when there is no connection any more.
    pub async fn emptied(&self) {
        loop {
            let removed = self.removed.notified();
            if self.live.borrow().is_empty() {
                return;
            }
            removed.await;
        }
    }

    /// Every live connection.
    pub fn views(&self) -> Vec<View> {
        let live = self.live.borrow();
        live.values()
            .map(|live| View {
                direction: live.facts.direction,
                source: live.facts.source,
                asked: live.facts.asked.to_string(),
                destination: live.facts.destination,
                tunnel: live
                    .facts
                    .tunnel
                    .as_ref()
                    .map(|t| (t.hop, t.peer.identity.to_string(), t.peer.group)),
                bytes: (live.counters.sent(), live.counters.received()),
                age: live.since.elapsed(),
            })
            .collect()
    }
}

impl Entry {
    /// Bytes carried so far.
    pub fn counters(&self) -> Rc<Counters> {
        Rc::clone(&self.counters)
    }

    /// Resolves when somebody decides that this connection has to end, and says why.
    pub async fn closed(&mut self) -> Cut {
        let told = (&mut self.closed).await;
        told.unwrap_or_else(|_| Reason::Drained.into())
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.table.live.borrow_mut().remove(&self.id);
        self.table.removed.notify_waiters();
    }
}
