//! Pure. Is there a waypoint in front of a destination, and which instance of it to go to.
//!
//! Fails closed: a destination that names a waypoint never comes out as one without. Source: contract,
//! outbound decision rows 3 to 6 and 9, docs/compat.md#outbound-decision.

use std::net::IpAddr;

use super::lookup::{Hit, Lookup};
use super::pick::{Endpoint, Pick, mix};
use super::services::ServiceView;
use super::snapshot::Snapshot;
use super::workloads::WorkloadView;
use super::{ClientPlace, ServiceId, WorkloadId};
use crate::identity::Identity;
use crate::model::{Destination, GatewayAddress, Health};

/// Answer to "is there a waypoint on the way".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waypoint {
    /// No: go to the destination itself.
    None,
    /// Yes: HBONE to this instance, with the original destination as authority. `port` is its HBONE
    /// port. When its workload is on another network, go through that network's gateway.
    Instance {
        /// Instance, its HBONE port, and address when it is on the client's network.
        endpoint: Endpoint,
        /// The service the instance was found by; its alternative identities count too.
        service: Option<ServiceId>,
    },
    /// Yes, but it cannot be reached: refuse, never go around it.
    Unavailable(Unavailable),
    /// Not known yet: subscribe to this name and ask again.
    Ask(Box<str>),
}

/// Why a waypoint cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Nothing of that name or address is in the mesh.
    #[error("waypoint {waypoint} is unknown")]
    Unknown {
        /// Its name or address.
        waypoint: Box<str>,
    },
    /// It has no instance that is healthy and can be reached.
    #[error("waypoint {waypoint} has no healthy instance")]
    NoInstance {
        /// Its name or address.
        waypoint: Box<str>,
    },
    /// Several waypoints share the traffic and all their shares are zero.
    #[error("all waypoints have weight 0")]
    NoWeight,
}

impl Snapshot {
    /// The waypoint in front of a service.
    pub fn service_waypoint(
        &self,
        service: ServiceView<'_>,
        client: ClientPlace<'_>,
        random: u64,
    ) -> Waypoint {
        let weighted = service.weighted_waypoints();
        if weighted.is_empty() {
            return match service.waypoint() {
                Some(gateway) => self.resolve(gateway, client, random),
                None => Waypoint::None,
            };
        }
        let total: u64 = weighted.iter().map(|it| u64::from(it.weight)).sum();
        let mut at = mix(!random).checked_rem(total).unwrap_or_default();
        let sampled = weighted.iter().find(|it| {
            let hit = at < u64::from(it.weight);
            at = at.saturating_sub(it.weight.into());
            hit
        });
        match sampled.map(|it| &it.gateway).or(service.waypoint()) {
            Some(gateway) => self.resolve(gateway, client, random),
            None => Waypoint::Unavailable(Unavailable::NoWeight),
        }
    }

    /// The waypoint in front of a workload's own address. None for a connection that comes from that
    /// waypoint: `source_identity` and `source_address` are both those of one of its instances.
    pub fn workload_waypoint(
        &self,
        workload: WorkloadView<'_>,
        client: ClientPlace<'_>,
        source: (&Identity, IpAddr),
        random: u64,
    ) -> Waypoint {
        match workload.waypoint() {
            None => Waypoint::None,
            Some(gateway) if self.is_instance(gateway, client, source) => Waypoint::None,
            Some(gateway) => self.resolve(gateway, client, random),
        }
    }

    /// Whether `workload` is an instance of a waypoint in front of what lives at `address`: it then
    /// takes tunnels for that address (contract: sandwich, docs/compat.md#inbound-status).
    ///
    /// Names that were asked for and `answered` are known: see [`Self::find_address`].
    pub fn is_waypoint_of(
        &self,
        workload: WorkloadView<'_>,
        address: IpAddr,
        answered: &[Box<str>],
    ) -> Lookup<bool> {
        let leads_here = |gateway: &GatewayAddress| self.leads_to(gateway, workload);
        let (network, namespace) = (workload.network(), workload.namespace());
        let found = self.find_address(network, address, namespace, answered);
        let is_waypoint = match found {
            Lookup::Found(Hit::Workload(id)) => {
                let waypoint = self.workload(id).and_then(WorkloadView::waypoint);
                waypoint.is_some_and(leads_here)
            }
            Lookup::Found(Hit::Service(id)) => self.service(id).is_some_and(|service| {
                let weighted = service.weighted_waypoints().iter().map(|it| &it.gateway);
                service
                    .waypoint()
                    .into_iter()
                    .chain(weighted)
                    .any(leads_here)
            }),
            Lookup::Absent => return Lookup::Absent,
            Lookup::Ask(name) => return Lookup::Ask(name),
        };
        Lookup::Found(is_waypoint)
    }

    fn resolve(&self, gateway: &GatewayAddress, client: ClientPlace<'_>, random: u64) -> Waypoint {
        match self.target(gateway) {
            Some(Target::Service(service)) => self.instance(service, gateway, client, random),
            Some(Target::Workload(workload)) => single(workload, gateway, client),
            None if self.settings.on_demand => Waypoint::Ask(name(gateway)),
            None => Waypoint::Unavailable(Unavailable::Unknown {
                waypoint: name(gateway),
            }),
        }
    }

    /// What a waypoint's name or address stands for, whoever may see it.
    fn target<'a>(&'a self, gateway: &'a GatewayAddress) -> Option<Target<'a>> {
        match &gateway.destination {
            Destination::Hostname(key) => self
                .id_of_key(&key.namespace, &key.hostname)
                .and_then(|id| self.service(id))
                .map(Target::Service)
                .or_else(|| {
                    self.workload_by_hostname(&key.hostname)
                        .map(Target::Workload)
                }),
            Destination::Address(it) => self
                .workload_by_address(&it.network, it.address)
                .map(Target::Workload)
                .or_else(|| {
                    let service = self.service_by_virtual_address(&it.network, it.address, None);
                    service.map(Target::Service)
                }),
        }
    }

    fn instance(
        &self,
        service: ServiceView<'_>,
        gateway: &GatewayAddress,
        client: ClientPlace<'_>,
        random: u64,
    ) -> Waypoint {
        let picked = self.pick(service.id(), client, gateway.hbone_port, None, random);
        let Pick::Endpoint(mut endpoint) = picked else {
            return Waypoint::Unavailable(Unavailable::NoInstance {
                waypoint: name(gateway),
            });
        };
        // An instance behind an application tunnel is reached at the HBONE port itself; where the
        // connection is handed over afterwards is its own node proxy's business.
        let workload = self.workload(endpoint.workload);
        if workload.is_some_and(|it| it.application_tunnel().is_some()) {
            endpoint.port = gateway.hbone_port;
        }
        Waypoint::Instance {
            endpoint,
            service: Some(service.id()),
        }
    }

    fn is_instance(
        &self,
        gateway: &GatewayAddress,
        client: ClientPlace<'_>,
        (identity, address): (&Identity, IpAddr),
    ) -> bool {
        let source = self.workload_by_address(client.network, address);
        let source = source.filter(|it| it.identity() == identity);
        source.is_some_and(|source| self.leads_to(gateway, source))
    }

    /// Whether a gateway address leads to `workload`, directly or as one endpoint of a service. That it
    /// is an endpoint of a service by name, its own record says, also where the service's is not here.
    fn leads_to(&self, gateway: &GatewayAddress, workload: WorkloadView<'_>) -> bool {
        if let Destination::Hostname(key) = &gateway.destination
            && workload.services().any(|(member, _)| member == key)
        {
            return true;
        }
        match self.target(gateway) {
            Some(Target::Workload(it)) => it.id() == workload.id(),
            Some(Target::Service(it)) => workload.services().any(|(key, _)| key == it.key()),
            None => false,
        }
    }
}

enum Target<'a> {
    Service(ServiceView<'a>),
    Workload(WorkloadView<'a>),
}

/// A waypoint that is one workload.
fn single(
    workload: WorkloadView<'_>,
    gateway: &GatewayAddress,
    client: ClientPlace<'_>,
) -> Waypoint {
    let is_near = **workload.network() == *client.network;
    let address = workload.addresses().next().filter(|_| is_near);
    let is_reachable = address.is_some()
        || (is_near && !workload.hostname().is_empty())
        || (!is_near && workload.network_gateway().is_some());
    if workload.health() == Health::Unhealthy || !is_reachable {
        return Waypoint::Unavailable(Unavailable::NoInstance {
            waypoint: name(gateway),
        });
    }
    let endpoint = Endpoint {
        workload: workload.id(),
        port: gateway.hbone_port,
        address,
    };
    Waypoint::Instance {
        endpoint,
        service: None,
    }
}

fn name(gateway: &GatewayAddress) -> Box<str> {
    match &gateway.destination {
        Destination::Hostname(key) => key.to_string().into(),
        Destination::Address(address) => address.to_string().into(),
    }
}

/// The workload behind a waypoint answer.
impl Waypoint {
    /// The instance's workload.
    pub fn workload(&self) -> Option<WorkloadId> {
        match self {
            Self::Instance { endpoint, .. } => Some(endpoint.workload),
            Self::None | Self::Unavailable(_) | Self::Ask(_) => None,
        }
    }
}
