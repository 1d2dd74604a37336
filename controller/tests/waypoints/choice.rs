//! What an object and its namespace ask for, against what the gateway is for and whom it admits.

use controller::translate::rule::Rule;
use objects::kinds::Kind;

use crate::look::{found, world};
use crate::yaml::changes;
use crate::{EXPECTED, IP, bound, gateway, mesh, text, waypoints};

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
