//! What owners of entries should know, at the field it is about.

use controller::translate::rule::Rule;

use crate::look::{found, world};
use crate::{PORTS, entry, machine};

#[test]
fn what_owners_of_entries_should_know_is_found_at_its_field() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: n, labels: {app: a}}, status: {podIP: 10.0.0.1}}";
    let service = |spec: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: s, namespace: n}}, spec: {{{spec}}}}}"
        )
    };
    let slice = "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {name: e1, \
                 namespace: n, labels: {kubernetes.io/service-name: s}}, ports: [{name: m, port: 8}], endpoints: []}";
    for (rule, field, text) in [
        (
            Rule::SelectsNothing,
            "spec.workloadSelector",
            entry(
                "",
                &format!(
                    "hosts: [h.x], resolution: STATIC, {PORTS}, workloadSelector: {{labels: {{app: b}}}}"
                ),
            ),
        ),
        (
            Rule::SelectsNothing,
            "spec",
            entry("", &format!("hosts: [h.x], resolution: STATIC, {PORTS}")),
        ),
        (
            Rule::SelectsNothing,
            "spec.selector",
            service("selector: {app: b}, ports: [{port: 80}]"),
        ),
        (Rule::SelectsNothing, "spec", service("ports: [{port: 80}]")),
        (
            Rule::PortWithoutEndpoint,
            "spec.ports[1].targetPort",
            service("selector: {app: a}, ports: [{port: 80}, {port: 81, targetPort: web}]"),
        ),
        (
            Rule::PortWithoutEndpoint,
            "spec.ports[1].name",
            [
                slice,
                &service("ports: [{port: 80, name: m}, {port: 81, name: q}]"),
            ]
            .join("\n---\n"),
        ),
        (
            Rule::NotCarried,
            "spec.ports[0].protocol",
            service(
                "selector: {app: a}, ports: [{port: 53, protocol: UDP, name: u}, {port: 54, name: t}]",
            ),
        ),
        (
            Rule::NotCarried,
            "spec.ports[1].protocol",
            entry(
                "",
                "hosts: [h.x], resolution: DNS, ports: [{number: 1, name: a}, {number: 2, name: b, protocol: UDP}]",
            ),
        ),
        (
            Rule::NoPort,
            "spec.ports",
            entry("", "hosts: [h.x], resolution: DNS"),
        ),
        (
            Rule::NoAddress,
            "spec.hosts[0]",
            entry("", &format!("hosts: [h.x], {PORTS}")),
        ),
        (
            Rule::NoAddress,
            "spec.hosts[0]",
            entry(
                "labels: {networking.istio.io/enable-autoallocate-ip: 'false'}",
                &format!("hosts: [h.x], {PORTS}, resolution: DNS"),
            ),
        ),
        (
            Rule::NotHonoured,
            "spec.exportTo",
            entry(
                "",
                &format!("hosts: [h.x], {PORTS}, resolution: DNS, exportTo: [.]"),
            ),
        ),
        (
            Rule::UnreadField,
            "spec.nonsense",
            entry(
                "",
                &format!("hosts: [h.x], {PORTS}, resolution: DNS, nonsense: 1"),
            ),
        ),
        (
            Rule::DuplicateEndpoint,
            "spec.endpoints[1].address",
            entry(
                "",
                &format!(
                    "hosts: [h.x], {PORTS}, resolution: STATIC, endpoints: [{{address: 192.0.2.1}}, {{address: '::ffff:192.0.2.1'}}]"
                ),
            ),
        ),
        (
            Rule::InvalidValue,
            "metadata.annotations[\"networking.istio.io/traffic-distribution\"]",
            entry(
                "annotations: {networking.istio.io/traffic-distribution: Nonsense}",
                &format!("hosts: [h.x], {PORTS}, resolution: DNS"),
            ),
        ),
        (
            Rule::NobodySelects,
            "spec.labels",
            machine("", "labels: {app: b}"),
        ),
        (
            Rule::NobodySelects,
            "metadata.labels",
            machine("", "weight: 1"),
        ),
        (
            Rule::NotHonoured,
            "spec.network",
            machine("", "network: far"),
        ),
    ] {
        let world = world(&[pod, &text].join("\n---\n"));
        let fields: Vec<String> = found(&world, rule)
            .into_iter()
            .map(|it| it.problem.field)
            .collect();
        assert_eq!(fields, [field], "{rule:?}: {text}");
    }
}

#[test]
fn entries_that_are_right_are_found_nothing_in() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: n, labels: {app: a}}, status: {podIP: 10.0.0.1}}";
    for text in [
        entry(
            "",
            &format!(
                "hosts: [h.x], {PORTS}, resolution: DNS, location: MESH_EXTERNAL, exportTo: ['*']"
            ),
        ),
        entry(
            "",
            &format!("hosts: [h.x], {PORTS}, addresses: [10.0.0.0/8]"),
        ),
        entry(
            "",
            &format!(
                "hosts: [h.x], {PORTS}, resolution: STATIC, endpoints: [{{address: 192.0.2.1}}]"
            ),
        ),
        entry(
            "",
            &format!(
                "hosts: [h.x], {PORTS}, location: MESH_INTERNAL, resolution: STATIC, workloadSelector: {{labels: {{app: a}}}}"
            ),
        ),
    ] {
        let text = format!(
            "{}, status: {{conditions: [{{type: x}}]}}}}",
            text.strip_suffix('}').unwrap()
        );
        let world = world(&[pod, &text].join("\n---\n"));
        assert!(
            world.problems.all().is_empty(),
            "{text}: {:?}",
            world.problems.all()
        );
    }
}
