//! One enrolled pod: who it is, where it lives, and what its doors work with.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mesh::cert::KeeperHandle;
use mesh::flow::Reason;
use mesh::hbone::{self, Pool};
use mesh::identity::Identity;
use mesh::relay::Buffers;
use mesh::state::{Reader, Snapshot, WorkloadView};

use crate::config::Config;
use crate::connections::{Connections, View};
use crate::dial;
use crate::metrics::Metrics;
use crate::netns::Namespace;

/// How long a new connection may wait for something the controller still owes us: the pod's own
/// record, a policy it names, a waypoint. Source: docs/compat.md#outbound-decision.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How long closed connections may take to say goodbye after the deadline.
pub const LAST_WORDS: Duration = Duration::from_millis(500);

/// A pod's unique id as the node agent names it.
pub type PodUid = Arc<str>;

/// Who a pod is, as the node agent says. Source: docs/compat.md#node-socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodInfo {
    /// Pod name.
    pub name: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its service account.
    pub service_account: Arc<str>,
}

/// One pod of a worker, for the dump.
#[derive(Clone, Debug)]
pub struct PodView {
    /// Its unique id.
    pub uid: PodUid,
    /// Who it is.
    pub info: PodInfo,
    /// Inode of its network namespace.
    pub netns: u64,
    /// Its live connections.
    pub connections: Vec<View>,
}

/// What all workers share; everything in it may be used from any thread without waiting.
#[derive(Clone)]
pub struct Shared {
    /// Settings.
    pub config: Arc<Config>,
    /// Limits of tunnels, as the tunnel code wants them.
    pub tunnels: hbone::Settings,
    /// The picture of the mesh.
    pub state: Reader,
    /// Certificates by identity.
    pub certificates: KeeperHandle,
    /// Counters.
    pub metrics: Metrics,
}

/// One pod on its worker.
pub struct Pod {
    /// Its unique id.
    pub uid: PodUid,
    /// Who it is.
    pub info: PodInfo,
    /// Where its sockets are made.
    pub netns: Arc<Namespace>,
    /// What all workers share.
    pub shared: Shared,
    /// Tunnels this pod has open towards others.
    pub pool: Rc<Pool<dial::Error>>,
    /// This worker's buffers.
    pub buffers: Rc<Buffers>,
    /// Its live connections.
    pub connections: Rc<Connections>,
    /// New connections that wait for the controller.
    pub waiting: Places,
    /// Callers' handshakes that are not complete.
    pub handshakes: Places,
}

/// Counts what is under way, so that it stays bounded.
#[derive(Debug)]
pub struct Places {
    taken: Cell<usize>,
    limit: usize,
}

/// One of them; given back when dropped.
#[derive(Debug)]
pub struct Place<'a>(&'a Places);

impl Places {
    /// At most `limit` at a time.
    pub fn new(limit: usize) -> Self {
        let taken = Cell::new(0);
        Self { taken, limit }
    }

    /// A place, unless all are taken.
    pub fn enter(&self) -> Option<Place<'_>> {
        let taken = self.taken.get();
        (taken < self.limit).then(|| {
            self.taken.set(taken + 1);
            Place(self)
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get().saturating_sub(1));
    }
}

/// Answer of a question that may be worth asking again when the picture of the mesh changes.
#[derive(Debug)]
pub enum Attempt<T> {
    /// Done.
    Answer(T),
    /// Not yet: ask again after the next change, and end with this reason when patience is over.
    Later(Reason),
}

impl Pod {
    /// Asks `question` of the present snapshot, and of later ones while the answer is
    /// [`Attempt::Later`], for up to [`PATIENCE`].
    ///
    /// # Errors
    /// The reason for which it was still waiting, or [`Reason::Overloaded`] when too many wait.
    pub async fn ask<T>(
        &self,
        mut question: impl FnMut(&Snapshot) -> Attempt<T>,
    ) -> Result<T, Reason> {
        // The fast path: no timer, no subscription.
        if let Attempt::Answer(answer) = question(&self.shared.state.load()) {
            return Ok(answer);
        }
        let _place = self.waiting.enter().ok_or(Reason::Overloaded)?;
        let mut changed = self.shared.state.changed();
        let deadline = tokio::time::sleep(PATIENCE);
        tokio::pin!(deadline);
        loop {
            changed.mark_unchanged();
            let why = match question(&self.shared.state.load()) {
                Attempt::Answer(answer) => return Ok(answer),
                Attempt::Later(why) => why,
            };
            tokio::select! {
                () = &mut deadline => return Err(why),
                gone = changed.changed() => if gone.is_err() { return Err(why) },
            }
        }
    }

    /// This pod's own record in a snapshot, found by name, never by address: the node agent's word
    /// decides whose identity is used.
    pub fn own_record<'s>(&self, snapshot: &'s Snapshot) -> Attempt<WorkloadView<'s>> {
        let info = &self.info;
        match snapshot.find_workload(&info.namespace, &info.name, &info.service_account) {
            Some(own) => Attempt::Answer(own),
            None => Attempt::Later(Reason::WorkloadUnknown),
        }
    }

    /// Whose certificate this pod proves itself with, once its record has arrived.
    pub fn identity(&self) -> Option<Identity> {
        let snapshot = self.shared.state.load();
        match self.own_record(&snapshot) {
            Attempt::Answer(own) => Some(own.identity().clone()),
            Attempt::Later(_) => None,
        }
    }
}
