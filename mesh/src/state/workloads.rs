//! Workloads as compact records: what is a workload's own, and shared parts for everything that the
//! pods of one deployment or one node have in common.

use std::net::IpAddr;
use std::sync::Arc;

use super::intern::Interner;
use super::trie::Weigh;
use super::{ClientPlace, WorkloadId};
use crate::identity::{Identity, TrustDomain};
use crate::model::{
    ApplicationTunnel, GatewayAddress, Health, Locality, NetworkMode, Origin, PortPair,
    ServiceEndpoint, TunnelKind, Workload, WorkloadKind,
};
use crate::names::{NamespacedHostname, NamespacedName, WorkloadUid};

/// What one workload does not share with others: about 90 bytes beside its uid.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    uid: Box<str>,
    profile: Arc<Profile>,
    place: Arc<Place>,
    addresses: Addresses,
    rare: Option<Box<Rare>>,
    /// Where in the uid the name begins, unless `rare` holds the name.
    name_at: u16,
    health: Health,
    /// The origin is the pod of the same namespace and name.
    origin_is_pod: bool,
}

impl Weigh for Arc<Record> {}

#[derive(Debug, PartialEq, Eq)]
enum Addresses {
    None,
    V4([u8; 4]),
    V6([u8; 16]),
    Many(Box<[IpAddr]>),
}

/// What few workloads have.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rare {
    name: Option<Box<str>>,
    hostname: Option<Arc<str>>,
    origin: Option<Origin>,
}

/// What the pods of one deployment have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Profile {
    identity: Identity,
    network: Arc<str>,
    cluster: Arc<str>,
    canonical_name: Arc<str>,
    canonical_revision: Arc<str>,
    workload_name: Arc<str>,
    services: Box<[Membership]>,
    policies: Box<[Arc<NamespacedName>]>,
    waypoint: Option<Box<GatewayAddress>>,
    network_gateway: Option<Box<GatewayAddress>>,
    application_tunnel: Option<ApplicationTunnel>,
    capacity: u32,
    workload_kind: WorkloadKind,
    tunnel: TunnelKind,
    native_tunnel: bool,
    network_mode: NetworkMode,
}

/// A profile's part in one service.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Membership {
    pub(super) service: Arc<NamespacedHostname>,
    ports: Box<[PortPair]>,
}

impl Membership {
    /// Port on the workload for a port of the service; `None` when the workload says nothing of it.
    pub(super) fn target_port(&self, service_port: u16) -> Option<u16> {
        let pair = self
            .ports
            .iter()
            .find(|pair| pair.service_port == service_port)?;
        Some(pair.target_port).filter(|port| *port != 0)
    }
}

/// What the pods of one node have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) node: Arc<str>,
    pub(super) locality: Locality,
}

impl Record {
    pub(super) fn new(workload: &Workload, interner: &mut Interner) -> Self {
        let uid = Box::from(&*workload.uid.0);
        let pod = Origin::object(
            "Pod",
            Arc::clone(&workload.namespace),
            Arc::clone(&workload.name),
        );
        let origin_is_pod = workload.origin.as_ref() == Some(&pod);
        let name_at = suffix(&workload.uid.0, &workload.name);
        let rare = Rare {
            name: name_at.is_none().then(|| Box::from(&*workload.name)),
            hostname: Some(&workload.hostname)
                .filter(|it| !it.is_empty())
                .cloned(),
            origin: workload.origin.clone().filter(|_| !origin_is_pod),
        };
        Self {
            uid,
            profile: profile(workload, interner),
            place: place(workload, interner),
            addresses: addresses(&workload.addresses),
            rare: (rare != Rare::default()).then(|| Box::new(rare)),
            name_at: name_at.unwrap_or_default(),
            health: workload.health,
            origin_is_pod,
        }
    }

    pub(super) fn memberships(&self) -> &[Membership] {
        &self.profile.services
    }

    pub(super) fn place(&self) -> &Arc<Place> {
        &self.place
    }

    pub(super) fn health(&self) -> Health {
        self.health
    }

    pub(super) fn capacity(&self) -> u32 {
        self.profile.capacity
    }

    pub(super) fn network(&self) -> &Arc<str> {
        &self.profile.network
    }

    pub(super) fn cluster(&self) -> &Arc<str> {
        &self.profile.cluster
    }

    pub(super) fn has_same_policies(&self, other: &Self) -> bool {
        self.profile.policies == other.profile.policies
    }

    /// Whether its addresses lead to it alone (contract: host network workloads are not found by
    /// address).
    pub(super) fn has_own_addresses(&self) -> bool {
        self.profile.network_mode == NetworkMode::Standard
    }
}

/// Where `name` begins when it is the last part of `uid`.
fn suffix(uid: &str, name: &str) -> Option<u16> {
    let rest = uid.strip_suffix(name)?;
    u16::try_from(rest.len()).ok().filter(|_| !name.is_empty())
}

fn addresses(addresses: &[IpAddr]) -> Addresses {
    match addresses {
        [] => Addresses::None,
        [IpAddr::V4(one)] => Addresses::V4(one.octets()),
        [IpAddr::V6(one)] => Addresses::V6(one.octets()),
        many => Addresses::Many(many.into()),
    }
}

fn profile(workload: &Workload, interner: &mut Interner) -> Arc<Profile> {
    let membership = |endpoint: &ServiceEndpoint, interner: &mut Interner| Membership {
        service: interner.service(&endpoint.service),
        ports: endpoint.ports.as_slice().into(),
    };
    let trust_domain = interner.trust_domain(&workload.trust_domain);
    let profile = Profile {
        identity: Identity::new(
            trust_domain,
            interner.text(&workload.namespace),
            interner.text(&workload.service_account),
        ),
        network: interner.text(&workload.network),
        cluster: interner.text(&workload.cluster),
        canonical_name: interner.text(&workload.canonical_name),
        canonical_revision: interner.text(&workload.canonical_revision),
        workload_name: interner.text(&workload.workload_name),
        services: workload
            .services
            .iter()
            .map(|it| membership(it, interner))
            .collect(),
        policies: workload
            .policies
            .iter()
            .map(|it| interner.policy(it))
            .collect(),
        waypoint: workload.waypoint.clone().map(Box::new),
        network_gateway: workload.network_gateway.clone().map(Box::new),
        application_tunnel: workload.application_tunnel,
        capacity: workload.capacity,
        workload_kind: workload.workload_kind,
        tunnel: workload.tunnel,
        native_tunnel: workload.native_tunnel,
        network_mode: workload.network_mode,
    };
    interner.profile(profile)
}

fn place(workload: &Workload, interner: &mut Interner) -> Arc<Place> {
    let locality = Locality {
        region: interner.text(&workload.locality.region),
        zone: interner.text(&workload.locality.zone),
        subzone: interner.text(&workload.locality.subzone),
    };
    let node = interner.text(&workload.node);
    interner.place(Place { node, locality })
}

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
            origin: self.origin(),
        }
    }
}
