//! The network namespaces that the agent holds open, over what is remembered of them on disk.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use mesh::telemetry::report;

use super::find_netns::{Error, FindNetns, Remembered};
use crate::netns::is_same;
use crate::rules::apply;

/// A pod's network.
#[derive(Debug, Clone)]
pub(super) struct Network {
    /// The namespace; equal pointers mean that nothing has changed.
    pub(super) netns: Arc<OwnedFd>,
    /// What the CNI call said.
    pub(super) addresses: Vec<IpAddr>,
}

impl Network {
    /// Whether rules of the mesh are in it; so it is taken to be when nobody can look.
    pub(super) fn is_redirected(&self) -> bool {
        apply::is_redirected(self.netns.as_fd()).unwrap_or(true)
    }
}

/// All networks that are known, by the uid of the pod.
#[derive(Debug)]
pub(super) struct Networks {
    memory: Remembered,
    open: HashMap<String, Network>,
}

impl Networks {
    pub(super) fn in_directory(run_directory: &Path) -> Result<Self, Error> {
        Ok(Networks {
            memory: Remembered::in_directory(run_directory)?,
            open: HashMap::new(),
        })
    }

    /// The network of a pod, if it is known and still there.
    pub(super) fn find(&mut self, uid: &str) -> Option<Network> {
        if let Some(network) = self.open.get(uid) {
            return Some(network.clone());
        }
        let found = self.memory.find(uid).unwrap_or_else(|error| {
            tracing::warn!(
                uid,
                error = report(&error),
                "what is remembered is of no use"
            );
            None
        })?;
        let network = Network {
            netns: Arc::new(found.netns),
            addresses: found.addresses,
        };
        self.open.insert(uid.to_owned(), network.clone());
        Some(network)
    }

    /// Notes what a CNI call said. A runtime that calls again names the same namespace; then nothing is new.
    pub(super) fn note(
        &mut self,
        uid: &str,
        path: &Path,
        addresses: Vec<IpAddr>,
    ) -> Result<(), Error> {
        let netns = self.memory.remember(uid, path, &addresses)?;
        let is_known = self.open.get(uid).is_some_and(|known| {
            known.addresses == addresses && is_same(known.netns.as_fd(), netns.as_fd())
        });
        if !is_known {
            let netns = Arc::new(netns);
            self.open
                .insert(uid.to_owned(), Network { netns, addresses });
        }
        Ok(())
    }

    /// The pods that an agent before has noted.
    pub(super) fn remembered(&self) -> Result<Vec<String>, Error> {
        self.memory.uids()
    }

    /// Lets go of a pod's namespace, which would otherwise live on.
    pub(super) fn forget(&mut self, uid: &str) {
        self.open.remove(uid);
        if let Err(error) = self.memory.forget(uid) {
            tracing::warn!(uid, error = report(&error), "cannot forget the pod");
        }
    }
}
