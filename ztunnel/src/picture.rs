//! Feeds the picture of the mesh from the controller: the one writer of `mesh::state`.

use bytes::Bytes;
use mesh::state::{Removal, Store};
use mesh::wire::{self, Update};
use mesh::xds;

/// Type URLs this proxy subscribes to, in this order: a controller that hears first of policies sends no
/// workload before what judges it, however long the second request is under way.
pub const TYPES: [&str; 2] = [wire::policy::TYPE_URL, wire::address::TYPE_URL];

/// Applies what the controller sends.
pub struct Picture {
    store: Store,
}

impl Picture {
    /// The single writer of `store`.
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

impl xds::Apply for Picture {
    /// One push is one batch: readers see all of it or nothing.
    fn apply(
        &mut self,
        type_url: &'static str,
        resources: Vec<(String, Bytes)>,
        removed: Vec<String>,
    ) -> Vec<(String, String)> {
        let is_policy = type_url == wire::policy::TYPE_URL;
        let mut updates = Vec::with_capacity(resources.len());
        let mut rejected = Vec::new();
        for (name, bytes) in resources {
            let decoded = if is_policy {
                wire::policy::decode(&bytes).map(|policy| Update::Policy(Box::new(policy)))
            } else {
                wire::address::decode(&bytes)
            };
            match decoded {
                Ok(update) => updates.push(update),
                Err(error) => rejected.push((name, mesh::telemetry::report(&error))),
            }
        }
        let removed: Vec<_> = removed
            .into_iter()
            .map(|name| match is_policy {
                true => Removal::Policy(name.into()),
                false => Removal::Address(name.into()),
            })
            .collect();
        if is_policy {
            self.store.know_policies();
        }
        self.store.apply(updates, removed);
        rejected
    }
}
