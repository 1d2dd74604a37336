//! Random histories against a model that is rebuilt from what is left at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::{ClientPlace, Hit, Lookup, Pick, Removal, Snapshot};
use super::{gone, ip, key, pod, service, serving, store};
use crate::model::{
    Health, HealthPolicy, LoadBalancing, Locality, Mode, NetworkMode, Scope, Service,
    ServiceAddress, TunnelKind, Visibility, Workload,
};
use crate::names::WorkloadUid;
use crate::wire::Update;

const ADDRESSES: [&str; 4] = ["10.0.0.1", "10.0.0.2", "10.1.0.1", "fd00::1"];
const RANGES: [(&str, u8); 4] = [
    ("10.0.0.0", 8),
    ("10.0.0.7", 24),
    ("10.1.0.0", 16),
    ("fd00::", 8),
];
const SERVICES: [&str; 4] = ["a/s", "b/s", "a/t", "b/u"];
const NAMESPACES: [&str; 3] = ["a", "b", "c"];
const UIDS: [&str; 6] = [
    "c//Pod/a/x",
    "c//Pod/b/y",
    "c//Pod/a/z",
    "c/WorkloadEntry/a/e",
    "c/WorkloadEntry/b/f",
    "odd",
];
const ZONES: [&str; 2] = ["y", "z"];

fn workload() -> impl Strategy<Value = Workload> {
    let lists = (
        vec(select(&ADDRESSES[..]), 0..3),
        proptest::sample::subsequence(SERVICES.to_vec(), 0..4),
    );
    let choices = (
        select(&UIDS[..]),
        select(vec!["", "far"]),
        select(&NAMESPACES[..]),
        select(&ZONES[..]),
        0u32..4,
        any::<(bool, bool, bool)>(),
    );
    (lists, choices).prop_map(|((addresses, services), choices)| {
        let (uid, network, namespace, zone, capacity, (hbone, healthy, host)) = choices;
        Workload {
            uid: WorkloadUid(uid.into()),
            namespace: namespace.into(),
            addresses: addresses.into_iter().map(ip).collect(),
            network: network.into(),
            tunnel: if hbone {
                TunnelKind::Hbone
            } else {
                TunnelKind::None
            },
            health: if healthy {
                Health::Healthy
            } else {
                Health::Unhealthy
            },
            network_mode: if host {
                NetworkMode::HostNetwork
            } else {
                NetworkMode::Standard
            },
            locality: Locality {
                zone: zone.into(),
                ..Locality::default()
            },
            capacity,
            ..serving(pod("x", ""), &services)
        }
    })
}

fn a_service() -> impl Strategy<Value = Service> {
    let single = select(&ADDRESSES[..]).prop_map(|it| (it, None));
    let range = select(&RANGES[..]).prop_map(|(it, prefix)| (it, Some(prefix)));
    let addresses = vec(
        (prop_oneof![single, range], select(vec!["", "far"])).prop_map(
            |((address, prefix), network)| ServiceAddress {
                network: network.into(),
                address: ip(address),
                prefix,
            },
        ),
        0..3,
    );
    let modes = vec![Mode::Unspecified, Mode::Strict, Mode::Failover];
    let scopes = vec(select(vec![Scope::Zone, Scope::Network, Scope::Node]), 0..3);
    (
        select(&SERVICES[..]),
        addresses,
        select(modes),
        scopes,
        any::<(bool, bool, bool)>(),
    )
        .prop_map(
            |(name, addresses, mode, scopes, (canonical, private, all))| Service {
                addresses,
                canonical,
                visibility: if private {
                    Visibility::Namespace
                } else {
                    Visibility::Public
                },
                load_balancing: LoadBalancing {
                    scopes,
                    mode,
                    health: if all {
                        HealthPolicy::AllowAll
                    } else {
                        HealthPolicy::OnlyHealthy
                    },
                },
                ..service(name, "")
            },
        )
}

#[derive(Clone, Debug)]
enum Step {
    Workload(Box<Workload>),
    Service(Box<Service>),
    Remove(&'static str),
}

fn history() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let names: Vec<&'static str> = UIDS.into_iter().chain(SERVICES).collect();
    let step = prop_oneof![
        4 => workload().prop_map(|it| Step::Workload(Box::new(it))),
        2 => a_service().prop_map(|it| Step::Service(Box::new(it))),
        3 => select(names).prop_map(Step::Remove),
    ];
    vec(vec(step, 1..4), 0..40)
}

/// What is left, as plain maps.
#[derive(Default)]
struct Naive {
    workloads: BTreeMap<String, Workload>,
    services: BTreeMap<String, Service>,
}

impl Naive {
    fn at(&self, network: &str, address: IpAddr, client: &str) -> String {
        let rank = |it: &Workload| {
            let hbone = it.tunnel == TunnelKind::Hbone;
            if it.uid.is_pod() {
                2 + u8::from(hbone)
            } else {
                u8::from(hbone)
            }
        };
        let owner = self
            .workloads
            .values()
            .filter(|it| {
                *it.network == *network
                    && it.addresses.contains(&address)
                    && it.network_mode == NetworkMode::Standard
            })
            // The first of the greatest: values come by uid.
            .rev()
            .max_by_key(|it| rank(it));
        if let Some(owner) = owner {
            return owner.uid.to_string();
        }
        let sees =
            |it: &Service| it.visibility == Visibility::Public || *it.key.namespace == *client;
        let mut hits: Vec<_> = Vec::new();
        for service in self.services.values().filter(|it| sees(it)) {
            let foreign = *service.key.namespace != *client;
            for own in service
                .addresses
                .iter()
                .filter(|it| *it.network == *network)
            {
                let order = match own.prefix {
                    None if own.address == address => (
                        0,
                        u8::from(foreign) + u8::from(foreign && !service.canonical),
                        0,
                        false,
                    ),
                    Some(prefix) if covers(own.address, prefix, address) => {
                        (1, foreign.into(), 128 - prefix, !service.canonical)
                    }
                    _ => continue,
                };
                hits.push((order, &service.key));
            }
        }
        hits.into_iter()
            .min()
            .map_or("absent".to_owned(), |(_, key)| key.to_string())
    }

    /// Uids that may be chosen.
    fn candidates(&self, service: &Service, client: ClientPlace<'_>) -> BTreeSet<String> {
        let balancing = &service.load_balancing;
        let mut ranked: Vec<(usize, &Workload)> = Vec::new();
        for workload in self.workloads.values() {
            let healthy = workload.health == Health::Healthy;
            if !workload.services.iter().any(|it| it.service == service.key)
                || !(healthy || balancing.health == HealthPolicy::AllowAll)
                || workload.capacity == 0
                || workload.addresses.is_empty()
                || *workload.network != *client.network
            {
                continue;
            }
            let matches = |scope: &Scope| match scope {
                Scope::Zone => workload.locality.zone == client.locality.zone,
                Scope::Network => *workload.network == *client.network,
                Scope::Node => *workload.node == *client.node,
                Scope::Region | Scope::Subzone | Scope::Cluster => panic!("not in use"),
            };
            let count = balancing.scopes.len();
            let all = balancing.scopes.iter().all(matches);
            let rank = match balancing.mode {
                Mode::Strict if all => 0,
                Mode::Strict => continue,
                // Only this network is usable here, so its special weight is the same for all.
                Mode::Failover => (0..=count)
                    .rev()
                    .find(|n| balancing.scopes.iter().take(*n).all(matches))
                    .unwrap_or(0),
                Mode::Unspecified | Mode::Passthrough => 0,
            };
            ranked.push((rank, workload));
        }
        let best = ranked.iter().map(|(rank, _)| *rank).max();
        let best = ranked.into_iter().filter(|(rank, _)| Some(*rank) == best);
        best.map(|(_, it)| it.uid.to_string()).collect()
    }
}

fn covers(first: IpAddr, prefix: u8, address: IpAddr) -> bool {
    let bits = |it: IpAddr| match it {
        IpAddr::V4(it) => (u128::from(it.to_bits()) << 96, 4),
        IpAddr::V6(it) => (it.to_bits(), 6),
    };
    let ((a, family_a), (b, family_b)) = (bits(first), bits(address));
    family_a == family_b && (prefix == 0 || (a ^ b) >> (128 - u32::from(prefix)) == 0)
}

fn at(snapshot: &Snapshot, network: &str, address: IpAddr, client: &str) -> String {
    match snapshot.find_address(network, address, client, &[]) {
        Lookup::Found(Hit::Workload(id)) => snapshot.workload(id).unwrap().uid().to_owned(),
        Lookup::Found(Hit::Service(id)) => snapshot.service(id).unwrap().key().to_string(),
        Lookup::Absent => "absent".to_owned(),
        Lookup::Ask(name) => panic!("asks for {name}"),
    }
}

fn compare(snapshot: &Snapshot, naive: &Naive) -> Result<(), TestCaseError> {
    let mut left: Vec<_> = snapshot.workloads().map(|it| it.to_model()).collect();
    left.sort_by(|a, b| a.uid.cmp(&b.uid));
    prop_assert_eq!(left, naive.workloads.values().cloned().collect::<Vec<_>>());
    let mut left: Vec<_> = snapshot
        .services()
        .map(|it| it.as_model().clone())
        .collect();
    left.sort_by_key(|it| it.key.to_string());
    prop_assert_eq!(left, naive.services.values().cloned().collect::<Vec<_>>());
    for network in ["", "far"] {
        for address in ADDRESSES
            .into_iter()
            .chain(["10.0.0.200", "10.200.0.1"])
            .map(ip)
        {
            for client in NAMESPACES {
                let expected = naive.at(network, address, client);
                prop_assert_eq!(at(snapshot, network, address, client), expected);
            }
        }
    }
    for name in SERVICES {
        let Some(service) = snapshot.service_by_name(&key(name)).found() else {
            prop_assert!(!naive.services.contains_key(name));
            continue;
        };
        for zone in ZONES {
            let locality = Locality {
                zone: zone.into(),
                ..Locality::default()
            };
            let client = ClientPlace {
                network: "",
                cluster: "",
                node: "node",
                locality: &locality,
            };
            let mut chosen = BTreeSet::new();
            for random in 0..300 {
                if let Pick::Endpoint(it) = snapshot.pick(service.id(), client, 80, None, random) {
                    chosen.insert(snapshot.workload(it.workload).unwrap().uid().to_owned());
                }
            }
            prop_assert_eq!(chosen, naive.candidates(service.as_model(), client));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_history_gives_the_answers_of_what_is_left(history in history()) {
        let (mut store, reader) = store();
        let mut naive = Naive::default();
        for batch in history {
            let removals: Vec<Removal> = batch
                .iter()
                .filter_map(|step| match step {
                    Step::Remove(name) => Some(gone(name)),
                    Step::Workload(_) | Step::Service(_) => None,
                })
                .collect();
            for step in &batch {
                if let Step::Remove(name) = step {
                    naive.workloads.remove(*name);
                    naive.services.remove(*name);
                }
            }
            let mut updates: Vec<Update> = Vec::new();
            for step in batch {
                match step {
                    Step::Workload(it) => {
                        naive.workloads.insert(it.uid.to_string(), (*it).clone());
                        updates.push(Update::Workload(it));
                    }
                    Step::Service(it) => {
                        naive.services.insert(it.key.to_string(), (*it).clone());
                        updates.push(Update::Service(it));
                    }
                    Step::Remove(_) => {}
                }
            }
            store.apply(updates, removals);
        }
        compare(&reader.load(), &naive)?;
    }
}
