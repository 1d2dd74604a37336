//! What a mesh of a hundred thousand workloads costs, counted by an allocator of its own: bytes per
//! workload, bytes per update whatever the size, and nothing left behind by churn.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, and so may its helpers"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use mesh::identity::TrustDomain;
use mesh::model::{
    AppProtocol, Health, IpFamilies, LoadBalancing, Locality, NetworkMode, Origin, Port, PortPair,
    Service, ServiceAddress, ServiceEndpoint, TunnelKind, Visibility, Workload, WorkloadKind,
};
use mesh::names::{NamespacedHostname, NamespacedName, WorkloadUid};
use mesh::state::{ClientPlace, Pick, Reader, Removal, Settings, Store};
use mesh::wire::Update;

/// The system's allocator, counting bytes held and bytes ever handed out.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static HANDED_OUT: AtomicUsize = AtomicUsize::new(0);

/// What the system's allocator spends on a block: its header, and rounding up to 16.
fn block(size: usize) -> usize {
    (size + 8).next_multiple_of(16).max(32)
}

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(block(layout.size()), Ordering::Relaxed);
        HANDED_OUT.fetch_add(block(layout.size()), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(block(layout.size()), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PER_SERVICE: usize = 50;
const PER_NODE: usize = 100;

/// A pod as a controller describes it: everything that pods have.
fn pod(number: usize) -> Workload {
    let app = number / PER_SERVICE;
    let namespace = format!("namespace-{}", app / 10);
    let name = format!("app-{app}-7d4b9c6f5d-{number:05x}");
    let node = number % 1000;
    let octets = [
        10,
        1 + (number >> 16) as u8,
        (number >> 8) as u8,
        number as u8,
    ];
    Workload {
        uid: WorkloadUid::pod("Kubernetes", &namespace, &name),
        name: name.as_str().into(),
        namespace: namespace.as_str().into(),
        addresses: vec![octets.into()],
        hostname: "".into(),
        network: "".into(),
        tunnel: TunnelKind::Hbone,
        native_tunnel: false,
        trust_domain: TrustDomain::default(),
        service_account: format!("app-{app}").into(),
        node: format!("node-{}", node / (PER_NODE / 100)).into(),
        canonical_name: format!("app-{app}").into(),
        canonical_revision: "v1".into(),
        workload_kind: WorkloadKind::Pod,
        workload_name: format!("app-{app}").into(),
        cluster: "Kubernetes".into(),
        health: Health::Healthy,
        services: vec![ServiceEndpoint {
            service: NamespacedHostname::new(namespace.as_str(), hostname(app)),
            ports: vec![PortPair {
                service_port: 80,
                target_port: 8080,
            }],
        }],
        waypoint: None,
        network_gateway: None,
        application_tunnel: None,
        policies: vec![NamespacedName::new(
            namespace.as_str(),
            format!("app-{app}"),
        )],
        locality: Locality {
            region: "region".into(),
            zone: format!("zone-{}", node % 3).into(),
            subzone: "".into(),
        },
        network_mode: NetworkMode::Standard,
        capacity: 1,
        labels: Vec::new(),
        origin: Some(Origin::object("Pod", namespace.as_str(), name.as_str())),
    }
}

fn hostname(app: usize) -> String {
    format!("app-{app}.namespace-{}.svc.cluster.local", app / 10)
}

fn service(app: usize) -> Service {
    Service {
        key: NamespacedHostname::new(format!("namespace-{}", app / 10), hostname(app)),
        name: format!("app-{app}").into(),
        addresses: vec![ServiceAddress {
            network: "".into(),
            address: [10, 96, (app >> 8) as u8, app as u8].into(),
            prefix: None,
        }],
        ports: vec![Port {
            service_port: 80,
            target_port: 8080,
            app_protocol: AppProtocol::Unknown,
        }],
        subject_alt_names: vec![],
        waypoint: None,
        weighted_waypoints: vec![],
        load_balancing: LoadBalancing::default(),
        ip_families: IpFamilies::Automatic,
        canonical: true,
        ingress_use_waypoint: false,
        visibility: Visibility::Public,
        origin: None,
    }
}

/// A mesh of `size` pods, filled in batches as a stream would.
fn filled(size: usize) -> (Store, Reader) {
    let (mut store, reader) = Store::new(Settings {
        node: "node-1".into(),
        ..Settings::default()
    });
    let services = (0..size / PER_SERVICE).map(|app| Update::Service(Box::new(service(app))));
    store.apply(services, []);
    for start in (0..size).step_by(1000) {
        let pods = (start..start + 1000).map(|it| Update::Workload(Box::new(pod(it))));
        store.apply(pods, []);
    }
    (store, reader)
}

/// Bytes handed out while one pod changes, goes and comes back, each in a batch of its own.
fn bytes_per_update(store: &mut Store, number: usize) -> usize {
    let mut changed = pod(number);
    changed.health = Health::Unhealthy;
    let uid: Box<str> = changed.uid.0.as_ref().into();
    let (changed, back) = (
        Update::Workload(Box::new(changed)),
        Update::Workload(Box::new(pod(number))),
    );
    let before = HANDED_OUT.load(Ordering::Relaxed);
    store.apply([changed], []);
    store.apply([], [Removal::Address(uid)]);
    store.apply([back], []);
    (HANDED_OUT.load(Ordering::Relaxed) - before) / 3
}

fn median_update(store: &mut Store, size: usize) -> usize {
    let mut samples: Vec<_> = (0..99)
        .map(|it| bytes_per_update(store, it * (size / 99)))
        .collect();
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().unwrap()
}

/// A mesh where all pods back one service.
fn one_service(size: usize) -> (Store, Reader) {
    let (mut store, reader) = Store::new(Settings::default());
    store.apply([Update::Service(Box::new(service(0)))], []);
    let pods = (0..size).map(|number| {
        let mut pod = pod(number);
        pod.services = self::pod(0).services;
        Update::Workload(Box::new(pod))
    });
    store.apply(pods, []);
    (store, reader)
}

/// Bytes handed out while the first of the service's endpoints fails and recovers.
fn bytes_per_endpoint_event(store: &mut Store) -> usize {
    let mut failed = pod(0);
    failed.health = Health::Unhealthy;
    let updates = [failed, pod(0)].map(|it| Update::Workload(Box::new(it)));
    let before = HANDED_OUT.load(Ordering::Relaxed);
    for update in updates {
        store.apply([update], []);
    }
    (HANDED_OUT.load(Ordering::Relaxed) - before) / 2
}

/// Chooses an endpoint a thousand times; nothing may be allocated for it.
fn choose(reader: &Reader) {
    let snapshot = reader.load();
    let id = snapshot.services().next().unwrap().id();
    let locality = Locality::default();
    let client = ClientPlace {
        network: "",
        cluster: "",
        node: "",
        locality: &locality,
    };
    let before = HANDED_OUT.load(Ordering::Relaxed);
    for random in 0..1000 {
        assert!(matches!(
            snapshot.pick(id, client, 80, None, random),
            Pick::Endpoint(_)
        ));
    }
    assert_eq!(
        HANDED_OUT.load(Ordering::Relaxed),
        before,
        "choosing allocates"
    );
}

/// One test, because the counters are the process's.
#[test]
fn a_large_mesh_is_compact_and_changes_of_it_are_small() {
    let (mut small, _small_reader) = filled(1_000);
    let small_update = median_update(&mut small, 1_000);
    drop(small);

    let before = HELD.load(Ordering::Relaxed);
    let (mut store, reader) = filled(100_000);
    let held = HELD.load(Ordering::Relaxed) - before;
    let per_workload = held / 100_000;
    assert_eq!(reader.load().workload_count(), 100_000);

    let large_update = median_update(&mut store, 100_000);
    // Past the harness, which would swallow it.
    let line = format!(
        "\n{per_workload} B per workload at 100 000; one update allocates {small_update} B at 1 000 \
         and {large_update} B at 100 000\n"
    );
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).unwrap();
    assert!(per_workload <= 300, "{per_workload} B per workload");
    assert!(
        large_update <= small_update * 3,
        "{large_update} B, {small_update} B at 1 000"
    );
    assert!(large_update <= 32 << 10, "{large_update} B for one update");

    let (mut store_of_100, reader_of_100) = one_service(100);
    let (mut store_of_10_000, reader_of_10_000) = one_service(10_000);
    choose(&reader_of_100);
    choose(&reader_of_10_000);
    let (few, many) = (
        bytes_per_endpoint_event(&mut store_of_100),
        bytes_per_endpoint_event(&mut store_of_10_000),
    );
    assert!(
        many <= few * 3,
        "{many} B per event at 10 000 endpoints, {few} B at 100"
    );

    let settled = HELD.load(Ordering::Relaxed);
    for round in 0..10_000 {
        let mut workload = pod(round % 100_000);
        workload.canonical_revision = format!("v{round}").into();
        store.apply([Update::Workload(Box::new(workload))], []);
    }
    for number in 0..10_000 {
        store.apply([Update::Workload(Box::new(pod(number)))], []);
    }
    let grown = HELD.load(Ordering::Relaxed).saturating_sub(settled);
    assert!(
        grown < held / 10,
        "{grown} B more after churn, {held} B before"
    );
}
