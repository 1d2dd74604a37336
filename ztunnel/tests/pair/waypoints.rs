//! A waypoint that is itself in the mesh: pod two is the only instance of it.

use std::io::Read;
use std::net::Ipv4Addr;

use mesh::flow::Direction;
use mesh::model::{
    ApplicationTunnel, Destination, GatewayAddress, PortPair, Service, ServiceEndpoint, Workload,
};
use mesh::names::NamespacedHostname;
use mesh::wire::Update;

use crate::logged;
use crate::net::{ONE, TWO, VIP};
use crate::proxy::{PATIENCE, wait_until};
use crate::world::{A_WHILE, SERVICE_PORT, World, answer_once, ask, client, service, web};

/// The service, behind a waypoint.
fn fronted() -> Service {
    Service {
        waypoint: Some(GatewayAddress {
            destination: Destination::Hostname(gate().key),
            hbone_port: 15008,
        }),
        ..service()
    }
}

/// The waypoint's service: known by name, without an address.
fn gate() -> Service {
    Service {
        key: NamespacedHostname::new("shop", "gate.shop.svc.cluster.local"),
        name: "gate".into(),
        addresses: Vec::new(),
        ..service()
    }
}

/// Pod two, as an instance of it.
fn instance() -> Workload {
    let ports = vec![PortPair {
        service_port: 15008,
        target_port: 15008,
    }];
    Workload {
        services: vec![ServiceEndpoint {
            service: gate().key,
            ports,
        }],
        ..web()
    }
}

/// An application that takes tunnels for others is called on loopback, and told who calls whom.
pub(crate) fn announced() {
    let world = World::empty();
    let told = Workload {
        application_tunnel: Some(ApplicationTunnel {
            proxy_protocol: true,
            port: 15088,
        }),
        ..instance()
    };
    let records = vec![
        Update::Workload(Box::new(client())),
        Update::Workload(Box::new(told)),
        Update::Service(Box::new(fronted())),
        Update::Service(Box::new(gate())),
    ];
    world.one.learn(records.clone(), Vec::new());
    world.two.learn(records, Vec::new());
    let listener = world.listen_at(Ipv4Addr::LOCALHOST.into(), 15088);
    let application = answer_once(listener, b"told");
    assert_eq!(ask(&world.call(), b"hello"), b"told");
    let (peer, heard) = application.join().unwrap();
    assert!(peer.ip().is_loopback(), "{peer}");
    // Signature, TCP over IPv4, length; who calls, whom; ports; the identity; then the client.
    let identity = b"spiffe://cluster.local/ns/shop/sa/client";
    let mut expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0".to_vec();
    expected.push(u8::try_from(12 + 3 + identity.len()).unwrap());
    expected.extend(ONE.octets());
    expected.extend(VIP.octets());
    assert_eq!(heard[..expected.len()], expected);
    let mut rest = SERVICE_PORT.to_be_bytes().to_vec();
    rest.extend([0xd0, 0, u8::try_from(identity.len()).unwrap()]);
    rest.extend(identity);
    rest.extend(b"hello");
    // The client's own port is the kernel's choice.
    assert_eq!(heard[expected.len() + 2..], rest);
}

pub(crate) fn held() {
    let world = World::empty();
    let own = Update::Workload(Box::new(client()));
    let early = vec![own, Update::Service(Box::new(fronted()))];
    let late = vec![
        Update::Workload(Box::new(instance())),
        Update::Service(Box::new(gate())),
    ];
    world.one.learn(early.clone(), Vec::new());
    world.two.learn([early, late.clone()].concat(), Vec::new());
    // What the waypoint takes for a service arrives at the service's own port.
    let application = answer_once(world.listen_at(TWO.into(), SERVICE_PORT), b"at the gate");
    let call = world.call();
    call.set_read_timeout(Some(A_WHILE)).unwrap();
    assert!((&call).read(&mut [0]).is_err(), "nothing can have come yet");
    call.set_read_timeout(Some(PATIENCE)).unwrap();
    world.one.learn(late, Vec::new());
    assert_eq!(ask(&call, b"?"), b"at the gate");
    application.join().unwrap();
    let source = call.local_addr().unwrap();
    let ends = || logged::ends(Direction::Outbound, source);
    wait_until("it is logged", || !ends().is_empty());
    let line = &ends()[0];
    assert_eq!(line.get("dst.addr"), format!("{TWO}:15008"));
    assert_eq!(line.get("dst.hbone_addr"), format!("{VIP}:{SERVICE_PORT}"));
    assert_eq!(line.get("dst.service"), "web.shop.svc.cluster.local");
}
