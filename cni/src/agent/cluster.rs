//! Pure. What the agent knows of the cluster: the pods of its node, and the labels of namespaces.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use objects::change::{Batch, Change, Problem};
use objects::kinds::{Key, Kind};
use objects::kubernetes::Pod;
use objects::labels::Labels;
use objects::object::Object;

/// The pods of one node, and the labels of all namespaces.
#[derive(Debug)]
pub(super) struct Cluster {
    node: String,
    pods: HashMap<Key, Arc<Object>>,
    namespaces: HashMap<String, Labels>,
    /// What cannot be read, and may stand for anything that is missing here.
    problems: HashSet<Problem>,
}

impl Cluster {
    pub(super) fn new(node: &str) -> Self {
        Cluster {
            node: node.to_owned(),
            pods: HashMap::new(),
            namespaces: HashMap::new(),
            problems: HashSet::new(),
        }
    }

    /// Takes in what changed; returns the pods that must be looked at again, also those that are gone.
    pub(super) fn apply(&mut self, batch: Batch) -> BTreeSet<Key> {
        let mut touched = BTreeSet::new();
        self.problems.extend(batch.problems);
        for resolved in &batch.resolved {
            self.problems.remove(resolved);
        }
        for change in batch.changes {
            match change.key.kind {
                Kind::Pod => touched.extend(self.apply_pod(change)),
                Kind::Namespace => touched.extend(self.apply_namespace(&change)),
                _ => {}
            }
        }
        touched
    }

    pub(super) fn pod(&self, key: &Key) -> Option<&Pod> {
        self.pods.get(key)?.pod()
    }

    /// All pods of the node.
    pub(super) fn pods(&self) -> impl Iterator<Item = Key> {
        self.pods.keys().cloned()
    }

    pub(super) fn namespace(&self, name: &str) -> Option<&Labels> {
        self.namespaces.get(name)
    }

    /// Whether a namespace that is not there may be in a document that cannot be read.
    pub(super) fn may_hide_namespace(&self, name: &str) -> bool {
        let key = Key::new(Kind::Namespace, "", name);
        self.hides(|problem| *problem == key)
    }

    /// Whether a pod that is not there may be in a document that cannot be read.
    pub(super) fn may_hide_pods(&self) -> bool {
        self.hides(|problem| problem.kind == Kind::Pod)
    }

    fn hides(&self, concerns: impl Fn(&Key) -> bool) -> bool {
        let mut keys = self.problems.iter().map(|problem| problem.key.as_ref());
        keys.any(|key| key.is_none_or(&concerns))
    }

    fn apply_pod(&mut self, Change { key, object }: Change) -> Option<Key> {
        let is_here = |object: &Arc<Object>| {
            object
                .pod()
                .is_some_and(|pod| pod.spec.node_name == self.node)
        };
        match object.filter(is_here) {
            Some(object) => {
                self.pods.insert(key.clone(), object);
                Some(key)
            }
            None => self.pods.remove(&key).map(|_| key),
        }
    }

    fn apply_namespace(&mut self, change: &Change) -> Vec<Key> {
        let name = &change.key.name;
        let labels = change
            .object
            .as_ref()
            .map(|object| object.metadata().labels.clone());
        let before = match labels.clone() {
            Some(labels) => self.namespaces.insert(name.clone(), labels),
            None => self.namespaces.remove(name),
        };
        if before == labels {
            return Vec::new();
        }
        self.pods
            .keys()
            .filter(|pod| pod.namespace == *name)
            .cloned()
            .collect()
    }
}
