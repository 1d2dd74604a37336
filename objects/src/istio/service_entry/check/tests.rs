//! What is taken and what is refused, row by row.

use crate::istio::ServiceEntry;

fn refused(spec: &str) -> Option<String> {
    let documents = crate::raw::parse(format!("{{spec: {{{spec}}}}}").as_bytes()).unwrap();
    let value = documents.first().unwrap().value().clone();
    let entry: ServiceEntry = serde_json::from_value(value).unwrap();
    entry.check().err().map(|refused| refused.path.to_string())
}

#[test]
fn what_istio_would_take_is_taken() {
    for spec in [
        "hosts: [a.b]",
        "hosts: ['*.b']",
        "hosts: [a.b], addresses: [10.0.0.0/8]",
        "hosts: [a.b], resolution: DNS",
        "hosts: ['*.b'], resolution: DYNAMIC_DNS",
        "hosts: ['*.b'], resolution: DNS, endpoints: [{address: x.b}]",
        "hosts: [a.b, c.d], resolution: STATIC, endpoints: [{address: 192.0.2.1}, {address: 'fd00::1'}]",
        "hosts: [a.b], resolution: STATIC, endpoints: [{network: other}]",
        "hosts: [a.b], resolution: DNS, workloadSelector: {labels: {app: x}}",
        "hosts: [a.b], ports: [{number: 80, name: http, protocol: http}, {number: 81, name: x}]",
        "hosts: [a.b], ports: [{number: 80, name: p}], resolution: STATIC, \
         endpoints: [{address: 192.0.2.1, ports: {p: 8080}, locality: r/z/s}]",
    ] {
        assert_eq!(refused(spec), None, "{spec}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_cannot_be_meant_is_refused_at_its_field() {
    let endpoint = |endpoint: &str| {
        format!(
            "hosts: [a.b], resolution: STATIC, endpoints: [{{address: 192.0.2.1}}, {{{endpoint}}}]"
        )
    };
    for (spec, field) in [
        ("addresses: [10.0.0.1]", "spec.hosts"),
        ("hosts: [a.b, '*']", "spec.hosts[1]"),
        ("hosts: [a.b, 192.0.2.1]", "spec.hosts[1]"),
        ("hosts: [a.b, a.b]", "spec.hosts[1]"),
        ("hosts: [a.b, '*.b'], resolution: DNS", "spec.hosts[1]"),
        (
            "hosts: [a.b], addresses: [10.0.0.1, nonsense]",
            "spec.addresses[1]",
        ),
        (
            "hosts: [a.b], addresses: [10.0.0.0/33]",
            "spec.addresses[0]",
        ),
        (
            "hosts: [a.b], addresses: [10.0.0.0/8], resolution: DNS",
            "spec.addresses[0]",
        ),
        ("hosts: [a.b], ports: [{name: a}]", "spec.ports[0].number"),
        ("hosts: [a.b], ports: [{number: 1}]", "spec.ports[0].name"),
        (
            "hosts: [a.b], ports: [{number: 1, name: a, protocol: X}]",
            "spec.ports[0].protocol",
        ),
        (
            "hosts: [a.b], ports: [{number: 1, name: a}, {number: 1, name: b}]",
            "spec.ports[1].number",
        ),
        (
            "hosts: [a.b], ports: [{number: 1, name: a}, {number: 2, name: a}]",
            "spec.ports[1].name",
        ),
        (
            "hosts: [a.b], endpoints: [{address: 192.0.2.1}]",
            "spec.endpoints",
        ),
        (
            "hosts: [a.b], resolution: DNS_ROUND_ROBIN, endpoints: [{address: x.y}, {address: z.y}]",
            "spec.endpoints[1]",
        ),
        (
            "hosts: [a.b], resolution: STATIC, workloadSelector: {labels: {a: b}}, endpoints: [{address: 192.0.2.1}]",
            "spec.workloadSelector",
        ),
        (&endpoint("weight: 1"), "spec.endpoints[1].address"),
        (&endpoint("address: x.y"), "spec.endpoints[1].address"),
        (
            &endpoint("address: 'unix:///x'"),
            "spec.endpoints[1].address",
        ),
        (
            &endpoint("address: 192.0.2.2, ports: {p: 1}"),
            "spec.endpoints[1].ports.p",
        ),
        (
            &endpoint("address: 192.0.2.2, ports: {p: 0}"),
            "spec.endpoints[1].ports.p",
        ),
        (
            &endpoint("address: 192.0.2.2, locality: a/b/c/d"),
            "spec.endpoints[1].locality",
        ),
    ] {
        assert_eq!(refused(spec).as_deref(), Some(field), "{spec}");
    }
}
