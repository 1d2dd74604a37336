//! The single writer, and the handle by which any number of readers see its newest snapshot.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use super::apply::Writer;
use super::snapshot::Snapshot;
use super::{Removal, Settings};
use crate::model::Reach;
use crate::wire::Update;

/// Owns the picture; the task that applies what the controller sends holds it.
pub struct Store {
    writer: Writer,
    current: Arc<ArcSwap<Snapshot>>,
    changed: watch::Sender<u64>,
}

/// Reads the picture. Loading never waits, however busy the writer is.
#[derive(Clone, Debug)]
pub struct Reader {
    current: Arc<ArcSwap<Snapshot>>,
    changed: watch::Receiver<u64>,
}

impl Store {
    /// An empty picture.
    pub fn new(settings: Settings) -> (Self, Reader) {
        let writer = Writer::new(settings);
        let current = Arc::new(ArcSwap::from_pointee(writer.snapshot.clone()));
        let (sender, changed) = watch::channel(0);
        let reader = Reader {
            current: Arc::clone(&current),
            changed,
        };
        (
            Self {
                writer,
                current,
                changed: sender,
            },
            reader,
        )
    }

    /// Applies one batch, removals before updates, and publishes it whole: readers see none of it or
    /// all of it, and are told once. Its cost follows the batch, not the size of the mesh.
    pub fn apply(
        &mut self,
        updates: impl IntoIterator<Item = Update>,
        removals: impl IntoIterator<Item = Removal>,
    ) {
        self.apply_with(updates, removals, []);
    }

    /// The same, with policies that could not be read, by resource name and whom they may apply to. Until a
    /// good version or the removal comes, [`super::PolicySet::rejected`] names them, unless there is
    /// an earlier version: that one stays in force.
    pub fn apply_with(
        &mut self,
        updates: impl IntoIterator<Item = Update>,
        removals: impl IntoIterator<Item = Removal>,
        rejected: impl IntoIterator<Item = (Box<str>, Reach)>,
    ) {
        self.writer.apply(updates, removals, rejected);
        self.current.store(Arc::new(self.writer.snapshot.clone()));
        self.changed.send_replace(self.writer.snapshot.version());
    }

    /// The controller has said which policies there are; shown with the next batch.
    pub fn know_policies(&mut self) {
        self.writer.snapshot.knows_policies = true;
    }

    /// How many shared values are held, for tests of churn.
    #[cfg(test)]
    pub(super) fn interned(&self) -> usize {
        self.writer.interned()
    }
}

impl Reader {
    /// The newest snapshot, for a short look; do not keep the guard across waiting.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// The newest snapshot, to keep.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Version of the newest snapshot, to wait for the next one.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }
}
