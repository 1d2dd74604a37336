//! Pure. Chooses an endpoint of a service: port, health, scopes, weight; randomness is passed in.
//!
//! Without scopes the cost does not depend on the number of endpoints: one walk down the weighted
//! trie, repeated a few times when the endpoint found cannot serve the port, and a full scan only when
//! that keeps happening. Repeating keeps the weights right: among those that can serve, each stays
//! as likely as its weight. With scopes the cost grows with the number of distinct places.
//! Source: contract, load balancing, docs/compat.md#load-balancing.

use std::net::IpAddr;
use std::sync::Arc;

use super::endpoints::{Group, GroupKey, scopes_in_use};
use super::services::ServiceView;
use super::snapshot::Snapshot;
use super::trie::{Trie, Weigh};
use super::workloads::WorkloadView;
use super::{ClientPlace, ServiceId, WorkloadId};
use crate::model::{IpFamilies, Mode, Scope};

/// Where a connection to a service goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The workload.
    pub workload: WorkloadId,
    /// Port on it.
    pub port: u16,
    /// Address of it; `None` when it is on another network (reached through its gateway) or has only
    /// a host name.
    pub address: Option<IpAddr>,
}

/// Outcome of a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// This one.
    Endpoint(Endpoint),
    /// The service leaves no choice: go where the client wanted to go.
    Passthrough,
    /// None.
    Nothing(NoEndpoint),
}

/// Why no endpoint could be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoEndpoint {
    /// The id is of an older snapshot.
    #[error("service is gone")]
    Gone,
    /// No endpoint is healthy and takes traffic.
    #[error("service has no healthy endpoint")]
    NoneHealthy,
    /// Healthy endpoints there are, but none with this port, an address and the scopes asked for.
    #[error("no healthy endpoint serves this port here")]
    NoneServes,
}

/// Attempts before all endpoints are looked at.
const ATTEMPTS: u64 = 8;

impl Snapshot {
    /// Chooses an endpoint of `service` for `client` and the service's port `service_port`. `dialled`
    /// is the address that the client used: one of the endpoint's own is kept, else its family is
    /// preferred. `random` should be uniform.
    pub fn pick(
        &self,
        service: ServiceId,
        client: ClientPlace<'_>,
        service_port: u16,
        dialled: Option<IpAddr>,
        random: u64,
    ) -> Pick {
        let Some(service) = self.service(service) else {
            return Pick::Nothing(NoEndpoint::Gone);
        };
        let balancing = service.load_balancing();
        if balancing.mode == Mode::Passthrough {
            return Pick::Passthrough;
        }
        let groups = service.entry.groups();
        if groups.weight() == 0 {
            return Pick::Nothing(NoEndpoint::NoneHealthy);
        }
        let question = Question {
            snapshot: self,
            service,
            client,
            service_port,
            dialled,
        };
        let scopes = scopes_in_use(balancing);
        let mut below = u32::MAX;
        while let Some(rank) = question.best_rank(groups, scopes, below) {
            if balancing.mode == Mode::Strict && rank < full_rank(scopes) {
                break;
            }
            let of_rank = |group: &Group| question.rank(scopes, &group.key) == rank;
            if let Some(endpoint) = question.choose(groups, of_rank, random) {
                return Pick::Endpoint(endpoint);
            }
            below = rank;
        }
        Pick::Nothing(NoEndpoint::NoneServes)
    }

    /// Every endpoint of `service` that takes requests at its port `service_port`, for a `client` that
    /// chooses by itself; in no particular order. Nothing when the service leaves no choice.
    pub fn endpoints_at(
        &self,
        service: ServiceId,
        client: ClientPlace<'_>,
        service_port: u16,
    ) -> Vec<Endpoint> {
        let Some(service) = self.service(service) else {
            return Vec::new();
        };
        if service.load_balancing().mode == Mode::Passthrough {
            return Vec::new();
        }
        let question = Question {
            snapshot: self,
            service,
            client,
            service_port,
            dialled: None,
        };
        let mut all = Vec::new();
        service.entry.groups().visit(&mut |group: &Arc<Group>| {
            group.endpoints.visit(&mut |it| {
                all.extend(question.serves(it.workload));
            });
        });
        all
    }
}

struct Question<'a> {
    snapshot: &'a Snapshot,
    service: ServiceView<'a>,
    client: ClientPlace<'a>,
    service_port: u16,
    dialled: Option<IpAddr>,
}

impl Question<'_> {
    /// The highest rank under `below` that any group with weight has.
    fn best_rank(&self, groups: &Trie<Arc<Group>>, scopes: &[Scope], below: u32) -> Option<u32> {
        let mut best = None;
        groups.visit(&mut |group: &Arc<Group>| {
            let rank = self.rank(scopes, &group.key);
            if rank < below && group.weight() > 0 {
                best = best.max(Some(rank));
            }
        });
        best
    }

    /// Number of leading scopes that match. A network at the head of the list is special: its
    /// mismatch does not end the count, its match outweighs all others.
    fn rank(&self, scopes: &[Scope], key: &GroupKey) -> u32 {
        let matches = |scope: &&Scope| match scope {
            Scope::Region => key.region == self.client.locality.region,
            Scope::Zone => key.zone == self.client.locality.zone,
            Scope::Subzone => key.subzone == self.client.locality.subzone,
            Scope::Node => *key.node == *self.client.node,
            Scope::Cluster => *key.cluster == *self.client.cluster,
            Scope::Network => *key.network == *self.client.network,
        };
        let leading = |scopes: &[Scope]| count(scopes.iter().take_while(matches).count());
        match scopes {
            [first @ Scope::Network, rest @ ..] => {
                let bonus = if matches(&first) {
                    count(scopes.len())
                } else {
                    0
                };
                bonus + leading(rest)
            }
            all => leading(all),
        }
    }

    fn choose(
        &self,
        groups: &Trie<Arc<Group>>,
        is_candidate: impl Fn(&Group) -> bool,
        random: u64,
    ) -> Option<Endpoint> {
        let mut total = 0;
        groups.visit(&mut |group: &Arc<Group>| {
            if is_candidate(group) {
                total += group.weight();
            }
        });
        for attempt in 0..ATTEMPTS {
            let mut at = scale(mix(random.wrapping_add(attempt)), total);
            let mut found = None;
            groups.visit(&mut |group: &Arc<Group>| {
                if found.is_none() && is_candidate(group) {
                    if at < group.weight() {
                        found = group.endpoints.at_weight(at);
                    } else {
                        at -= group.weight();
                    }
                }
            });
            if let Some(endpoint) = found.and_then(|found| self.serves(found.workload)) {
                return Some(endpoint);
            }
        }
        self.choose_among_all(groups, is_candidate, random)
    }

    /// Looks at every endpoint: for services where few endpoints serve the port.
    fn choose_among_all(
        &self,
        groups: &Trie<Arc<Group>>,
        is_candidate: impl Fn(&Group) -> bool,
        random: u64,
    ) -> Option<Endpoint> {
        let each = |show: &mut dyn FnMut(u64, Endpoint)| {
            groups.visit(&mut |group: &Arc<Group>| {
                if is_candidate(group) {
                    group.endpoints.visit(&mut |it| {
                        if let Some(endpoint) = self.serves(it.workload) {
                            show(it.weight(), endpoint);
                        }
                    });
                }
            });
        };
        let mut total = 0;
        each(&mut |weight, _| total += weight);
        let mut at = scale(mix(random), total);
        let mut found = None;
        each(&mut |weight, endpoint| {
            if found.is_none() && at < weight {
                found = Some(endpoint);
            }
            at = at.saturating_sub(weight);
        });
        found
    }

    /// Port and address of an endpoint, if it has both.
    fn serves(&self, id: WorkloadId) -> Option<Endpoint> {
        let workload = self.snapshot.workload(id)?;
        let port = self.port(workload)?;
        if **workload.network() != *self.client.network {
            workload.network_gateway()?;
            return Some(Endpoint {
                workload: id,
                port,
                address: None,
            });
        }
        if workload.addresses().next().is_none() {
            let is_resolvable = !workload.hostname().is_empty();
            return is_resolvable.then_some(Endpoint {
                workload: id,
                port,
                address: None,
            });
        }
        let address = address(workload, self.service.ip_families(), self.dialled)?;
        Some(Endpoint {
            workload: id,
            port,
            address: Some(address),
        })
    }

    /// The endpoint's own word first, then the service's, then the application tunnel's.
    fn port(&self, workload: WorkloadView<'_>) -> Option<u16> {
        let key = &self.service.entry.key;
        let memberships = workload.record.memberships();
        let membership = memberships
            .iter()
            .find(|it| Arc::ptr_eq(&it.service, key))?;
        if let Some(port) = membership.target_port(self.service_port) {
            return Some(port);
        }
        let of_service = self
            .service
            .ports()
            .iter()
            .find(|it| it.service_port == self.service_port);
        if let Some(port) = of_service.filter(|it| it.target_port != 0) {
            return Some(port.target_port);
        }
        let tunnel = workload.application_tunnel()?;
        Some(if tunnel.port == 0 {
            self.service_port
        } else {
            tunnel.port
        })
    }
}

/// The address that was dialled if it is the workload's; else one of a family that the service
/// offers, the dialled one's before others.
fn address(
    workload: WorkloadView<'_>,
    families: IpFamilies,
    dialled: Option<IpAddr>,
) -> Option<IpAddr> {
    if let Some(dialled) = dialled.filter(|it| workload.addresses().any(|own| own == *it)) {
        return Some(dialled);
    }
    let offered = |address: &IpAddr| match families {
        IpFamilies::Automatic | IpFamilies::Dual => true,
        IpFamilies::Ipv4Only => address.is_ipv4(),
        IpFamilies::Ipv6Only => address.is_ipv6(),
    };
    let is_other_family =
        |address: &IpAddr| dialled.is_some_and(|it| it.is_ipv4() != address.is_ipv4());
    workload
        .addresses()
        .filter(offered)
        .min_by_key(is_other_family)
}

/// Rank of an endpoint that matches every scope.
fn full_rank(scopes: &[Scope]) -> u32 {
    match scopes {
        [Scope::Network, rest @ ..] => count(scopes.len()) + count(rest.len()),
        all => count(all.len()),
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX / 4)
}

/// A position below `total`, as far along as `random` is in its range.
fn scale(random: u64, total: u64) -> u64 {
    let wide = u128::from(random) * u128::from(total);
    u64::try_from(wide >> 64).unwrap_or_default()
}

/// Spreads the bits of `random`, so that neighbouring numbers lead to unrelated positions.
pub(super) fn mix(random: u64) -> u64 {
    // Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (SplitMix64).
    let z = random.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
