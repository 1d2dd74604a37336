//! Where the index's task leaves changes for the deployer: the latest of each object that can concern it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use objects::change::Change;
use objects::kinds::{Key, Kind};
use tokio::sync::Notify;

use super::waypoint::GATEWAY_NAME;

/// Kinds that can concern the deployer.
const KINDS: [Kind; 10] = [
    Kind::Namespace,
    Kind::GatewayClass,
    Kind::Gateway,
    Kind::ConfigMap,
    Kind::Service,
    Kind::ServiceAccount,
    Kind::Deployment,
    Kind::HorizontalPodAutoscaler,
    Kind::PodDisruptionBudget,
    Kind::Pod,
];

/// One inbox; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Inbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    letters: Mutex<Letters>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Letters {
    waiting: BTreeMap<Key, Change>,
    /// Pods that were spoken of: only they are worth a word when they are gone.
    pods: std::collections::HashSet<Key>,
}

impl Inbox {
    /// Leaves what of these changes can concern the deployer.
    pub fn leave(&self, changes: &[Change]) {
        let mut letters = self.letters();
        let before = letters.waiting.len();
        for change in changes.iter().filter(|it| KINDS.contains(&it.key.kind)) {
            if change.key.kind == Kind::Pod {
                letters.leave_pod(change);
            } else {
                letters.put(change.clone());
            }
        }
        let is_more = letters.waiting.len() > before;
        drop(letters);
        if is_more {
            self.0.more.notify_one();
        }
    }

    /// Everything that was left since the last time.
    pub(super) fn take(&self) -> Vec<Change> {
        let waiting = std::mem::take(&mut self.letters().waiting);
        waiting.into_values().collect()
    }

    /// Until something was left.
    pub(super) async fn heard(&self) {
        self.0.more.notified().await;
    }

    fn letters(&self) -> std::sync::MutexGuard<'_, Letters> {
        self.0
            .letters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Letters {
    fn put(&mut self, change: Change) {
        self.waiting.insert(change.key.clone(), change);
    }

    /// Most pods are not those of waypoints: one that is not is as one that does not exist.
    fn leave_pod(&mut self, change: &Change) {
        let object = change.object.as_ref();
        let object = object.filter(|it| it.metadata().labels.has(GATEWAY_NAME));
        let key = change.key.clone();
        let is_news = match object {
            Some(_) => {
                self.pods.insert(key.clone());
                true
            }
            None => self.pods.remove(&key),
        };
        if is_news {
            let object = object.cloned();
            self.put(Change { key, object });
        }
    }
}
