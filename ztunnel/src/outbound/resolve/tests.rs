//! The rows of the outbound decision as tables. Source: docs/compat.md#outbound-decision.

mod rows;
mod ties;

use mesh::model::{Health, LoadBalancing, Mode, NetworkMode, Service, Workload};
use mesh::names::NamespacedHostname;

use super::*;
use crate::drawn::{doors, ip, pod, service, serving, snapshot, snapshot_on_demand, waypoint};

const CLIENT: &str = "10.0.0.1";
const WEB: &str = "10.0.0.2";
const VIP: &str = "10.96.0.1";

/// What is decided for a captured connection of pod `client`.
fn decide(workloads: Vec<Workload>, services: Vec<Service>, destination: &str) -> Outcome {
    decide_from(workloads, services, destination, true)
}

fn decide_from(
    mut workloads: Vec<Workload>,
    services: Vec<Service>,
    destination: &str,
    was_redirected: bool,
) -> Outcome {
    workloads.push(pod("client", &[CLIENT]));
    let snapshot = snapshot(workloads, services);
    decide_in(&snapshot, destination, was_redirected, &[])
}

fn decide_in(
    snapshot: &Snapshot,
    destination: &str,
    was_redirected: bool,
    answered: &[Box<str>],
) -> Outcome {
    let own = snapshot.find_workload("shop", "client", "client").unwrap();
    let inquiry = Inquiry {
        own,
        source_ip: ip(CLIENT),
        destination: destination.parse().unwrap(),
        was_redirected,
        random: 7,
        doors: &doors(),
        answered,
    };
    match resolve(snapshot, &inquiry) {
        Answer::Go(hop) => match hop.route {
            Route::Known(way) => Outcome::of(way),
            Route::Named { host, onward } => {
                let found = onward.at(ip(RESOLVED));
                Outcome::Named(host.to_string(), Box::new(Outcome::of(found)))
            }
        },
        Answer::Ask(name) => Outcome::Ask(name.into()),
        Answer::Hold(reason) => Outcome::Hold(reason),
        Answer::Refuse(reason) => Outcome::Refuse(reason),
    }
}

/// What every host name resolves to here.
const RESOLVED: &str = "192.0.2.7";

#[derive(Debug, PartialEq)]
enum Outcome {
    Plain(String),
    Tunnel(String, String, Vec<String>),
    /// A host name, and what follows from its address.
    Named(String, Box<Outcome>),
    Ask(String),
    Hold(Reason),
    Refuse(Reason),
}

impl Outcome {
    fn of(way: Way) -> Self {
        match way {
            Way::Plain(address) => Self::Plain(address.to_string()),
            Way::Tunnel {
                hop,
                authority,
                peers,
            } => {
                let accounts = peers.iter().map(|it| it.service_account.to_string());
                Self::Tunnel(hop.to_string(), authority.to_string(), accounts.collect())
            }
        }
    }
}

fn named(host: &str, onward: Outcome) -> Outcome {
    Outcome::Named(host.into(), Box::new(onward))
}

fn to_plain(address: &str) -> Outcome {
    Outcome::Plain(address.into())
}

fn tunnel(hop: &str, authority: &str, peers: &[&str]) -> Outcome {
    let peers = peers.iter().map(|it| (*it).to_owned()).collect();
    Outcome::Tunnel(hop.into(), authority.into(), peers)
}

fn web() -> Service {
    service("web", &[VIP], &[(80, 8080)])
}

fn web_pod() -> Workload {
    serving(pod("web", &[WEB]), &web(), &[(80, 8080)])
}

fn outside(mut workload: Workload) -> Workload {
    workload.tunnel = TunnelKind::None;
    workload
}

#[test]
fn an_unknown_address_is_passed_through() {
    assert_eq!(
        decide(vec![], vec![], "1.2.3.4:443"),
        to_plain("1.2.3.4:443")
    );
    assert_eq!(
        decide(vec![], vec![], "[2001:db8::1]:443"),
        to_plain("[2001:db8::1]:443")
    );
}

#[test]
fn our_own_doors_are_never_a_destination() {
    for port in [15001, 15006, 15008] {
        let refused = Outcome::Refuse(Reason::IllegalPort);
        assert_eq!(
            decide(vec![], vec![], &format!("127.0.0.1:{port}")),
            refused
        );
        assert_eq!(decide(vec![], vec![], &format!("[::1]:{port}")), refused);
        let own = decide(vec![], vec![], &format!("{CLIENT}:{port}"));
        assert_eq!(
            own, refused,
            "a tunnel to ourselves would only be refused there"
        );
        let dialled = decide_from(vec![], vec![], &format!("{WEB}:{port}"), false);
        assert_eq!(dialled, refused, "somebody dialled the door itself");
        let far = decide(vec![], vec![], &format!("1.2.3.4:{port}"));
        assert_eq!(
            far,
            to_plain(&format!("1.2.3.4:{port}")),
            "somebody else's port is not ours"
        );
    }
    assert_eq!(
        decide(vec![], vec![], "127.0.0.1:80"),
        to_plain("127.0.0.1:80")
    );
}

#[test]
fn a_service_leads_to_an_endpoint_and_its_target_port() {
    let hop = decide(vec![web_pod()], vec![web()], &format!("{VIP}:80"));
    assert_eq!(hop, tunnel("10.0.0.2:15008", "10.0.0.2:8080", &["web"]));
    let hop = decide(vec![outside(web_pod())], vec![web()], &format!("{VIP}:80"));
    assert_eq!(hop, to_plain("10.0.0.2:8080"));
}

#[test]
fn a_service_without_endpoint_or_port_is_refused_with_its_own_reason() {
    let mut sick = web_pod();
    sick.health = Health::Unhealthy;
    let vip = format!("{VIP}:80");
    let nobody = Outcome::Refuse(Reason::NoHealthyEndpoint);
    assert_eq!(decide(vec![], vec![web()], &vip), nobody);
    assert_eq!(decide(vec![sick], vec![web()], &vip), nobody);
    let other_port = decide(vec![web_pod()], vec![web()], &format!("{VIP}:81"));
    assert_eq!(other_port, Outcome::Refuse(Reason::PortUnknown));
}

#[test]
fn passthrough_balancing_keeps_the_address_that_was_dialled() {
    let mut service = web();
    service.load_balancing = LoadBalancing {
        mode: Mode::Passthrough,
        ..Default::default()
    };
    let hop = decide(vec![web_pod()], vec![service], &format!("{VIP}:80"));
    assert_eq!(hop, to_plain(&format!("{VIP}:80")));
}

#[test]
fn a_workload_is_reached_at_the_port_that_was_dialled() {
    let hop = decide(vec![web_pod()], vec![web()], &format!("{WEB}:9999"));
    assert_eq!(hop, tunnel("10.0.0.2:15008", "10.0.0.2:9999", &["web"]));
    let hop = decide(
        vec![outside(web_pod())],
        vec![web()],
        &format!("{WEB}:9999"),
    );
    assert_eq!(hop, to_plain("10.0.0.2:9999"));
    let six = pod("six", &["fd00::6"]);
    let hop = decide(vec![six], vec![], "[fd00::6]:80");
    assert_eq!(hop, tunnel("[fd00::6]:15008", "[fd00::6]:80", &["six"]));
}

#[test]
fn a_host_network_workload_is_not_found_by_address() {
    let mut host = web_pod();
    host.network_mode = NetworkMode::HostNetwork;
    assert_eq!(
        decide(vec![host], vec![], &format!("{WEB}:80")),
        to_plain("10.0.0.2:80")
    );
}

#[test]
fn alternative_identities_of_services_are_accepted_too() {
    let mut service = web();
    service.subject_alt_names = vec![
        "spiffe://cluster.local/ns/shop/sa/stand-in".into(),
        "not an identity".into(),
    ];
    let Outcome::Tunnel(_, _, peers) = decide(vec![web_pod()], vec![service], &format!("{VIP}:80"))
    else {
        panic!("a tunnel was expected");
    };
    assert!(peers.contains(&"web".to_owned()) && peers.contains(&"stand-in".to_owned()));
    assert!(peers.iter().all(|peer| peer == "web" || peer == "stand-in"));
}

#[test]
fn a_waypoint_gets_what_the_application_dialled() {
    let gate = service("gate", &["10.96.0.9"], &[(15008, 15008)]);
    let gate_pod = serving(pod("gate", &["10.0.0.9"]), &gate, &[(15008, 15008)]);
    let mut fronted = web();
    fronted.waypoint = waypoint(&gate);
    let services = vec![fronted, gate.clone()];
    let hop = decide(
        vec![web_pod(), gate_pod.clone()],
        services.clone(),
        &format!("{VIP}:80"),
    );
    assert_eq!(
        hop,
        tunnel("10.0.0.9:15008", &format!("{VIP}:80"), &["gate"])
    );
    // The service's waypoint is not for the pod's own address, and the pod's not for the service.
    let hop = decide(
        vec![web_pod(), gate_pod.clone()],
        services,
        &format!("{WEB}:80"),
    );
    assert_eq!(hop, tunnel("10.0.0.2:15008", "10.0.0.2:80", &["web"]));
    let mut guarded = web_pod();
    guarded.waypoint = waypoint(&gate);
    let workloads = vec![guarded, gate_pod];
    let hop = decide(
        workloads.clone(),
        vec![web(), gate.clone()],
        &format!("{WEB}:80"),
    );
    assert_eq!(hop, tunnel("10.0.0.9:15008", "10.0.0.2:80", &["gate"]));
    let hop = decide(workloads, vec![web(), gate], &format!("{VIP}:80"));
    assert_eq!(hop, tunnel("10.0.0.2:15008", "10.0.0.2:8080", &["web"]));
}

#[test]
fn waypoints_that_share_nothing_leave_the_one_and_are_never_bypassed() {
    let gate = service("gate", &[], &[(15008, 15008)]);
    let gate_pod = serving(pod("gate", &["10.0.0.9"]), &gate, &[(15008, 15008)]);
    let mut fronted = web();
    fronted.weighted_waypoints = vec![mesh::model::WeightedWaypoint {
        gateway: waypoint(&gate).unwrap(),
        weight: 0,
    }];
    let vip = format!("{VIP}:80");
    let decide_on = |fronted: &Service| {
        let services = vec![fronted.clone(), gate.clone()];
        decide(vec![web_pod(), gate_pod.clone()], services, &vip)
    };
    assert_eq!(
        decide_on(&fronted),
        Outcome::Hold(Reason::WaypointUnavailable)
    );
    fronted.waypoint = waypoint(&gate);
    let hop = tunnel("10.0.0.9:15008", &vip, &["gate"]);
    assert_eq!(decide_on(&fronted), hop);
}

#[test]
fn a_waypoint_that_is_not_there_is_waited_for_and_never_bypassed() {
    let gate = service("gate", &[], &[(15008, 15008)]);
    let mut fronted = web();
    fronted.waypoint = waypoint(&gate);
    let hold = Outcome::Hold(Reason::WaypointUnavailable);
    let vip = format!("{VIP}:80");
    assert_eq!(
        decide(vec![web_pod()], vec![fronted.clone()], &vip),
        hold,
        "unknown"
    );
    assert_eq!(
        decide(vec![web_pod()], vec![fronted.clone(), gate.clone()], &vip),
        hold,
        "empty"
    );
    let mut sick = serving(pod("gate", &["10.0.0.9"]), &gate, &[(15008, 15008)]);
    sick.health = Health::Unhealthy;
    assert_eq!(
        decide(vec![web_pod(), sick], vec![fronted, gate], &vip),
        hold,
        "unhealthy"
    );
}

#[test]
fn the_waypoint_itself_reaches_the_pod_behind_it() {
    let gate = service("gate", &[], &[(15008, 15008)]);
    let mut guarded = web_pod();
    guarded.waypoint = waypoint(&gate);
    let snapshot = snapshot(
        vec![
            guarded,
            serving(pod("client", &[CLIENT]), &gate, &[(15008, 15008)]),
        ],
        vec![gate],
    );
    let inquiry = Inquiry {
        own: snapshot.find_workload("shop", "client", "client").unwrap(),
        source_ip: ip(CLIENT),
        destination: format!("{WEB}:80").parse().unwrap(),
        was_redirected: true,
        random: 0,
        doors: &doors(),
        answered: &[],
    };
    let Answer::Go(hop) = resolve(&snapshot, &inquiry) else {
        panic!("a hop was expected")
    };
    let Route::Known(Way::Tunnel { hop, .. }) = hop.route else {
        panic!("a tunnel was expected")
    };
    assert_eq!(hop.to_string(), "10.0.0.2:15008");
}

#[test]
fn a_destination_on_another_network_is_refused() {
    let mut far = web_pod();
    far.network = "far".into();
    far.network_gateway = waypoint(&web());
    let refused = Outcome::Refuse(Reason::OtherNetwork);
    assert_eq!(
        decide(vec![far], vec![web()], &format!("{VIP}:80")),
        refused
    );
}

#[test]
fn on_demand_what_is_not_known_is_asked_for_once_and_then_not_there() {
    let gate = service("gate", &[], &[(15008, 15008)]);
    let mut fronted = web();
    fronted.waypoint = waypoint(&gate);
    let known = || vec![pod("client", &[CLIENT]), web_pod()];
    let gate_pod = serving(pod("gate", &["10.0.0.9"]), &gate, &[(15008, 15008)]);
    let vip = format!("{VIP}:80");
    let gate_name = "shop/gate.shop.svc.cluster.local";
    let asked = |name: &str| Outcome::Ask(name.to_owned());
    let decide = |snapshot: &Snapshot, to: &str, answered: &[&str]| {
        let answered: Vec<Box<str>> = answered.iter().map(|it| (*it).into()).collect();
        decide_in(snapshot, to, true, &answered)
    };

    let nothing = snapshot_on_demand(known(), []);
    assert_eq!(decide(&nothing, &vip, &[]), asked("/10.96.0.1"));
    assert_eq!(decide(&nothing, &vip, &["/10.96.0.1"]), to_plain(&vip));

    let no_gate = snapshot_on_demand(known(), [fronted.clone()]);
    assert_eq!(decide(&no_gate, &vip, &[]), asked(gate_name));
    let waits = Outcome::Hold(Reason::WaypointUnavailable);
    assert_eq!(
        decide(&no_gate, &vip, &[gate_name]),
        waits,
        "never bypassed"
    );

    let workloads = known().into_iter().chain([gate_pod]);
    let all = snapshot_on_demand(workloads, [fronted, gate]);
    let hop = tunnel("10.0.0.9:15008", &vip, &["gate"]);
    assert_eq!(decide(&all, &vip, &["/10.96.0.1", gate_name]), hop);
}

#[test]
fn on_demand_an_address_in_a_range_is_asked_for_and_then_taken_through_the_waypoint_of_the_range() {
    let gate = service("gate", &[], &[(15008, 15008)]);
    let gate_pod = || serving(pod("gate", &["10.0.0.9"]), &gate, &[(15008, 15008)]);
    let mut range = service("range", &["10.0.0.0"], &[(80, 80)]);
    range
        .addresses
        .iter_mut()
        .for_each(|it| it.prefix = Some(8));
    range.waypoint = waypoint(&gate);
    let services = || [range.clone(), gate.clone()];
    let (to, name) = ("10.7.0.1:80", "/10.7.0.1");
    let decide =
        |snapshot: &Snapshot, answered: &[Box<str>]| decide_in(snapshot, to, true, answered);

    let known = snapshot_on_demand([pod("client", &[CLIENT]), gate_pod()], services());
    assert_eq!(decide(&known, &[]), Outcome::Ask(name.to_owned()));
    let through = tunnel("10.0.0.9:15008", to, &["gate"]);
    assert_eq!(decide(&known, &[name.into()]), through);

    // What the answer brought beside the range comes before it.
    let pods = [
        pod("client", &[CLIENT]),
        gate_pod(),
        pod("own", &["10.7.0.1"]),
    ];
    let both = snapshot_on_demand(pods, services());
    let direct = tunnel("10.7.0.1:15008", to, &["own"]);
    assert_eq!(decide(&both, &[name.into()]), direct);
}

#[test]
fn a_private_service_of_another_namespace_is_not_seen() {
    let mut hidden = web();
    hidden.key = NamespacedHostname::new("vault", "web.vault.svc.cluster.local");
    hidden.visibility = mesh::model::Visibility::Namespace;
    let vip = format!("{VIP}:80");
    assert_eq!(decide(vec![], vec![hidden], &vip), to_plain(&vip));
}
