//! Waypoints themselves, second waypoints, and what only service entries have.

use controller::translate::rule::Rule;
use mesh::model::ApplicationTunnel;
use objects::kinds::{Key, Kind};

use crate::look::{found, service, workload, world};
use crate::yaml::{changes, removals};
use crate::{ENTRY, IP, POD, SERVICE, bound, gateway, mesh, shown, text};

#[test]
fn waypoints_have_none_themselves_and_their_pods_get_the_tunnel_they_want() {
    let namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: n, labels: {istio.io/use-waypoint: gate}}}";
    let pod = |labels: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p, namespace: n, labels: {{{labels}}}}}, status: {{podIP: 10.0.0.1}}}}"
        )
    };
    let all = "labels: {istio.io/waypoint-for: all}";
    let named = "gateway.networking.k8s.io/gateway-name: gate";
    let managed = "gateway.istio.io/managed: istio.io-mesh-controller";
    let binding = |text: &str| {
        format!("annotations: {{ambient.istio.io/waypoint-inbound-binding: {text}}}, {all}")
    };
    let tunnel = |proxy_protocol, port| {
        Some(ApplicationTunnel {
            proxy_protocol,
            port,
        })
    };
    for (labels, metadata, address, waypoint, application_tunnel) in [
        ("app: a", all.to_owned(), IP, true, None),
        (named, all.to_owned(), IP, false, None),
        (named, all.to_owned(), "", true, None),
        (managed, all.to_owned(), "", false, None),
        (
            &format!("{named}, {managed}"),
            all.to_owned(),
            "",
            false,
            None,
        ),
        (
            named,
            binding("PROXY/15088"),
            IP,
            false,
            tunnel(true, 15088),
        ),
        (named, binding("PROXY"), IP, false, tunnel(true, 0)),
        (
            named,
            binding("NONE/15080"),
            IP,
            false,
            tunnel(false, 15080),
        ),
        (named, binding("NONE"), IP, false, None),
        (named, binding("NONSENSE"), IP, false, None),
        ("app: a", binding("PROXY/15088"), IP, true, None),
    ] {
        let objects = [
            namespace.to_owned(),
            pod(labels),
            gateway("n", &metadata, "from: Same", address),
        ];
        let world = world(&objects.join("\n---\n"));
        let made = workload(&world, POD);
        assert_eq!(made.waypoint.is_some(), waypoint, "{labels} {metadata}");
        assert_eq!(
            made.application_tunnel, application_tunnel,
            "{labels} {metadata}"
        );
        assert_eq!(
            found(&world, Rule::InvalidValue).is_empty(),
            !metadata.contains("NONSENSE")
        );
    }
    let class = "{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: c, \
                 annotations: {ambient.istio.io/waypoint-inbound-binding: PROXY/1}}}";
    let objects = [
        pod(named),
        gateway("n", all, "from: Same", IP),
        class.to_owned(),
    ];
    assert_eq!(
        workload(&world(&objects.join("\n---\n")), POD).application_tunnel,
        tunnel(true, 1)
    );
    for labels in [
        managed,
        "gateway.istio.io/managed: istio.io-eastwest-controller",
    ] {
        let text = format!(
            "{namespace}\n---\n{{apiVersion: v1, kind: Service, metadata: {{name: s, namespace: n, labels: {{{labels}}}}}}}"
        );
        assert!(service(&world(&text), SERVICE).waypoint.is_none());
    }
}

#[test]
fn a_canary_takes_its_share_or_the_waypoint_takes_all() {
    let second = |addresses: &str| {
        gateway("n", "", "from: Same", addresses).replace("name: gate", "name: new")
    };
    let other = "{type: IPAddress, value: 10.2.0.10}";
    let labels = "istio.io/use-waypoint: gate, istio.io/use-waypoint-canary: new";
    let annotated = |weight: &str| {
        format!(
            "labels: {{{labels}}}, annotations: {{istio.io/use-waypoint-canary-weight: '{weight}'}}"
        )
    };
    let same = annotated("5").replace("canary: new", "canary: gate");
    let service_with = |metadata: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: s, namespace: n, {metadata}}}}}"
        )
    };
    let accepted = (true, "WaypointAccepted");
    for (metadata, canary, shares, condition) in [
        (annotated("30"), Some(other), vec![70, 30], accepted),
        (annotated("0"), Some(other), vec![100, 0], accepted),
        (annotated("100"), Some(other), vec![0, 100], accepted),
        (
            annotated("101"),
            Some(other),
            vec![],
            (false, "CanaryInvalidWeight"),
        ),
        (
            annotated("some"),
            Some(other),
            vec![],
            (false, "CanaryInvalidWeight"),
        ),
        (
            format!("labels: {{{labels}}}"),
            Some(other),
            vec![],
            (false, "CanaryInvalidWeight"),
        ),
        (same, Some(other), vec![], (false, "CanarySameAsPrimary")),
        (annotated("30"), None, vec![], (false, "WaypointIsNotReady")),
        (
            annotated("30"),
            Some(""),
            vec![],
            (false, "WaypointIsNotReady"),
        ),
    ] {
        let objects = [
            Some(service_with(&metadata)),
            Some(gateway("n", "", "", IP)),
            canary.map(second),
        ];
        let world = world(
            &objects
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("\n---\n"),
        );
        let made = service(&world, SERVICE);
        assert_eq!(
            shown(made.waypoint.as_ref()),
            text(Some("/10.2.0.9")),
            "{metadata}"
        );
        let weights: Vec<u32> = made.weighted_waypoints.iter().map(|it| it.weight).collect();
        assert_eq!(weights, shares, "{metadata}");
        if let [first, second] = &made.weighted_waypoints[..] {
            assert_eq!(shown(Some(&first.gateway)), text(Some("/10.2.0.9")));
            assert_eq!(shown(Some(&second.gateway)), text(Some("/10.2.0.10")));
        }
        assert_eq!(
            bound(&world, Kind::Service, "s"),
            Some(condition),
            "{metadata}"
        );
        assert_eq!(found(&world, Rule::CanaryUnused).is_empty(), condition.0);
    }
    let inherited = format!(
        "{{apiVersion: v1, kind: Namespace, metadata: {{name: n, {}}}}}",
        annotated("30")
    );
    let objects = [
        inherited,
        service_with("labels: {}"),
        gateway("n", "", "", IP),
        second(other),
    ];
    assert_eq!(
        service(&world(&objects.join("\n---\n")), SERVICE)
            .weighted_waypoints
            .len(),
        2
    );
}

#[test]
fn what_only_a_waypoint_can_do_is_said_while_there_is_none() {
    let entry = |metadata: &str, host: &str| {
        format!(
            "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: e, namespace: n, {metadata}}}, \
             spec: {{hosts: ['{host}'], ports: [{{number: 80, name: p}}], resolution: DYNAMIC_DNS}}}}"
        )
    };
    let race = "annotations: {istio.io/connect-strategy: RACE_FIRST_TCP_CONNECT}";
    let bound = "labels: {istio.io/use-waypoint: gate}";
    for (metadata, host, reason) in [
        ("labels: {}", "*.x", Some("NoWaypointForWildcardService")),
        (race, "h.x", Some("NoWaypointForRacingConnectStrategy")),
        ("labels: {}", "h.x", None),
        (bound, "*.x", None),
        (&format!("{race}, {bound}"), "h.x", None),
    ] {
        let world = world(&entry(metadata, host));
        let status = world
            .statuses
            .get(&Key::new(Kind::ServiceEntry, "n", "e"))
            .unwrap();
        let missing = status
            .conditions
            .iter()
            .find(|it| it.kind == "istio.io/WaypointMissing");
        assert_eq!(missing.map(|it| it.reason), reason, "{metadata} {host}");
        assert!(missing.is_none_or(|it| it.holds));
        assert_eq!(
            found(&world, Rule::NeedsWaypoint).len(),
            usize::from(reason.is_some())
        );
    }
}

#[test]
fn what_only_its_own_namespace_sees_does_not_use_another_ones_waypoint() {
    let config = "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: weft-system}, \
                  data: {mesh: 'serviceEntryVisibility: {defaultVisibility: NAMESPACE}'}}";
    let labels = "istio.io/use-waypoint: gate, istio.io/use-waypoint-namespace: g";
    let objects = [mesh(labels, ""), gateway("g", "", "from: All", IP)].join("\n---\n");
    let mut world = world(&objects);
    assert_eq!(
        bound(&world, Kind::ServiceEntry, "e"),
        Some((true, "WaypointAccepted"))
    );
    world.apply(changes(config));
    assert_eq!(
        bound(&world, Kind::ServiceEntry, "e"),
        Some((false, "CrossNamespaceWaypointForbidden"))
    );
    assert_eq!(
        bound(&world, Kind::Service, "s"),
        Some((true, "WaypointAccepted")),
        "services are public"
    );
    let closed = shown(service(&world, ENTRY).waypoint.as_ref());
    assert_eq!(
        closed,
        text(Some("g/gate.g.svc.cluster.local")),
        "it fails closed"
    );
    world.apply(removals(config));
    assert_eq!(
        bound(&world, Kind::ServiceEntry, "e"),
        Some((true, "WaypointAccepted"))
    );
}

#[test]
fn gateways_at_the_edge_are_mentioned_where_they_use_the_waypoint_too() {
    let labels = "istio.io/use-waypoint: gate, istio.io/ingress-use-waypoint: 'true'";
    let world = world(&[mesh(labels, ""), gateway("n", "", "", IP)].join("\n---\n"));
    assert!(
        service(&world, SERVICE).ingress_use_waypoint
            && service(&world, ENTRY).ingress_use_waypoint
    );
    let status = &world.statuses[&Key::new(Kind::Service, "n", "s")];
    assert!(
        status.conditions[0].message.contains("ingress"),
        "{status:?}"
    );
}
