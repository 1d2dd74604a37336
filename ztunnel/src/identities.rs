//! Keeps certificates ready for this node: asks for one when the first workload of an identity comes, lets it
//! go with the last. Next hop: `mesh::cert`.

mod wanted;

use std::collections::BTreeSet;
use std::sync::Arc;

use mesh::cert::KeeperHandle;
use mesh::state::Reader;
use tokio::sync::watch;

use crate::pod::PodInfo;

/// Follows the picture of the mesh and the pods that are handed over, until nobody hands over any more.
/// `node` is this node's name; without one only pods that were handed over count.
///
/// Source: docs/compat.md#certificates.
pub async fn follow(
    node: &str,
    state: Reader,
    certificates: KeeperHandle,
    mut pods: watch::Receiver<Arc<[PodInfo]>>,
) {
    let mut changed = state.changed();
    let mut kept = BTreeSet::new();
    loop {
        changed.mark_unchanged();
        let enrolled = Arc::clone(&pods.borrow_and_update());
        let wanted = wanted::identities(&state.snapshot(), node, &enrolled);
        for identity in wanted.difference(&kept) {
            certificates.prefetch(identity).await;
        }
        for identity in kept.difference(&wanted) {
            certificates.forget(identity).await;
        }
        kept = wanted;
        tokio::select! {
            changed = pods.changed() => if changed.is_err() { return },
            changed = changed.changed() => if changed.is_err() { return },
        }
    }
}
