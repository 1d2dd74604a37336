//! Pure. The decision: what an object asks for, against what the gateway allows.

use mesh::model::{Destination, GatewayAddress, WeightedWaypoint};
use mesh::names::{NamespacedHostname, NamespacedName};
use objects::raw::Path;

use super::gateway::{Candidate, Traffic};
use super::refusal::{Effect, Refusal, WAYPOINT_BOUND};
use super::{Asked, HBONE_PORT, USE_WAYPOINT, Wish, canary};
use crate::translate::status::Condition;
use crate::translate::{Cluster, Finding, namespaces};

/// The gateways there are.
pub trait Gateways {
    /// One of them, with its class.
    fn find(&self, name: &NamespacedName) -> Option<Candidate<'_>>;
}

/// Who asks.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Facts of the cluster.
    pub cluster: &'a Cluster,
    /// What its traffic is dialled by.
    pub traffic: Traffic,
    /// Its namespace.
    pub namespace: &'a str,
    /// What it and its namespace say.
    pub wish: Wish<'a>,
    /// Whether only its own namespace sees it.
    pub is_private: bool,
    /// Whether gateways at the edge route to its waypoint.
    pub ingress: bool,
    /// The gateways there are.
    pub gateways: &'a dyn Gateways,
}

/// What became of the wish.
#[derive(Debug, Default)]
pub struct Bound {
    /// The waypoint.
    pub waypoint: Option<GatewayAddress>,
    /// Several by weight.
    pub weighted: Vec<WeightedWaypoint>,
    /// The gateways whose waypoints serve the object, or will as soon as they are ready.
    pub gateways: Vec<NamespacedName>,
    /// What the owner should know.
    pub findings: Vec<Finding>,
    /// What the object's status should say.
    pub condition: Option<Condition>,
}

/// The waypoint of an object whose own metadata, with the labels that ask, is at `metadata`.
pub fn bind(asker: &Asker<'_>, metadata: &Path) -> Bound {
    let Some(asked) = asker.wish.asked(asker.namespace) else {
        return Bound::default();
    };
    match asker.one(&asked.gateway) {
        Ok(address) => asker.bound(&asked, address, metadata),
        Err(refusal) => asker.unbound(&asked, refusal, metadata),
    }
}

/// The address at which a waypoint answers that Weft deploys.
fn expected(cluster: &Cluster, gateway: &NamespacedName) -> (NamespacedHostname, GatewayAddress) {
    let host = cluster.service_key(&gateway.namespace, &gateway.name);
    let address = GatewayAddress {
        destination: Destination::Hostname(host.clone()),
        hbone_port: HBONE_PORT,
    };
    (host, address)
}

impl Asker<'_> {
    fn one(&self, gateway: &NamespacedName) -> Result<GatewayAddress, Refusal> {
        let is_elsewhere = *gateway.namespace != *self.namespace;
        if is_elsewhere && self.is_private {
            return Err(Refusal::Private);
        }
        let Some(found) = self.gateways.find(gateway) else {
            return Err(Refusal::Missing);
        };
        if !found.serves(self.traffic) {
            return Err(Refusal::OtherTraffic);
        }
        if is_elsewhere {
            let labels = namespaces::labels(self.namespace, self.wish.namespace);
            if !found.admits(&labels) {
                return Err(Refusal::NotAdmitted);
            }
        }
        found.address(self.cluster).ok_or(Refusal::NotReady)
    }

    fn bound(&self, asked: &Asked<'_>, address: GatewayAddress, metadata: &Path) -> Bound {
        let mut bound = Bound {
            condition: Some(self.accepted(asked)),
            gateways: vec![asked.gateway.clone()],
            ..Bound::default()
        };
        if self.traffic == Traffic::Service {
            let second = asked.canary.as_ref().map(|canary| {
                self.one(canary)
                    .map_err(|refusal| refusal.message(canary, &Effect::Direct))
            });
            match canary::split(asked, &address, second) {
                None => {}
                Some(Ok(weighted)) => {
                    bound.weighted = weighted;
                    bound.gateways.extend(asked.canary.clone());
                }
                Some(Err(unused)) => {
                    let at = asked.is_own.then(|| metadata.clone());
                    bound.findings.push(unused.finding(at));
                    bound.condition = Some(unused.condition());
                }
            }
        }
        bound.waypoint = Some(address);
        bound
    }

    fn accepted(&self, asked: &Asked<'_>) -> Condition {
        let ingress = match self.ingress {
            true => ", for traffic from ingress gateways too",
            false => "",
        };
        Condition {
            kind: WAYPOINT_BOUND,
            holds: true,
            reason: "WaypointAccepted",
            message: format!("bound to waypoint {}{ingress}", asked.gateway),
        }
    }

    fn unbound(&self, asked: &Asked<'_>, refusal: Refusal, metadata: &Path) -> Bound {
        // Of a waypoint that does not exist nobody knows whether it is for workloads.
        let is_for_others = refusal == Refusal::OtherTraffic
            || (self.traffic == Traffic::Workload && refusal == Refusal::Missing);
        if is_for_others && !asked.is_own && self.traffic == Traffic::Workload {
            return Bound::default();
        }
        let (host, address) = expected(self.cluster, &asked.gateway);
        let effect = match (is_for_others, self.wish.fails_open()) {
            (true, _) => Effect::Direct,
            (false, true) => Effect::Opened,
            (false, false) => Effect::Closed(host.hostname.to_string()),
        };
        let waypoint = matches!(effect, Effect::Closed(_)).then_some(address);
        let message = refusal.message(&asked.gateway, &effect);
        // Only what the object itself says has a line in it.
        let path = match asked.is_own {
            true => metadata.clone().key("labels").key(USE_WAYPOINT),
            false => Path::of_keys(&["metadata", "namespace"]),
        };
        // What a namespace says is meant for those of its objects that the waypoint is for.
        let is_worth_telling = asked.is_own || !is_for_others;
        let finding = is_worth_telling.then(|| refusal.finding(path, message.clone()));
        // One that is not ready becomes so with what it is told.
        let gateways = matches!(refusal, Refusal::NotReady).then(|| asked.gateway.clone());
        Bound {
            waypoint,
            weighted: Vec::new(),
            gateways: gateways.into_iter().collect(),
            findings: finding.into_iter().collect(),
            condition: Some(refusal.condition(message)),
        }
    }
}
