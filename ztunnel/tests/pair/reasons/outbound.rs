//! What becomes of calls of pod one that never carried a byte.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mesh::flow::Direction::Outbound;
use mesh::model::{
    Destination, GatewayAddress, Health, PortPair, Service, ServiceEndpoint, TunnelKind, Workload,
};
use mesh::names::NamespacedHostname;
use mesh::testing::ca::{Leaf, identity};
use mesh::wire::Update;

use super::live::scene;
use super::{Case, Known, Scene};
use crate::dns::by_name;
use crate::net::{self, NOBODY, NOWHERE, ONE, PLAIN_PORT};
use crate::peer::{self, Act, Wire};
use crate::proxy::Start;
use crate::world::{SERVICE_PORT, World, client, service, timed, web};

/// A call that fails with a reset at its client.
const fn case(known: Known, provoke: fn() -> Scene) -> Case {
    Case {
        door: Outbound,
        known,
        wire: || Wire::Reset,
        provoke,
    }
}

pub(super) const BAD_HEADER: &[Case] = &[case(Known::Ends, || {
    // What the pod says about itself does not fit into a header.
    let talkative = Workload {
        canonical_name: "n".repeat(10_000).into(),
        ..client()
    };
    called(talkative, [web()], service())
})];

pub(super) const WORKLOAD_UNKNOWN: &[Case] = &[case(Known::Nothing, || {
    let world = World::half(|_| {});
    let client = world.call();
    scene(world, &client)
})];

pub(super) const NO_HEALTHY_ENDPOINT: &[Case] = &[case(Known::Ends, || {
    let sick = Workload {
        health: Health::Unhealthy,
        ..web()
    };
    called(client(), [sick], service())
})];

pub(super) const WAYPOINT_UNAVAILABLE: &[Case] = &[case(Known::Ends, || {
    let fronted = Service {
        waypoint: Some(gateway()),
        ..service()
    };
    called(client(), [web()], fronted)
})];

pub(super) const OTHER_NETWORK: &[Case] = &[case(Known::Ends, || {
    let far = Workload {
        network: "far".into(),
        network_gateway: Some(gateway()),
        ..web()
    };
    called(client(), [far], service())
})];

pub(super) const LOOKUP_TIMEOUT: &[Case] = &[case(Known::Ends, || {
    // Only the client is known, and nobody answers when asked about the service.
    let world = World::half(|start| start.on_demand = true);
    let own = vec![Update::Workload(Box::new(client()))];
    world.one.learn(own, Vec::new());
    let client = world.call();
    scene(world, &client)
})];

pub(super) const NAME_NOT_RESOLVED: &[Case] = &[
    case(Known::Ends, || {
        called(client(), [by_name(web(), "nobody.example")], service())
    }),
    case(Known::Ends, || {
        called(client(), [by_name(web(), "silent.example")], service())
    }),
];

pub(super) const CONNECT_TIMEOUT: &[Case] = &[case(Known::Ends, || {
    called(client(), [plain_web(NOBODY)], service())
})];

pub(super) const CONNECT_FAILED: &[Case] = &[case(Known::Ends, || {
    called(client(), [plain_web(NOWHERE)], service())
})];

pub(super) const TUNNEL_PORT_BLOCKED: &[Case] = &[case(Known::Ends, || {
    let blocked = Workload {
        addresses: vec![NOBODY.into()],
        ..web()
    };
    called(client(), [blocked], service())
})];

pub(super) const REFUSED_BY_PEER_POLICY: &[Case] =
    &[case(Known::Ends, || played(Act::Answers(401), |_| {}).0)];

pub(super) const REFUSED_BY_PEER: &[Case] =
    &[case(Known::Ends, || played(Act::Answers(503), |_| {}).0)];

pub(super) const ANSWER_TIMEOUT: &[Case] = &[case(Known::Ends, || {
    let impatient = |start: &mut Start| start.answer_deadline = Some(Duration::from_millis(200));
    played(Act::NeverAnswers, impatient).0
})];

pub(super) const NO_OWN_CERTIFICATE: &[Case] = &[case(Known::Ends, || {
    let world = World::half(|_| {});
    world.one.refuse_to_sign();
    call(world, [client(), web()], service())
})];

pub(super) const OVERLOADED: &[Case] = &[case(Known::Nothing, || {
    let world = World::half(|start| start.config.limits.waiting = 0);
    let client = world.call();
    scene(world, &client)
})];

/// A waypoint that nobody knows.
fn gateway() -> GatewayAddress {
    GatewayAddress {
        destination: Destination::Hostname(NamespacedHostname::new("shop", "gate.example")),
        hbone_port: 15008,
    }
}

/// The workload of pod two, outside of the mesh and at this address.
pub(crate) fn plain_web(address: Ipv4Addr) -> Workload {
    let ports = vec![PortPair {
        service_port: SERVICE_PORT,
        target_port: PLAIN_PORT,
    }];
    Workload {
        addresses: vec![address.into()],
        tunnel: TunnelKind::None,
        services: vec![ServiceEndpoint {
            service: service().key,
            ports,
        }],
        ..web()
    }
}

/// The client calls the service of these workloads.
fn called(own: Workload, others: impl IntoIterator<Item = Workload>, service: Service) -> Scene {
    let workloads = std::iter::once(own).chain(others);
    call(World::half(|_| {}), workloads, service)
}

pub(super) fn call(
    world: World,
    workloads: impl IntoIterator<Item = Workload>,
    service: Service,
) -> Scene {
    let workloads = workloads.into_iter();
    let mut records: Vec<_> = workloads.map(|it| Update::Workload(Box::new(it))).collect();
    records.push(Update::Service(Box::new(service)));
    world.one.learn(records, Vec::new());
    let client = world.call();
    scene(world, &client)
}

/// The client calls, and the test plays the other proxy, with the papers it should have. Also tells
/// what the other proxy saw.
pub(super) fn played(act: Act, change: impl Fn(&mut Start)) -> (Scene, Wire) {
    played_by(act, &Leaf::of(&identity("shop", "web")), change)
}

/// The same with this leaf.
pub(super) fn played_by(act: Act, leaf: &Leaf, change: impl Fn(&mut Start)) -> (Scene, Wire) {
    let world = World::half(change);
    let papers = peer::papers(&world.ca, leaf);
    let other = peer::impostor(&world.cable.two, papers, act);
    let scene = call(world, [client(), web()], service());
    (scene, other.join().unwrap())
}

/// The pod calls its own proxy's door.
pub(super) fn own_door() -> Scene {
    let world = World::new();
    let door = SocketAddr::new(IpAddr::from(ONE), SERVICE_PORT);
    let client = timed(net::connect(&world.cable.one, ONE.into(), door));
    scene(world, &client)
}
