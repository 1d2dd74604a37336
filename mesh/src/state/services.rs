//! One service of a snapshot, as readers see it.

use std::sync::Arc;

use super::endpoints::{Definition, Entry};
use super::{ServiceId, WorkloadId};
use crate::identity::Identity;
use crate::model::{
    GatewayAddress, IpFamilies, LoadBalancing, Origin, Port, Service, ServiceAddress, Visibility,
    WeightedWaypoint,
};
use crate::names::NamespacedHostname;

/// One service of a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct ServiceView<'a> {
    pub(super) entry: &'a Entry,
    pub(super) definition: &'a Definition,
}

impl<'a> ServiceView<'a> {
    /// Its id in this snapshot.
    pub fn id(self) -> ServiceId {
        self.entry.id
    }

    /// Namespace and host name.
    pub fn key(self) -> &'a NamespacedHostname {
        &self.definition.service.key
    }

    /// Name of the object.
    pub fn name(self) -> &'a Arc<str> {
        &self.definition.service.name
    }

    /// Virtual addresses and ranges.
    pub fn addresses(self) -> &'a [ServiceAddress] {
        &self.definition.service.addresses
    }

    /// Ports.
    pub fn ports(self) -> &'a [Port] {
        &self.definition.service.ports
    }

    /// Identities that its endpoints may prove beside their own.
    pub fn identities(self) -> &'a [Identity] {
        &self.definition.identities
    }

    /// Waypoint in front of it.
    pub fn waypoint(self) -> Option<&'a GatewayAddress> {
        self.definition.service.waypoint.as_ref()
    }

    /// Waypoints by weight; when there are any they stand instead of [`ServiceView::waypoint`].
    pub fn weighted_waypoints(self) -> &'a [WeightedWaypoint] {
        &self.definition.service.weighted_waypoints
    }

    /// How endpoints are chosen.
    pub fn load_balancing(self) -> &'a LoadBalancing {
        &self.definition.service.load_balancing
    }

    /// Address families it offers.
    pub fn ip_families(self) -> IpFamilies {
        self.definition.service.ip_families
    }

    /// Whether it wins among services of the same host or address.
    pub fn is_canonical(self) -> bool {
        self.definition.service.canonical
    }

    /// Whether a client of `namespace` can see it.
    pub fn is_visible_to(self, namespace: &str) -> bool {
        match self.definition.service.visibility {
            Visibility::Public => true,
            Visibility::Namespace => *self.key().namespace == *namespace,
        }
    }

    /// The user's object behind it.
    pub fn origin(self) -> Option<&'a Origin> {
        self.definition.service.origin.as_ref()
    }

    /// Workloads that may be chosen, in no particular order.
    pub fn endpoints(self) -> impl Iterator<Item = WorkloadId> + 'a {
        let groups = self.entry.groups().iter();
        groups
            .flat_map(|group| group.endpoints.iter())
            .map(|endpoint| endpoint.workload)
    }

    /// How many workloads may be chosen.
    pub fn endpoint_count(self) -> usize {
        self.entry
            .groups()
            .iter()
            .map(|group| group.endpoints.len())
            .sum()
    }

    /// The whole record as the model has it, for dumps.
    pub fn as_model(self) -> &'a Service {
        &self.definition.service
    }
}
