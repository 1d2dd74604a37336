//! One enrolled pod: who it is, where it lives, and what its doors work with.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mesh::cert::KeeperHandle;
use mesh::flow::Reason;
use mesh::hbone::{self, Pool};
use mesh::relay::Buffers;
use mesh::state::{Reader, Snapshot, WorkloadView};
use mesh::telemetry::report;
use mesh::wire;
use mesh::xds::{Demand, DemandError};
use tokio::time::Instant;

use crate::config::Config;
use crate::connections::{Connections, View};
use crate::dial;
use crate::metrics::Metrics;
use crate::netns::Namespace;
use crate::places::{Places, SharedPlaces};
use crate::resolver::Resolver;

/// How long a new connection may wait for something the controller still owes us: the pod's own
/// record, a policy it names, a waypoint. Source: docs/compat.md#outbound-decision.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Names that one connection may have the controller asked for.
const QUESTIONS: usize = 8;

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
    /// Addresses of host names.
    pub resolver: Resolver,
    /// Asks the controller for single names; absent when it tells everything by itself.
    pub demand: Option<Demand>,
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
    pub handshakes: SharedPlaces,
}

/// Answer of a question that may be worth asking again when the picture of the mesh changes.
#[derive(Debug)]
pub enum Attempt<T> {
    /// Done.
    Answer(T),
    /// Not yet: ask again after the next change, and end with this reason when patience is over.
    Later(Reason),
    /// Not before the controller has been asked for this name. Only in on-demand mode.
    Ask(Box<str>),
}

/// Names that the controller has answered while a question was open: what is not there now, is not
/// there at all.
pub type Answered = [Box<str>];

impl Pod {
    /// Asks `question` of the present snapshot, and of later ones while the answer is
    /// [`Attempt::Later`], and asks the controller for names, until [`PATIENCE`] is over.
    ///
    /// # Errors
    /// The reason of the last [`Attempt::Later`]; [`Reason::LookupTimeout`] when a name was not
    /// answered; [`Reason::Overloaded`] when too many wait already.
    pub async fn ask<T>(
        &self,
        mut question: impl FnMut(&Snapshot, &Answered) -> Attempt<T>,
    ) -> Result<T, Reason> {
        // The fast path: no timer, no subscription.
        if let Attempt::Answer(answer) = question(&self.shared.state.load(), &[]) {
            return Ok(answer);
        }
        let _place = self.waiting.enter().ok_or(Reason::Overloaded)?;
        let mut changed = self.shared.state.changed();
        let until = Instant::now() + PATIENCE;
        let deadline = tokio::time::sleep_until(until);
        tokio::pin!(deadline);
        let mut answered = Vec::new();
        loop {
            changed.mark_unchanged();
            let why = match question(&self.shared.state.load(), &answered) {
                Attempt::Answer(answer) => return Ok(answer),
                Attempt::Later(why) => why,
                Attempt::Ask(name) => {
                    let left = until.saturating_duration_since(Instant::now());
                    self.fetch(&name, left).await?;
                    answered.push(name);
                    if answered.len() > QUESTIONS {
                        return Err(Reason::LookupTimeout);
                    }
                    continue;
                }
            };
            tokio::select! {
                () = &mut deadline => return Err(why),
                gone = changed.changed() => if gone.is_err() { return Err(why) },
            }
        }
    }

    /// Asks the controller for a name and waits for its answer.
    async fn fetch(&self, name: &str, within: Duration) -> Result<(), Reason> {
        let demand = self.shared.demand.as_ref();
        let demand = demand.ok_or(Reason::LookupTimeout)?;
        let fetched = demand.fetch(wire::address::TYPE_URL, name, within).await;
        fetched.map_err(|error| {
            tracing::debug!(
                pod = &*self.uid,
                error = report(&error),
                "a name is not known"
            );
            match error {
                DemandError::Overloaded { .. } => Reason::Overloaded,
                DemandError::Deadline { .. } | DemandError::Stopped { .. } => Reason::LookupTimeout,
            }
        })
    }

    /// Has the controller asked for a name that only telemetry wants to know: nobody waits, and who
    /// comes next finds it.
    pub fn mention(&self, name: &str) {
        if let Some(demand) = &self.shared.demand {
            demand.mention(wire::address::TYPE_URL, name);
        }
    }

    /// This pod's own record in a snapshot, found by name, never by address: the node agent's word
    /// decides whose identity is used.
    pub fn own_record<'s>(&self, snapshot: &'s Snapshot) -> Option<WorkloadView<'s>> {
        let info = &self.info;
        snapshot.find_workload(&info.namespace, &info.name, &info.service_account)
    }
}
