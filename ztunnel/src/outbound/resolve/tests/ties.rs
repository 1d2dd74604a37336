//! The contract's tie-breaks and balancing as the outbound decision meets them, row by row.
//! Source: docs/compat.md#lookup, docs/compat.md#load-balancing.

use mesh::model::{HealthPolicy, Scope};
use mesh::names::WorkloadUid;

use super::rows::{TO_POD, TO_VIP, assert_rows, direct, row, web_pod_named};
use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn look_ups_and_balancing() {
    let elsewhere = |name: &str| {
        let mut it = web();
        it.key = NamespacedHostname::new(name, format!("web.{name}.svc.cluster.local"));
        it.canonical = false;
        it
    };
    let of = |service: &Service, name: &str, address: &str| {
        serving(pod(name, &[address]), service, &[(80, 8080)])
    };
    let canonical = Service {
        canonical: true,
        ..elsewhere("b")
    };
    let private = Service {
        visibility: mesh::model::Visibility::Namespace,
        ..elsewhere("a")
    };
    let to = |name: &str, address: &str| {
        tunnel(
            &format!("{address}:15008"),
            &format!("{address}:8080"),
            &[name],
        )
    };
    let entry = Workload {
        uid: WorkloadUid("a/WorkloadEntry".into()),
        service_account: "entry".into(),
        ..web_pod()
    };
    let sick = || Workload {
        health: Health::Unhealthy,
        ..web_pod()
    };
    let all = |health| Service {
        load_balancing: LoadBalancing {
            health,
            ..LoadBalancing::default()
        },
        ..web()
    };
    let near = |mode| Service {
        load_balancing: LoadBalancing {
            mode,
            scopes: vec![Scope::Node],
            ..LoadBalancing::default()
        },
        ..web()
    };
    let remote = || Workload {
        node: "another".into(),
        ..web_pod_named("remote", "10.0.0.3")
    };
    let idle = || Workload {
        capacity: 0,
        ..web_pod()
    };
    assert_rows(vec![
        row(
            "two workloads share an IP: Pod and HBONE before what is no pod",
            (vec![entry, web_pod()], vec![web()]),
            TO_POD,
            direct(),
        ),
        row(
            "service by VIP: same namespace first",
            (
                vec![web_pod(), of(&canonical, "other", "10.0.0.4")],
                vec![
                    canonical.clone(),
                    Service {
                        canonical: false,
                        ..web()
                    },
                ],
            ),
            TO_VIP,
            direct(),
        ),
        row(
            "service by VIP: then canonical",
            (
                vec![
                    of(&canonical, "b", "10.0.0.4"),
                    of(&elsewhere("a"), "a", "10.0.0.5"),
                ],
                vec![elsewhere("a"), canonical.clone()],
            ),
            TO_VIP,
            to("b", "10.0.0.4"),
        ),
        row(
            "visibility NAMESPACE: only clients of that namespace",
            (
                vec![
                    of(&private, "a", "10.0.0.5"),
                    of(&elsewhere("c"), "c", "10.0.0.6"),
                ],
                vec![private.clone(), elsewhere("c")],
            ),
            TO_VIP,
            to("c", "10.0.0.6"),
        ),
        row(
            "UNHEALTHY left out",
            (vec![sick()], vec![all(HealthPolicy::OnlyHealthy)]),
            TO_VIP,
            refuse_no_endpoint(),
        ),
        row(
            "unless the service's policy is ALLOW_ALL",
            (vec![sick()], vec![all(HealthPolicy::AllowAll)]),
            TO_VIP,
            direct(),
        ),
        row(
            "STRICT: only endpoints that match all scopes",
            (vec![remote(), web_pod()], vec![near(Mode::Strict)]),
            TO_VIP,
            direct(),
        ),
        row(
            "STRICT: none of them: none",
            (vec![remote()], vec![near(Mode::Strict)]),
            TO_VIP,
            Outcome::Refuse(Reason::PortUnknown),
        ),
        row(
            "FAILOVER: those of the highest rank",
            (vec![remote(), web_pod()], vec![near(Mode::Failover)]),
            TO_VIP,
            direct(),
        ),
        row(
            "FAILOVER: else the rest",
            (vec![remote()], vec![near(Mode::Failover)]),
            TO_VIP,
            to("remote", "10.0.0.3"),
        ),
        row(
            "capacity zero is excluded",
            (vec![idle(), remote()], vec![web()]),
            TO_VIP,
            to("remote", "10.0.0.3"),
        ),
        row(
            "all zero: none",
            (vec![idle()], vec![web()]),
            TO_VIP,
            refuse_no_endpoint(),
        ),
    ]);
}

fn refuse_no_endpoint() -> Outcome {
    Outcome::Refuse(Reason::NoHealthyEndpoint)
}
