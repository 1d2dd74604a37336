//! Connections that were open: how they may end.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use mesh::flow::Direction::{Inbound, Outbound};
use mesh::net::sockopt::KeepAlive;
use mesh::wire::Update;
use mesh::zds;

use super::outbound::{plain_web, played};
use super::{Case, Known, Scene};
use crate::net::{APP_PORT, PLAIN_PORT, TWO, unplug};
use crate::peer::{Act, Call, Caller, Wire};
use crate::world::{World, answer_once, ask, client, deny_all, service, timed};

pub(super) const COMPLETE: &[Case] = &[
    Case {
        door: Outbound,
        known: Known::Open,
        wire: || Wire::Finished,
        provoke: || {
            let world = World::new();
            let application = answer_once(world.listen(TWO.into()), b"answer");
            let client = world.call();
            assert_eq!(ask(&client, b"question"), b"answer");
            application.join().unwrap();
            let source = client.local_addr().unwrap();
            let saw = Wire::Finished;
            Scene { world, source, saw }
        },
    },
    Case {
        door: Inbound,
        known: Known::Open,
        wire: || Wire::Finished,
        provoke: || {
            let (world, mut call, application) = tunnelled();
            drop(application);
            call.send(b"the last", true);
            let (source, saw) = call.end();
            Scene { world, source, saw }
        },
    },
];

pub(super) const CLIENT_RESET: &[Case] = &[
    Case {
        door: Outbound,
        known: Known::Open,
        wire: || Wire::Reset,
        provoke: || {
            let world = World::new();
            let (client, application) = world.connection(&world.listen(TWO.into()));
            let source = client.local_addr().unwrap();
            reset(client);
            let saw = end_of(&application);
            Scene { world, source, saw }
        },
    },
    Case {
        door: Inbound,
        known: Known::Open,
        wire: || Wire::Reset,
        provoke: || {
            let (world, call, application) = tunnelled();
            let source = call.reset();
            let saw = end_of(&application);
            Scene { world, source, saw }
        },
    },
];

pub(super) const DESTINATION_RESET: &[Case] = &[
    Case {
        door: Outbound,
        known: Known::Open,
        wire: || Wire::Reset,
        provoke: || {
            let world = World::new();
            let (client, application) = world.connection(&world.listen(TWO.into()));
            reset(application);
            scene(world, &client)
        },
    },
    Case {
        door: Inbound,
        known: Known::Open,
        wire: || Wire::StreamReset(h2::Reason::CONNECT_ERROR),
        provoke: || {
            let (world, call, application) = tunnelled();
            reset(application);
            let (source, saw) = call.end();
            Scene { world, source, saw }
        },
    },
];

pub(super) const TUNNEL_LOST: &[Case] = &[Case {
    door: Outbound,
    known: Known::Open,
    wire: || Wire::Reset,
    provoke: || played(Act::Falls, |_| {}).0,
}];

pub(super) const DRAINED: &[Case] = &[
    Case {
        door: Outbound,
        known: Known::Open,
        wire: || Wire::Reset,
        provoke: || {
            let world = World::new();
            let (client, _application) = world.connection(&world.listen(TWO.into()));
            let gone = zds::Request::Delete {
                uid: "uid-client".into(),
            };
            assert_eq!(world.one.tell(&gone, None), None);
            scene(world, &client)
        },
    },
    Case {
        door: Inbound,
        known: Known::Open,
        wire: || Wire::StreamReset(h2::Reason::CONNECT_ERROR),
        provoke: || {
            let (world, call, _application) = tunnelled();
            let gone = zds::Request::Delete {
                uid: "uid-web".into(),
            };
            assert_eq!(world.two.tell(&gone, None), None);
            let (source, saw) = call.end();
            Scene { world, source, saw }
        },
    },
];

pub(super) const POLICY_CHANGED: &[Case] = &[Case {
    door: Inbound,
    known: Known::Open,
    wire: || Wire::StreamReset(h2::Reason::CONNECT_ERROR),
    provoke: || {
        let (world, call, _application) = tunnelled();
        let deny = vec![Update::Policy(Box::new(deny_all()))];
        world.two.learn(deny, Vec::new());
        let (source, saw) = call.end();
        Scene { world, source, saw }
    },
}];

pub(super) const IO_FAILED: &[Case] = &[Case {
    door: Outbound,
    known: Known::Open,
    wire: || Wire::Reset,
    provoke: || {
        let world = World::half(|start| {
            start.config.doors.keep_alive = KeepAlive {
                idle: Duration::from_secs(1),
                interval: Duration::from_secs(1),
                probes: 1,
                ..KeepAlive::default()
            };
        });
        let records = [client(), plain_web(TWO)].map(|it| Update::Workload(Box::new(it)));
        let service = Update::Service(Box::new(service()));
        world
            .one
            .learn(records.into_iter().chain([service]).collect(), Vec::new());
        let (client, _application) = world.connection(&world.listen_at(TWO.into(), PLAIN_PORT));
        unplug(&world.cable);
        scene(world, &client)
    },
}];

/// A tunnel to pod two that carries a stream to its application.
fn tunnelled() -> (World, Call, TcpStream) {
    let world = World::new();
    let listener = world.listen(TWO.into());
    let call = Caller::client(&world).connect(&format!("{TWO}:{APP_PORT}"));
    let call = call.unwrap_or_else(|refused| panic!("{refused:?}"));
    let (application, peer) = listener.accept().unwrap();
    assert_eq!(peer.ip(), call.source().ip());
    (world, call, timed(application))
}

/// What the client in pod one sees.
pub(super) fn scene(world: World, client: &TcpStream) -> Scene {
    let source = client.local_addr().unwrap();
    let saw = end_of(client);
    Scene { world, source, saw }
}

/// Reads until the other side ends.
pub(super) fn end_of(mut stream: &TcpStream) -> Wire {
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => Wire::Finished,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Wire::Reset,
        Err(error) => panic!("{error}"),
    }
}

fn reset(stream: TcpStream) {
    let socket = socket2::SockRef::from(&stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}
