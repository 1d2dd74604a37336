//! One live certificate per identity: waiters share one request, renewals happen in time.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::handle::{Answer, Clock, KeeperHandle, Order, Shared, Slot, Slots};
use super::schedule::{self, Due, Priority, Queue};
use super::{CertificateAuthority, Error, Settings, request};
use crate::identity::Identity;
use crate::lifecycle::task;
use crate::tls::Credentials;

/// Orders that may wait for the keeper.
const ORDERS: usize = 1024;

/// The task that owns all certificates.
pub struct Keeper<A> {
    authority: Arc<A>,
    settings: Settings,
    shared: Arc<Shared>,
    entries: HashMap<Identity, Entry, foldhash::fast::RandomState>,
    /// Readers do not see the present set of entries yet.
    is_stale: bool,
    /// Everybody whose request is not under way.
    queue: Queue<Identity, Instant>,
    running: FuturesUnordered<BoxFuture<'static, Done>>,
    generation: u64,
}

type Done = (Identity, u64, Result<Credentials, Error>);

struct Entry {
    slot: Arc<Slot>,
    due: Due<Instant>,
    failures: u32,
    /// Tells an answer for an identity that was forgotten and came back from a current one.
    generation: u64,
    is_running: bool,
    /// Stays until it is forgotten; others go when they have no certificate and nobody asks.
    is_kept: bool,
    /// Somebody asked since the last attempt began.
    is_asked_for: bool,
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
            is_stale: false,
            queue: Queue::default(),
            running: FuturesUnordered::new(),
            generation: 0,
        };
        task::spawn("certificates", keeper.run(inbox));
        KeeperHandle { shared, orders }
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
        let mut orders = Vec::new();
        loop {
            let next = self.start_what_is_due();
            self.publish();
            let wait = async {
                match next {
                    Some(when) => tokio::time::sleep_until(when).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                received = inbox.recv_many(&mut orders, ORDERS) => {
                    if received == 0 {
                        return;
                    }
                    for order in orders.drain(..) {
                        self.obey(order);
                    }
                }
                Some(done) = self.running.next() => self.finish(done),
                () = wait => {}
            }
        }
    }

    /// Shows readers which identities there are; once for all orders that came together, because it
    /// costs as much as there are identities.
    fn publish(&mut self) {
        if std::mem::take(&mut self.is_stale) {
            let slot = |(identity, entry): (&Identity, &Entry)| {
                (identity.clone(), Arc::clone(&entry.slot))
            };
            let slots: Slots = self.entries.iter().map(slot).collect();
            self.shared.slots.store(Arc::new(slots));
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Get(identity, waiter) => self.wait_for(identity, waiter),
            Order::Prefetch(identity) => match self.entry(&identity, Priority::Warmup) {
                Ok(entry) => entry.is_kept = true,
                Err(error) => {
                    tracing::warn!(%identity, %error, "certificate not fetched ahead");
                }
            },
            Order::Forget(identity) => self.forget(&identity),
        }
    }

    fn wait_for(&mut self, identity: Identity, waiter: oneshot::Sender<Answer>) {
        let (now, instant) = ((self.shared.clock)(), Instant::now());
        let entry = match self.entry(&identity, Priority::RealTime) {
            Ok(entry) => entry,
            Err(error) => return drop(waiter.send(Err(Arc::new(error)))),
        };
        let current = entry.slot.current.load_full();
        if let Some(current) = current.filter(|current| current.not_after() > now) {
            return drop(waiter.send(Ok(current)));
        }
        entry.is_asked_for = true;
        let failure = entry.slot.failure.load_full();
        match failure.filter(|_| !entry.is_running && entry.due.since > instant) {
            // the next attempt is spaced out: whoever asks now hears of the last one
            Some(failure) => drop(waiter.send(Err(failure))),
            None => {
                entry.waiters.push(waiter);
                if !entry.is_running {
                    let due = Due {
                        priority: Priority::RealTime,
                        since: entry.due.since.min(instant),
                    };
                    entry.due = due;
                    self.queue.put(identity, due);
                }
            }
        }
    }

    fn entry(&mut self, identity: &Identity, priority: Priority) -> Result<&mut Entry, Error> {
        let limit = self.settings.identities;
        if !self.entries.contains_key(identity) {
            if self.entries.len() >= limit {
                return Err(Error::TooMany { limit });
            }
            self.generation += 1;
            let entry = Entry {
                slot: Arc::default(),
                due: Due {
                    priority,
                    since: Instant::now(),
                },
                failures: 0,
                generation: self.generation,
                is_running: false,
                is_kept: false,
                is_asked_for: true,
                waiters: Vec::new(),
            };
            self.queue.put(identity.clone(), entry.due);
            self.entries.insert(identity.clone(), entry);
            self.is_stale = true;
        }
        self.entries
            .get_mut(identity)
            .ok_or(Error::TooMany { limit })
    }

    fn forget(&mut self, identity: &Identity) {
        let Some(entry) = self.entries.remove(identity) else {
            return;
        };
        self.queue.remove(identity);
        self.is_stale = true;
        let error = Arc::new(Error::Forgotten {
            identity: identity.clone(),
        });
        for waiter in entry.waiters {
            let _ = waiter.send(Err(Arc::clone(&error)));
        }
    }

    /// Starts requests as far as places allow; says when the next one will be due.
    fn start_what_is_due(&mut self) -> Option<Instant> {
        self.queue.advance(Instant::now());
        while self.running.len() < self.settings.parallel {
            let Some(identity) = self.queue.pop() else {
                break;
            };
            let now = (self.shared.clock)();
            let Some(entry) = self.entries.get_mut(&identity) else {
                continue;
            };
            let current = entry.slot.current.load_full();
            let serves = current.is_some_and(|current| current.not_after() > now);
            if !(serves || entry.is_kept || entry.is_asked_for) {
                // left over from a connection of a workload that is gone
                self.forget(&identity);
                continue;
            }
            entry.is_running = true;
            entry.is_asked_for = false;
            let generation = entry.generation;
            let authority = Arc::clone(&self.authority);
            let (settings, shared) = (self.settings.clone(), Arc::clone(&self.shared));
            self.running.push(Box::pin(async move {
                let clock = &*shared.clock;
                let made = request::certify(&*authority, identity.clone(), &settings, clock).await;
                (identity, generation, made)
            }));
        }
        self.queue.next_due()
    }

    fn finish(&mut self, (identity, generation, made): Done) {
        let Some(entry) = self.entries.get_mut(&identity) else {
            return;
        };
        if entry.generation != generation {
            return;
        }
        let (answer, pause) = match made {
            Ok(credentials) => {
                let received = (self.shared.clock)();
                entry.failures = 0;
                let credentials = Arc::new(credentials);
                entry.slot.failure.store(None);
                entry.slot.current.store(Some(Arc::clone(&credentials)));
                tracing::debug!(%identity, serial = credentials.serial(), "certificate is here");
                let pause = schedule::renew_after(credentials.not_after(), received);
                (Ok(credentials), pause)
            }
            Err(error) => {
                entry.failures = entry.failures.saturating_add(1);
                let pause = schedule::retry_after(entry.failures, rand::random());
                let report = crate::telemetry::report(&error);
                tracing::warn!(%identity, error = %report, retry_in = ?pause, "no certificate");
                let error = Arc::new(error);
                entry.slot.failure.store(Some(Arc::clone(&error)));
                (Err(error), pause)
            }
        };
        entry.is_running = false;
        entry.due = Due {
            priority: Priority::Background,
            since: Instant::now() + pause,
        };
        for waiter in entry.waiters.drain(..) {
            let _ = waiter.send(answer.clone());
        }
        self.queue.put(identity, entry.due);
    }
}
