//! Objects for tests, from YAML text.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use controller::index::allocator::Prefixes;
use controller::index::{Index, Outcome, Settings, Type};
use controller::metrics::Metrics;
use controller::problems::Problems;
use controller::resources::Upsert;
use controller::translate::status::Status;
use objects::change::{Batch, Change, Key};
use objects::object::{Object, Parts, identify};
use objects::raw;

/// Every object of a YAML text as new.
pub(crate) fn changes(text: &str) -> Vec<Change> {
    let documents = raw::parse(text.as_bytes()).unwrap();
    let file: Arc<Path> = Path::new("test.yaml").into();
    let read = |document: raw::Document| {
        let key = identify(&document).unwrap();
        let (file, document) = (Arc::clone(&file), Arc::new(document.pack()));
        let parts = Parts {
            file,
            document,
            patches: Vec::new(),
        };
        let object = Object::read(key.clone(), parts, 0).unwrap();
        Change {
            key,
            object: Some(Arc::new(object)),
        }
    };
    documents.into_iter().map(read).collect()
}

/// The same objects as gone.
pub(crate) fn removals(text: &str) -> Vec<Change> {
    changes(text)
        .into_iter()
        .map(|change| Change {
            object: None,
            ..change
        })
        .collect()
}

/// These changes as one batch.
pub(crate) fn batch(changes: Vec<Change>) -> Batch {
    Batch {
        changes,
        synced: true,
        ..Batch::default()
    }
}

/// An index and the resources it made so far.
pub(crate) struct World {
    /// The index.
    pub(crate) index: Index,
    /// Its problems.
    pub(crate) problems: Arc<Problems>,
    /// What was published, policies and addresses.
    pub(crate) resources: BTreeMap<String, Bytes>,
    /// The same with what was published for waypoints, by type.
    pub(crate) published: BTreeMap<(Type, String), Upsert>,
    /// What the status of every object should say, where that is anything.
    pub(crate) statuses: BTreeMap<Key, Status>,
}

impl World {
    /// An empty world.
    pub(crate) fn new() -> Self {
        let problems = Arc::new(Problems::default());
        let settings = Settings {
            cluster: "Kubernetes".into(),
            domain: "cluster.local".into(),
            system_namespace: "weft-system".into(),
            prefixes: Prefixes::default(),
        };
        let index = Index::new(settings, Arc::clone(&problems), Metrics::default());
        Self {
            index,
            problems,
            resources: BTreeMap::new(),
            published: BTreeMap::new(),
            statuses: BTreeMap::new(),
        }
    }

    /// Takes changes in; says which resources differ afterwards.
    pub(crate) fn apply(&mut self, changes: Vec<Change>) -> Vec<String> {
        let gone = changes.iter().filter(|change| change.object.is_none());
        let gone: Vec<Key> = gone.map(|change| change.key.clone()).collect();
        let mut outcome = self.index.apply(batch(changes));
        for key in gone {
            self.statuses.remove(&key);
        }
        for wish in outcome.statuses.drain(..) {
            match wish.status.is_empty() {
                true => self.statuses.remove(&wish.key),
                false => self.statuses.insert(wish.key, wish.status),
            };
        }
        self.publish(&mut outcome);
        let (policies, addresses) = (outcome.policies, outcome.addresses);
        let mut changed = Vec::new();
        // In the order in which they are committed: a name that is in both would be gone.
        let upserts = policies.upserts.into_iter().chain(addresses.upserts);
        for Upsert { name, bytes, .. } in upserts {
            if self.resources.get(&name) != Some(&bytes) {
                changed.push(name.clone());
                self.resources.insert(name, bytes);
            }
        }
        for name in policies.removed.into_iter().chain(addresses.removed) {
            if self.resources.remove(&name).is_some() {
                changed.push(name);
            }
        }
        changed.sort();
        changed
    }
    fn publish(&mut self, outcome: &mut Outcome) {
        for r#type in Type::ALL {
            let changes = outcome.of(r#type);
            for upsert in &changes.upserts {
                let key = (r#type, upsert.name.clone());
                self.published.insert(key, upsert.clone());
            }
            for name in &changes.removed {
                self.published.remove(&(r#type, name.clone()));
            }
        }
    }
}
