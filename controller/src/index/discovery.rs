//! Objects of namespaces that MeshConfig's `discoverySelectors` do not choose: kept aside, as if they did not
//! exist, until they are looked at. Source: docs/compat.md#mesh-config.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use objects::change::Change;
use objects::kinds::Key;
use objects::object::Object;

use crate::shelf::Shelf;
use crate::translate::mesh_config::MeshConfig;
use crate::translate::namespaces;

/// What is kept aside, by namespace.
#[derive(Debug, Default)]
pub(super) struct Aside {
    objects: HashMap<String, BTreeMap<Key, Arc<Object>>>,
}

/// Whether a namespace is looked at.
pub(super) fn is_seen(config: &MeshConfig, shelf: &Shelf, namespace: &str) -> bool {
    let is_plain = namespace.is_empty() || config.discovery_selectors.is_empty();
    is_plain || {
        let metadata = shelf.namespace(namespace).map(|it| &it.metadata);
        config.discovers(&namespaces::labels(namespace, metadata))
    }
}

impl Aside {
    /// Keeps a change of a namespace that is not looked at.
    pub(super) fn keep(&mut self, change: Change) {
        let objects = self
            .objects
            .entry(change.key.namespace.clone())
            .or_default();
        match change.object {
            Some(object) => {
                objects.insert(change.key, object);
            }
            None => {
                objects.remove(&change.key);
            }
        }
    }

    /// Everything of a namespace that is looked at from now on, as changes.
    pub(super) fn reveal(&mut self, namespace: &str) -> Vec<Change> {
        let objects = self.objects.remove(namespace).unwrap_or_default();
        let shown = objects.into_iter().map(|(key, object)| Change {
            key,
            object: Some(object),
        });
        shown.collect()
    }

    /// Puts a namespace aside that is not looked at any more; what has to leave the shelf, as changes.
    pub(super) fn hide(&mut self, shelf: &Shelf, keys: Vec<Key>) -> Vec<Change> {
        let mut changes = Vec::new();
        for key in keys {
            if let Some(object) = shelf.share(&key) {
                self.keep(Change {
                    key: key.clone(),
                    object: Some(object),
                });
                changes.push(Change { key, object: None });
            }
        }
        changes
    }

    /// An object that is aside.
    pub(super) fn find(&self, key: &Key) -> Option<&Object> {
        let objects = self.objects.get(&key.namespace)?;
        objects.get(key).map(Arc::as_ref)
    }

    /// Namespaces with something aside.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.objects.keys().map(String::as_str)
    }
}
