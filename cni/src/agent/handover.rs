//! Hands pods to ztunnel over the node socket (contract: node socket, docs/compat.md#node-socket).
//!
//! Every ztunnel that connects first gets a snapshot of all pods, then what changes. New pods go to the newest
//! connection only: the others are ztunnels on their way out. Deletions go to all. One exchange is under way on a
//! connection at a time; a connection that breaks the protocol or is too slow is closed, and ztunnel dials again.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh::lifecycle::task;
use mesh::telemetry::report;
use mesh::zds::{self, Ack, Listener, PodInfo, Request, Session};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;

use crate::metrics::Metrics;

/// So many orders may wait for one slow ztunnel.
const QUEUE: usize = 1024;

/// So many ztunnels may be connected: the old and the new one of an upgrade, and some that hang.
const CONNECTIONS: usize = 16;

/// The least time between two connections: a ztunnel that fails at once must not keep the agent busy.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Why ztunnel does not serve a pod. It may do so later: every new connection gets all pods again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No ztunnel is connected.
    #[error("no ztunnel is connected")]
    NoProxy,
    /// The connection was lost before the answer.
    #[error("the connection to ztunnel was lost")]
    Lost,
    /// ztunnel cannot keep up.
    #[error("ztunnel has {QUEUE} orders waiting")]
    Busy,
    /// ztunnel said why not.
    #[error("ztunnel refused: {words}")]
    Refused {
        /// Its words.
        words: String,
    },
    /// It has not confirmed the pod.
    #[error("ztunnel has not confirmed the pod")]
    NotServed,
}

/// A pod as it is handed over.
#[derive(Debug, Clone)]
pub struct Pod {
    /// Who it is, where that is known.
    pub info: Option<PodInfo>,
    /// Its namespace; without one, ztunnel is only asked to keep the pod.
    pub netns: Option<Arc<OwnedFd>>,
}

/// The agent's end of all node sockets. Clones share one state.
#[derive(Debug, Clone)]
pub struct Handover {
    state: Arc<Mutex<State>>,
    /// Counts the connections that have got their snapshot.
    connected: watch::Sender<u64>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct State {
    pods: BTreeMap<String, Pod>,
    /// Oldest first.
    connections: Vec<Connection>,
    next_id: u64,
}

#[derive(Debug)]
struct Connection {
    id: u64,
    orders: mpsc::Sender<Order>,
    /// Pods that this ztunnel has confirmed.
    served: BTreeSet<String>,
}

#[derive(Debug)]
struct Order {
    request: Request,
    netns: Option<Arc<OwnedFd>>,
    answer: oneshot::Sender<Result<(), Error>>,
}

impl Handover {
    /// No pods, no ztunnels.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        Handover {
            state: Arc::default(),
            connected: watch::Sender::new(0),
            metrics,
        }
    }

    /// Puts a pod into the snapshots to come, without telling those who are connected.
    pub fn register(&self, uid: &str, pod: Pod) {
        self.lock().pods.insert(uid.to_owned(), pod);
    }

    /// Hands a pod to the newest ztunnel, and waits for its answer. Whatever it is, the pod is in all snapshots to
    /// come.
    ///
    /// # Errors
    /// When ztunnel has not confirmed.
    pub async fn add(&self, uid: &str, pod: Pod) -> Result<(), Error> {
        let request = Request::Add {
            uid: uid.to_owned(),
            info: pod.info.clone(),
        };
        let netns = pod.netns.clone();
        let answer = {
            let mut state = self.lock();
            state.pods.insert(uid.to_owned(), pod);
            let newest = state.connections.last().ok_or(Error::NoProxy)?;
            newest.order(request, netns)?
        };
        answer.await.unwrap_or(Err(Error::Lost))
    }

    /// Whether the ztunnel that new pods go to has confirmed this one.
    ///
    /// # Errors
    /// When it has not, or there is none.
    pub fn serves(&self, uid: &str) -> Result<(), Error> {
        let state = self.lock();
        let newest = state.connections.last().ok_or(Error::NoProxy)?;
        match newest.served.contains(uid) {
            true => Ok(()),
            false => Err(Error::NotServed),
        }
    }

    /// Takes a pod from all ztunnels and waits for their answers. One that does not answer is disconnected, so in
    /// the end none serves the pod.
    pub async fn delete(&self, uid: &str) {
        let answers: Vec<_> = {
            let mut state = self.lock();
            if state.pods.remove(uid).is_none() {
                return;
            }
            let request = Request::Delete {
                uid: uid.to_owned(),
            };
            let order = |connection: &Connection| connection.order(request.clone(), None).ok();
            state.connections.iter().filter_map(order).collect()
        };
        for answer in answers {
            if let Ok(Err(error)) = answer.await {
                tracing::warn!(
                    uid,
                    error = report(&error),
                    "ztunnel did not delete the pod"
                );
            }
        }
    }

    /// Ends all connections, each after what is under way on it. ztunnels keep their pods and dial again.
    pub fn close(&self) {
        self.lock().connections.clear();
    }

    /// Changes whenever another ztunnel has got its snapshot.
    #[must_use]
    pub fn connected(&self) -> watch::Receiver<u64> {
        self.connected.subscribe()
    }

    /// Serves ztunnels for ever.
    pub async fn serve(self, listener: Listener) {
        loop {
            match listener.accept().await {
                Ok(conn) if self.lock().connections.len() < CONNECTIONS => {
                    let handover = self.clone();
                    task::spawn("node-socket", async move {
                        if let Err(error) = handover.follow(conn).await {
                            tracing::warn!(error = report(&error), "node socket closed");
                        }
                    });
                }
                Ok(_) => tracing::warn!("more than {CONNECTIONS} ztunnels, one was turned away"),
                Err(error) => tracing::warn!(error = report(&error), "cannot accept a ztunnel"),
            }
            sleep(ACCEPT_PAUSE).await;
        }
    }

    /// The life of one connection: hello, snapshot, orders.
    async fn follow(&self, conn: zds::conn::Conn) -> Result<(), zds::Error> {
        let mut session = Session::greet(conn).await?;
        let (orders, mut queue) = mpsc::channel(QUEUE);
        // From here on every change is either in the snapshot or in the queue.
        let (id, snapshot) = self.enter(orders);
        self.metrics.ztunnels.inc();
        tracing::info!(connection = id, pods = snapshot.len(), "ztunnel connected");
        let result = async {
            self.send_snapshot(id, &mut session, snapshot).await?;
            self.connected.send_modify(|count| *count += 1);
            self.follow_orders(id, &mut session, &mut queue).await
        }
        .await;
        self.leave(id);
        self.metrics.ztunnels.dec();
        tracing::info!(connection = id, "ztunnel disconnected");
        result
    }

    async fn send_snapshot(
        &self,
        id: u64,
        session: &mut Session,
        pods: BTreeMap<String, Pod>,
    ) -> Result<(), zds::Error> {
        for (uid, Pod { info, netns }) in pods {
            let request = match &netns {
                Some(_) => Request::Add { uid, info },
                None => Request::Keep { uid },
            };
            let ack = session
                .exchange(&request, netns.as_deref().map(AsFd::as_fd))
                .await?;
            if let Err(error) = self.note(id, &request, ack) {
                // ztunnel keeps it as pending and tries again by itself.
                tracing::warn!(?request, error = report(&error), "in the snapshot");
            }
        }
        let ack = session.exchange(&Request::SnapshotSent, None).await?;
        if let Some(words) = ack.error {
            tracing::warn!(words, "ztunnel did not accept the snapshot");
        }
        Ok(())
    }

    async fn follow_orders(
        &self,
        id: u64,
        session: &mut Session,
        queue: &mut mpsc::Receiver<Order>,
    ) -> Result<(), zds::Error> {
        loop {
            let order = tokio::select! {
                order = queue.recv() => order,
                () = session.ended() => return Ok(()),
            };
            let Some(Order {
                request,
                netns,
                answer,
            }) = order
            else {
                return Ok(());
            };
            let ack = session
                .exchange(&request, netns.as_deref().map(AsFd::as_fd))
                .await?;
            // Nobody may be interested any more, which is fine.
            let _ = answer.send(self.note(id, &request, ack));
        }
    }

    /// Notes what a ztunnel has answered.
    fn note(&self, id: u64, request: &Request, ack: Ack) -> Result<(), Error> {
        let result = ack
            .error
            .map_or(Ok(()), |words| Err(Error::Refused { words }));
        let mut state = self.lock();
        let connection = state.connections.iter_mut().find(|it| it.id == id);
        if let Some(served) = connection.map(|connection| &mut connection.served) {
            match request {
                Request::Add { uid, .. } if result.is_ok() => drop(served.insert(uid.clone())),
                Request::Add { uid, .. } | Request::Delete { uid } => drop(served.remove(uid)),
                Request::Keep { .. } | Request::SnapshotSent => {}
            }
        }
        result
    }

    fn enter(&self, orders: mpsc::Sender<Order>) -> (u64, BTreeMap<String, Pod>) {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.connections.push(Connection {
            id,
            orders,
            served: BTreeSet::new(),
        });
        (id, state.pods.clone())
    }

    /// Forgets a connection. The one before it is the newest then, and gets what it has not been given while it was not.
    fn leave(&self, id: u64) {
        let mut state = self.lock();
        state.connections.retain(|connection| connection.id != id);
        let Some(newest) = state.connections.last() else {
            return;
        };
        for (uid, pod) in &state.pods {
            if pod.netns.is_none() || newest.served.contains(uid) {
                continue;
            }
            let (uid, info) = (uid.clone(), pod.info.clone());
            // Its answer is noted; should it not be able to take the order, it gets a whole snapshot when it dials again.
            if let Err(error) = newest.order(Request::Add { uid, info }, pod.netns.clone()) {
                tracing::warn!(
                    connection = newest.id,
                    error = report(&error),
                    "cannot hand over"
                );
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock in the middle of a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    fn order(
        &self,
        request: Request,
        netns: Option<Arc<OwnedFd>>,
    ) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
        let (answer, receiver) = oneshot::channel();
        self.orders
            .try_send(Order {
                request,
                netns,
                answer,
            })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Error::Busy,
                mpsc::error::TrySendError::Closed(_) => Error::Lost,
            })?;
        Ok(receiver)
    }
}

#[cfg(test)]
mod tests;
