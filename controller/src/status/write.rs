//! Writes statuses, one object after the other; what cannot be written is tried again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh::telemetry::report;
use objects::kinds::Key;
use objects::sink::{Error, Sink};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::{Notify, watch};

use super::{MANAGER, Wish, fields};
use crate::translate::status::Status;

/// Pause before what could not be written is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause doubles with every failure in a row, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Where the index leaves its wishes: the latest of each object, so never more than there are objects.
#[derive(Clone, Debug, Default)]
pub struct Statuses {
    waiting: Arc<Mutex<BTreeMap<Key, Wish>>>,
    /// What was said last, of each object that was said something about.
    said: Arc<Mutex<HashMap<Key, Said>>>,
    more: Arc<Notify>,
}

impl Statuses {
    /// Takes wishes in, each instead of an earlier one about the same object.
    pub fn wish(&self, wishes: Vec<Wish>) {
        if wishes.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(wishes.into_iter().map(|wish| (wish.key.clone(), wish)));
        drop(waiting);
        self.more.notify_one();
    }

    /// Objects that are gone: nothing is said of them, and what was said went with them.
    pub fn forget<'a>(&self, gone: impl Iterator<Item = &'a Key>) {
        for key in gone {
            self.take(key);
            self.said().remove(key);
        }
    }

    fn said(&self) -> MutexGuard<'_, HashMap<Key, Said>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys(&self) -> Vec<Key> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.keys().cloned().collect()
    }

    fn take(&self, key: &Key) -> Option<Wish> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.remove(key)
    }

    /// Gives a wish back, unless a later one has come.
    fn give_back(&self, wish: Wish) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.entry(wish.key.clone()).or_insert(wish);
    }
}

/// The one task that writes statuses.
pub struct Writer {
    sink: Arc<dyn Sink>,
    statuses: Statuses,
}

/// Uid, generation, words.
type Said = (String, i64, Status);

/// A wish that is being written; given back when that is not done, also when it is dropped in the middle.
struct Kept<'a> {
    statuses: &'a Statuses,
    wish: Wish,
    is_done: bool,
}

impl<'a> Kept<'a> {
    fn new(statuses: &'a Statuses, wish: Wish) -> Self {
        Self {
            statuses,
            wish,
            is_done: false,
        }
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.statuses.give_back(self.wish.clone());
        }
    }
}

impl Writer {
    /// A writer that has said nothing yet.
    pub fn new(sink: Arc<dyn Sink>, statuses: Statuses) -> Self {
        Self { sink, statuses }
    }

    /// Writes what is wished while this program leads, for as long as it runs. Until then wishes wait.
    pub async fn run(mut self, mut leads: watch::Receiver<bool>) {
        while leads.wait_for(|leads| *leads).await.is_ok() {
            // Another may have written meanwhile.
            self.statuses.said().clear();
            let lost = async {
                // Where nobody else can lead, nobody says so.
                if leads.wait_for(|leads| !*leads).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = self.write_on() => {}
                () = lost => {}
            }
        }
    }

    async fn write_on(&mut self) {
        let mut pause = PAUSE;
        loop {
            match self.round().await {
                true => {
                    pause = PAUSE;
                    self.statuses.more.notified().await;
                }
                false => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Writes everything that waits; whether all of it could be written.
    async fn round(&mut self) -> bool {
        let mut all_well = true;
        // One at a time, so that what waits is not lost when this ends in the middle.
        for key in self.statuses.keys() {
            let Some(wish) = self.statuses.take(&key) else {
                continue;
            };
            let mut kept = Kept::new(&self.statuses, wish);
            match self.write(&kept.wish).await {
                Ok(()) => kept.is_done = true,
                Err(error) => {
                    tracing::warn!(object = %key, error = report(&error), "status is not written");
                    // What can never be written is not tried again until there is other news.
                    kept.is_done = error.is_final();
                    all_well &= kept.is_done;
                }
            }
        }
        all_well
    }

    async fn write(&self, wish: &Wish) -> Result<(), Error> {
        let said = (wish.uid.clone(), wish.generation, wish.status.clone());
        if self.statuses.said().get(&wish.key) == Some(&said) {
            return Ok(());
        }
        if wish.status.is_empty() {
            // Also what a controller before this one has said.
            self.sink.remove(MANAGER, &wish.key).await?;
        } else {
            let now = OffsetDateTime::now_utc();
            let now = now.replace_nanosecond(0).unwrap_or(now);
            let now = now.format(&Rfc3339).unwrap_or_default();
            let patch = fields::patch(wish, &now);
            let uid = Some(wish.uid.as_str());
            self.sink.patch(MANAGER, &wish.key, uid, patch).await?;
        }
        self.statuses.said().insert(wish.key.clone(), said);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
