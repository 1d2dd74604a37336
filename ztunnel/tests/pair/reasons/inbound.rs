//! What pod two's proxy answers to a CONNECT that it does not serve, and the same reasons at pod one.

use mesh::flow::Direction::{Inbound, Outbound};
use mesh::model::{PortPair, Reach, ServiceEndpoint, Workload};
use mesh::names::NamespacedName;
use mesh::wire::Update;

use super::outbound::{call, own_door, plain_web};
use super::{Case, Known, Scene};
use crate::net::{APP_PORT, ONE, TWO};
use crate::peer::{Caller, Wire};
use crate::world::{World, client, deny_all, service, web};

/// A request that is refused with a status.
const fn case(wire: fn() -> Wire, provoke: fn() -> Scene) -> Case {
    Case {
        door: Inbound,
        known: Known::Ends,
        wire,
        provoke,
    }
}

pub(super) const POLICY_DENIED: &[Case] = &[case(
    || Wire::Status(401),
    || {
        let world = World::new();
        let deny = vec![Update::Policy(Box::new(deny_all()))];
        world.two.learn(deny, Vec::new());
        asked(world, &application())
    },
)];

pub(super) const POLICY_NOT_ARRIVED: &[Case] = &[case(
    || Wire::Status(503),
    || {
        let guarded = Workload {
            policies: vec![NamespacedName::new("shop", "late")],
            ..web()
        };
        asked(knowing(guarded), &application())
    },
)];

pub(super) const POLICY_REJECTED: &[Case] = &[case(
    || Wire::Status(503),
    || {
        let world = World::new();
        world.two.reject_policy("shop/broken", Reach::Mesh);
        asked(world, &application())
    },
)];

pub(super) const NOT_CONNECT: &[Case] = &[case_early(
    || Wire::Status(400),
    || {
        let world = World::new();
        let request = http::Request::get(format!("https://{}/", application()));
        refused(Caller::client(&world).ask(request.body(()).unwrap()), world)
    },
)];

pub(super) const BAD_AUTHORITY: &[Case] = &[case_early(
    || Wire::Status(400),
    || asked(World::new(), &format!("{TWO}:0")),
)];

pub(super) const AUTHORITY_MISMATCH: &[Case] = &[case(
    || Wire::Status(400),
    || asked(World::new(), &format!("{ONE}:{APP_PORT}")),
)];

pub(super) const ILLEGAL_PORT: &[Case] = &[
    case(
        || Wire::Status(503),
        || asked(World::new(), &format!("{TWO}:15006")),
    ),
    Case {
        door: Outbound,
        known: Known::Ends,
        wire: || Wire::Reset,
        provoke: own_door,
    },
];

pub(super) const HOST_UNKNOWN: &[Case] = &[case(
    || Wire::Status(503),
    || asked(World::new(), "nowhere.example:80"),
)];

pub(super) const PORT_UNKNOWN: &[Case] = &[
    case(
        || Wire::Status(503),
        || asked(World::new(), "web.shop.svc.cluster.local:81"),
    ),
    Case {
        door: Outbound,
        known: Known::Ends,
        wire: || Wire::Reset,
        provoke: || {
            let mut other = service();
            let mut web = web();
            for port in &mut other.ports {
                port.service_port = 81;
            }
            web.services = vec![ServiceEndpoint {
                service: other.key.clone(),
                ports: vec![PortPair {
                    service_port: 81,
                    target_port: APP_PORT,
                }],
            }];
            call(World::half(|_| {}), [client(), web], other)
        },
    },
];

pub(super) const CONNECT_REFUSED: &[Case] = &[
    case(|| Wire::Status(503), || asked(World::new(), &application())),
    Case {
        door: Outbound,
        known: Known::Ends,
        wire: || Wire::Reset,
        provoke: || call(World::half(|_| {}), [client(), plain_web(TWO)], service()),
    },
];

/// The same of a request that is refused before anything was learnt of either end.
const fn case_early(wire: fn() -> Wire, provoke: fn() -> Scene) -> Case {
    Case {
        known: Known::Nothing,
        ..case(wire, provoke)
    }
}

/// Where the application would be.
fn application() -> String {
    format!("{TWO}:{APP_PORT}")
}

/// The proxy of pod two knows this of its pod.
fn knowing(web: Workload) -> World {
    let world = World::new();
    let record = vec![Update::Workload(Box::new(web))];
    world.two.learn(record, Vec::new());
    world
}

/// A proxy with the client's papers asks for `authority`.
fn asked(world: World, authority: &str) -> Scene {
    refused(Caller::client(&world).connect(authority), world)
}

fn refused(answer: Result<crate::peer::Call, (std::net::SocketAddr, Wire)>, world: World) -> Scene {
    match answer {
        Err((source, saw)) => Scene { world, source, saw },
        Ok(call) => panic!("{} was served", call.source()),
    }
}
