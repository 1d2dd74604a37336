//! Pure. Which pod runs where under which account: what the certificate authority asks.
//!
//! A projection of the shelf, kept apart so that the authority reads it while the index works.

use std::collections::HashMap;
use std::sync::Arc;

use mesh::names::NamespacedName;

/// One pod that is placed on a node and has not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resident {
    /// The pod's unique id.
    pub uid: Arc<str>,
    /// Its service account.
    pub service_account: Arc<str>,
    /// Its node.
    pub node: Arc<str>,
    /// The gateway of its namespace that it is an instance of, as its label says.
    pub gateway: Option<Arc<str>>,
}

/// All pods that are placed on nodes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Residents {
    pods: HashMap<Arc<str>, HashMap<Arc<str>, Resident>>,
    accounts: HashMap<Arc<str>, HashMap<NamespacedName, u32>>,
}

impl Residents {
    /// Adds a pod, or says anew what is known of it.
    pub fn insert(&mut self, namespace: &str, name: &str, resident: Resident) {
        self.remove(namespace, name);
        let account = NamespacedName::new(namespace, resident.service_account.clone());
        let accounts = self.accounts.entry(resident.node.clone()).or_default();
        *accounts.entry(account).or_default() += 1;
        self.pods
            .entry(namespace.into())
            .or_default()
            .insert(name.into(), resident);
    }

    /// Forgets a pod.
    pub fn remove(&mut self, namespace: &str, name: &str) {
        let Some(pods) = self.pods.get_mut(namespace) else {
            return;
        };
        let Some(resident) = pods.remove(name) else {
            return;
        };
        if pods.is_empty() {
            self.pods.remove(namespace);
        }
        let Some(accounts) = self.accounts.get_mut(&resident.node) else {
            return;
        };
        let account = NamespacedName::new(namespace, resident.service_account);
        if let Some(count) = accounts.get_mut(&account) {
            *count -= 1;
            if *count == 0 {
                accounts.remove(&account);
            }
        }
        if accounts.is_empty() {
            self.accounts.remove(&resident.node);
        }
    }

    /// The pod `name` of `namespace`.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&Resident> {
        self.pods.get(namespace)?.get(name)
    }

    /// Whether a pod of this account is on `node`.
    pub fn has_on_node(&self, node: &str, namespace: &str, service_account: &str) -> bool {
        let Some(accounts) = self.accounts.get(node) else {
            return false;
        };
        accounts.contains_key(&NamespacedName::new(namespace, service_account))
    }
}
