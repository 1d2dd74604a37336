//! What a pod's redirection does to packets.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use cni::rules::{PodSettings, Settings, apply, redirection};
use libtest_mimic::Trial;

use crate::trial;
use crate::world::{Pod, accept, original_destination, talk};

const MARK: u32 = 0x539;
const INSIDE: [&str; 2] = ["10.1.0.2", "fd00::2"];
const OUTSIDE: [&str; 2] = ["10.1.0.1", "fd00::1"];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("redirect::what_leaves_the_pod_goes_to_15001", outbound),
        trial("redirect::what_arrives_goes_to_15006", inbound),
        trial("redirect::tunnels_arrive_at_15008_untouched", tunnels),
        trial("redirect::ztunnels_own_connections_pass", marked),
        trial(
            "redirect::the_pod_calling_itself_is_not_captured",
            own_address,
        ),
        trial("redirect::probes_of_the_node_pass_on_any_port", probes),
        trial("redirect::inbound_capture_can_be_bypassed", bypass),
        trial(
            "redirect::replies_to_a_spoofed_source_come_back_to_ztunnel",
            spoofed,
        ),
        trial("redirect::rerouted_interfaces_count_as_outbound", rerouted),
        trial("redirect::dns_is_captured_when_asked_for", dns),
        trial(
            "redirect::applying_twice_is_as_good_as_once_and_removal_leaves_nothing",
            twice,
        ),
    ]
}

fn captured(pod: &PodSettings) -> Pod {
    let world = Pod::new();
    put(&world, pod);
    world
}

fn put(world: &Pod, pod: &PodSettings) {
    apply::apply(
        world.inside.0.as_fd(),
        &redirection(&Settings::default(), pod),
    )
    .unwrap();
}

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

fn outbound() {
    let world = captured(&PodSettings::default());
    let ztunnel = world.inside.listen("[::]:15001");
    for target in OUTSIDE.iter().chain(&["192.0.2.7", "2001:db8::7"]) {
        let _client = world.inside.dial(None, at(target, 80), None);
        let (stream, _) = accept(&ztunnel);
        assert_eq!(original_destination(&stream), at(target, 80));
    }
}

fn inbound() {
    let world = captured(&PodSettings::default());
    let ztunnel = world.inside.listen("[::]:15006");
    for (client, server) in OUTSIDE.iter().zip(INSIDE) {
        let dialled = world.outside.dial(None, at(server, 8080), None);
        let (stream, peer) = accept(&ztunnel);
        assert_eq!(original_destination(&stream), at(server, 8080));
        assert_eq!(peer.ip(), at(client, 0).ip());
        talk(&dialled, &stream);
    }
}

fn tunnels() {
    let world = captured(&PodSettings::default());
    let ztunnel = world.inside.listen("[::]:15008");
    for server in INSIDE {
        let dialled = world.outside.dial(None, at(server, 15008), None);
        talk(&dialled, &accept(&ztunnel).0);
    }
}

fn marked() {
    let world = captured(&PodSettings::default());
    let server = world.outside.listen("[::]:80");
    for target in OUTSIDE {
        let dialled = world.inside.dial(None, at(target, 80), Some(MARK));
        talk(&dialled, &accept(&server).0);
    }
}

fn own_address() {
    let world = captured(&PodSettings::default());
    let app = world.inside.listen("[::]:8080");
    for target in INSIDE.iter().chain(&["127.0.0.1", "::1"]) {
        let dialled = world.inside.dial(None, at(target, 8080), None);
        talk(&dialled, &accept(&app).0);
    }
}

fn probes() {
    let world = captured(&PodSettings::default());
    world.add_outside("fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128");
    let app = world.inside.listen("[::]:8080");
    let probe_addresses = ["169.254.7.127", "fd16:9254:7127:1337:ffff:ffff:ffff:ffff"];
    for (probe, server) in probe_addresses.iter().zip(INSIDE) {
        let from = at(probe, 0).ip();
        let dialled = world.outside.dial(Some(from), at(server, 8080), None);
        let (stream, peer) = accept(&app);
        assert_eq!(peer.ip(), from);
        talk(&dialled, &stream);
    }
}

fn bypass() {
    let world = captured(&PodSettings {
        bypass_inbound_capture: true,
        ..PodSettings::default()
    });
    let app = world.inside.listen("[::]:8080");
    let ztunnel = world.inside.listen("[::]:15001");
    for (client, server) in OUTSIDE.iter().zip(INSIDE) {
        talk(
            &world.outside.dial(None, at(server, 8080), None),
            &accept(&app).0,
        );
        let _client = world.inside.dial(None, at(client, 80), None);
        accept(&ztunnel);
    }
}

fn spoofed() {
    let world = captured(&PodSettings::default());
    let app = world.inside.listen("[::]:8080");
    // Addresses that are not on this link either: without the way back, replies would leave by the default route.
    let clients = [OUTSIDE, ["192.0.2.9", "2001:db8::9"]].concat();
    for client in clients {
        let from = at(client, 0).ip();
        let server = if from.is_ipv4() { INSIDE[0] } else { INSIDE[1] };
        let dialled = world.inside.dial(Some(from), at(server, 8080), Some(MARK));
        let (stream, peer) = accept(&app);
        assert_eq!(peer.ip(), from, "the application sees the client's address");
        talk(&dialled, &stream);
    }
}

fn rerouted() {
    let reroute_interfaces = vec!["eth0".to_owned()];
    let world = captured(&PodSettings {
        reroute_interfaces,
        ..PodSettings::default()
    });
    let ztunnel = world.inside.listen("[::]:15001");
    for server in INSIDE {
        let _client = world.outside.dial(None, at(server, 8080), None);
        assert_eq!(original_destination(&accept(&ztunnel).0), at(server, 8080));
    }
}

fn dns() {
    let world = captured(&PodSettings {
        dns_capture: Some(true),
        ..PodSettings::default()
    });
    let ztunnel = world.inside.listen("[::]:15053");
    for target in OUTSIDE {
        let _client = world.inside.dial(None, at(target, 53), None);
        assert_eq!(original_destination(&accept(&ztunnel).0), at(target, 53));
    }
    // An answer must come from the address that the redirection chose, as ztunnel takes care of.
    let answering = world
        .inside
        .run(|| std::net::UdpSocket::bind("127.0.0.1:15053"))
        .unwrap();
    let asking = world
        .inside
        .run(|| std::net::UdpSocket::bind("10.1.0.2:0"))
        .unwrap();
    for socket in [&answering, &asking] {
        socket
            .set_read_timeout(Some(crate::world::PATIENCE))
            .unwrap();
    }
    asking.connect(at(OUTSIDE[0], 53)).unwrap();
    asking.send(b"query").unwrap();
    let mut query = [0; 16];
    let (length, peer) = answering.recv_from(&mut query).unwrap();
    assert_eq!(&query[..length], b"query");
    answering.send_to(b"answer", peer).unwrap();
    let length = asking.recv(&mut query).unwrap();
    assert_eq!(
        &query[..length],
        b"answer",
        "the answer comes from where the query went"
    );
}

fn twice() {
    let world = captured(&PodSettings::default());
    let plain = redirection(&Settings::default(), &PodSettings::default());
    let other = PodSettings {
        dns_capture: Some(true),
        ..PodSettings::default()
    };
    let other = redirection(&Settings::default(), &other);
    let netns = world.inside.0.as_fd();
    assert!(apply::verify(netns, &plain).unwrap());
    assert!(!apply::verify(netns, &other).unwrap());
    apply::apply(netns, &plain).unwrap();
    assert!(apply::verify(netns, &plain).unwrap());
    apply::apply(netns, &other).unwrap();
    assert!(apply::verify(netns, &other).unwrap());
    apply::apply(netns, &plain).unwrap();
    assert!(
        apply::verify(netns, &plain).unwrap(),
        "the table that is no longer needed is gone"
    );

    apply::remove(netns).unwrap();
    apply::remove(netns).unwrap();
    assert!(!apply::verify(netns, &plain).unwrap());
    assert_eq!(world.inside.run(leftovers), Vec::<String>::new());
    let server = world.outside.listen("[::]:80");
    talk(
        &world.inside.dial(None, at(OUTSIDE[0], 80), None),
        &accept(&server).0,
    );
}

/// Tables and routing rules of ours in the calling thread's namespace.
fn leftovers() -> Vec<String> {
    use futures_util::TryStreamExt;
    let mut found: Vec<String> = cni::rules::tables()
        .iter()
        .filter(|table| cni::nft::dump::rules(table).unwrap().is_some())
        .map(ToString::to_string)
        .collect();
    crate::world::netlink(async |handle| {
        for version in [rtnetlink::IpVersion::V4, rtnetlink::IpVersion::V6] {
            let mut rules = handle.rule().get(version).execute();
            while let Some(rule) = rules.try_next().await.unwrap() {
                if rule.header.table == 100 {
                    found.push(format!("{rule:?}"));
                }
            }
        }
    });
    found
}
