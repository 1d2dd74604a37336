//! What the node's own rules do to the kubelet's connections.

use std::net::IpAddr;
use std::os::fd::AsFd;

use cni::host;
use cni::nft::Element;
use cni::rules::{PodSettings, Settings, apply, redirection};
use libtest_mimic::Trial;

use crate::trial;
use crate::world::{Pod, accept, talk};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "host::the_kubelet_reaches_captured_pods_as_the_probe_address",
            probes,
        ),
        trial("host::another_user_is_captured", other_user),
        trial("host::pods_come_and_go", membership),
    ]
}

fn pods() -> Vec<Element> {
    ["10.1.0.2", "fd00::2"]
        .map(|a| Element::new(a.parse().unwrap(), "uid-1"))
        .to_vec()
}

fn probes() {
    let settings = Settings::default();
    let world = Pod::new();
    let pod = redirection(&settings, &PodSettings::default());
    apply::apply(world.inside.0.as_fd(), &pod).unwrap();
    let app = world.inside.listen("[::]:8080");
    world
        .outside
        .run(|| host::install(host::ruleset(&settings, 0, &pods())))
        .unwrap();
    let expected: [IpAddr; 2] = [
        settings.probe_address_v4.into(),
        settings.probe_address_v6.into(),
    ];
    for (element, expected) in pods().into_iter().zip(expected) {
        let dialled = world
            .outside
            .dial(None, (element.address, 8080).into(), None);
        let (stream, peer) = accept(&app);
        assert_eq!(peer.ip(), expected);
        talk(&dialled, &stream);
    }
}

fn other_user() {
    let settings = Settings::default();
    let world = Pod::new();
    let app = world.inside.listen("[::]:8080");
    let ruleset = host::ruleset(&settings, 4711, &pods());
    world.outside.run(|| host::install(ruleset)).unwrap();
    let _dialled = world
        .outside
        .dial(None, (pods()[0].address, 8080).into(), None);
    assert_eq!(accept(&app).1.ip(), "10.1.0.1".parse::<IpAddr>().unwrap());
}

fn membership() {
    let settings = Settings::default();
    let world = Pod::new();
    world.outside.run(|| {
        assert_eq!(host::pods().unwrap(), None);
        host::install(host::ruleset(&settings, 0, &[])).unwrap();
        assert_eq!(host::pods().unwrap(), Some(vec![]));
        host::remove_pod(&settings, &pods()).unwrap();
        host::add_pod(&settings, &pods()).unwrap();
        host::add_pod(&settings, &pods()).unwrap();
        assert_eq!(host::pods().unwrap(), Some(pods()));
        host::remove_pod(&settings, &pods()[..1]).unwrap();
        assert_eq!(host::pods().unwrap(), Some(pods()[1..].to_vec()));
        host::remove().unwrap();
        host::remove().unwrap();
        assert_eq!(host::pods().unwrap(), None);
    });
}
