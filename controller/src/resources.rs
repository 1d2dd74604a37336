//! What we publish: resources by type and name with version, and the feed of their changes.
//!
//! In: what translation made of the objects. Out: a table per type for `publish`, and a number that grows
//! with every change. Bytes are encoded once and shared by all subscribers. A subscriber needs no
//! queue of its own: it remembers the number up to which it was told, and reads on from there.

mod table;
mod ranges;
mod index;
mod audience;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use mesh::model::{Policy, PolicyScope};
use mesh::wire::policy;
use tokio::sync::watch;

pub use audience::Audience;
pub use ranges::{read_address, read_range};
pub use table::{Keys, Links, Resource, SCOPED, TOMBSTONES, Table};

/// A resource to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upsert {
    /// Its name, unique within its type.
    pub name: String,
    /// Its content.
    pub bytes: Bytes,
    /// What else it is found by; only on-demand clients need it.
    pub links: Links,
    /// Whom it is for.
    pub audience: Audience,
}

impl From<(String, Bytes)> for Upsert {
    fn from((name, bytes): (String, Bytes)) -> Self {
        Self {
            name,
            bytes,
            links: Links::default(),
            audience: Audience::everyone(),
        }
    }
}

impl From<&Policy> for Upsert {
    fn from(policy: &Policy) -> Self {
        Self {
            name: policy.key.to_string(),
            bytes: policy::encode(policy),
            links: Links {
                is_scoped: policy.scope != PolicyScope::WorkloadSelector,
                ..Links::default()
            },
            audience: Audience::everyone(),
        }
    }
}

/// Changes of one type.
#[derive(Clone, Debug)]
pub struct Change {
    /// Type URL.
    pub type_url: &'static str,
    /// New and recomputed resources; those that came out equal are found and dropped.
    pub upserts: Vec<Upsert>,
    /// Names that are gone.
    pub removed: Vec<String>,
}

/// How much of the changes offered was real.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Resources offered, because something they depend on changed.
    pub recomputed: u64,
    /// Of those, new or different from what was published.
    pub changed: u64,
    /// Removed, and published before.
    pub removed: u64,
}

/// Everything published, for one writer and many readers.
#[derive(Debug)]
pub struct Resources {
    published: RwLock<Published>,
    head: watch::Sender<u64>,
}

/// The tables behind the lock; readers hold it for one page at most.
#[derive(Debug)]
pub struct Published {
    types: Vec<(&'static str, Table)>,
    head: u64,
    is_complete: bool,
    counters: BTreeMap<&'static str, Counters>,
}

impl Resources {
    /// Empty tables for `type_urls`; other types are not served. Nothing is sent to anyone before
    /// [`Resources::complete`].
    pub fn new(type_urls: impl IntoIterator<Item = &'static str>) -> Self {
        let types = type_urls.into_iter().map(|t| (t, Table::default()));
        let published = Published {
            types: types.collect(),
            head: 0,
            is_complete: false,
            counters: BTreeMap::new(),
        };
        Self {
            published: RwLock::new(published),
            head: watch::channel(0).0,
        }
    }

    /// Publishes changes of one type; see [`Resources::commit`].
    pub fn update<U: Into<Upsert>>(
        &self,
        type_url: &'static str,
        upserts: Vec<U>,
        removed: Vec<String>,
    ) -> Counters {
        let upserts = upserts.into_iter().map(Into::into).collect();
        self.commit(vec![Change {
            type_url,
            upserts,
            removed,
        }])
    }

    /// Publishes changes that belong together: nobody sees one without the others. Upserts that
    /// equal what is published and removals of unknown names change nothing and wake nobody.
    pub fn commit(&self, changes: Vec<Change>) -> Counters {
        let mut published = self.write();
        let before = published.head;
        let total = published.commit(changes);
        let head = published.head;
        drop(published);
        if head != before {
            self.head.send_replace(head);
        }
        total
    }

    /// Says that everything known at start has been published: from now on clients are answered. Before,
    /// a client that comes back would be told that all it holds is gone.
    pub fn complete(&self) {
        let mut published = self.write();
        published.is_complete = true;
        let head = published.head;
        drop(published);
        self.head.send_replace(head);
    }

    /// The tables, locked against changes while the guard lives: for short reads only.
    pub fn read(&self) -> RwLockReadGuard<'_, Published> {
        self.published
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes when something was published.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// Numbers since the start, by type.
    pub fn counters(&self) -> BTreeMap<&'static str, Counters> {
        self.read().counters.clone()
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Published> {
        self.published
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Published {
    /// Empty tables that are complete, for tests of what reads them.
    #[cfg(test)]
    pub(crate) fn complete_for_test(type_urls: &[&'static str]) -> Self {
        Self {
            types: type_urls.iter().map(|t| (*t, Table::default())).collect(),
            head: 0,
            is_complete: true,
            counters: BTreeMap::new(),
        }
    }

    /// Whether clients may be answered.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Number of the latest change.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// The table of a type; `None` for types that are not served.
    pub fn table(&self, type_url: &str) -> Option<&Table> {
        self.types
            .iter()
            .find(|(t, _)| *t == type_url)
            .map(|(_, table)| table)
    }

    pub(crate) fn commit(&mut self, changes: Vec<Change>) -> Counters {
        let mut total = Counters::default();
        for Change {
            type_url,
            upserts,
            removed,
        } in changes
        {
            let Some((_, table)) = self.types.iter_mut().find(|(t, _)| *t == type_url) else {
                tracing::error!(type_url, "resources of a type that is not served");
                continue;
            };
            let mut counters = Counters::default();
            for upsert in upserts {
                counters.recomputed += 1;
                if table.insert(self.head + 1, upsert) {
                    self.head += 1;
                    counters.changed += 1;
                }
            }
            for name in removed {
                if table.remove(self.head + 1, &name) {
                    self.head += 1;
                    counters.removed += 1;
                }
            }
            self.counters.entry(type_url).or_default().add(counters);
            total.add(counters);
        }
        total
    }
}

impl Counters {
    fn add(&mut self, other: Self) {
        self.recomputed += other.recomputed;
        self.changed += other.changed;
        self.removed += other.removed;
    }
}

/// Names are shared between table, log and indexes.
type Name = Arc<str>;

#[cfg(test)]
mod tests;
