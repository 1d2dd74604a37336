//! What a CONNECT may ask for, as tables. Source: docs/compat.md#inbound-status.

use mesh::model::{ApplicationTunnel, Workload};

use super::*;
use crate::drawn::{doors, ip, pod, service, serving, snapshot, snapshot_on_demand, waypoint};

/// What pod `web` at 10.0.0.2 answers to an authority.
fn ask(web: Workload, authority: &str) -> Result<String, Reason> {
    let web_service = service("web", &["10.96.0.1"], &[(80, 8080), (81, 0)]);
    let gate = service("gate", &["10.96.0.9"], &[(15008, 15008)]);
    let mut fronted = service("fronted", &["10.96.0.5"], &[(80, 8080)]);
    fronted.waypoint = waypoint(&web_service);
    let services = [web_service.clone(), gate, fronted];
    let web = serving(web, &web_service, &[(81, 8181)]);
    let snapshot = snapshot([web, pod("other", &["10.0.0.3"])], services);
    let asked = Asked {
        authority: &Authority::parse(authority).unwrap(),
        dialled: ip("10.0.0.2"),
        pod: snapshot.find_workload("shop", "web", "web").unwrap(),
        doors: &doors(),
        answered: &[],
    };
    match target(&snapshot, &asked) {
        Ok(target) => Ok(describe(target)),
        Err(NoTarget::Refused(reason)) => Err(reason),
        Err(NoTarget::Ask(name)) => panic!("{name} is asked for"),
    }
}

/// The application; where it is called, if elsewhere; what it is told.
fn describe(target: Target) -> String {
    let mut text = target.application.to_string();
    if target.at != target.application {
        text.push_str(&format!(" at {}", target.at));
    }
    if let Some(announced) = target.announced {
        text.push_str(&format!(" for {announced}"));
    }
    text
}

fn web() -> Workload {
    pod("web", &["10.0.0.2", "fd00::2"])
}

#[test]
fn the_pods_own_address_leads_to_the_same_port() {
    assert_eq!(ask(web(), "10.0.0.2:8080").unwrap(), "10.0.0.2:8080");
    assert_eq!(
        ask(web(), "[::ffff:10.0.0.2]:8080").unwrap(),
        "10.0.0.2:8080"
    );
}

#[test]
fn another_address_is_not_this_pods_business() {
    for authority in [
        "10.0.0.3:8080",
        "10.96.0.1:80",
        "10.96.0.9:80",
        "1.2.3.4:1",
        "[fd00::2]:80",
    ] {
        assert_eq!(
            ask(web(), authority),
            Err(Reason::AuthorityMismatch),
            "{authority}"
        );
    }
}

#[test]
fn our_own_doors_are_no_target() {
    for port in [15001, 15006, 15008] {
        let asked = ask(web(), &format!("10.0.0.2:{port}"));
        assert_eq!(asked, Err(Reason::IllegalPort), "{port}");
    }
}

#[test]
fn a_host_name_leads_to_the_pods_port_behind_the_service() {
    let host = "web.shop.svc.cluster.local";
    assert_eq!(
        ask(web(), &format!("{host}:81")).unwrap(),
        "10.0.0.2:8181",
        "the pod's own word"
    );
    assert_eq!(
        ask(web(), &format!("{host}:80")).unwrap(),
        "10.0.0.2:8080",
        "the service's word"
    );
    assert_eq!(ask(web(), &format!("{host}:82")), Err(Reason::PortUnknown));
    assert_eq!(ask(web(), "nobody.example:80"), Err(Reason::HostUnknown));
    let foreign = ask(web(), "gate.shop.svc.cluster.local:15008");
    assert_eq!(
        foreign,
        Err(Reason::PortUnknown),
        "a service this pod does not serve"
    );
}

#[test]
fn a_waypoint_takes_what_is_for_those_behind_it() {
    // Pod `web` serves the service that is the waypoint of `fronted`.
    assert_eq!(ask(web(), "10.96.0.5:80").unwrap(), "10.0.0.2:80");
}

#[test]
fn an_application_tunnel_takes_any_address_at_its_port_on_loopback() {
    let with = |proxy_protocol, port| {
        let mut tunnelled = web();
        tunnelled.application_tunnel = Some(ApplicationTunnel {
            proxy_protocol,
            port,
        });
        tunnelled
    };
    let to = "10.96.0.9:80";
    for (tunnel, authority, expected) in [
        (with(false, 7000), to, "10.0.0.2:7000 at 127.0.0.1:7000"),
        (with(false, 0), to, "10.0.0.2:80 at 127.0.0.1:80"),
        (
            with(true, 7000),
            to,
            "10.0.0.2:7000 at 127.0.0.1:7000 for 10.96.0.9:80",
        ),
        (
            with(true, 7000),
            "[fd96::9]:80",
            "10.0.0.2:7000 at 127.0.0.1:7000 for [fd96::9]:80",
        ),
        // By name: the service's virtual address stands for it.
        (
            with(true, 7000),
            "web.shop.svc.cluster.local:81",
            "10.0.0.2:7000 at 127.0.0.1:7000 for 10.96.0.1:81",
        ),
    ] {
        assert_eq!(ask(tunnel, authority).unwrap(), expected, "{authority}");
    }
    assert_eq!(ask(with(true, 15006), to), Err(Reason::IllegalPort));
}

#[test]
fn the_service_is_guessed_from_the_callers_word_or_the_port() {
    let one = service("one", &[], &[(80, 8080)]);
    let two = service("two", &[], &[(80, 0)]);
    let pod = serving(web(), &one, &[]);
    let pod = serving(pod, &two, &[(80, 9090)]);
    let snapshot = snapshot([pod], [one, two]);
    let pod = snapshot.find_workload("shop", "web", "web").unwrap();
    for (named, port, expected) in [
        (None, 8080, Some("one")),
        (None, 9090, Some("two")),
        (None, 7, None),
        (Some("two.shop.svc.cluster.local"), 8080, Some("two")),
        (Some("made.up"), 8080, Some("one")),
    ] {
        let found = likely_service(&snapshot, pod, named, port);
        let name = found.map(|it| it.key().hostname.split('.').next().unwrap());
        assert_eq!(name, expected, "{named:?} {port}");
    }
}

#[test]
fn on_demand_an_address_of_others_is_asked_for_before_it_is_refused() {
    let gate = service("gate", &[], &[(15008, 15008)]);
    let mut fronted = service("fronted", &["10.96.0.5"], &[(80, 8080)]);
    fronted.waypoint = waypoint(&gate);
    let instance = serving(web(), &gate, &[(15008, 15009)]);
    let nothing = snapshot_on_demand([instance.clone()], []);
    // Neither needs the record of the waypoint's own service.
    let fronted = snapshot_on_demand([instance], [fronted]);
    let ask = |snapshot: &Snapshot, authority: &str, answered: &[Box<str>]| {
        let asked = Asked {
            authority: &Authority::parse(authority).unwrap(),
            dialled: ip("10.0.0.2"),
            pod: snapshot.find_workload("shop", "web", "web").unwrap(),
            doors: &doors(),
            answered,
        };
        target(snapshot, &asked).map(describe)
    };
    let name: Box<str> = "/10.96.0.5".into();
    let there = Ok("10.0.0.2:80".to_owned());
    let to = "10.96.0.5:80";
    assert_eq!(ask(&nothing, to, &[]), Err(NoTarget::Ask(name.clone())));
    let refused = Err(NoTarget::Refused(Reason::AuthorityMismatch));
    assert_eq!(ask(&nothing, to, &[name]), refused);
    assert_eq!(ask(&fronted, to, &[]), there);
    let by_name = ask(&nothing, "gate.shop.svc.cluster.local:15008", &[]);
    assert_eq!(by_name, Ok("10.0.0.2:15009".to_owned()));
}
