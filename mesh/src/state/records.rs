//! Workloads as compact records: what is a workload's own, and shared parts for everything that the
//! pods of one deployment or one node have in common.

use std::net::IpAddr;
use std::sync::Arc;

use super::intern::{Names, Pool};
use super::trie::Weigh;
use crate::identity::Identity;
use crate::model::{
    ApplicationTunnel, GatewayAddress, Health, Locality, NetworkMode, Origin, PortPair,
    ServiceEndpoint, TunnelKind, Workload, WorkloadKind,
};
use crate::names::{NamespacedHostname, NamespacedName};

/// What one workload does not share with others: about 90 bytes beside its uid.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) uid: Box<str>,
    pub(super) profile: Arc<Profile>,
    pub(super) place: Arc<Place>,
    pub(super) addresses: Addresses,
    pub(super) rare: Option<Box<Rare>>,
    /// Where in the uid the name begins, unless `rare` holds the name.
    pub(super) name_at: u16,
    pub(super) health: Health,
    /// The origin is the pod of the same namespace and name.
    pub(super) origin_is_pod: bool,
}

impl Weigh for Arc<Record> {}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    None,
    V4([u8; 4]),
    V6([u8; 16]),
    Many(Box<[IpAddr]>),
}

/// What few workloads have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rare {
    pub(super) name: Option<Box<str>>,
    pub(super) hostname: Option<Arc<str>>,
    pub(super) origin: Option<Origin>,
}

/// What the pods of one deployment have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Profile {
    pub(super) identity: Identity,
    pub(super) network: Arc<str>,
    pub(super) cluster: Arc<str>,
    pub(super) canonical_name: Arc<str>,
    pub(super) canonical_revision: Arc<str>,
    pub(super) workload_name: Arc<str>,
    pub(super) services: Box<[Membership]>,
    pub(super) policies: Box<[Arc<NamespacedName>]>,
    pub(super) waypoint: Option<Box<GatewayAddress>>,
    pub(super) network_gateway: Option<Box<GatewayAddress>>,
    pub(super) application_tunnel: Option<ApplicationTunnel>,
    pub(super) capacity: u32,
    pub(super) workload_kind: WorkloadKind,
    pub(super) tunnel: TunnelKind,
    pub(super) native_tunnel: bool,
    pub(super) network_mode: NetworkMode,
    /// Sorted by key; empty where nobody keeps them.
    pub(super) labels: Box<[(Arc<str>, Arc<str>)]>,
}

/// A profile's part in one service.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Membership {
    pub(super) service: Arc<NamespacedHostname>,
    pub(super) ports: Box<[PortPair]>,
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

/// One copy of every part that records share; the writer's.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) names: Names,
    profiles: Pool<Profile>,
    places: Pool<Place>,
    keeps_labels: bool,
}

impl Shared {
    pub(super) fn new(keeps_labels: bool) -> Self {
        Self {
            keeps_labels,
            ..Self::default()
        }
    }

    /// Notes that `count` records changed or went, which may leave shared values without users.
    pub(super) fn released(&mut self, count: usize) {
        self.profiles.release(count);
        self.places.release(count);
        self.names.release(count);
    }

    /// How many values are held, for tests of churn.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.profiles.len() + self.places.len() + self.names.len()
    }
}

impl Record {
    pub(super) fn new(workload: &Workload, shared: &mut Shared) -> Self {
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
            profile: profile(workload, shared),
            place: place(workload, shared),
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

fn profile(workload: &Workload, shared: &mut Shared) -> Arc<Profile> {
    let labels = workload.labels.iter().filter(|_| shared.keeps_labels);
    let names = &mut shared.names;
    let labels = labels.map(|(key, value)| (names.text(key), names.text(value)));
    let labels = labels.collect();
    let membership = |endpoint: &ServiceEndpoint, names: &mut Names| Membership {
        service: names.service(&endpoint.service),
        ports: endpoint.ports.as_slice().into(),
    };
    let trust_domain = names.trust_domain(&workload.trust_domain);
    let profile = Profile {
        identity: Identity::new(
            trust_domain,
            names.text(&workload.namespace),
            names.text(&workload.service_account),
        ),
        network: names.text(&workload.network),
        cluster: names.text(&workload.cluster),
        canonical_name: names.text(&workload.canonical_name),
        canonical_revision: names.text(&workload.canonical_revision),
        workload_name: names.text(&workload.workload_name),
        services: workload
            .services
            .iter()
            .map(|it| membership(it, names))
            .collect(),
        policies: workload
            .policies
            .iter()
            .map(|it| names.policy(it))
            .collect(),
        waypoint: workload.waypoint.clone().map(Box::new),
        network_gateway: workload.network_gateway.clone().map(Box::new),
        application_tunnel: workload.application_tunnel,
        capacity: workload.capacity,
        workload_kind: workload.workload_kind,
        tunnel: workload.tunnel,
        native_tunnel: workload.native_tunnel,
        network_mode: workload.network_mode,
        labels,
    };
    shared.profiles.share(profile)
}

fn place(workload: &Workload, shared: &mut Shared) -> Arc<Place> {
    let names = &mut shared.names;
    let locality = Locality {
        region: names.text(&workload.locality.region),
        zone: names.text(&workload.locality.zone),
        subzone: names.text(&workload.locality.subzone),
    };
    let node = names.text(&workload.node);
    shared.places.share(Place { node, locality })
}
