//! Pure. Who is at either end of a request, and the service that was asked. Empty where nothing is known.

use std::sync::Arc;

use mesh::hbone::Baggage;
use mesh::identity::Identity;
use mesh::model::WorkloadKind;
use mesh::state::{ServiceView, WorkloadView};

/// One end of a request. Made once per tunnel or endpoint, then shared by its requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Party {
    /// Name of the owner: deployment, job, ...; never the pod's, so that restarts add nothing.
    pub workload: Arc<str>,
    /// What the owner is.
    pub kind: WorkloadKind,
    /// Name of the pod or entry; for spans and logs only.
    pub instance: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Canonical service.
    pub canonical_service: Arc<str>,
    /// Canonical revision.
    pub canonical_revision: Arc<str>,
    /// Label `app`, else `app.kubernetes.io/name`, else the canonical service.
    pub app: Arc<str>,
    /// The version: the canonical revision.
    pub version: Arc<str>,
    /// Cluster.
    pub cluster: Arc<str>,
    /// SPIFFE id that its certificate proved; empty without mutual TLS.
    pub principal: Arc<str>,
}

impl Party {
    /// What a record says; `proved` is the identity of its certificate. `labels` are the pod's, where
    /// they are known.
    pub fn of_workload<'a>(
        workload: WorkloadView<'_>,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        proved: Option<&Identity>,
    ) -> Self {
        let canonical = workload.canonical_name();
        Self {
            workload: Arc::clone(workload.workload_name()),
            kind: workload.workload_kind(),
            instance: workload.name().into(),
            namespace: Arc::clone(workload.namespace()),
            canonical_service: Arc::clone(canonical),
            canonical_revision: Arc::clone(workload.canonical_revision()),
            app: app(labels).map_or_else(|| Arc::clone(canonical), Arc::from),
            version: Arc::clone(workload.canonical_revision()),
            cluster: Arc::clone(workload.cluster()),
            principal: principal(proved),
        }
    }

    /// What a client's node proxy says of it in the tunnel's `baggage`; nothing there is proved but
    /// the identity.
    pub fn of_baggage(baggage: &Baggage, proved: Option<&Identity>) -> Self {
        let text = |it: &Option<Box<str>>| it.as_deref().map_or_else(Arc::default, Arc::from);
        let (kind, workload) = match &baggage.workload {
            Some((kind, name)) => (*kind, Arc::from(&**name)),
            None => (WorkloadKind::default(), Arc::default()),
        };
        let service: Arc<str> = text(&baggage.service_name);
        let version: Arc<str> = text(&baggage.service_version);
        // The namespace of a certificate is better than that of a claim.
        let namespace = match proved {
            Some(identity) => Arc::clone(&identity.namespace),
            None => text(&baggage.namespace),
        };
        Self {
            workload,
            kind,
            instance: Arc::default(),
            namespace,
            canonical_service: Arc::clone(&service),
            canonical_revision: Arc::clone(&version),
            app: service,
            version,
            cluster: text(&baggage.cluster),
            principal: principal(proved),
        }
    }
}

fn app<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<&'a str> {
    let mut recommended = None;
    for (key, value) in labels {
        match key {
            "app" if !value.is_empty() => return Some(value),
            "app.kubernetes.io/name" if !value.is_empty() => recommended = Some(value),
            _ => {}
        }
    }
    recommended
}

fn principal(proved: Option<&Identity>) -> Arc<str> {
    proved.map_or_else(Arc::default, |identity| identity.to_string().into())
}

/// The word of a kind in spans. Source: docs/compat.md#request-traces.
pub const fn kind_word(kind: WorkloadKind) -> &'static str {
    match kind {
        WorkloadKind::Deployment => "deployment",
        WorkloadKind::CronJob => "cronjob",
        WorkloadKind::Pod => "pod",
        WorkloadKind::Job => "job",
    }
}

/// The service that was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Served {
    /// Host name.
    pub hostname: Arc<str>,
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name of the object.
    pub name: Arc<str>,
}

impl Served {
    /// Of a service's record.
    pub fn of(service: ServiceView<'_>) -> Self {
        Self {
            hostname: Arc::clone(&service.key().hostname),
            namespace: Arc::clone(&service.key().namespace),
            name: Arc::clone(service.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_is_the_first_label_that_says_so() {
        for (labels, expected) in [
            (&[][..], None),
            (&[("app.kubernetes.io/name", "b")][..], Some("b")),
            (
                &[("app.kubernetes.io/name", "b"), ("app", "a")][..],
                Some("a"),
            ),
            (&[("app", ""), ("version", "1")][..], None),
        ] {
            assert_eq!(app(labels.iter().copied()), expected);
        }
    }

    #[test]
    fn a_certificate_beats_what_baggage_claims() {
        let baggage = Baggage::parse(
            b"k8s.cluster.name=c,k8s.namespace.name=liar,k8s.deployment.name=d,service.name=s,service.version=v",
        );
        let identity = Identity::parse("spiffe://cluster.local/ns/shop/sa/one").unwrap();
        let party = Party::of_baggage(&baggage, Some(&identity));
        assert_eq!(&*party.namespace, "shop");
        assert_eq!(&*party.workload, "d");
        assert_eq!((&*party.app, &*party.version), ("s", "v"));
        assert_eq!(&*party.principal, "spiffe://cluster.local/ns/shop/sa/one");
        assert_eq!(&*Party::of_baggage(&baggage, None).namespace, "liar");
    }
}
