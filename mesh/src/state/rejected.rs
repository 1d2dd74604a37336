//! Policies that could not be read and have no earlier version, by whom they may apply to.
//!
//! Nobody knows what they would refuse; so nobody new is admitted where they may apply.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::Reach;

/// All of them; few, so readers share the whole and the writer copies it to change it.
#[derive(Clone, Debug, Default)]
pub(super) struct Rejected {
    by_name: BTreeMap<Arc<str>, Reach>,
    of_mesh: BTreeSet<Arc<str>>,
    by_namespace: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}

impl Rejected {
    /// Name and reach of each, in order of name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Reach)> {
        self.by_name.iter().map(|(name, reach)| (&**name, reach))
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Of that name, in its own words.
    pub(super) fn name(&self, name: &str) -> Option<&str> {
        self.by_name.get_key_value(name).map(|(name, _)| &**name)
    }

    /// One that may apply to workloads of that namespace without being named.
    pub(super) fn reaching(&self, namespace: &str) -> Option<&str> {
        let of_mesh = self.of_mesh.first();
        let here = || self.by_namespace.get(namespace)?.first();
        of_mesh.or_else(here).map(|it| &**it)
    }

    pub(super) fn put(&mut self, name: &str, reach: Reach) {
        self.remove(name);
        let name: Arc<str> = name.into();
        match &reach {
            Reach::Mesh => _ = self.of_mesh.insert(Arc::clone(&name)),
            Reach::Namespace(namespace) => {
                let there = self.by_namespace.entry(Arc::clone(namespace)).or_default();
                there.insert(Arc::clone(&name));
            }
            Reach::Named => {}
        }
        self.by_name.insert(name, reach);
    }

    pub(super) fn remove(&mut self, name: &str) {
        match self.by_name.remove(name) {
            Some(Reach::Mesh) => _ = self.of_mesh.remove(name),
            Some(Reach::Namespace(namespace)) => {
                if let Some(there) = self.by_namespace.get_mut(&namespace) {
                    there.remove(name);
                    if there.is_empty() {
                        self.by_namespace.remove(&namespace);
                    }
                }
            }
            Some(Reach::Named) | None => {}
        }
    }
}
