//! What the node agent says of pods that are served already: nothing changes that need not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;

use mesh::flow::{Direction, Reason};
use mesh::zds::{PodInfo, Request};

use crate::net::TWO;
use crate::world::{World, is_refused};

/// The pod of the second proxy, as it was handed over at first.
fn add() -> Request {
    Request::Add {
        uid: "uid-web".into(),
        info: Some(PodInfo {
            name: "web".into(),
            namespace: "shop".into(),
            service_account: "web".into(),
        }),
    }
}

fn goes_on((client, application): &mut (TcpStream, TcpStream)) {
    client.write_all(b"more").unwrap();
    application.read_exact(&mut [0; 4]).unwrap();
}

pub(crate) fn told_again() {
    let world = World::new();
    world.two.tell(&Request::SnapshotSent, None);
    let listener = world.listen(TWO.into());
    let mut connection = world.connection(&listener);

    // Another descriptor of the same namespace is the same namespace.
    let again = world.cable.two.try_clone().unwrap();
    assert_eq!(world.two.tell(&add(), Some(&again)), None);
    goes_on(&mut connection);
    // In the next snapshot the agent may not have it at hand.
    world.two.hang_up();
    let keep = Request::Keep {
        uid: "uid-web".into(),
    };
    assert_eq!(world.two.tell(&keep, None), None);
    let stranger = Request::Keep {
        uid: "uid-stranger".into(),
    };
    assert_eq!(world.two.tell(&stranger, None), None);
    assert_eq!(world.two.tell(&Request::SnapshotSent, None), None);
    goes_on(&mut connection);
    // What is no namespace is refused in words, and changes nothing.
    let nothing: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    let refused = world.two.tell(&add(), Some(&nothing)).unwrap();
    assert!(refused.contains("cannot enter the namespace"), "{refused}");
    goes_on(&mut connection);
    assert!(world.two.gates.pending().is_empty(), "ready all the time");
}

pub(crate) fn moved() {
    let world = World::new();
    let listener = world.listen(TWO.into());
    let (client, application) = world.connection(&listener);
    // The same pod in another namespace is another life of it: its doors open there, and what was is over.
    assert_eq!(world.two.tell(&add(), Some(&world.cable.one)), None);
    assert!(is_refused(&client));
    assert!(is_refused(&application));
    // The other proxy was told of this one connection; its tunnel did not just break.
    World::wait_for_end(&world.one, Direction::Outbound, Reason::DestinationReset);
    let served = world.two.dump()["workloadState"]["uid-web"]["netnsInode"].clone();
    let inode = nix::sys::stat::fstat(&world.cable.one).unwrap().st_ino;
    assert_eq!(served, inode);
}
