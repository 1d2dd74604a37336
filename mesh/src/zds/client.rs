//! ztunnel's end of the node socket: say hello, take orders one by one, acknowledge each.

use std::os::fd::OwnedFd;
use std::path::Path;

use super::conn::{Conn, Error};
use super::message::{Ack, PodInfo, Request, encode_hello};

/// A request together with the descriptor it must have: what ztunnel acts upon.
#[derive(Debug)]
pub enum Order {
    /// Start serving this pod.
    Add {
        /// The pod's uid.
        uid: String,
        /// Who the pod is, where the agent knows it.
        info: Option<PodInfo>,
        /// The pod's network namespace.
        netns: OwnedFd,
    },
    /// Keep serving this pod.
    Keep {
        /// The pod's uid.
        uid: String,
    },
    /// Stop serving this pod.
    Delete {
        /// The pod's uid.
        uid: String,
    },
    /// The snapshot is complete: drop every pod that was not mentioned on this connection.
    SnapshotSent,
}

/// ztunnel's end of a connection to the node agent.
#[derive(Debug)]
pub struct Client {
    conn: Conn,
}

impl Client {
    /// Dials the agent and says hello.
    ///
    /// # Errors
    /// When nobody listens at `path` or the hello cannot be sent.
    pub async fn connect(path: &Path) -> Result<Self, Error> {
        Self::greet(Conn::connect(path)?).await
    }

    /// Says hello on a connection that is already there.
    ///
    /// # Errors
    /// When the hello cannot be sent.
    pub async fn greet(conn: Conn) -> Result<Self, Error> {
        conn.send(&encode_hello(), None).await?;
        Ok(Client { conn })
    }

    /// Waits for the next order; `None` when the agent has closed the connection. Dropping the future loses
    /// nothing. The agent sends no other order before this one is acknowledged.
    ///
    /// # Errors
    /// When the packet breaks the protocol; the connection is of no use afterwards.
    pub async fn next(&self) -> Result<Option<Order>, Error> {
        let Some((packet, netns)) = self.conn.receive().await? else {
            return Ok(None);
        };
        let order = match (Request::decode(&packet)?, netns) {
            (Request::Add { uid, info }, Some(netns)) => Order::Add { uid, info, netns },
            (Request::Add { uid, .. }, None) => return Err(Error::MissingDescriptor { uid }),
            (_, Some(_)) => return Err(Error::UnwantedDescriptor),
            (Request::Keep { uid }, None) => Order::Keep { uid },
            (Request::Delete { uid }, None) => Order::Delete { uid },
            (Request::SnapshotSent, None) => Order::SnapshotSent,
        };
        Ok(Some(order))
    }

    /// Answers the order that [`Client::next`] returned last: `None` for success, else what went wrong.
    ///
    /// # Errors
    /// When the answer cannot be sent.
    pub async fn acknowledge(&self, error: Option<String>) -> Result<(), Error> {
        self.conn.send(&Ack { error }.encode(), None).await
    }
}
