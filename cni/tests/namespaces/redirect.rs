//! What a pod's redirection does to packets.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use cni::nft::{self, Action, AddressKind, Command, Part, Rule, Ruleset, Table};
use cni::notices::Notices;
use cni::rules::apply::{self, Fault};
use cni::rules::{self, PodSettings, Redirection, Settings, redirection};
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
        trial("redirect::whatever_somebody_changes_is_found", tampered),
        trial("redirect::a_notice_comes_for_our_rules_only", noticed),
        trial("redirect::a_missing_capability_is_named", unprivileged),
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
    assert_eq!(apply::verify(netns, &plain).unwrap(), []);
    assert_eq!(faults(netns, &other), [table("raw"), table("nat")]);
    apply::apply(netns, &plain).unwrap();
    assert_eq!(apply::verify(netns, &plain).unwrap(), []);
    apply::apply(netns, &other).unwrap();
    assert_eq!(apply::verify(netns, &other).unwrap(), []);
    apply::apply(netns, &plain).unwrap();
    let what = "the table that is no longer needed is gone";
    assert_eq!(apply::verify(netns, &plain).unwrap(), [], "{what}");
    assert!(apply::is_redirected(netns).unwrap());

    apply::remove(netns).unwrap();
    apply::remove(netns).unwrap();
    let routes = |kind| Fault::Routes(kind).to_string();
    let all = [
        table("mangle"),
        table("nat"),
        routes(AddressKind::V4),
        routes(AddressKind::V6),
    ];
    assert_eq!(faults(netns, &plain), all);
    assert!(!apply::is_redirected(netns).unwrap());
    assert_eq!(world.inside.run(leftovers), Vec::<String>::new());
    let server = world.outside.listen("[::]:80");
    talk(
        &world.inside.dial(None, at(OUTSIDE[0], 80), None),
        &accept(&server).0,
    );
}

fn faults(netns: BorrowedFd<'_>, redirection: &Redirection) -> Vec<String> {
    let faults = apply::verify(netns, redirection).unwrap();
    faults.iter().map(ToString::to_string).collect()
}

fn table(name: &str) -> String {
    format!("table inet istio-ambient-{name} is missing or was changed")
}

/// Somebody changes one thing; it is found, and nothing else is blamed.
fn tampered() {
    let world = captured(&PodSettings::default());
    let netns = world.inside.0.as_fd();
    let plain = redirection(&Settings::default(), &PodSettings::default());
    let nat = &plain.rulesets[2];
    let (table_name, output) = (nat.table.clone(), nat.chains[1].clone());
    let flush = Command::Flush {
        table: table_name.clone(),
        chain: output.name.clone(),
    };
    let append = |rule: &Rule| Command::Append {
        table: table_name.clone(),
        chain: output.name.clone(),
        rule: rule.clone(),
    };
    let other_port = |rule: &Rule| {
        let mut rule = rule.clone();
        for part in &mut rule.parts {
            if let Part::Then(Action::Redirect(port)) = part {
                *port = 15999;
            }
        }
        rule
    };
    let all: Vec<Command> = output.rules.iter().map(append).collect();
    let others: Vec<Command> = output
        .rules
        .iter()
        .map(|rule| append(&other_port(rule)))
        .collect();
    let reversed: Vec<Command> = output.rules.iter().rev().map(append).collect();
    let with_flush = |rules: Vec<Command>| [vec![flush.clone()], rules].concat();
    for (what, commands) in [
        ("the same comments over other rules", with_flush(others)),
        ("another order", with_flush(reversed)),
        ("one rule less", with_flush(all[1..].to_vec())),
        ("no rule", with_flush(vec![])),
        ("one rule more", vec![all[0].clone()]),
    ] {
        world.inside.run(|| nft::apply(&commands)).unwrap();
        assert_eq!(faults(netns, &plain), [table("nat")], "{what}");
        apply::apply(netns, &plain).unwrap();
        assert_eq!(apply::verify(netns, &plain).unwrap(), [], "{what}");
    }
    world.inside.run(remove_ipv6_rule);
    assert_eq!(
        apply::verify(netns, &plain).unwrap(),
        [Fault::Routes(AddressKind::V6)]
    );
}

/// Removes the routing rule of redirection from the calling thread's namespace.
fn remove_ipv6_rule() {
    use futures_util::TryStreamExt;
    crate::world::netlink(async |handle| {
        let rules = handle.rule().get(rtnetlink::IpVersion::V6).execute();
        let rules: Vec<_> = rules.try_collect().await.unwrap();
        for rule in rules.into_iter().filter(|rule| rule.header.table == 100) {
            handle.rule().del(rule).execute().await.unwrap();
        }
    });
}

/// A notice comes for what is ours, by whatever hand, and for nothing else.
fn noticed() {
    let world = captured(&PodSettings::default());
    let plain = redirection(&Settings::default(), &PodSettings::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let inside = || world.inside.0.as_fd();
    let replace_stranger = || {
        let stranger = Ruleset::new(Table::inet("stranger"));
        world
            .inside
            .run(|| nft::apply(&[Command::Replace(stranger)]))
            .unwrap();
    };
    let removals: [(&str, &(dyn Fn() + Sync)); 4] = [
        ("tables", &|| {
            let commands = rules::tables().map(Command::Remove);
            world.inside.run(|| nft::apply(&commands)).unwrap();
        }),
        ("one rule", &|| {
            let flush = Command::Flush {
                table: plain.rulesets[1].table.clone(),
                chain: "output".into(),
            };
            world.inside.run(|| nft::apply(&[flush])).unwrap();
        }),
        ("a routing rule", &|| world.inside.run(remove_ipv6_rule)),
        ("all of it", &|| apply::remove(inside()).unwrap()),
    ];
    runtime.block_on(async {
        for (what, remove) in removals {
            apply::apply(inside(), &plain).unwrap();
            let notices = Notices::of(inside(), rules::tables().to_vec()).unwrap();
            replace_stranger();
            let mut changed = std::pin::pin!(notices.changed());
            let at_once = std::time::Duration::ZERO;
            let heard = tokio::time::timeout(at_once, &mut changed).await;
            assert!(
                heard.is_err(),
                "{what}: another's table is none of our business"
            );
            remove();
            let heard = tokio::time::timeout(crate::world::PATIENCE, changed).await;
            heard.expect(what).unwrap();
        }
    });
}

/// What the kernel refuses for want of a capability is said by the capability's name.
fn unprivileged() {
    let world = captured(&PodSettings::default());
    let plain = redirection(&Settings::default(), &PodSettings::default());
    let words_without = |capability: u32| {
        std::thread::scope(|scope| {
            let attempt = scope.spawn(|| {
                give_up(capability);
                let applied = apply::apply(world.inside.0.as_fd(), &plain);
                mesh::telemetry::report(&applied.unwrap_err())
            });
            attempt.join().unwrap()
        })
    };
    const NET_ADMIN: u32 = 12;
    const SYS_ADMIN: u32 = 21;
    let words = words_without(NET_ADMIN);
    assert!(words.contains("CAP_NET_ADMIN is missing"), "{words}");
    let words = words_without(SYS_ADMIN);
    assert!(
        words.contains("cannot enter the pod's network namespace: CAP_SYS_ADMIN is missing"),
        "{words}"
    );

    let node = std::thread::spawn(|| {
        give_up(NET_ADMIN);
        let ruleset = cni::host::ruleset(&Settings::default(), 0, &[]);
        mesh::telemetry::report(&cni::host::install(ruleset).unwrap_err())
    });
    let words = node.join().unwrap();
    assert!(words.contains("CAP_NET_ADMIN is missing"), "{words}");
}

/// Takes one capability from the calling thread.
fn give_up(capability: u32) {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    // Two halves of 32 capabilities, each: effective, permitted, inheritable.
    let mut sets = [[0_u32; 3]; 2];
    #[expect(unsafe_code, reason = "libc has no function for this call")]
    // SAFETY: both arguments point to as many numbers as the kernel reads and writes for version 3.
    unsafe {
        assert_eq!(
            libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()),
            0
        );
        sets[0][0] &= !(1 << capability);
        sets[0][1] &= !(1 << capability);
        assert_eq!(
            libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()),
            0
        );
    }
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
