//! Pure. Wanted pods against running pods: what to start and what to stop after each message.
//!
//! In: messages of one session after another with the node agent, and the outcome of starts.
//! Out: orders for the supervisor. Never: sockets, clocks, threads; namespaces are opaque values that
//! can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::pod::{PodInfo, PodUid};

/// What the node agent said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<N> {
    /// A pod with its network namespace.
    Add {
        /// The pod.
        uid: PodUid,
        /// Who it is; `None` when the agent sent no information.
        info: Option<PodInfo>,
        /// Where it lives.
        netns: N,
    },
    /// A pod that exists and whose namespace the agent does not have at hand.
    Keep {
        /// The pod.
        uid: PodUid,
    },
    /// A pod that is gone.
    Del {
        /// The pod.
        uid: PodUid,
    },
    /// Every pod of the node has been mentioned.
    SnapshotSent,
}

/// What the supervisor has to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order<N> {
    /// Open the doors of a pod.
    Start {
        /// The pod.
        uid: PodUid,
        /// Who it is.
        info: PodInfo,
        /// Where it lives.
        netns: N,
    },
    /// Close the doors of a pod at once.
    Stop {
        /// The pod.
        uid: PodUid,
    },
}

/// Why a message is refused. The ledger is unchanged then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The agent ended its snapshot twice in one session.
    #[error("the agent sent a second end of snapshot")]
    SecondSnapshot,
    /// Keep is only meaningful while the snapshot is being sent.
    #[error("the agent sent keep after the end of its snapshot")]
    KeepAfterSnapshot,
    /// A pod without a uid cannot be removed again.
    #[error("the agent sent a pod without a uid")]
    NoUid,
    /// A pod without a name, namespace or service account has no identity.
    #[error("the agent sent a pod without name, namespace or service account")]
    NoInfo,
}

#[derive(Debug)]
struct Entry<N> {
    info: PodInfo,
    netns: N,
    runs: bool,
}

/// The pods this node proxy should serve and those it does serve.
#[derive(Debug)]
pub struct Ledger<N> {
    pods: BTreeMap<PodUid, Entry<N>>,
    /// Pods mentioned since the session began; `None` once the snapshot is complete.
    mentioned: Option<BTreeSet<PodUid>>,
    /// Whether any session ever completed its snapshot.
    was_complete: bool,
}

impl Violation {
    /// Whether the agent is out of step, so that only a new session helps; otherwise the one message
    /// is answered with the error.
    pub fn ends_session(self) -> bool {
        matches!(
            self,
            Violation::SecondSnapshot | Violation::KeepAfterSnapshot
        )
    }
}

impl<N: Clone + PartialEq> Ledger<N> {
    /// Nothing wanted, nothing running.
    pub fn new() -> Self {
        Self {
            pods: BTreeMap::new(),
            mentioned: Some(BTreeSet::new()),
            was_complete: false,
        }
    }

    /// A new session with the agent begins: running pods stay until its snapshot says otherwise.
    pub fn begin_session(&mut self) {
        self.mentioned = Some(BTreeSet::new());
    }

    /// Takes in one message.
    ///
    /// # Errors
    /// When the message breaks the protocol; the ledger is unchanged then.
    pub fn receive(&mut self, message: Message<N>) -> Result<Vec<Order<N>>, Violation> {
        match message {
            Message::Add { uid, info, netns } => self.add(uid, info, netns),
            Message::Keep { uid } => {
                let mentioned = self
                    .mentioned
                    .as_mut()
                    .ok_or(Violation::KeepAfterSnapshot)?;
                mentioned.insert(uid);
                Ok(Vec::new())
            }
            Message::Del { uid } => {
                if let Some(mentioned) = &mut self.mentioned {
                    mentioned.remove(&uid);
                }
                Ok(match self.pods.remove(&uid) {
                    Some(entry) if entry.runs => vec![Order::Stop { uid }],
                    _ => Vec::new(),
                })
            }
            Message::SnapshotSent => self.end_snapshot(),
        }
    }

    /// The agent spoke of this pod in a way that cannot be used; while a snapshot is being sent the
    /// pod counts as mentioned, so that a running one is not dropped over it.
    pub fn mention(&mut self, uid: &str) {
        if let Some(mentioned) = &mut self.mentioned {
            mentioned.insert(uid.into());
        }
    }

    fn add(
        &mut self,
        uid: PodUid,
        info: Option<PodInfo>,
        netns: N,
    ) -> Result<Vec<Order<N>>, Violation> {
        if uid.is_empty() {
            return Err(Violation::NoUid);
        }
        let info = info
            .filter(|i| {
                !i.name.is_empty() && !i.namespace.is_empty() && !i.service_account.is_empty()
            })
            .ok_or(Violation::NoInfo)?;
        if let Some(mentioned) = &mut self.mentioned {
            mentioned.insert(Arc::clone(&uid));
        }
        let mut orders = Vec::new();
        if let Some(known) = self.pods.get(&uid) {
            if known.runs && known.netns == netns && known.info == info {
                return Ok(orders);
            }
            if known.runs {
                orders.push(Order::Stop {
                    uid: Arc::clone(&uid),
                });
            }
        }
        let entry = Entry {
            info: info.clone(),
            netns: netns.clone(),
            runs: false,
        };
        self.pods.insert(Arc::clone(&uid), entry);
        orders.push(Order::Start { uid, info, netns });
        Ok(orders)
    }

    fn end_snapshot(&mut self) -> Result<Vec<Order<N>>, Violation> {
        let mentioned = self.mentioned.take().ok_or(Violation::SecondSnapshot)?;
        self.was_complete = true;
        let mut orders = Vec::new();
        self.pods.retain(|uid, entry| {
            let stays = mentioned.contains(uid);
            if !stays && entry.runs {
                orders.push(Order::Stop {
                    uid: Arc::clone(uid),
                });
            }
            stays
        });
        Ok(orders)
    }

    /// A start succeeded. `false` when the pod is no longer wanted in that namespace, so that the
    /// caller stops it again.
    pub fn started(&mut self, uid: &str, netns: &N) -> bool {
        match self.pods.get_mut(uid) {
            Some(entry) if entry.netns == *netns => {
                entry.runs = true;
                true
            }
            _ => false,
        }
    }

    /// Starts to try again: pods that are wanted and do not run.
    pub fn retries(&self) -> Vec<Order<N>> {
        self.pods
            .iter()
            .filter(|(_, entry)| !entry.runs)
            .map(|(uid, entry)| Order::Start {
                uid: Arc::clone(uid),
                info: entry.info.clone(),
                netns: entry.netns.clone(),
            })
            .collect()
    }

    /// Whether the pod is wanted: one that the agent only asked to keep may never have been.
    pub fn is_wanted(&self, uid: &str) -> bool {
        self.pods.contains_key(uid)
    }

    /// Whether the agent has said all it had to say at the beginning of this session.
    pub fn has_snapshot(&self) -> bool {
        self.mentioned.is_none()
    }

    /// Whether a whole snapshot has arrived and every wanted pod runs.
    pub fn is_ready(&self) -> bool {
        self.was_complete && self.pods.values().all(|entry| entry.runs)
    }

    /// How many pods run, and how many are wanted but do not.
    pub fn counts(&self) -> (usize, usize) {
        let running = self.pods.values().filter(|entry| entry.runs).count();
        (running, self.pods.len() - running)
    }
}

impl<N: Clone + PartialEq> Default for Ledger<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
