//! Pure. Whose certificates a node needs. Source: docs/compat.md#certificates.

use std::collections::BTreeSet;

use mesh::identity::Identity;
use mesh::model::TunnelKind;
use mesh::state::Snapshot;

use crate::pod::PodInfo;

/// Identities of the workloads of `node` that speak HBONE, by their proxy or by themselves, and of `pods`,
/// which were handed over, as far as the mesh knows them.
///
/// A node proxy that does not know its node's name would take the whole mesh for its own.
pub(super) fn identities(snapshot: &Snapshot, node: &str, pods: &[PodInfo]) -> BTreeSet<Identity> {
    let mut wanted = BTreeSet::new();
    if !node.is_empty() {
        let local = snapshot.local_workloads();
        let in_mesh = local.filter(|it| it.tunnel() == TunnelKind::Hbone || it.has_native_tunnel());
        wanted.extend(in_mesh.map(|it| it.identity().clone()));
    }
    let own =
        |pod: &PodInfo| snapshot.find_workload(&pod.namespace, &pod.name, &pod.service_account);
    wanted.extend(pods.iter().filter_map(own).map(|it| it.identity().clone()));
    wanted
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mesh::identity::TrustDomain;
    use mesh::model::Workload;
    use mesh::names::WorkloadUid;
    use mesh::state::{Settings, Store};
    use mesh::wire::Update;

    use super::*;
    use crate::drawn;

    fn record(name: &str, account: &str, change: impl FnOnce(&mut Workload)) -> Update {
        let mut workload = Workload {
            uid: WorkloadUid::pod("Kubernetes", "shop", name),
            namespace: "shop".into(),
            service_account: account.into(),
            node: "here".into(),
            tunnel: TunnelKind::Hbone,
            ..drawn::pod(name, &[])
        };
        change(&mut workload);
        Update::Workload(Box::new(workload))
    }

    fn snapshot(node: &str, records: Vec<Update>) -> Arc<Snapshot> {
        let (mut store, reader) = Store::new(Settings {
            node: node.into(),
            ..Settings::default()
        });
        store.apply(records, []);
        reader.snapshot()
    }

    fn handed_over(name: &str, account: &str) -> PodInfo {
        PodInfo {
            name: name.into(),
            namespace: "shop".into(),
            service_account: account.into(),
        }
    }

    fn names(wanted: &BTreeSet<Identity>) -> Vec<&str> {
        wanted.iter().map(|it| &*it.service_account).collect()
    }

    fn everybody() -> Vec<Update> {
        vec![
            record("web-1", "web", |_| {}),
            record("web-2", "web", |_| {}),
            record("plain", "plain", |it| it.tunnel = TunnelKind::None),
            record("native", "native", |it| {
                (it.tunnel, it.native_tunnel) = (TunnelKind::None, true);
            }),
            record("far", "far", |it| it.node = "there".into()),
        ]
    }

    #[test]
    fn workloads_of_this_node_that_speak_hbone_count_once_per_identity() {
        let wanted = identities(&snapshot("here", everybody()), "here", &[]);
        assert_eq!(names(&wanted), ["native", "web"]);
    }

    #[test]
    fn pods_that_were_handed_over_count_when_the_mesh_knows_them_under_that_account() {
        let snapshot = snapshot("here", everybody());
        let pods = [
            handed_over("plain", "plain"),
            handed_over("web-1", "another"),
            handed_over("unheard-of", "unheard-of"),
            handed_over("far", "far"),
        ];
        let wanted = identities(&snapshot, "here", &pods);
        assert_eq!(names(&wanted), ["native", "plain", "web"]);
    }

    #[test]
    fn without_a_name_of_the_node_only_pods_that_were_handed_over_count() {
        let wanted = identities(&snapshot("", everybody()), "", &[handed_over("far", "far")]);
        assert_eq!(names(&wanted), ["far"]);
    }

    #[test]
    fn an_identity_follows_its_record_to_another_trust_domain() {
        let moved = record("web-1", "web", |it| {
            it.trust_domain = TrustDomain::parse("example.org").unwrap();
        });
        let wanted = identities(&snapshot("here", vec![moved]), "here", &[]);
        let texts: Vec<_> = wanted.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["spiffe://example.org/ns/shop/sa/web"]);
    }
}
