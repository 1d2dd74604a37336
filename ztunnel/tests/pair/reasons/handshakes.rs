//! Handshakes that fail, at both doors: what is wrong with the other end, and what it is told.

use std::io::{Read, Write};
use std::time::{Duration, SystemTime};

use mesh::flow::Direction::{Inbound, Outbound};
use mesh::testing::ca::{Ca, Leaf, identity};

use super::outbound::{call, played, played_by};
use super::{Case, Known, Scene};
use crate::peer::{self, Act, Caller, Wire};
use crate::world::{World, client, service, web};

/// A caller whom pod two's proxy refuses with an alert.
const fn caller(wire: fn() -> Wire, provoke: fn() -> Scene) -> Case {
    Case {
        door: Inbound,
        known: Known::Nothing,
        wire,
        provoke,
    }
}

/// Another proxy that pod one's proxy refuses; it is told by an alert, and the client by a reset.
const fn called(wire: fn() -> Wire, provoke: fn() -> Scene) -> Case {
    Case {
        door: Outbound,
        known: Known::Ends,
        wire,
        provoke,
    }
}

pub(super) const TLS_FAILED: &[Case] = &[
    called(
        || Wire::Finished,
        || as_seen_by_the_other(played(Act::HangsUp, |_| {})),
    ),
    caller(
        || Wire::Finished,
        || {
            let world = World::new();
            let stream = peer::knock(&world);
            let source = stream.local_addr().unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let saw = super::live::end_of(&stream);
            Scene { world, source, saw }
        },
    ),
];

pub(super) const NOT_TLS: &[Case] = &[
    called(
        || Wire::Finished,
        || as_seen_by_the_other(played(Act::Babbles, |_| {})),
    ),
    caller(
        || Wire::alert("DecodeError"),
        || {
            let world = World::new();
            let mut stream = peer::knock(&world);
            let source = stream.local_addr().unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            let mut heard = Vec::new();
            // What the proxy has not read makes its close a reset, after the alert.
            let _ = stream.read_to_end(&mut heard);
            let saw = plain_alert(&heard);
            Scene { world, source, saw }
        },
    ),
];

pub(super) const NO_CERTIFICATE: &[Case] = &[caller(
    || Wire::alert("CertificateRequired"),
    || {
        let world = World::new();
        let (source, saw) = Caller::new(&world, None).read_end(b"");
        Scene { world, source, saw }
    },
)];

pub(super) const EXPIRED: &[Case] = &[
    caller(
        || Wire::alert("CertificateExpired"),
        || calls_with(|leaf| leaf.not_after = ago(60)),
    ),
    called(
        || Wire::alert("CertificateExpired"),
        || answers_with(|leaf| leaf.not_after = ago(60)),
    ),
];

pub(super) const NOT_YET_VALID: &[Case] = &[
    caller(
        || Wire::alert("CertificateExpired"),
        || calls_with(|leaf| leaf.not_before = ahead()),
    ),
    called(
        || Wire::alert("CertificateExpired"),
        || answers_with(|leaf| leaf.not_before = ahead()),
    ),
];

pub(super) const UNKNOWN_ISSUER: &[Case] = &[
    caller(
        || Wire::alert("UnknownCA"),
        || {
            let world = World::new();
            let papers = peer::papers(&Ca::named("stranger"), &leaf("client"));
            let (source, saw) = Caller::new(&world, Some(papers)).read_end(b"");
            Scene { world, source, saw }
        },
    ),
    called(
        || Wire::alert("UnknownCA"),
        || {
            let world = World::half(|_| {});
            let papers = peer::papers(&Ca::named("stranger"), &leaf("web"));
            let other = peer::impostor(&world.cable.two, papers, Act::Answers(200));
            let scene = call(world, [client(), web()], service());
            as_seen_by_the_other((scene, other.join().unwrap()))
        },
    ),
];

pub(super) const WRONG_PURPOSE: &[Case] = &[
    caller(
        || Wire::alert("UnsupportedCertificate"),
        || calls_with(|leaf| leaf.purposes.truncate(1)),
    ),
    called(
        || Wire::alert("UnsupportedCertificate"),
        || answers_with(|leaf| drop(leaf.purposes.remove(0))),
    ),
];

pub(super) const NO_IDENTITY: &[Case] = &[
    caller(
        || Wire::alert("CertificateUnknown"),
        || calls_with(nameless),
    ),
    called(
        || Wire::alert("CertificateUnknown"),
        || answers_with(nameless),
    ),
];

pub(super) const WRONG_TRUST_DOMAIN: &[Case] = &[caller(
    || Wire::alert("CertificateUnknown"),
    || calls_with(|leaf| leaf.uris = vec!["spiffe://elsewhere.example/ns/shop/sa/client".into()]),
)];

pub(super) const WRONG_IDENTITY: &[Case] = &[called(
    || Wire::alert("CertificateUnknown"),
    || answers_with(|leaf| leaf.uris = vec![identity("shop", "somebody-else").to_string()]),
)];

pub(super) const TIMEOUT: &[Case] = &[
    called(
        || Wire::Finished,
        || as_seen_by_the_other(played(Act::Silent, |_| {})),
    ),
    caller(
        || Wire::Finished,
        || {
            let world = World::new();
            let stream = peer::knock(&world);
            let source = stream.local_addr().unwrap();
            let saw = super::live::end_of(&stream);
            Scene { world, source, saw }
        },
    ),
];

pub(super) const HTTP2_FAILED: &[Case] = &[
    called(
        || Wire::Finished,
        || as_seen_by_the_other(played(Act::BabblesInside, |_| {})),
    ),
    caller(
        || Wire::Finished,
        || {
            let world = World::new();
            let caller = Caller::client(&world);
            let (source, saw) = caller.read_end(b"GET / HTTP/1.1\r\nhost: web\r\n\r\n");
            Scene { world, source, saw }
        },
    ),
];

fn leaf(account: &str) -> Leaf {
    Leaf::of(&identity("shop", account))
}

fn nameless(leaf: &mut Leaf) {
    leaf.uris = vec!["https://not.a.workload".into()];
}

fn ago(seconds: u64) -> SystemTime {
    SystemTime::now() - Duration::from_secs(seconds)
}

fn ahead() -> SystemTime {
    SystemTime::now() + Duration::from_secs(600)
}

/// The client's proxy calls with a leaf that is wrong somehow.
fn calls_with(change: fn(&mut Leaf)) -> Scene {
    let world = World::new();
    let mut leaf = leaf("client");
    change(&mut leaf);
    let papers = peer::papers(&world.ca, &leaf);
    let (source, saw) = Caller::new(&world, Some(papers)).read_end(b"");
    Scene { world, source, saw }
}

/// The application's proxy answers with such a leaf.
fn answers_with(change: fn(&mut Leaf)) -> Scene {
    let mut leaf = leaf("web");
    change(&mut leaf);
    as_seen_by_the_other(played_by(Act::Answers(200), &leaf, |_| {}))
}

/// The client must have seen a reset; what the other proxy saw is the case's.
fn as_seen_by_the_other((scene, saw): (Scene, Wire)) -> Scene {
    assert_eq!(scene.saw, Wire::Reset, "at the client");
    Scene { saw, ..scene }
}

/// An alert in plain text: content type 21, version, length 2, level, description. RFC 8446, section 6.
fn plain_alert(heard: &[u8]) -> Wire {
    match heard {
        [21, 3, _, 0, 2, 2, description] => {
            let alert = rustls::AlertDescription::from(*description);
            Wire::Alert(format!("{alert:?}"))
        }
        other => panic!("no alert: {other:?}"),
    }
}
