//! Tables of endpoint choice: ports, weights, scopes, networks, families.

use std::collections::BTreeMap;

use super::super::{ClientPlace, NoEndpoint, Pick, Reader};
use super::{ip, key, picture, pod, service, serving};
use crate::model::{
    ApplicationTunnel, IpFamilies, LoadBalancing, Locality, Mode, PortPair, Scope, Service,
    Workload,
};
use crate::wire::Update;

fn place(region: &str, zone: &str) -> Locality {
    Locality {
        region: region.into(),
        zone: zone.into(),
        subzone: "".into(),
    }
}

fn client(locality: &Locality) -> ClientPlace<'_> {
    ClientPlace {
        network: "",
        cluster: "Kubernetes",
        node: "node",
        locality,
    }
}

fn endpoint(name: &str, address: &str) -> Workload {
    serving(pod(name, address), &["ns/s"])
}

/// How often each endpoint (name and port) was chosen in a thousand tries.
fn shares(
    reader: &Reader,
    client: ClientPlace<'_>,
    port: u16,
) -> Result<BTreeMap<(String, u16), u32>, Pick> {
    let snapshot = reader.load();
    let id = snapshot.service_by_name(&key("ns/s")).found().unwrap().id();
    let mut shares = BTreeMap::new();
    for random in 0..1000 {
        match snapshot.pick(id, client, port, None, random) {
            Pick::Endpoint(it) => {
                let name = snapshot.workload(it.workload).unwrap().name().to_owned();
                *shares.entry((name, it.port)).or_default() += 1;
            }
            other => return Err(other),
        }
    }
    Ok(shares)
}

fn names(reader: &Reader, client: ClientPlace<'_>) -> Vec<String> {
    shares(reader, client, 80)
        .unwrap()
        .into_keys()
        .map(|(name, _)| name)
        .collect()
}

fn scoped(mode: Mode, scopes: &[Scope]) -> Service {
    let load_balancing = LoadBalancing {
        scopes: scopes.to_vec(),
        mode,
        ..Default::default()
    };
    Service {
        load_balancing,
        ..service("ns/s", "10.96.0.1")
    }
}

fn near(name: &str, address: &str, region: &str, zone: &str) -> Workload {
    Workload {
        locality: place(region, zone),
        ..endpoint(name, address)
    }
}

#[test]
fn every_endpoint_gets_its_share_by_capacity_and_none_at_zero() {
    let mut heavy = endpoint("heavy", "10.0.0.1");
    heavy.capacity = 3;
    let mut idle = endpoint("idle", "10.0.0.3");
    idle.capacity = 0;
    let (_store, reader) = picture([
        service("ns/s", "10.96.0.1").into(),
        heavy.into(),
        endpoint("light", "10.0.0.2").into(),
        idle.into(),
    ]);
    let here = Locality::default();
    let shares = shares(&reader, client(&here), 80).unwrap();
    assert_eq!(shares.values().sum::<u32>(), 1000);
    assert_eq!(shares.len(), 2);
    let heavy = shares[&("heavy".to_owned(), 8080)];
    assert!(
        (700..800).contains(&heavy),
        "{heavy} of 1000 for three quarters"
    );
}

#[test]
fn nothing_to_choose_from_says_why() {
    let here = Locality::default();
    let mut idle = endpoint("idle", "10.0.0.3");
    idle.capacity = 0;
    let (mut store, reader) = picture([service("ns/s", "10.96.0.1").into(), idle.into()]);
    let none = shares(&reader, client(&here), 80);
    assert_eq!(none, Err(Pick::Nothing(NoEndpoint::NoneHealthy)));
    store.apply([endpoint("a", "10.0.0.1").into()], []);
    let wrong_port = shares(&reader, client(&here), 81);
    assert_eq!(wrong_port, Err(Pick::Nothing(NoEndpoint::NoneServes)));
    store.apply([endpoint("a", "").into()], []);
    let no_address = shares(&reader, client(&here), 80);
    assert_eq!(no_address, Err(Pick::Nothing(NoEndpoint::NoneServes)));
}

#[test]
fn passthrough_is_no_choice() {
    let here = Locality::default();
    let (_store, reader) = picture([
        scoped(Mode::Passthrough, &[]).into(),
        endpoint("a", "10.0.0.1").into(),
    ]);
    assert_eq!(shares(&reader, client(&here), 80), Err(Pick::Passthrough));
}

#[test]
fn the_endpoint_s_port_comes_before_the_service_s_and_the_tunnel_s() {
    let mut service = service("ns/s", "10.96.0.1");
    service.ports[0].target_port = 7000;
    let mut other = endpoint("other", "10.0.0.2");
    other.services[0].ports = vec![];
    let mut zero = endpoint("zero", "10.0.0.3");
    zero.services[0].ports = vec![PortPair {
        service_port: 80,
        target_port: 0,
    }];
    let mut tunnel = endpoint("tunnel", "10.0.0.4");
    tunnel.application_tunnel = Some(ApplicationTunnel {
        proxy_protocol: true,
        port: 9000,
    });
    let (_store, reader) = picture([
        service.into(),
        endpoint("own", "10.0.0.1").into(),
        other.into(),
        zero.into(),
        tunnel.into(),
    ]);
    let here = Locality::default();
    let chosen: Vec<_> = shares(&reader, client(&here), 80)
        .unwrap()
        .into_keys()
        .collect();
    let expected = [
        ("other", 7000),
        ("own", 8080),
        ("tunnel", 8080),
        ("zero", 7000),
    ];
    assert_eq!(chosen, expected.map(|(name, port)| (name.to_owned(), port)));
    // Only the tunnel takes a port that nobody declares.
    let chosen: Vec<_> = shares(&reader, client(&here), 15008)
        .unwrap()
        .into_keys()
        .collect();
    assert_eq!(chosen, [("tunnel".to_owned(), 9000)]);
}

#[test]
fn the_few_that_serve_a_port_share_it_by_weight() {
    let mut updates: Vec<Update> = vec![service("ns/s", "10.96.0.1").into()];
    for i in 0..500 {
        updates.push(endpoint(&format!("e{i}"), &format!("10.0.{}.{}", i / 200, i % 200)).into());
    }
    for (name, capacity) in [("rare-1", 1), ("rare-3", 3)] {
        let mut rare = endpoint(name, &format!("10.9.0.{capacity}"));
        rare.services[0].ports = vec![PortPair {
            service_port: 81,
            target_port: 8081,
        }];
        rare.capacity = capacity;
        updates.push(rare.into());
    }
    let (_store, reader) = picture(updates);
    let here = Locality::default();
    let shares = shares(&reader, client(&here), 81).unwrap();
    assert_eq!(shares.len(), 2);
    let three = shares[&("rare-3".to_owned(), 8081)];
    assert!(
        (700..800).contains(&three),
        "{three} of 1000 for three quarters"
    );
}

#[test]
fn failover_takes_the_best_match_that_can_serve() {
    let (mut store, reader) = picture([
        scoped(Mode::Failover, &[Scope::Region, Scope::Zone]).into(),
        near("same-zone", "10.0.0.1", "r", "z").into(),
        near("same-region", "10.0.0.2", "r", "y").into(),
        near("far", "10.0.0.3", "q", "z").into(),
    ]);
    let here = place("r", "z");
    assert_eq!(names(&reader, client(&here)), ["same-zone"]);
    // Without the port it does not count.
    let mut mute = near("same-zone", "10.0.0.1", "r", "z");
    mute.services[0].ports = vec![];
    store.apply([mute.into()], []);
    assert_eq!(names(&reader, client(&here)), ["same-region"]);
    store.apply([], [super::gone("Kubernetes//Pod/ns/same-region")]);
    assert_eq!(names(&reader, client(&here)), ["far"]);
}

#[test]
fn strict_takes_full_matches_only() {
    let (mut store, reader) = picture([
        scoped(Mode::Strict, &[Scope::Node]).into(),
        Workload {
            node: "other".into(),
            ..endpoint("other", "10.0.0.2")
        }
        .into(),
    ]);
    let here = Locality::default();
    let none = shares(&reader, client(&here), 80);
    assert_eq!(none, Err(Pick::Nothing(NoEndpoint::NoneServes)));
    store.apply([endpoint("here", "10.0.0.1").into()], []);
    assert_eq!(names(&reader, client(&here)), ["here"]);
}

#[test]
fn other_balancing_regroups_the_endpoints_there_are() {
    let (mut store, reader) = picture([
        near("here", "10.0.0.1", "r", "z").into(),
        near("there", "10.0.0.2", "r", "y").into(),
    ]);
    let here = place("r", "z");
    store.apply([service("ns/s", "10.96.0.1").into()], []);
    assert_eq!(names(&reader, client(&here)), ["here", "there"]);
    store.apply([scoped(Mode::Failover, &[Scope::Zone]).into()], []);
    assert_eq!(names(&reader, client(&here)), ["here"]);
    store.apply([scoped(Mode::Unspecified, &[Scope::Zone]).into()], []);
    assert_eq!(names(&reader, client(&here)), ["here", "there"]);
}

#[test]
fn a_network_at_the_head_outweighs_all_and_ends_nothing() {
    let on = |network: &str, workload: Workload| Workload {
        network: network.into(),
        network_gateway: Some(super::by_address("192.0.2.1")),
        ..workload
    };
    // Best first: rank 5, 4, 3, 2, 1, 0 of [NETWORK, REGION, ZONE].
    let ranked = [
        on("", near("nrz", "10.0.0.1", "r", "z")),
        on("", near("nr", "10.0.0.2", "r", "y")),
        on("", near("n", "10.0.0.3", "q", "z")),
        on("far", near("rz", "10.0.0.4", "r", "z")),
        on("far", near("r", "10.0.0.5", "r", "y")),
        on("far", near("none", "10.0.0.6", "q", "z")),
    ];
    let service = scoped(
        Mode::Failover,
        &[Scope::Network, Scope::Region, Scope::Zone],
    );
    let updates = ranked.iter().cloned().map(Update::from);
    let (mut store, reader) = picture(updates.chain([service.into()]));
    let here = place("r", "z");
    for expected in &ranked {
        assert_eq!(names(&reader, client(&here)), [&*expected.name]);
        store.apply([], [super::gone(&expected.uid.0)]);
    }
}

#[test]
fn another_network_is_reached_through_its_gateway_or_not_at_all() {
    let mut far = endpoint("far", "10.0.0.1");
    far.network = "far".into();
    let (mut store, reader) = picture([service("ns/s", "10.96.0.1").into(), far.clone().into()]);
    let here = Locality::default();
    let none = shares(&reader, client(&here), 80);
    assert_eq!(none, Err(Pick::Nothing(NoEndpoint::NoneServes)));
    far.network_gateway = Some(super::by_address("192.0.2.1"));
    far.addresses.clear();
    store.apply([far.into()], []);
    let snapshot = reader.load();
    let id = snapshot.service_by_name(&key("ns/s")).found().unwrap().id();
    let Pick::Endpoint(endpoint) = snapshot.pick(id, client(&here), 80, None, 1) else {
        panic!("none chosen")
    };
    assert_eq!((endpoint.address, endpoint.port), (None, 8080));
}

#[test]
fn the_dialled_address_or_its_family_is_kept_within_what_the_service_offers() {
    let mut dual = endpoint("dual", "10.0.0.1");
    dual.addresses.push(ip("fd00::1"));
    let (mut store, reader) = picture([service("ns/s", "10.96.0.1").into(), dual.into()]);
    let here = Locality::default();
    let address = |dialled: Option<&str>| {
        let snapshot = reader.load();
        let id = snapshot.service_by_name(&key("ns/s")).found().unwrap().id();
        match snapshot.pick(id, client(&here), 80, dialled.map(ip), 1) {
            Pick::Endpoint(it) => it.address.map(|it| it.to_string()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(address(None).unwrap(), "10.0.0.1");
    assert_eq!(address(Some("10.96.0.1")).unwrap(), "10.0.0.1");
    assert_eq!(address(Some("fd00:96::1")).unwrap(), "fd00::1");
    assert_eq!(address(Some("fd00::1")).unwrap(), "fd00::1");
    let six = Service {
        ip_families: IpFamilies::Ipv6Only,
        ..service("ns/s", "10.96.0.1")
    };
    store.apply([six.into()], []);
    assert_eq!(address(Some("10.96.0.1")).unwrap(), "fd00::1");
    // Who dialled the pod itself gets what he dialled.
    assert_eq!(address(Some("10.0.0.1")).unwrap(), "10.0.0.1");
}

#[test]
fn a_workload_with_only_a_host_name_is_chosen_without_an_address() {
    let mut named = endpoint("named", "");
    named.hostname = "db.example".into();
    let (_store, reader) = picture([service("ns/s", "10.96.0.1").into(), named.into()]);
    let here = Locality::default();
    assert_eq!(names(&reader, client(&here)), ["named"]);
}
