//! What the node agent says, with each namespace descriptor tried before anybody relies on it.

use std::path::Path;
use std::sync::Arc;

use mesh::telemetry::privilege::{SYS_ADMIN, lack};
use mesh::telemetry::report;
use mesh::zds;

use super::ledger::{Message, Violation};
use crate::netns::{Home, Namespace};
use crate::pod::{PodInfo, PodUid};

/// A pod's namespace, shared by the ledger and the pod's doors.
pub type Netns = Arc<Namespace>;

/// One session with the agent.
#[derive(Debug)]
pub struct Feed {
    client: zds::Client,
    home: Arc<Home>,
}

/// One thing that was heard.
#[derive(Debug)]
pub enum Heard {
    /// A message for the ledger.
    Message(Message<Netns>),
    /// A pod whose namespace cannot be entered; to be answered with the reason.
    Unusable {
        /// The pod.
        uid: PodUid,
        /// Why not.
        why: String,
    },
    /// The agent has closed the session.
    Closed,
}

/// Why a session ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket, or what came over it.
    #[error("the session with the node agent failed")]
    Socket(#[from] zds::Error),
    /// A message that makes no sense at this point.
    #[error("the node agent broke the protocol")]
    Violation(#[from] Violation),
}

impl Feed {
    /// Dials the agent's socket.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(socket: &Path, home: Arc<Home>) -> Result<Self, Error> {
        Ok(Self {
            client: zds::Client::connect(socket).await?,
            home,
        })
    }

    /// Waits for what the agent says next; may be dropped without losing anything.
    ///
    /// # Errors
    /// When the packet breaks the protocol.
    pub async fn next(&self) -> Result<Heard, Error> {
        let message = match self.client.next().await? {
            None => return Ok(Heard::Closed),
            Some(zds::Order::SnapshotSent) => Message::SnapshotSent,
            Some(zds::Order::Keep { uid }) => Message::Keep { uid: uid.into() },
            Some(zds::Order::Delete { uid }) => Message::Del { uid: uid.into() },
            Some(zds::Order::Add { uid, info, netns }) => {
                let uid: PodUid = uid.into();
                match Namespace::new(netns, &self.home) {
                    Ok(netns) => Message::Add {
                        uid,
                        info: info.map(who),
                        netns: Arc::new(netns),
                    },
                    Err(error) => {
                        let lack = lack(&error, SYS_ADMIN);
                        let why = format!("cannot enter the namespace{lack}: {}", report(&error));
                        return Ok(Heard::Unusable { uid, why });
                    }
                }
            }
        };
        Ok(Heard::Message(message))
    }

    /// Answers what was heard last: `None` for success.
    ///
    /// # Errors
    /// When the agent has gone.
    pub async fn acknowledge(&self, error: Option<String>) -> Result<(), Error> {
        Ok(self.client.acknowledge(error).await?)
    }
}

fn who(info: zds::PodInfo) -> PodInfo {
    PodInfo {
        name: info.name.into(),
        namespace: info.namespace.into(),
        service_account: info.service_account.into(),
    }
}
