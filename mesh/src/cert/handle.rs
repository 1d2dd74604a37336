//! Access to the kept certificates from any thread: what is there is read without waiting, the rest is ordered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{mpsc, oneshot};

use super::Error;
use crate::identity::Identity;
use crate::tls::Credentials;

/// The wall clock, which certificates are measured by.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

pub(super) type Answer = Result<Arc<Credentials>, Arc<Error>>;
pub(super) type Slots = HashMap<Identity, Arc<Slot>, foldhash::fast::RandomState>;

/// What readers see of one identity.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) current: ArcSwapOption<Credentials>,
    pub(super) failure: ArcSwapOption<Error>,
}

pub(super) struct Shared {
    pub(super) slots: ArcSwap<Slots>,
    pub(super) clock: Clock,
}

pub(super) enum Order {
    Get(Identity, oneshot::Sender<Answer>),
    Prefetch(Identity),
    Forget(Identity),
}

/// How an identity's certificate stands, for the configuration dump.
pub struct CertificateState {
    /// Whose it is.
    pub identity: Identity,
    /// The one that serves, if there is one.
    pub credentials: Option<Arc<Credentials>>,
    /// Why the last attempt failed, if it did.
    pub failure: Option<Arc<Error>>,
}

/// Access to the kept certificates from any thread.
#[derive(Clone)]
pub struct KeeperHandle {
    pub(super) shared: Arc<Shared>,
    pub(super) orders: mpsc::Sender<Order>,
}

impl KeeperHandle {
    /// The certificate of `identity`, asked for if it is not there. Nothing waits and nothing is
    /// locked when it is.
    ///
    /// # Errors
    /// Why there is none; while attempts are spaced out, the failure of the last one.
    pub async fn get(&self, identity: &Identity) -> Answer {
        if let Some(credentials) = self.cached(identity) {
            return Ok(credentials);
        }
        let (send, answer) = oneshot::channel();
        let order = Order::Get(identity.clone(), send);
        self.orders
            .send(order)
            .await
            .map_err(|_| Arc::new(Error::Stopped))?;
        answer.await.map_err(|_| Arc::new(Error::Stopped))?
    }

    /// The certificate of `identity` if there is a valid one.
    pub fn cached(&self, identity: &Identity) -> Option<Arc<Credentials>> {
        let credentials = self
            .shared
            .slots
            .load()
            .get(identity)?
            .current
            .load_full()?;
        (credentials.not_after() > (self.shared.clock)()).then_some(credentials)
    }

    /// Has a certificate ready before it is needed, and keeps trying for it until [`Self::forget`].
    pub async fn prefetch(&self, identity: &Identity) {
        // an error means that the keeper is gone and nothing will be needed
        let _ = self.orders.send(Order::Prefetch(identity.clone())).await;
    }

    /// The last workload of `identity` has left: its certificate is dropped and no longer renewed.
    pub async fn forget(&self, identity: &Identity) {
        // an error means that the keeper is gone and all is forgotten
        let _ = self.orders.send(Order::Forget(identity.clone())).await;
    }

    /// Every identity, in order, for the configuration dump.
    pub fn list(&self) -> Vec<CertificateState> {
        let state = |(identity, slot): (&Identity, &Arc<Slot>)| CertificateState {
            identity: identity.clone(),
            credentials: slot.current.load_full(),
            failure: slot.failure.load_full(),
        };
        let mut list: Vec<_> = self.shared.slots.load().iter().map(state).collect();
        list.sort_by(|a, b| a.identity.cmp(&b.identity));
        list
    }
}
