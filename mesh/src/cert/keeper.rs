//! One live certificate per identity: waiters share one request, renewals happen in time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::schedule::{self, Due, Priority};
use super::{CertificateAuthority, Error, Settings, request};
use crate::identity::Identity;
use crate::lifecycle::task;
use crate::tls::Credentials;

/// The wall clock, which certificates are measured by.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Orders that may wait for the keeper.
const ORDERS: usize = 1024;

type Answer = Result<Arc<Credentials>, Arc<Error>>;
type Slots = HashMap<Identity, Arc<Slot>, foldhash::fast::RandomState>;

/// What readers see of one identity.
#[derive(Default)]
struct Slot {
    current: ArcSwapOption<Credentials>,
    failure: ArcSwapOption<Error>,
}

struct Shared {
    slots: ArcSwap<Slots>,
    clock: Clock,
}

enum Order {
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
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
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

    /// Has a certificate ready before it is needed. Does nothing when too much is going on: the
    /// certificate is then asked for when it is needed.
    pub fn prefetch(&self, identity: &Identity) {
        if self.cached(identity).is_none() {
            let _ = self.orders.try_send(Order::Prefetch(identity.clone()));
        }
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

/// The task that owns all certificates.
pub struct Keeper<A> {
    authority: Arc<A>,
    settings: Settings,
    shared: Arc<Shared>,
    entries: HashMap<Identity, Entry, foldhash::fast::RandomState>,
    running: FuturesUnordered<BoxFuture<'static, Done>>,
    generation: u64,
}

type Done = (Identity, u64, Result<Credentials, Error>);

struct Entry {
    slot: Arc<Slot>,
    priority: Priority,
    due: Instant,
    failures: u32,
    /// Tells an answer for an identity that was forgotten and came back from a current one.
    generation: u64,
    is_running: bool,
    waiters: Vec<oneshot::Sender<Answer>>,
}

impl<A: CertificateAuthority> Keeper<A> {
    /// Starts keeping, on the current runtime, until every handle is gone.
    pub fn start(authority: A, settings: Settings, clock: Clock) -> KeeperHandle {
        let slots = ArcSwap::from_pointee(Slots::default());
        let shared = Arc::new(Shared { slots, clock });
        let (orders, inbox) = mpsc::channel(ORDERS);
        let keeper = Self {
            authority: Arc::new(authority),
            settings,
            shared: Arc::clone(&shared),
            entries: HashMap::default(),
            running: FuturesUnordered::new(),
            generation: 0,
        };
        task::spawn("certificates", keeper.run(inbox));
        KeeperHandle { shared, orders }
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
        loop {
            let next = self.start_what_is_due();
            let wait = async {
                match next {
                    Some(when) => tokio::time::sleep_until(when).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = inbox.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                Some(done) = self.running.next() => self.finish(done),
                () = wait => {}
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Get(identity, waiter) => self.wait_for(identity, waiter),
            Order::Prefetch(identity) => {
                if let Err(error) = self.entry(&identity, Priority::Warmup) {
                    tracing::warn!(%identity, %error, "certificate not fetched ahead");
                }
            }
            Order::Forget(identity) => self.forget(&identity),
        }
    }

    fn wait_for(&mut self, identity: Identity, waiter: oneshot::Sender<Answer>) {
        let now = (self.shared.clock)();
        let entry = match self.entry(&identity, Priority::RealTime) {
            Ok(entry) => entry,
            Err(error) => return drop(waiter.send(Err(Arc::new(error)))),
        };
        let current = entry.slot.current.load_full();
        if let Some(current) = current.filter(|current| current.not_after() > now) {
            return drop(waiter.send(Ok(current)));
        }
        let failure = entry.slot.failure.load_full();
        match failure.filter(|_| !entry.is_running && entry.due > Instant::now()) {
            // the next attempt is spaced out: whoever asks now hears of the last one
            Some(failure) => drop(waiter.send(Err(failure))),
            None => {
                entry.priority = Priority::RealTime;
                entry.due = entry.due.min(Instant::now());
                entry.waiters.push(waiter);
            }
        }
    }

    fn entry(&mut self, identity: &Identity, priority: Priority) -> Result<&mut Entry, Error> {
        let limit = self.settings.identities;
        if !self.entries.contains_key(identity) {
            if self.entries.len() >= limit {
                return Err(Error::TooMany { limit });
            }
            let slot = Arc::new(Slot::default());
            let mut slots = Slots::clone(&self.shared.slots.load());
            slots.insert(identity.clone(), Arc::clone(&slot));
            self.shared.slots.store(Arc::new(slots));
            self.generation += 1;
            let entry = Entry {
                slot,
                priority,
                due: Instant::now(),
                failures: 0,
                generation: self.generation,
                is_running: false,
                waiters: Vec::new(),
            };
            self.entries.insert(identity.clone(), entry);
        }
        self.entries
            .get_mut(identity)
            .ok_or(Error::TooMany { limit })
    }

    fn forget(&mut self, identity: &Identity) {
        let mut slots = Slots::clone(&self.shared.slots.load());
        slots.remove(identity);
        self.shared.slots.store(Arc::new(slots));
        let Some(entry) = self.entries.remove(identity) else {
            return;
        };
        let error = Arc::new(Error::Forgotten {
            identity: identity.clone(),
        });
        for waiter in entry.waiters {
            let _ = waiter.send(Err(Arc::clone(&error)));
        }
    }

    /// Starts requests as far as places allow; says when the next one will be due.
    fn start_what_is_due(&mut self) -> Option<Instant> {
        let now = Instant::now();
        while self.running.len() < self.settings.parallel {
            let due = self.entries.iter().filter(|(_, entry)| !entry.is_running);
            let due = due
                .filter(|(_, entry)| entry.due <= now)
                .map(|(identity, entry)| {
                    (
                        identity,
                        Due {
                            priority: entry.priority,
                            since: entry.due,
                        },
                    )
                });
            let Some(identity) = schedule::first(due).cloned() else {
                break;
            };
            let Some(entry) = self.entries.get_mut(&identity) else {
                break;
            };
            entry.is_running = true;
            let generation = entry.generation;
            let authority = Arc::clone(&self.authority);
            let (settings, shared) = (self.settings.clone(), Arc::clone(&self.shared));
            self.running.push(Box::pin(async move {
                let clock = &*shared.clock;
                let made = request::certify(&*authority, identity.clone(), &settings, clock).await;
                (identity, generation, made)
            }));
        }
        let waiting = self
            .entries
            .values()
            .filter(|entry| !entry.is_running && entry.due > now);
        waiting.map(|entry| entry.due).min()
    }

    fn finish(&mut self, (identity, generation, made): Done) {
        let Some(entry) = self.entries.get_mut(&identity) else {
            return;
        };
        if entry.generation != generation {
            return;
        }
        entry.is_running = false;
        let answer = match made {
            Ok(credentials) => {
                let received = (self.shared.clock)();
                let pause = schedule::renew_after(credentials.not_after(), received);
                entry.failures = 0;
                entry.due = Instant::now() + pause;
                let credentials = Arc::new(credentials);
                entry.slot.failure.store(None);
                entry.slot.current.store(Some(Arc::clone(&credentials)));
                tracing::debug!(%identity, serial = credentials.serial(), "certificate is here");
                Ok(credentials)
            }
            Err(error) => {
                entry.failures = entry.failures.saturating_add(1);
                let pause = schedule::retry_after(entry.failures, rand::random());
                entry.due = Instant::now() + pause;
                let report = crate::telemetry::report(&error);
                tracing::warn!(%identity, error = %report, retry_in = ?pause, "no certificate");
                let error = Arc::new(error);
                entry.slot.failure.store(Some(Arc::clone(&error)));
                Err(error)
            }
        };
        entry.priority = Priority::Background;
        for waiter in entry.waiters.drain(..) {
            let _ = waiter.send(answer.clone());
        }
    }
}
