//! Writes statuses, one object after the other; what cannot be written is tried again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh::telemetry::report;
use objects::kinds::Key;
use objects::sink::{Error, Sink};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Notify;

use super::{MANAGER, Wish, fields};
use crate::translate::status::Status;

/// Pause before what could not be written is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Where the index leaves its wishes: the latest of each object, so never more than there are objects.
#[derive(Clone, Debug, Default)]
pub struct Statuses {
    waiting: Arc<Mutex<BTreeMap<Key, Wish>>>,
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

    fn take(&self) -> BTreeMap<Key, Wish> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
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
    /// What was said last, of each object that was said something about: uid, generation, words.
    said: HashMap<Key, (String, i64, Status)>,
}

impl Writer {
    /// A writer that has said nothing yet.
    pub fn new(sink: Arc<dyn Sink>, statuses: Statuses) -> Self {
        Self {
            sink,
            statuses,
            said: HashMap::new(),
        }
    }

    /// Writes what is wished, for as long as the program runs.
    pub async fn run(mut self) {
        loop {
            self.statuses.more.notified().await;
            while !self.round().await {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Writes everything that waits; whether all of it could be written.
    async fn round(&mut self) -> bool {
        let mut all_well = true;
        for (key, wish) in self.statuses.take() {
            if let Err(error) = self.write(&wish).await {
                tracing::warn!(object = %key, error = report(&error), "status is not written");
                self.statuses.give_back(wish);
                all_well = false;
            }
        }
        all_well
    }

    async fn write(&mut self, wish: &Wish) -> Result<(), Error> {
        let said = (wish.uid.clone(), wish.generation, wish.status.clone());
        if self.said.get(&wish.key) == Some(&said) {
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
        self.said.insert(wish.key.clone(), said);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
