//! One workload of a snapshot, as readers see it.

use std::net::IpAddr;
use std::sync::Arc;

use super::records::{Addresses, Record};
use super::{ClientPlace, WorkloadId};
use crate::identity::{Identity, TrustDomain};
use crate::model::{
    ApplicationTunnel, GatewayAddress, Health, Locality, NetworkMode, Origin, PortPair,
    ServiceEndpoint, TunnelKind, Workload, WorkloadKind,
};
use crate::names::{NamespacedHostname, NamespacedName, WorkloadUid};

/// One workload of a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct WorkloadView<'a> {
    pub(super) id: WorkloadId,
    pub(super) record: &'a Record,
}

impl<'a> WorkloadView<'a> {
    /// Its id in this snapshot.
    pub fn id(self) -> WorkloadId {
        self.id
    }

    /// Its mesh-wide id.
    pub fn uid(self) -> &'a str {
        &self.record.uid
    }

    /// Name of the pod or entry.
    pub fn name(self) -> &'a str {
        match self
            .record
            .rare
            .as_ref()
            .and_then(|rare| rare.name.as_deref())
        {
            Some(name) => name,
            None => self
                .record
                .uid
                .get(usize::from(self.record.name_at)..)
                .unwrap_or_default(),
        }
    }

    /// Its namespace.
    pub fn namespace(self) -> &'a Arc<str> {
        &self.record.profile.identity.namespace
    }

    /// Its service account.
    pub fn service_account(self) -> &'a Arc<str> {
        &self.record.profile.identity.service_account
    }

    /// The identity it proves with its certificate.
    pub fn identity(self) -> &'a Identity {
        &self.record.profile.identity
    }

    /// Its addresses, in the order its record gave them.
    pub fn addresses(self) -> impl Iterator<Item = IpAddr> + 'a {
        let (one, many): (Option<IpAddr>, &[IpAddr]) = match &self.record.addresses {
            Addresses::None => (None, &[]),
            Addresses::V4(octets) => (Some((*octets).into()), &[]),
            Addresses::V6(octets) => (Some((*octets).into()), &[]),
            Addresses::Many(many) => (None, many),
        };
        one.into_iter().chain(many.iter().copied())
    }

    /// Host name to resolve when it has no address; empty otherwise.
    pub fn hostname(self) -> &'a str {
        self.record
            .rare
            .as_ref()
            .and_then(|rare| rare.hostname.as_deref())
            .unwrap_or_default()
    }

    /// Network of its addresses; empty for the default network.
    pub fn network(self) -> &'a Arc<str> {
        &self.record.profile.network
    }

    /// How to open connections to it.
    pub fn tunnel(self) -> TunnelKind {
        self.record.profile.tunnel
    }

    /// Whether it terminates tunnels itself.
    pub fn has_native_tunnel(self) -> bool {
        self.record.profile.native_tunnel
    }

    /// Node it runs on.
    pub fn node(self) -> &'a Arc<str> {
        &self.record.place.node
    }

    /// Where it runs.
    pub fn locality(self) -> &'a Locality {
        &self.record.place.locality
    }

    /// Cluster it runs in.
    pub fn cluster(self) -> &'a Arc<str> {
        &self.record.profile.cluster
    }

    /// Canonical service, for telemetry.
    pub fn canonical_name(self) -> &'a Arc<str> {
        &self.record.profile.canonical_name
    }

    /// Canonical revision, for telemetry.
    pub fn canonical_revision(self) -> &'a Arc<str> {
        &self.record.profile.canonical_revision
    }

    /// Kind of its owner.
    pub fn workload_kind(self) -> WorkloadKind {
        self.record.profile.workload_kind
    }

    /// Name of its owner.
    pub fn workload_name(self) -> &'a Arc<str> {
        &self.record.profile.workload_name
    }

    /// Whether it can take traffic.
    pub fn health(self) -> Health {
        self.record.health
    }

    /// Services it belongs to and its ports in them.
    pub fn services(self) -> impl Iterator<Item = (&'a NamespacedHostname, &'a [PortPair])> {
        self.record
            .profile
            .services
            .iter()
            .map(|it| (&*it.service, &*it.ports))
    }

    /// Waypoint in front of its own addresses.
    pub fn waypoint(self) -> Option<&'a GatewayAddress> {
        self.record.profile.waypoint.as_deref()
    }

    /// Gateway of its network.
    pub fn network_gateway(self) -> Option<&'a GatewayAddress> {
        self.record.profile.network_gateway.as_deref()
    }

    /// How its application wants tunnelled connections.
    pub fn application_tunnel(self) -> Option<ApplicationTunnel> {
        self.record.profile.application_tunnel
    }

    /// Policies it names.
    pub fn policies(self) -> impl Iterator<Item = &'a NamespacedName> {
        self.record.profile.policies.iter().map(|it| &**it)
    }

    /// Whose addresses it has.
    pub fn network_mode(self) -> NetworkMode {
        self.record.profile.network_mode
    }

    /// Its share of traffic beside other endpoints.
    pub fn capacity(self) -> u32 {
        self.record.profile.capacity
    }

    /// Its labels, sorted by key; none unless [`super::Settings::keeps_labels`].
    pub fn labels(self) -> &'a [(Arc<str>, Arc<str>)] {
        &self.record.profile.labels
    }

    /// The user's object behind it.
    pub fn origin(self) -> Option<Origin> {
        if self.record.origin_is_pod {
            return Some(Origin::object(
                "Pod",
                Arc::clone(self.namespace()),
                self.name(),
            ));
        }
        self.record
            .rare
            .as_ref()
            .and_then(|rare| rare.origin.clone())
    }

    /// Where it stands as a client, for choosing endpoints near it.
    pub fn as_client(self) -> ClientPlace<'a> {
        ClientPlace {
            network: self.network(),
            cluster: self.cluster(),
            node: self.node(),
            locality: self.locality(),
        }
    }

    /// Rank among workloads that share an address (contract: pod with HBONE, pod, HBONE, others).
    pub(super) fn address_rank(self) -> u8 {
        match (self.uid().contains("//Pod/"), self.tunnel()) {
            (true, TunnelKind::Hbone) => 3,
            (true, TunnelKind::None) => 2,
            (false, TunnelKind::Hbone) => 1,
            (false, TunnelKind::None) => 0,
        }
    }

    /// The whole record as the model has it, for dumps.
    pub fn to_model(self) -> Workload {
        let endpoint = |(service, ports): (&NamespacedHostname, &[PortPair])| ServiceEndpoint {
            service: service.clone(),
            ports: ports.to_vec(),
        };
        let trust_domain: &TrustDomain = &self.identity().trust_domain;
        Workload {
            uid: WorkloadUid(self.uid().into()),
            name: self.name().into(),
            namespace: Arc::clone(self.namespace()),
            addresses: self.addresses().collect(),
            hostname: self.hostname().into(),
            network: Arc::clone(self.network()),
            tunnel: self.tunnel(),
            native_tunnel: self.has_native_tunnel(),
            trust_domain: trust_domain.clone(),
            service_account: Arc::clone(self.service_account()),
            node: Arc::clone(self.node()),
            canonical_name: Arc::clone(self.canonical_name()),
            canonical_revision: Arc::clone(self.canonical_revision()),
            workload_kind: self.workload_kind(),
            workload_name: Arc::clone(self.workload_name()),
            cluster: Arc::clone(self.cluster()),
            health: self.health(),
            services: self.services().map(endpoint).collect(),
            waypoint: self.waypoint().cloned(),
            network_gateway: self.network_gateway().cloned(),
            application_tunnel: self.application_tunnel(),
            policies: self.policies().cloned().collect(),
            locality: self.locality().clone(),
            network_mode: self.network_mode(),
            capacity: self.capacity(),
            labels: self.labels().to_vec(),
            origin: self.origin(),
        }
    }
}
