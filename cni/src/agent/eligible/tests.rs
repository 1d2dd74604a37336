//! The table of eligibility, row by row.

use objects::kubernetes::{Pod, PodPhase};
use objects::labels::Labels;

use super::{NotEnrolled, eligible, settings};
use crate::config::Exclusions;

fn exclusions() -> Exclusions {
    Exclusions {
        namespaces: vec!["kube-system".into()],
        system_namespace: "weft-system".into(),
    }
}

fn pod(namespace: &str, labels: &[(&str, &str)]) -> Pod {
    let mut pod = Pod::default();
    pod.metadata.namespace = namespace.into();
    pod.metadata.labels = labels.iter().copied().collect();
    pod
}

fn check(pod: &Pod, namespace: &[(&str, &str)]) -> Result<(), NotEnrolled> {
    eligible(
        pod,
        Some(&namespace.iter().copied().collect()),
        &exclusions(),
    )
}

const AMBIENT: (&str, &str) = ("istio.io/dataplane-mode", "ambient");
const NONE: (&str, &str) = ("istio.io/dataplane-mode", "none");

#[test]
fn labels_of_pod_and_namespace_decide() {
    for (pod_labels, namespace_labels, expected) in [
        (&[][..], &[][..], Err(NotEnrolled::NotAsked)),
        (&[], &[AMBIENT], Ok(())),
        (&[AMBIENT], &[], Ok(())),
        (&[AMBIENT], &[NONE], Ok(())),
        (&[NONE], &[AMBIENT], Err(NotEnrolled::OptedOut)),
        (&[("istio.io/dataplane-mode", "other")], &[AMBIENT], Ok(())),
        (
            &[("istio.io/dataplane-mode", "other")],
            &[],
            Err(NotEnrolled::NotAsked),
        ),
        (&[], &[NONE], Err(NotEnrolled::NotAsked)),
    ] {
        let found = check(&pod("shop", pod_labels), namespace_labels);
        assert_eq!(found, expected, "{pod_labels:?} in {namespace_labels:?}");
    }
    let unknown_namespace = eligible(&pod("shop", &[AMBIENT]), None, &exclusions());
    assert_eq!(unknown_namespace, Ok(()));
}

#[test]
fn some_pods_are_never_enrolled() {
    let mut host = pod("shop", &[AMBIENT]);
    host.spec.host_network = true;
    assert_eq!(check(&host, &[AMBIENT]), Err(NotEnrolled::HostNetwork));

    let mut sidecar = pod("shop", &[AMBIENT]);
    sidecar.metadata.annotations = Labels::from_iter([("sidecar.istio.io/status", "{}")]);
    assert_eq!(check(&sidecar, &[AMBIENT]), Err(NotEnrolled::Sidecar));

    let system = pod("kube-system", &[AMBIENT]);
    assert_eq!(
        check(&system, &[AMBIENT]),
        Err(NotEnrolled::ExcludedNamespace)
    );

    let ztunnel = pod("weft-system", &[("app", "ztunnel")]);
    assert_eq!(check(&ztunnel, &[AMBIENT]), Err(NotEnrolled::NodeProxy));
    assert_eq!(
        check(&pod("shop", &[("app", "ztunnel")]), &[AMBIENT]),
        Ok(())
    );

    for phase in [PodPhase::Succeeded, PodPhase::Failed] {
        let mut ended = pod("shop", &[]);
        ended.status.phase = phase;
        assert_eq!(check(&ended, &[AMBIENT]), Err(NotEnrolled::Ended));
    }
}

#[test]
fn annotations_change_the_redirection() {
    let none = settings(&Labels::default());
    assert_eq!(none, (crate::rules::PodSettings::default(), Vec::new()));
    let (all, odd) = settings(&Labels::from_iter([
        ("ambient.istio.io/bypass-inbound-capture", "true"),
        ("ambient.istio.io/dns-capture", "false"),
        ("istio.io/reroute-virtual-interfaces", "vm0, vm1,,"),
    ]));
    assert!(all.bypass_inbound_capture);
    assert_eq!(all.dns_capture, Some(false));
    assert_eq!(all.reroute_interfaces, ["vm0", "vm1"]);
    assert_eq!(odd, Vec::<String>::new());
}

#[test]
fn annotations_that_cannot_be_understood_ask_for_nothing_and_are_named() {
    let (settings, odd) = settings(&Labels::from_iter([
        ("ambient.istio.io/bypass-inbound-capture", "yes"),
        ("ambient.istio.io/dns-capture", ""),
        (
            "istio.io/reroute-virtual-interfaces",
            "a-name-that-is-too-long",
        ),
    ]));
    assert_eq!(settings, crate::rules::PodSettings::default());
    let expected = [
        "annotation ambient.istio.io/bypass-inbound-capture: \"yes\" is neither true nor false",
        "annotation ambient.istio.io/dns-capture: \"\" is neither true nor false",
        "annotation istio.io/reroute-virtual-interfaces: \"a-name-that-is-too-long\" is too long for an interface",
    ];
    assert_eq!(odd, expected);
}
