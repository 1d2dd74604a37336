//! The source of an API server: one list and watch per kind.
//!
//! ```text
//! task     one kind: asks and listens
//! follow   what to ask next                              (pure)
//! read     an item becomes an object or a problem        (pure)
//! known    what is new, what is gone                     (pure)
//! gather   what all kinds have said becomes one batch    (pure)
//! ```
//!
//! What readers can rely on:
//! - The first batch is everything that exists, of every kind: it comes when all lists are complete. A kind
//!   that the server does not serve counts as empty; it is looked for again now and then.
//! - What is known stays while the server is away. After that nothing is missed: what went away meanwhile is said to be
//!   gone when it was not in the next list.
//! - An object that cannot be read leaves its last good version in place and is a problem.
//! - What cannot be asked (no permission, no answer) is asked again after a pause, for ever, and is in the log.
//! - No object of a custom resource is gone because its resource is not served, unless it is so three times in a row.

mod task;
mod follow;
mod known;
mod read;
mod gather;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::gather::Gathered;
use self::task::Task;
use super::{Error, Next, Source};
use crate::api::Api;
use crate::change::Batch;
use crate::kinds::Kind;

/// Messages of kinds that wait to be read; every one holds a page of objects at most.
const WAITING: usize = 64;
/// Changes that go into one batch at most, once everything is known.
const TOGETHER: usize = 10_000;
/// How often is said who is still waited for.
const REMIND: Duration = Duration::from_secs(10);

/// A kind to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Which.
    pub kind: Kind,
    /// Whether names, labels and annotations are enough: the server then sends nothing else.
    pub metadata_only: bool,
    /// Only the objects of this namespace.
    pub namespace: Option<String>,
    /// Only the objects with this field, as `spec.nodeName=a`; which fields can be asked for is the server's to say.
    pub field: Option<String>,
}

impl Watched {
    /// Everything of every object of a kind.
    #[must_use]
    pub fn whole(kind: Kind) -> Watched {
        Watched {
            kind,
            metadata_only: false,
            namespace: None,
            field: None,
        }
    }

    /// Names, labels and annotations of every object of a kind.
    #[must_use]
    pub fn metadata(kind: Kind) -> Watched {
        Watched {
            metadata_only: true,
            ..Watched::whole(kind)
        }
    }

    /// Everything of the pods of one node.
    #[must_use]
    pub fn pods_of(node: &str) -> Watched {
        Watched {
            field: Some(format!("spec.nodeName={node}")),
            ..Watched::whole(Kind::Pod)
        }
    }

    fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }
}

/// What one kind has to say.
struct Said {
    kind: Kind,
    batch: Batch,
}

/// Follows kinds of objects of an API server. See the module for what it promises.
#[derive(Debug)]
pub struct ApiServerSource {
    said: mpsc::Receiver<Said>,
    tasks: JoinSet<()>,
    /// Kinds whose first list is not complete.
    awaited: BTreeSet<Kind>,
    gathered: Gathered,
}

impl ApiServerSource {
    /// Begins to follow. Must be called within a tokio runtime that has I/O and time.
    #[must_use]
    pub fn open(api: &Api, watched: Vec<Watched>) -> ApiServerSource {
        let (sender, said) = mpsc::channel(WAITING);
        let awaited = watched.iter().map(|it| it.kind).collect();
        let mut tasks = JoinSet::new();
        for one in watched {
            tasks.spawn(Task::new(api.clone(), one, sender.clone()).run());
        }
        ApiServerSource {
            said,
            tasks,
            awaited,
            gathered: Gathered::default(),
        }
    }

    async fn advance(&mut self) -> Result<Batch, Error> {
        let mut remind = Instant::now() + REMIND;
        loop {
            while let Ok(said) = self.said.try_recv() {
                self.take(said);
                if self.awaited.is_empty() && self.gathered.len() >= TOGETHER {
                    break;
                }
            }
            if self.awaited.is_empty() && self.gathered.has_news() {
                let mut batch = self.gathered.take();
                batch.synced = true;
                return Ok(batch);
            }
            tokio::select! {
                said = self.said.recv() => match said {
                    Some(said) => self.take(said),
                    None => return Err(Error::Ended),
                },
                // A task that ends by itself is a defect: all begin anew.
                _ = self.tasks.join_next() => return Err(Error::Ended),
                () = tokio::time::sleep_until(remind) => {
                    remind += REMIND;
                    if !self.awaited.is_empty() {
                        let kinds = self.awaited.iter().map(|it| it.resource());
                        let kinds = kinds.collect::<Vec<_>>().join(", ");
                        tracing::info!(kinds, "waiting for the API server's lists");
                    }
                }
            }
        }
    }

    fn take(&mut self, said: Said) {
        if said.batch.synced {
            self.awaited.remove(&said.kind);
        }
        self.gathered.add(said.batch);
    }
}

impl Source for ApiServerSource {
    fn next(&mut self) -> Next<'_> {
        Box::pin(self.advance())
    }
}
