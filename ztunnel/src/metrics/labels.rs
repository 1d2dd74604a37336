//! Pure. The labels of the connection metrics: names, order, and what stands for an empty value.
//! Source: docs/compat.md#metrics.

use std::borrow::Cow;
use std::sync::Arc;

use mesh::flow::Direction;
use mesh::identity::Identity;
use mesh::state::{ServiceView, WorkloadView};

/// One end of a connection, as metrics tell it. Empty where nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Who {
    /// Name of the owner: deployment, job, ...; never the pod's, so that restarts add nothing.
    pub workload: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Canonical service; stands for the application too.
    pub canonical_service: Arc<str>,
    /// Canonical revision; stands for the version too.
    pub canonical_revision: Arc<str>,
    /// Cluster.
    pub cluster: Arc<str>,
    /// Of a source: what its certificate proved, never what its address suggests. Of a destination:
    /// what its record says, which a tunnel has proved.
    pub principal: Option<Identity>,
}

impl Who {
    /// What a record says; the principal is up to the caller.
    pub fn of(workload: WorkloadView<'_>, principal: Option<Identity>) -> Self {
        Self {
            workload: Arc::clone(workload.workload_name()),
            namespace: Arc::clone(workload.namespace()),
            canonical_service: Arc::clone(workload.canonical_name()),
            canonical_revision: Arc::clone(workload.canonical_revision()),
            cluster: Arc::clone(workload.cluster()),
            principal,
        }
    }
}

/// The service of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Named {
    /// Host name.
    pub hostname: Arc<str>,
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name of the object.
    pub name: Arc<str>,
}

impl Named {
    /// Of a service's record.
    pub fn of(service: ServiceView<'_>) -> Self {
        Self {
            hostname: Arc::clone(&service.key().hostname),
            namespace: Arc::clone(&service.key().namespace),
            name: Arc::clone(service.name()),
        }
    }
}

/// Everything that tells one series of connections from another, but for how they ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Labels {
    /// Which door: outbound is reported by the source, inbound by the destination.
    pub direction: Direction,
    /// Who opened it.
    pub source: Who,
    /// Whom it goes to.
    pub destination: Who,
    /// Service it was addressed to or is guessed to belong to.
    pub service: Named,
    /// Whether it goes through a tunnel.
    pub is_mutual_tls: bool,
}

/// `source` for the outbound door, `destination` for the inbound one.
pub fn reporter(direction: Direction) -> &'static str {
    match direction {
        Direction::Outbound => "source",
        Direction::Inbound => "destination",
    }
}

impl Labels {
    /// Nothing is known but the door.
    pub fn new(direction: Direction) -> Self {
        Self {
            direction,
            source: Who::default(),
            destination: Who::default(),
            service: Named::default(),
            is_mutual_tls: false,
        }
    }

    /// Names and values in the contract's order, with the flag of how the connection ended.
    pub fn pairs(&self, flag: &'static str) -> [(&'static str, Cow<'_, str>); 23] {
        let (source, destination, service) = (&self.source, &self.destination, &self.service);
        let policy = match self.is_mutual_tls {
            true => "mutual_tls",
            false => "unknown",
        };
        let [s1, s2, s3, s4, s5, s6, s7, s8] = source_pairs(source);
        [
            ("reporter", reporter(self.direction).into()),
            s1,
            s2,
            s3,
            s4,
            s5,
            s6,
            s7,
            s8,
            ("destination_service", known(&service.hostname)),
            ("destination_service_namespace", known(&service.namespace)),
            ("destination_service_name", known(&service.name)),
            ("destination_workload", known(&destination.workload)),
            (
                "destination_canonical_service",
                known(&destination.canonical_service),
            ),
            (
                "destination_canonical_revision",
                known(&destination.canonical_revision),
            ),
            (
                "destination_workload_namespace",
                known(&destination.namespace),
            ),
            ("destination_principal", principal(destination)),
            ("destination_app", known(&destination.canonical_service)),
            (
                "destination_version",
                known(&destination.canonical_revision),
            ),
            ("destination_cluster", known(&destination.cluster)),
            ("request_protocol", "tcp".into()),
            ("response_flags", flag.into()),
            ("connection_security_policy", policy.into()),
        ]
    }
}

/// The part about the source, in the contract's order.
pub fn source_pairs(source: &Who) -> [(&'static str, Cow<'_, str>); 8] {
    [
        ("source_workload", known(&source.workload)),
        ("source_canonical_service", known(&source.canonical_service)),
        (
            "source_canonical_revision",
            known(&source.canonical_revision),
        ),
        ("source_workload_namespace", known(&source.namespace)),
        ("source_principal", principal(source)),
        ("source_app", known(&source.canonical_service)),
        ("source_version", known(&source.canonical_revision)),
        ("source_cluster", known(&source.cluster)),
    ]
}

fn known(value: &str) -> Cow<'_, str> {
    match value {
        "" => "unknown".into(),
        value => value.into(),
    }
}

fn principal(who: &Who) -> Cow<'static, str> {
    match &who.principal {
        None => "unknown".into(),
        Some(identity) => identity.to_string().into(),
    }
}
