//! What Kubernetes' control plane does, each role by itself: a pure plan over the picture, and a pen that settles it.

pub(crate) mod scheduler;
pub(crate) mod replicas;
pub(crate) mod waypoints;
pub(crate) mod service_addresses;
pub(crate) mod endpoints;
pub(crate) mod service_proxy;
pub(crate) mod names;
pub(crate) mod tokens;

use crate::cluster::{Cluster, View, Wanted};

/// What should be written, given the picture and what this role wrote before (its memory of decisions).
type Plan = fn(&View, &Wanted) -> Wanted;

/// The roles that are nothing but a plan, with the manager names that appear in `status/`.
pub(crate) const PLANNED: [(&str, Plan); 4] = [
    ("scheduler", scheduler::plan),
    ("replicas", replicas::plan),
    ("service-addresses", service_addresses::plan),
    ("endpoints", endpoints::plan),
];

/// Plays one role until the picture ends.
pub(crate) async fn play(
    cluster: Cluster,
    manager: &'static str,
    plan: impl Fn(&View, &Wanted) -> Wanted,
) {
    let mut views = cluster.watch();
    let mut writer = cluster.writer(manager);
    loop {
        let view = views.borrow_and_update().clone();
        let wanted = plan(&view, writer.written());
        writer.settle(wanted).await;
        if views.changed().await.is_err() {
            return;
        }
    }
}
