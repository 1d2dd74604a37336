//! Where requests can go: every destination that a route names, with its endpoints as the picture of the
//! mesh has them now.
//!
//! A destination lives as long as anybody names it: what is known of its endpoints (requests under way,
//! failures) outlives new versions of routes. Endpoints are followed off the request path.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use mesh::hbone;
use mesh::model::destination::{self, TrafficPolicy, Upgrade};
use mesh::model::provider::{ProviderAddress, ProviderHost};
use mesh::model::{AppProtocol, TunnelKind};
use mesh::names::{NamespacedHostname, WorkloadUid};
use mesh::state::{ClientPlace, ServiceId, Snapshot, WorkloadId, WorkloadView};

use crate::balance::{Cluster, EndpointId, EndpointSpec, Labels, Place, is_in_subset};
use crate::observe::record::Party;
use crate::upstream::{Announced, Through, Tls, Way};

/// A service or a part of it, as routes name it.
pub struct Destination {
    /// What it is.
    pub key: Key,
    /// Its name in Istio's form, `outbound|PORT|SUBSET|HOST`.
    pub name: Arc<str>,
    /// Choice, ejection and limits.
    pub cluster: Arc<Cluster>,
    reached: ArcSwap<Reached>,
}

/// What destinations are told apart by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The service.
    pub service: NamespacedHostname,
    /// Port of it.
    pub port: u16,
    /// The part of it.
    pub subset: Option<destination::Subset>,
}

/// What the picture of the mesh says of a destination.
#[derive(Default)]
struct Reached {
    protocol: AppProtocol,
    ways: Ways,
}

/// How each endpoint is reached.
type Ways = HashMap<EndpointId, Arc<Target>, RandomState>;

/// One endpoint as requests need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// How it is reached.
    pub way: Way,
    /// Its workload.
    pub workload: WorkloadId,
    /// The same for telemetry.
    pub party: Arc<Party>,
}

/// Where an endpoint is: its address, or the name that is resolved when it has none. One that is on another network has
/// neither here.
fn place_of(
    workload: WorkloadView<'_>,
    address: Option<IpAddr>,
) -> Option<(IpAddr, Option<Arc<str>>)> {
    if let Some(address) = address {
        return Some((address, None));
    }
    let is_named = workload.addresses().next().is_none() && !workload.hostname().is_empty();
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    is_named.then(|| (nowhere, Some(workload.hostname().into())))
}

/// How a workload is reached: over HBONE where it speaks that, else plainly.
fn target_of(
    snapshot: &Snapshot,
    workload: WorkloadView<'_>,
    address: IpAddr,
    host: Option<Arc<str>>,
    port: u16,
) -> Target {
    let is_tunnelled = workload.tunnel() == TunnelKind::Hbone && host.is_none();
    let tunnel = is_tunnelled.then(|| Through {
        hop: SocketAddr::new(address, hbone::PORT),
        peers: snapshot.expected_identities(workload).into(),
    });
    let labels = workload.labels().iter();
    let labels = labels.map(|(key, value)| (&**key, &**value));
    let proved = tunnel.is_some().then(|| workload.identity());
    Target {
        party: Arc::new(Party::of_workload(workload, labels, proved)),
        workload: workload.id(),
        way: Way {
            address: SocketAddr::new(address, port),
            host,
            tunnel,
            tls: None,
            announced: None,
        },
    }
}

impl Destination {
    /// How an endpoint is reached; `None` when it has gone meanwhile.
    pub fn target(&self, endpoint: &EndpointId) -> Option<Arc<Target>> {
        self.reached.load().ways.get(endpoint).cloned()
    }

    /// What its port declares.
    pub fn protocol(&self) -> AppProtocol {
        self.reached.load().protocol
    }

    /// How requests are spread and held back.
    pub fn policy(&self) -> Arc<TrafficPolicy> {
        self.cluster.policy()
    }

    /// Whether HTTP/2 is spoken to it, for a client that speaks HTTP/2 or not.
    pub fn speaks_http2(&self, client_does: bool) -> bool {
        match (self.policy().limits.upgrade, self.protocol()) {
            (Upgrade::AsClient, _) | (Upgrade::AsDeclared, AppProtocol::Unknown) => client_does,
            (Upgrade::ToHttp2, _) => true,
            (Upgrade::AsDeclared, AppProtocol::Http2 | AppProtocol::Grpc) => true,
            (Upgrade::AsDeclared, _) => false,
        }
    }

    /// The endpoints that the picture of the mesh has, and the way to each.
    fn endpoints(
        &self,
        snapshot: &Snapshot,
        service: ServiceId,
        place: ClientPlace<'_>,
    ) -> (Vec<EndpointSpec>, Ways) {
        let key = &self.key;
        let policy = self.policy();
        let tls = policy.tls.clone().map(|mut tls| {
            if tls.sni.is_empty() {
                tls.sni = Arc::clone(&key.service.hostname);
            }
            Arc::new(Tls(tls))
        });
        let mut specs = Vec::new();
        let before = self.reached.load();
        let mut ways = Ways::default();
        for endpoint in snapshot.endpoints_at(service, place, key.port) {
            let Some(workload) = snapshot.workload(endpoint.workload) else {
                continue;
            };
            let Some((address, host)) = place_of(workload, endpoint.address) else {
                continue;
            };
            let labels: Labels = workload.labels().into();
            if let Some(subset) = &key.subset
                && !is_in_subset(subset, &labels)
            {
                continue;
            }
            let id = EndpointId::new(WorkloadUid(workload.uid().into()), endpoint.port);
            specs.push(EndpointSpec {
                id: id.clone(),
                weight: workload.capacity(),
                locality: workload.locality().clone(),
                labels,
                is_healthy: true,
            });
            let mut target = target_of(snapshot, workload, address, host, endpoint.port);
            target.way.tls.clone_from(&tls);
            let announced = |version| Announced {
                version,
                ends: None,
            };
            target.way.announced = policy.proxy_protocol.map(announced);
            // what stays the same stays the same thing: labels of metrics are found by it
            let same = before.ways.get(&id).filter(|it| ***it == target);
            let target = same.map_or_else(|| Arc::new(target), Arc::clone);
            ways.insert(id, target);
        }
        (specs, ways)
    }

    fn follow(&self, snapshot: &Snapshot, place: ClientPlace<'_>) {
        let key = &self.key;
        let Some(service) = snapshot.service_by_name(&key.service).found() else {
            self.cluster.set_endpoints(Vec::new(), Instant::now());
            self.reached.store(Arc::default());
            return;
        };
        let declared = service
            .ports()
            .iter()
            .find(|it| it.service_port == key.port);
        let (specs, ways) = self.endpoints(snapshot, service.id(), place);
        self.cluster.set_endpoints(specs, Instant::now());
        self.reached.store(Arc::new(Reached {
            protocol: declared.map(|it| it.app_protocol).unwrap_or_default(),
            ways,
        }));
    }
}

/// The name under which connections to a host outside of the mesh are counted.
pub fn outside(host: &str) -> NamespacedHostname {
    NamespacedHostname::new("", host)
}

/// All destinations of this process, found by what they are.
pub struct Destinations {
    place: ArcSwap<Place>,
    known: Mutex<HashMap<Key, Weak<Destination>, RandomState>>,
}

impl Destinations {
    /// None yet, for a waypoint that is at `place`.
    pub fn new(place: Place) -> Self {
        Self {
            place: ArcSwap::from_pointee(place),
            known: Mutex::default(),
        }
    }

    /// The destination that `model` means, with its present traffic policy.
    pub fn find(&self, model: &destination::Destination) -> Arc<Destination> {
        let key = Key {
            service: model.service.clone(),
            port: model.port,
            subset: model.subset.clone(),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, it| it.strong_count() > 0);
        if let Some(destination) = known.get(&key).and_then(Weak::upgrade) {
            let cluster = &destination.cluster;
            cluster.set_policy(model.policy.clone(), Instant::now());
            return destination;
        }
        let subset = key.subset.as_ref().map_or("", |it| &it.name);
        let name = format!("outbound|{}|{subset}|{}", key.port, key.service.hostname);
        let destination = Arc::new(Destination {
            name: name.into(),
            key: key.clone(),
            cluster: Cluster::new(model.policy.clone(), self.place.load_full(), Instant::now()),
            reached: ArcSwap::default(),
        });
        known.insert(key, Arc::downgrade(&destination));
        destination
    }

    /// A workload itself, at the address and port that were dialled; nothing where it is not here any more.
    /// Nobody else shares it: what it is does not change while its connection lasts.
    pub fn itself(
        &self,
        snapshot: &Snapshot,
        id: WorkloadId,
        address: SocketAddr,
    ) -> Option<Arc<Destination>> {
        let workload = snapshot.workload(id)?;
        let target = target_of(snapshot, workload, address.ip(), None, address.port());
        let key = Key {
            service: outside(&address.ip().to_string()),
            port: address.port(),
            subset: None,
        };
        let endpoint = EndpointId::new(WorkloadUid(workload.uid().into()), address.port());
        let now = Instant::now();
        let cluster = Cluster::new(TrafficPolicy::default(), self.place.load_full(), now);
        let spec = EndpointSpec {
            id: endpoint.clone(),
            weight: 1,
            locality: workload.locality().clone(),
            labels: workload.labels().into(),
            is_healthy: true,
        };
        cluster.set_endpoints(vec![spec], now);
        let reached = Reached {
            protocol: AppProtocol::Unknown,
            ways: Ways::from_iter([(endpoint, Arc::new(target))]),
        };
        Some(Arc::new(Destination {
            name: format!("outbound|{}||{}", key.port, key.service.hostname).into(),
            key,
            cluster,
            reached: ArcSwap::from_pointee(reached),
        }))
    }

    /// The destination that a server beside the data path is, when it is a service of the mesh.
    pub fn of_provider(&self, address: &ProviderAddress) -> Option<Arc<Destination>> {
        let ProviderHost::Service(service) = &address.host else {
            return None;
        };
        Some(self.find(&destination::Destination {
            service: service.clone(),
            port: address.port,
            subset: None,
            policy: TrafficPolicy::default(),
        }))
    }

    /// Says where this waypoint is, as soon as that is known.
    pub fn stand(&self, place: Place) {
        if place == **self.place.load() {
            return;
        }
        let place = Arc::new(place);
        self.place.store(Arc::clone(&place));
        for destination in self.all() {
            destination.cluster.set_place(&place);
        }
    }

    /// Brings every destination's endpoints up to date.
    pub fn follow(&self, snapshot: &Snapshot, place: ClientPlace<'_>) {
        for destination in self.all() {
            destination.follow(snapshot, place);
        }
    }

    /// Those that somebody names.
    pub fn all(&self) -> Vec<Arc<Destination>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().filter_map(Weak::upgrade).collect()
    }
}
