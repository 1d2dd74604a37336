//! Tables of waypoint resolution: found, failing closed, skipped.

use super::super::{ClientPlace, Lookup, Reader, Settings, Store, Unavailable, Waypoint};
use super::{by_address, by_name, ip, key, picture, pod, service, serving};
use crate::identity::Identity;
use crate::model::{
    ApplicationTunnel, GatewayAddress, Health, Locality, PortPair, Service, WeightedWaypoint,
    Workload,
};
use crate::wire::Update;

const HERE: fn(&Locality) -> ClientPlace<'_> = |locality| ClientPlace {
    network: "",
    cluster: "Kubernetes",
    node: "node",
    locality,
};

/// A waypoint instance behind service `ns/wp`.
fn instance(name: &str, address: &str) -> Workload {
    let mut workload = serving(pod(name, address), &["ns/wp"]);
    workload.service_account = "wp".into();
    workload.services[0].ports = vec![PortPair {
        service_port: 15008,
        target_port: 15008,
    }];
    workload
}

fn behind(gateway: GatewayAddress) -> Service {
    Service {
        waypoint: Some(gateway),
        ..service("ns/s", "10.96.0.1")
    }
}

/// Name of the instance and its port, or the refusal.
fn answer(reader: &Reader, random: u64) -> Result<(String, u16), Waypoint> {
    let snapshot = reader.load();
    let service = snapshot.service_by_name(&key("ns/s")).found().unwrap();
    let locality = Locality::default();
    let waypoint = snapshot.service_waypoint(service, HERE(&locality), random);
    match &waypoint {
        Waypoint::Instance { endpoint, .. } => {
            let workload = snapshot.workload(endpoint.workload).unwrap();
            Ok((workload.name().to_owned(), endpoint.port))
        }
        _ => Err(waypoint),
    }
}

fn unknown(name: &str) -> Result<(String, u16), Waypoint> {
    Err(Waypoint::Unavailable(Unavailable::Unknown {
        waypoint: name.into(),
    }))
}

fn no_instance(name: &str) -> Result<(String, u16), Waypoint> {
    Err(Waypoint::Unavailable(Unavailable::NoInstance {
        waypoint: name.into(),
    }))
}

#[test]
fn a_service_without_waypoint_has_none() {
    let (_store, reader) = picture([service("ns/s", "10.96.0.1").into()]);
    assert_eq!(answer(&reader, 1), Err(Waypoint::None));
}

#[test]
fn a_named_waypoint_is_an_endpoint_of_its_service() {
    let (_store, reader) = picture([
        behind(by_name("ns/wp")).into(),
        service("ns/wp", "10.96.0.2").into(),
        instance("w", "10.0.0.1").into(),
    ]);
    assert_eq!(answer(&reader, 1), Ok(("w".to_owned(), 15008)));
}

#[test]
fn an_address_may_be_the_waypoint_s_service_or_one_workload() {
    let parts: [Update; 2] = [
        service("ns/wp", "10.96.0.2").into(),
        instance("w", "10.0.0.1").into(),
    ];
    for address in ["10.96.0.2", "10.0.0.1"] {
        let (_store, reader) = picture(
            parts
                .clone()
                .into_iter()
                .chain([behind(by_address(address)).into()]),
        );
        assert_eq!(answer(&reader, 1), Ok(("w".to_owned(), 15008)), "{address}");
    }
}

#[test]
fn a_host_name_may_be_one_workload() {
    let mut named = instance("w", "");
    named.hostname = "wp.example".into();
    let (_store, reader) = picture([behind(by_name("ns/wp.example")).into(), named.into()]);
    assert_eq!(answer(&reader, 1), Ok(("w".to_owned(), 15008)));
}

#[test]
fn a_waypoint_that_cannot_be_reached_never_counts_as_none() {
    let (mut store, reader) = picture([behind(by_name("ns/wp")).into()]);
    assert_eq!(answer(&reader, 1), unknown("ns/wp"));
    store.apply([service("ns/wp", "10.96.0.2").into()], []);
    assert_eq!(answer(&reader, 1), no_instance("ns/wp"));
    let mut sick = instance("w", "10.0.0.1");
    sick.health = Health::Unhealthy;
    store.apply([sick.clone().into()], []);
    assert_eq!(answer(&reader, 1), no_instance("ns/wp"));
    store.apply([behind(by_address("10.0.0.1")).into()], []);
    assert_eq!(answer(&reader, 1), no_instance("/10.0.0.1"));
    store.apply([behind(by_address("10.0.0.9")).into()], []);
    assert_eq!(answer(&reader, 1), unknown("/10.0.0.9"));
}

#[test]
fn on_demand_an_unknown_waypoint_is_asked_for() {
    let (mut store, reader) = Store::new(Settings {
        on_demand: true,
        ..Settings::default()
    });
    store.apply([behind(by_name("ns/wp")).into()], []);
    assert_eq!(answer(&reader, 1), Err(Waypoint::Ask("ns/wp".into())));
}

#[test]
fn several_waypoints_share_by_weight_and_stand_instead_of_the_one() {
    let mut service_with_two = behind(by_address("10.0.0.3"));
    let weighted = |address, weight| WeightedWaypoint {
        gateway: by_address(address),
        weight,
    };
    service_with_two.weighted_waypoints = vec![
        weighted("10.0.0.1", 3),
        weighted("10.0.0.2", 1),
        weighted("10.0.0.3", 0),
    ];
    let (mut store, reader) = picture([
        service_with_two.clone().into(),
        pod("a", "10.0.0.1").into(),
        pod("b", "10.0.0.2").into(),
        pod("c", "10.0.0.3").into(),
    ]);
    let count = |name: &str| {
        (0..1000)
            .filter(|random| answer(&reader, *random).unwrap().0 == name)
            .count()
    };
    assert_eq!(count("a") + count("b"), 1000);
    assert!((700..800).contains(&count("a")), "{} of 1000", count("a"));
    for it in &mut service_with_two.weighted_waypoints {
        it.weight = 0;
    }
    store.apply([service_with_two.clone().into()], []);
    assert_eq!(count("c"), 1000);
    service_with_two.waypoint = None;
    store.apply([service_with_two.into()], []);
    assert_eq!(
        answer(&reader, 1),
        Err(Waypoint::Unavailable(Unavailable::NoWeight))
    );
}

#[test]
fn an_instance_behind_an_application_tunnel_needs_no_port_on_the_service() {
    let mut sandwiched = instance("w", "10.0.0.1");
    sandwiched.services[0].ports = vec![];
    sandwiched.application_tunnel = Some(ApplicationTunnel {
        proxy_protocol: true,
        port: 15088,
    });
    let (_store, reader) = picture([
        behind(by_name("ns/wp")).into(),
        service("ns/wp", "10.96.0.2").into(),
        sandwiched.into(),
    ]);
    assert_eq!(answer(&reader, 1), Ok(("w".to_owned(), 15008)));
}

#[test]
fn a_waypoint_on_another_network_comes_without_address() {
    let mut far = instance("w", "10.0.0.1");
    far.network = "far".into();
    far.network_gateway = Some(by_address("192.0.2.1"));
    let (_store, reader) = picture([
        behind(by_name("ns/wp")).into(),
        service("ns/wp", "10.96.0.2").into(),
        far.into(),
    ]);
    let snapshot = reader.load();
    let service = snapshot.service_by_name(&key("ns/s")).found().unwrap();
    let locality = Locality::default();
    let Waypoint::Instance { endpoint, .. } =
        snapshot.service_waypoint(service, HERE(&locality), 1)
    else {
        panic!("no instance")
    };
    assert_eq!(endpoint.address, None);
}

#[test]
fn a_workload_s_waypoint_is_skipped_only_for_what_comes_from_it() {
    let guarded = Workload {
        waypoint: Some(by_name("ns/wp")),
        ..pod("guarded", "10.0.0.9")
    };
    let (_store, reader) = picture([
        guarded.into(),
        service("ns/wp", "10.96.0.2").into(),
        instance("w", "10.0.0.1").into(),
        pod("client", "10.0.0.2").into(),
    ]);
    let snapshot = reader.load();
    let workload = snapshot
        .workload_by_uid("Kubernetes//Pod/ns/guarded")
        .found()
        .unwrap();
    let locality = Locality::default();
    let is_skipped = |account: &str, address: &str| {
        let identity = Identity::parse(&format!("spiffe://cluster.local/ns/ns/sa/{account}"));
        let source = (&identity.unwrap(), ip(address));
        match snapshot.workload_waypoint(workload, HERE(&locality), source, 1) {
            Waypoint::None => true,
            Waypoint::Instance { .. } => false,
            other => panic!("{other:?}"),
        }
    };
    assert!(is_skipped("wp", "10.0.0.1"));
    assert!(!is_skipped("default", "10.0.0.2"));
    assert!(
        !is_skipped("wp", "10.0.0.2"),
        "its identity from another address"
    );
    assert!(
        !is_skipped("default", "10.0.0.1"),
        "another identity from its address"
    );
    assert!(!is_skipped("wp", "10.0.0.77"), "from an address nobody has");
}

#[test]
fn an_instance_takes_tunnels_for_what_stands_behind_its_waypoint_and_nothing_else() {
    let guarded = || Workload {
        waypoint: Some(by_name("ns/wp")),
        ..pod("guarded", "10.0.0.9")
    };
    let shared = || {
        let gateway = by_name("ns/wp");
        let mut service = service("ns/shared", "10.96.0.7");
        service.weighted_waypoints = vec![WeightedWaypoint { gateway, weight: 0 }];
        service
    };
    let behind_another = || Service {
        waypoint: Some(by_name("ns/another")),
        ..service("ns/t", "10.96.0.8")
    };
    for (on_demand, unknown) in [
        (false, Lookup::Absent),
        (true, Lookup::Ask("/10.0.0.77".into())),
    ] {
        let (mut store, reader) = Store::new(Settings {
            on_demand,
            ..Settings::default()
        });
        // The waypoint's own service need not be known: the instance's record names it.
        let records: [Update; 6] = [
            guarded().into(),
            pod("free", "10.0.0.8").into(),
            behind(by_name("ns/wp")).into(),
            behind_another().into(),
            shared().into(),
            instance("w", "10.0.0.1").into(),
        ];
        store.apply(records, []);
        let snapshot = reader.load();
        let uid = "Kubernetes//Pod/ns/w";
        let instance = snapshot.workload_by_uid(uid).found().unwrap();
        for (address, expected) in [
            ("10.0.0.9", Lookup::Found(true)),
            ("10.96.0.1", Lookup::Found(true)),
            ("10.96.0.7", Lookup::Found(true)),
            ("10.0.0.8", Lookup::Found(false)),
            ("10.96.0.8", Lookup::Found(false)),
            ("10.0.0.77", unknown.clone()),
        ] {
            let answer = snapshot.is_waypoint_of(instance, ip(address), &[]);
            assert_eq!(answer, expected, "{address}, on demand: {on_demand}");
        }
    }
}
