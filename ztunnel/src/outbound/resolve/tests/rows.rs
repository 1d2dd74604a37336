//! The contract's outbound decision, row by row, in its own words. Source: docs/compat.md#outbound-decision.

use mesh::model::{GatewayAddress, WeightedWaypoint};

use super::*;

/// What the row says, what the mesh is, where the pod `client` goes, what comes of it.
pub(super) struct Row {
    says: &'static str,
    workloads: Vec<Workload>,
    services: Vec<Service>,
    to: String,
    outcome: Outcome,
}

pub(super) fn row(says: &'static str, mesh: Mesh, to: &str, outcome: Outcome) -> Row {
    Row {
        says,
        workloads: mesh.0,
        services: mesh.1,
        to: to.into(),
        outcome,
    }
}

pub(super) type Mesh = (Vec<Workload>, Vec<Service>);

pub(super) fn assert_rows(rows: Vec<Row>) {
    for row in rows {
        let outcome = decide(row.workloads, row.services, &row.to);
        assert_eq!(outcome, row.outcome, "{}", row.says);
    }
}

pub(super) const TO_VIP: &str = "10.96.0.1:80";
pub(super) const TO_POD: &str = "10.0.0.2:8080";
const GATE: &str = "10.0.0.9";

fn gate() -> Service {
    service("gate", &[], &[(15008, 15008)])
}

fn gate_pod() -> Workload {
    serving(pod("gate", &[GATE]), &gate(), &[(15008, 15008)])
}

fn weighted(weights: &[(Option<GatewayAddress>, u32)]) -> Service {
    let mut service = web();
    for (gateway, weight) in weights {
        service.weighted_waypoints.push(WeightedWaypoint {
            gateway: gateway.clone().unwrap(),
            weight: *weight,
        });
    }
    service
}

fn fronted() -> Service {
    Service {
        waypoint: waypoint(&gate()),
        ..web()
    }
}

fn guarded() -> Workload {
    Workload {
        waypoint: waypoint(&gate()),
        ..web_pod()
    }
}

pub(super) fn direct() -> Outcome {
    tunnel("10.0.0.2:15008", TO_POD, &["web"])
}

fn through_gate(authority: &str) -> Outcome {
    tunnel("10.0.0.9:15008", authority, &["gate"])
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn the_outbound_decision() {
    let refuse = Outcome::Refuse;
    let waits = || Outcome::Hold(Reason::WaypointUnavailable);
    let nowhere = waypoint(&service("nowhere", &[], &[]));
    let second = web_pod_named("second", "10.0.0.3");
    let far_gate = || Workload {
        network: "far".into(),
        network_gateway: waypoint(&web()),
        ..gate_pod()
    };
    let far = || Workload {
        network: "far".into(),
        network_gateway: waypoint(&web()),
        ..web_pod()
    };
    let lost = || Workload {
        network: "far".into(),
        ..web_pod()
    };
    let host = || Workload {
        network_mode: NetworkMode::HostNetwork,
        ..web_pod()
    };
    let native = || Workload {
        native_tunnel: true,
        ..web_pod()
    };
    let by_name = || Workload {
        addresses: vec![],
        hostname: "db.example".into(),
        ..web_pod()
    };
    let gate_by_name = || Workload {
        addresses: vec![],
        hostname: "gate.example".into(),
        ..gate_pod()
    };
    let passing = || Service {
        load_balancing: LoadBalancing {
            mode: Mode::Passthrough,
            ..LoadBalancing::default()
        },
        ..web()
    };
    assert_rows(vec![
        row(
            "0: loopback on an illegal port: refuse",
            (vec![], vec![]),
            "127.0.0.1:15008",
            refuse(Reason::IllegalPort),
        ),
        row(
            "2: workload by IP first, then service VIP",
            (vec![web_pod(), pod("own", &[VIP])], vec![web()]),
            TO_VIP,
            tunnel("10.96.0.1:15008", TO_VIP, &["own"]),
        ),
        row(
            "3: weighted waypoints: one by weight",
            (
                vec![web_pod(), gate_pod()],
                vec![
                    weighted(&[(nowhere.clone(), 0), (waypoint(&gate()), 5)]),
                    gate(),
                ],
            ),
            TO_VIP,
            through_gate(TO_VIP),
        ),
        row(
            "3: and the one that was sampled fails closed",
            (
                vec![web_pod(), gate_pod()],
                vec![
                    weighted(&[(nowhere.clone(), 5), (waypoint(&gate()), 0)]),
                    gate(),
                ],
            ),
            TO_VIP,
            waits(),
        ),
        row(
            "3: all weights zero: the waypoint field",
            (
                vec![web_pod(), gate_pod()],
                vec![
                    Service {
                        waypoint: waypoint(&gate()),
                        ..weighted(&[(nowhere, 0)])
                    },
                    gate(),
                ],
            ),
            TO_VIP,
            through_gate(TO_VIP),
        ),
        row(
            "4: service with waypoint: to its HBONE port, authority as dialled",
            (vec![web_pod(), gate_pod()], vec![fronted(), gate()]),
            TO_VIP,
            through_gate(TO_VIP),
        ),
        row(
            "5: waypoint on another network: by its gateway; refused so far",
            (vec![web_pod(), far_gate()], vec![fronted(), gate()]),
            TO_VIP,
            refuse(Reason::OtherNetwork),
        ),
        row(
            "6: waypoint that cannot be resolved: error, no bypass",
            (vec![web_pod()], vec![fronted()]),
            TO_VIP,
            waits(),
        ),
        row(
            "6: waypoint without instance: error, no bypass",
            (vec![web_pod()], vec![fronted(), gate()]),
            TO_VIP,
            waits(),
        ),
        row(
            "7: service without waypoint: an endpoint",
            (vec![web_pod()], vec![web()]),
            TO_VIP,
            direct(),
        ),
        row(
            "7: the workload's waypoint is not consulted for its service",
            (vec![guarded(), gate_pod()], vec![web(), gate()]),
            TO_VIP,
            direct(),
        ),
        row(
            "7: none healthy: error",
            (vec![], vec![web()]),
            TO_VIP,
            refuse(Reason::NoHealthyEndpoint),
        ),
        row(
            "7: port unknown: error",
            (vec![web_pod()], vec![web()]),
            "10.96.0.1:81",
            refuse(Reason::PortUnknown),
        ),
        row(
            "7: PASSTHROUGH: to the original destination",
            (vec![], vec![passing()]),
            TO_VIP,
            to_plain(TO_VIP),
        ),
        row(
            "8: endpoint on another network: by its gateway; refused so far",
            (vec![far()], vec![web()]),
            TO_VIP,
            refuse(Reason::OtherNetwork),
        ),
        row(
            "8: no gateway: error",
            (vec![lost()], vec![web()]),
            TO_VIP,
            refuse(Reason::PortUnknown),
        ),
        row(
            "9: workload with waypoint: there, authority as dialled",
            (vec![guarded(), gate_pod()], vec![gate()]),
            TO_POD,
            through_gate(TO_POD),
        ),
        row(
            "9: without an instance: error, no bypass",
            (vec![guarded()], vec![gate()]),
            TO_POD,
            waits(),
        ),
        row(
            "10: tunnel HBONE: to port 15008, authority podIP:targetPort",
            (vec![web_pod()], vec![web()]),
            TO_POD,
            direct(),
        ),
        row(
            "10: a native tunnel is a tunnel",
            (vec![native()], vec![web()]),
            TO_VIP,
            direct(),
        ),
        row(
            "11: tunnel NONE: plain TCP",
            (vec![outside(web_pod())], vec![web()]),
            TO_VIP,
            to_plain(TO_POD),
        ),
        row(
            "12: nothing known: plain TCP",
            (vec![second], vec![]),
            "10.0.0.77:1",
            to_plain("10.0.0.77:1"),
        ),
        row(
            "host network: not found by address",
            (vec![host()], vec![web()]),
            TO_POD,
            to_plain(TO_POD),
        ),
        row(
            "host network: an endpoint of its service all the same",
            (vec![host()], vec![web()]),
            TO_VIP,
            direct(),
        ),
        row(
            "hostname and no address, tunnel HBONE: resolved on demand",
            (vec![by_name()], vec![web()]),
            TO_VIP,
            named(
                "db.example",
                tunnel("192.0.2.7:15008", "192.0.2.7:8080", &["web"]),
            ),
        ),
        row(
            "hostname and no address, tunnel NONE: resolved on demand",
            (vec![outside(by_name())], vec![web()]),
            TO_VIP,
            named("db.example", to_plain("192.0.2.7:8080")),
        ),
        row(
            "the same of a waypoint's instance, authority as dialled",
            (vec![web_pod(), gate_by_name()], vec![fronted(), gate()]),
            TO_VIP,
            named("gate.example", tunnel("192.0.2.7:15008", TO_VIP, &["gate"])),
        ),
    ]);
}

pub(super) fn web_pod_named(name: &str, address: &str) -> Workload {
    serving(pod(name, &[address]), &web(), &[(80, 8080)])
}
