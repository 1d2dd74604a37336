//! Feeds what is served and the picture of the mesh from the controller: the one writer of both.

use bytes::Bytes;
use mesh::names::NamespacedHostname;
use mesh::state::{Removal, Store};
use mesh::telemetry::report;
use mesh::wire::{self, Update};
use mesh::xds;

use crate::served;

/// Type URLs this waypoint subscribes to, in this order: policies come before what they judge.
pub const TYPES: [&str; 4] = [
    wire::attached::TYPE_URL,
    wire::waypoint::TYPE_URL,
    wire::routes::TYPE_URL,
    wire::address::TYPE_URL,
];

/// What is asked of the controller: everything that is for this waypoint, and addresses by name.
pub fn subscriptions() -> [xds::Subscription; 4] {
    TYPES.map(|type_url| {
        let mode = match type_url == wire::address::TYPE_URL {
            true => xds::Mode::OnDemand,
            false => xds::Mode::Wildcard,
        };
        xds::Subscription { type_url, mode }
    })
}

/// Applies what the controller sends.
pub struct Picture {
    store: Store,
    served: served::Writer,
    /// Which of the wildcard types have come once.
    known: [bool; 3],
}

impl Picture {
    /// The single writer of `store` and of what is served.
    pub fn new(store: Store, served: served::Writer) -> Self {
        Self {
            store,
            served,
            known: [false; 3],
        }
    }

    fn addresses(
        &mut self,
        resources: Vec<(String, Bytes)>,
        removed: Vec<String>,
    ) -> Vec<(String, String)> {
        let mut refused = Vec::new();
        let mut updates: Vec<Update> = Vec::with_capacity(resources.len());
        for (name, bytes) in resources {
            match wire::address::decode(&bytes) {
                Ok(update) => updates.push(update),
                Err(error) => refused.push((name, report(&error))),
            }
        }
        let removed = removed
            .into_iter()
            .map(|name| Removal::Address(name.into()));
        self.store.apply(updates, removed);
        refused
    }

    fn routes(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let key = NamespacedHostname::parse(name);
        let reject = |it: &mut Self| {
            if let Some(key) = &key {
                it.served.reject_routes(key);
            }
        };
        match wire::routes::decode(bytes) {
            Ok(routes) if Some(&routes.key) == key.as_ref() => {
                let set = self.served.set_routes(&routes);
                set.map_err(|error| report(&error))
            }
            Ok(routes) => {
                reject(self);
                Err(format!("routes of {} have another name", routes.key))
            }
            Err(error) => {
                reject(self);
                Err(report(&error))
            }
        }
    }

    fn policy(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let decoded = wire::attached::decode(bytes).map_err(|error| report(&error));
        let checked = decoded.and_then(|policy| match policy.resource_name() == name {
            true => Ok(policy),
            false => Err(format!(
                "policy {} has another name",
                policy.resource_name()
            )),
        });
        match checked {
            Ok(policy) => {
                self.served.set_policy(name, Some(policy));
                Ok(())
            }
            Err(reason) => {
                self.served.set_policy(name, None);
                Err(reason)
            }
        }
    }

    fn one(&mut self, type_url: &str, name: &str, bytes: &[u8]) -> Result<(), String> {
        if type_url == wire::routes::TYPE_URL {
            self.routes(name, bytes)
        } else if type_url == wire::attached::TYPE_URL {
            self.policy(name, bytes)
        } else {
            let waypoint = wire::waypoint::decode(bytes).map_err(|error| report(&error))?;
            self.served.set_waypoint(waypoint);
            Ok(())
        }
    }

    fn remove(&mut self, type_url: &str, name: &str) {
        if type_url == wire::routes::TYPE_URL {
            if let Some(key) = NamespacedHostname::parse(name) {
                self.served.remove_routes(&key);
            }
        } else if type_url == wire::attached::TYPE_URL {
            self.served.remove_policy(name);
        }
    }

    fn know(&mut self, type_url: &str) {
        for (known, one) in self.known.iter_mut().zip(TYPES) {
            *known |= one == type_url;
        }
        if self.known == [true; 3] {
            self.served.complete();
        }
        self.served.publish();
    }
}

impl xds::Apply for Picture {
    /// One push is one version: readers see all of it or nothing.
    fn apply(
        &mut self,
        type_url: &'static str,
        resources: Vec<(String, Bytes)>,
        removed: Vec<String>,
    ) -> Vec<(String, String)> {
        if type_url == wire::address::TYPE_URL {
            return self.addresses(resources, removed);
        }
        for name in &removed {
            self.remove(type_url, name);
        }
        let mut refused = Vec::new();
        for (name, bytes) in resources {
            if let Err(reason) = self.one(type_url, &name, &bytes) {
                refused.push((name, reason));
            }
        }
        self.know(type_url);
        refused
    }

    fn note_empty(&mut self, type_url: &'static str, names: Vec<String>) {
        if type_url == wire::address::TYPE_URL {
            return;
        }
        for name in names {
            // without content it cannot be read
            let _ = self.one(type_url, &name, &[0xff]);
        }
        self.know(type_url);
    }
}
