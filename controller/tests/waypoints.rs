//! Which waypoint stands in front of what: labels against gateways, row by row.

#![expect(clippy::too_many_lines, reason = "tables are long")]

use controller::translate::rule::Rule;
use mesh::model::{ApplicationTunnel, Destination, GatewayAddress};
use objects::kinds::{Key, Kind};

#[path = "world/look.rs"]
mod look;
#[path = "world/yaml.rs"]
mod yaml;

use look::{found, service, workload, world};
use yaml::{World, changes, removals};

const SERVICE: &str = "n/s.n.svc.cluster.local";
const ENTRY: &str = "n/h.x";
const POD: &str = "Kubernetes//Pod/n/p";
const MACHINE: &str = "Kubernetes/networking.istio.io/WorkloadEntry/n/w";
const ENDPOINT: &str = "Kubernetes/networking.istio.io/ServiceEntry/n/e/192.0.2.1";
/// Where Weft's waypoint `gate` of `n` answers.
const EXPECTED: Option<&str> = Some("n/gate.n.svc.cluster.local");

/// A service, a service entry with an endpoint, a pod and a workload entry with these labels, in a namespace with those.
fn mesh(namespace: &str, own: &str) -> String {
    let labels = format!("namespace: n, labels: {{{own}}}");
    let metadata = format!(
        "namespace: n, labels: {{app: a{}{own}}}",
        if own.is_empty() { "" } else { ", " }
    );
    let istio = "apiVersion: networking.istio.io/v1, kind";
    [
        format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: n, labels: {{{namespace}}}}}}}"),
        format!("{{apiVersion: v1, kind: Service, metadata: {{name: s, {labels}}}, spec: {{selector: {{app: a}}}}}}"),
        format!(
            "{{{istio}: ServiceEntry, metadata: {{name: e, {labels}}}, spec: {{hosts: [h.x], resolution: STATIC, \
             ports: [{{number: 80, name: p}}], endpoints: [{{address: 192.0.2.1, labels: {{{own}}}}}]}}}}"
        ),
        format!("{{apiVersion: v1, kind: Pod, metadata: {{name: p, {metadata}}}, status: {{podIP: 10.0.0.1}}}}"),
        format!("{{{istio}: WorkloadEntry, metadata: {{name: w, {metadata}}}, spec: {{address: 192.0.2.7}}}}"),
    ]
    .join("\n---\n")
}

/// Gateway `gate` with further metadata, `allowedRoutes.namespaces` and status addresses.
fn gateway(namespace: &str, metadata: &str, allowed: &str, addresses: &str) -> String {
    let comma = if metadata.is_empty() { "" } else { ", " };
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: gate, namespace: {namespace}{comma}{metadata}}}, \
         spec: {{gatewayClassName: c, listeners: [{{name: mesh, port: 15008, protocol: HBONE, \
         allowedRoutes: {{namespaces: {{{allowed}}}}}}}]}}, status: {{addresses: [{addresses}]}}}}"
    )
}

const IP: &str = "{type: IPAddress, value: 10.2.0.9}";

fn shown(gateway: Option<&GatewayAddress>) -> Option<String> {
    let gateway = gateway?;
    assert_eq!(gateway.hbone_port, 15008);
    Some(match &gateway.destination {
        Destination::Hostname(key) => key.to_string(),
        Destination::Address(address) => address.to_string(),
    })
}

/// The waypoints of services and service entries, which must agree, and of workloads, which must agree.
fn waypoints(world: &World) -> (Option<String>, Option<String>) {
    let [service, entry] =
        [SERVICE, ENTRY].map(|name| shown(service(world, name).waypoint.as_ref()));
    assert_eq!(service, entry);
    let workloads =
        [POD, MACHINE, ENDPOINT].map(|uid| shown(workload(world, uid).waypoint.as_ref()));
    assert!(
        workloads.iter().all(|it| *it == workloads[0]),
        "{workloads:?}"
    );
    let [pod, _, _] = workloads;
    (service, pod)
}

/// The reason of `istio.io/WaypointBound`, and whether it holds.
fn bound(world: &World, kind: Kind, name: &str) -> Option<(bool, &'static str)> {
    let status = world.statuses.get(&Key::new(kind, "n", name))?;
    let condition = status
        .conditions
        .iter()
        .find(|it| it.kind == "istio.io/WaypointBound")?;
    Some((condition.holds, condition.reason))
}

fn text(value: Option<&str>) -> Option<String> {
    value.map(str::to_owned)
}

#[test]
fn the_gateway_decides_for_which_traffic_and_where_and_its_label_beats_its_class() {
    let class = |word: &str| {
        format!(
            "{{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {{name: c, labels: {{istio.io/waypoint-for: {word}}}}}}}"
        )
    };
    let of = |word: &str| format!("labels: {{istio.io/waypoint-for: {word}}}");
    let address = Some("/10.2.0.9");
    for (what, metadata, class, status, services, workloads) in [
        (
            "services unless said otherwise",
            String::new(),
            None,
            IP,
            address,
            None,
        ),
        ("service", of("service"), None, IP, address, None),
        ("workload", of("workload"), None, IP, None, address),
        ("all", of("all"), None, IP, address, address),
        ("none", of("none"), None, IP, None, None),
        (
            "an unknown word is the default",
            of("nonsense"),
            None,
            IP,
            address,
            None,
        ),
        (
            "the class's label",
            String::new(),
            Some(class("all")),
            IP,
            address,
            address,
        ),
        (
            "not against its own",
            of("service"),
            Some(class("all")),
            IP,
            address,
            None,
        ),
        (
            "a host name first",
            of("all"),
            None,
            "{type: IPAddress, value: 10.2.0.9}, {type: Hostname, value: w.example}",
            Some("n/w.example"),
            Some("n/w.example"),
        ),
        (
            "an address without a type is an IP address",
            of("all"),
            None,
            "{value: 10.2.0.9}",
            address,
            address,
        ),
        ("not ready", of("all"), None, "", EXPECTED, EXPECTED),
        (
            "not ready for workloads",
            of("workload"),
            None,
            "",
            None,
            EXPECTED,
        ),
        (
            "not ready for services",
            of("service"),
            None,
            "",
            EXPECTED,
            None,
        ),
    ] {
        for (namespace, own) in [
            ("istio.io/use-waypoint: gate", ""),
            ("", "istio.io/use-waypoint: gate"),
        ] {
            let mut world = world(&mesh(namespace, own));
            assert_eq!(
                waypoints(&world),
                (text(EXPECTED), None),
                "missing: for services at once, for workloads nobody knows"
            );
            world.apply(changes(&gateway("n", &metadata, "from: Same", status)));
            if let Some(class) = &class {
                world.apply(changes(class));
            }
            assert_eq!(
                waypoints(&world),
                (text(services), text(workloads)),
                "{what}"
            );
        }
    }
}

#[test]
fn labels_of_the_object_stand_against_those_of_its_namespace_entirely() {
    let ready = gateway(
        "n",
        "labels: {istio.io/waypoint-for: all}",
        "from: Same",
        IP,
    );
    let address = Some("/10.2.0.9");
    let open = "weft.dev/waypoint-failure-mode: open";
    for (namespace, own, expected) in [
        ("", "", None),
        ("istio.io/use-waypoint: gate", "", address),
        (
            "istio.io/use-waypoint: gate",
            "istio.io/use-waypoint: none",
            None,
        ),
        (
            "istio.io/use-waypoint: none",
            "istio.io/use-waypoint: gate",
            address,
        ),
        (
            "istio.io/use-waypoint: missing",
            "istio.io/use-waypoint: gate",
            address,
        ),
        (&format!("istio.io/use-waypoint: gate, {open}"), "", address),
        (
            "istio.io/use-waypoint: gate, istio.io/use-waypoint-namespace: elsewhere",
            "istio.io/use-waypoint: gate",
            address,
        ),
    ] {
        let world = world(&[mesh(namespace, own), ready.clone()].join("\n---\n"));
        assert_eq!(
            waypoints(&world),
            (text(expected), text(expected)),
            "{namespace} / {own}"
        );
        let condition = expected.map(|_| (true, "WaypointAccepted"));
        for (kind, name) in [
            (Kind::Service, "s"),
            (Kind::ServiceEntry, "e"),
            (Kind::WorkloadEntry, "w"),
        ] {
            assert_eq!(bound(&world, kind, name), condition);
        }
    }
    let world = world(
        &[
            mesh(
                "istio.io/use-waypoint: gate",
                "istio.io/use-waypoint: missing",
            ),
            ready,
        ]
        .join("\n---\n"),
    );
    assert_eq!(
        waypoints(&world),
        (Some("n/missing.n.svc.cluster.local".to_owned()), None),
        "it does not fall back to the namespace's"
    );
}

#[test]
fn a_waypoint_of_another_namespace_must_admit_the_objects() {
    let labels = "istio.io/use-waypoint: gate, istio.io/use-waypoint-namespace: g, team: t";
    let all = "labels: {istio.io/waypoint-for: all}";
    let closed = Some("g/gate.g.svc.cluster.local");
    for (allowed, expected) in [
        ("from: All", Some("/10.2.0.9")),
        ("from: Same", closed),
        ("from: None", closed),
        ("", closed),
        (
            "from: Selector, selector: {matchLabels: {team: t}}",
            Some("/10.2.0.9"),
        ),
        (
            "from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: n}}",
            Some("/10.2.0.9"),
        ),
        ("from: Selector, selector: {matchLabels: {team: u}}", closed),
        ("from: Selector", closed),
    ] {
        let world = world(&[mesh(labels, ""), gateway("g", all, allowed, IP)].join("\n---\n"));
        assert_eq!(
            waypoints(&world),
            (text(expected), text(expected)),
            "{allowed}"
        );
        let is_admitted = expected != closed;
        let reason = match is_admitted {
            true => (true, "WaypointAccepted"),
            false => (false, "AttachmentDenied"),
        };
        assert_eq!(bound(&world, Kind::ServiceEntry, "e"), Some(reason));
        assert_eq!(
            found(&world, Rule::WaypointForbidden).is_empty(),
            is_admitted
        );
    }
    let sandwiched = |annotation: &str, listener: &str| {
        gateway(
            "g",
            &format!(
                "annotations: {{ambient.istio.io/waypoint-inbound-binding: {annotation}}}, {all}"
            ),
            "from: Same",
            IP,
        )
        .replace(
            "listeners: [",
            &format!("listeners: [{{{listener}, allowedRoutes: {{namespaces: {{from: All}}}}}}, "),
        )
    };
    for (annotation, listener) in [
        ("PROXY/15088", "port: 15088, protocol: TCP"),
        ("PROXY", "port: 15088, protocol: istio.io/PROXY"),
        ("NONE/15088", "port: 15088, protocol: HTTP"),
    ] {
        let world = world(&[mesh(labels, ""), sandwiched(annotation, listener)].join("\n---\n"));
        assert_eq!(
            waypoints(&world).0,
            text(Some("/10.2.0.9")),
            "the listener that {annotation} names decides"
        );
    }
}

#[test]
fn labels_of_a_namespace_that_decide_about_its_waypoint_reach_everything_in_it() {
    let own = "istio.io/use-waypoint: gate, istio.io/use-waypoint-namespace: g";
    let all = "labels: {istio.io/waypoint-for: all}";
    let selecting = "from: Selector, selector: {matchLabels: {team: t}}";
    let (inside, closed) = (Some("/10.2.0.9"), Some("g/gate.g.svc.cluster.local"));
    let namespace = |labels: &str| {
        format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: n, labels: {{{labels}}}}}}}")
    };
    for (inherited, labels) in [("", own), (own, "")] {
        let mut world =
            world(&[mesh(inherited, labels), gateway("g", all, selecting, IP)].join("\n---\n"));
        for (more, expected) in [
            ("team: u", closed),
            ("team: u, weft.dev/waypoint-failure-mode: open", None),
            ("team: t", inside),
            ("team: u, weft.dev/waypoint-failure-mode: open", None),
            ("team: t, weft.dev/waypoint-failure-mode: open", inside),
            ("other: x", closed),
        ] {
            let comma = if inherited.is_empty() { "" } else { ", " };
            world.apply(changes(&namespace(&format!("{inherited}{comma}{more}"))));
            assert_eq!(
                waypoints(&world),
                (text(expected), text(expected)),
                "{more} / {labels}"
            );
        }
    }
}

#[test]
fn why_there_is_no_waypoint_is_in_status_and_among_the_findings() {
    let own = "istio.io/use-waypoint: gate";
    let open = "istio.io/use-waypoint: gate, weft.dev/waypoint-failure-mode: open";
    let of = |word: &str| format!("labels: {{istio.io/waypoint-for: {word}}}");
    type Row<'a> = (
        &'a str,
        Option<String>,
        [Option<&'a str>; 2],
        [Option<&'a str>; 2],
        Rule,
        usize,
    );
    let rows: Vec<Row<'_>> = vec![
        // Labels, gateway, waypoints of services and workloads, reasons of theirs, rule and how often it is found.
        (
            own,
            None,
            [EXPECTED, None],
            [Some("WaypointIsNotReady"); 2],
            Rule::WaypointMissing,
            5,
        ),
        (
            open,
            None,
            [None, None],
            [Some("WaypointIsNotReady"); 2],
            Rule::WaypointMissing,
            5,
        ),
        (
            own,
            Some(gateway("n", &of("all"), "", "")),
            [EXPECTED, EXPECTED],
            [Some("WaypointIsNotReady"); 2],
            Rule::WaypointNotReady,
            5,
        ),
        (
            open,
            Some(gateway("n", &of("all"), "", "")),
            [None, None],
            [Some("WaypointIsNotReady"); 2],
            Rule::WaypointNotReady,
            5,
        ),
        (
            own,
            Some(gateway("n", &of("none"), "", IP)),
            [None, None],
            [Some("UnsupportedTrafficType"); 2],
            Rule::WaypointUnsuited,
            5,
        ),
        (
            own,
            Some(gateway("n", &of("workload"), "", IP)),
            [None, Some("/10.2.0.9")],
            [Some("UnsupportedTrafficType"), Some("WaypointAccepted")],
            Rule::WaypointUnsuited,
            2,
        ),
        (
            own,
            Some(gateway("n", &of("service"), "", IP)),
            [Some("/10.2.0.9"), None],
            [Some("WaypointAccepted"), Some("UnsupportedTrafficType")],
            Rule::WaypointUnsuited,
            3,
        ),
    ];
    for (labels, gateway, expected, reasons, rule, count) in rows {
        let objects = mesh("", labels);
        let world = world(
            &[Some(objects), gateway]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("\n---\n"),
        );
        let [services, workloads] = expected.map(text);
        assert_eq!(waypoints(&world), (services, workloads), "{labels}");
        let reason = |kind, name| {
            bound(&world, kind, name).map(|(holds, reason)| {
                assert_eq!(holds, reason == "WaypointAccepted");
                reason
            })
        };
        assert_eq!(
            [reason(Kind::Service, "s"), reason(Kind::WorkloadEntry, "w")],
            reasons
        );
        assert_eq!(reason(Kind::ServiceEntry, "e"), reasons[0]);
        let found = found(&world, rule);
        assert_eq!(found.len(), count, "{rule:?}: {found:?}");
        let fields = [
            "metadata.labels[\"istio.io/use-waypoint\"]",
            "spec.endpoints[0].labels[\"istio.io/use-waypoint\"]",
        ];
        assert!(
            found.iter().all(|it| fields.contains(&&*it.problem.field)),
            "{found:?}"
        );
    }
}

#[test]
fn what_a_namespace_says_holds_for_those_objects_that_the_waypoint_is_for() {
    let labelled = mesh("istio.io/use-waypoint: gate", "");
    let of = |word: &str| {
        gateway(
            "n",
            &format!("labels: {{istio.io/waypoint-for: {word}}}"),
            "",
            IP,
        )
    };
    let services = world(&[labelled.clone(), of("service")].join("\n---\n"));
    assert_eq!(bound(&services, Kind::WorkloadEntry, "w"), None, "silently");
    assert!(
        services
            .problems
            .all()
            .iter()
            .all(|it| it.rule == Rule::NobodySelects)
    );
    let workloads = world(&[labelled.clone(), of("workload")].join("\n---\n"));
    assert_eq!(
        bound(&workloads, Kind::Service, "s"),
        Some((false, "UnsupportedTrafficType"))
    );
    assert!(found(&workloads, Rule::WaypointUnsuited).is_empty());
    let missing = world(&labelled);
    let fields: Vec<_> = found(&missing, Rule::WaypointMissing);
    assert_eq!(fields.len(), 2, "the service and the service entry");
    assert!(
        fields
            .iter()
            .all(|it| it.problem.field == "metadata.namespace")
    );
}

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
