//! Feeds the picture of the mesh from the controller: the one writer of `mesh::state`.

use bytes::Bytes;
use mesh::state::{Removal, Store};
use mesh::wire::{self, Update};
use mesh::xds;

/// Type URLs this proxy subscribes to, in this order: a controller that hears first of policies sends no
/// workload before what judges it, however long the second request is under way.
pub const TYPES: [&str; 2] = [wire::policy::TYPE_URL, wire::address::TYPE_URL];

/// What is asked of the controller: all policies, and all addresses unless they are to be asked for
/// one by one. Source: docs/compat.md#delta-discovery.
pub fn subscriptions(on_demand: bool) -> [xds::Subscription; 2] {
    TYPES.map(|type_url| {
        let mode = match on_demand && type_url == wire::address::TYPE_URL {
            true => xds::Mode::OnDemand,
            false => xds::Mode::Wildcard,
        };
        xds::Subscription { type_url, mode }
    })
}

/// Applies what the controller sends.
pub struct Picture {
    store: Store,
    root: Box<str>,
}

impl Picture {
    /// The single writer of `store`. Policies of the namespace `root` may be for the whole mesh.
    pub fn new(store: Store, root: &str) -> Self {
        let root = root.into();
        Self { store, root }
    }

    /// A policy must have the name of its resource: by that name it will be removed.
    fn policy(name: &str, bytes: &[u8]) -> Result<Update, String> {
        match wire::policy::decode(bytes) {
            Ok(policy) if policy.key.to_string() == name => Ok(Update::Policy(Box::new(policy))),
            Ok(policy) => Err(format!(
                "policy {:?} has another name",
                policy.key.to_string()
            )),
            Err(error) => Err(mesh::telemetry::report(&error)),
        }
    }
}

impl xds::Apply for Picture {
    /// One push is one batch: readers see all of it or nothing. Policies that cannot be read are known
    /// to be there.
    fn apply(
        &mut self,
        type_url: &'static str,
        resources: Vec<(String, Bytes)>,
        removed: Vec<String>,
    ) -> Vec<(String, String)> {
        let is_policy = type_url == wire::policy::TYPE_URL;
        let mut updates = Vec::with_capacity(resources.len());
        let mut rejected = Vec::new();
        let mut reaches = Vec::new();
        for (name, bytes) in resources {
            let decoded = if is_policy {
                Self::policy(&name, &bytes)
            } else {
                wire::address::decode(&bytes).map_err(|error| mesh::telemetry::report(&error))
            };
            match decoded {
                Ok(update) => updates.push(update),
                Err(reason) => {
                    if is_policy {
                        let reach = wire::policy::reach(&name, &bytes, &self.root);
                        reaches.push((name.as_str().into(), reach));
                    }
                    rejected.push((name, reason));
                }
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
        self.store.apply_with(updates, removed, reaches);
        rejected
    }

    fn note_empty(&mut self, type_url: &'static str, names: Vec<String>) {
        if type_url == wire::policy::TYPE_URL {
            let reach = |name: String| {
                let reach = wire::policy::reach(&name, &[], &self.root);
                (name.into(), reach)
            };
            let rejected: Vec<_> = names.into_iter().map(reach).collect();
            self.store.apply_with([], [], rejected);
        }
    }
}

#[cfg(test)]
mod tests;
