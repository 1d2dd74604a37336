//! Documents about requests that may stand under one key, each key's in the forms that it may take.

/// Routes of one namespace, and what decides how their backends are reached.
pub(crate) fn routes_in(namespace: &str) -> Vec<Vec<String>> {
    let object = |group: &str, kind: &str, name: &str, metadata: &str, rest: &str| {
        format!(
            "{{apiVersion: {group}, kind: {kind}, metadata: {{name: {name}, namespace: {namespace}{metadata}}}, {rest}}}"
        )
    };
    let gateway_api = "gateway.networking.k8s.io/v1";
    let route = |kind: &str, name: &str, metadata: &str, parents: &str, rules: &str| {
        let rest = format!("spec: {{parentRefs: [{parents}], rules: [{rules}]}}");
        object(gateway_api, kind, name, metadata, &rest)
    };
    let service =
        |name: &str, more: &str| format!("{{group: '', kind: Service, name: {name}{more}}}");
    let entry = "{group: networking.istio.io, kind: ServiceEntry, name: e1}";
    let (s1, s2, in_x) = (
        service("s1", ""),
        service("s2", ", port: 80"),
        service("s1", ", namespace: x"),
    );
    let to = |name: &str, port: u16| format!("{{backendRefs: [{{name: {name}, port: {port}}}]}}");
    let to_host =
        "{backendRefs: [{group: networking.istio.io, kind: Hostname, name: a.b, port: 80}]}";
    let http =
        |metadata, parents: &str, rules: &str| route("HTTPRoute", "h1", metadata, parents, rules);
    let old = ", creationTimestamp: '2026-01-01T00:00:00Z'";
    let policy = |spec: &str| {
        let rest = format!("spec: {{{spec}}}");
        object(gateway_api, "BackendTLSPolicy", "t1", "", &rest)
    };
    let by_map = "validation: {hostname: h, caCertificateRefs: [{kind: ConfigMap, name: ca}]}";
    let map = |data: &str| object("v1", "ConfigMap", "ca", "", &format!("data: {{{data}}}"));
    let rule = |spec: &str| {
        let rest = format!("spec: {{{spec}}}");
        object("networking.istio.io/v1", "DestinationRule", "d1", "", &rest)
    };
    let limit = "trafficPolicy: {connectionPool: {tcp: {maxConnections: 5}}}";
    vec![
        vec![
            http("", &s1, &to("s2", 80)),
            http(old, &in_x, &to("s1", 80)),
            http("", &format!("{s1}, {s2}, {entry}"), to_host),
            http("", entry, &to("s2", 90)),
            http("", "{name: w}", "{}"),
        ],
        vec![
            route(
                "HTTPRoute",
                "h2",
                "",
                &s1,
                "{matches: [{method: GET}], timeouts: {request: x}}",
            ),
            route("HTTPRoute", "h2", old, &in_x, "{}"),
        ],
        vec![
            route("GRPCRoute", "g1", "", &s1, to_host),
            route("GRPCRoute", "g1", "", &s2, &to("s1", 80)),
        ],
        vec![route(
            "TCPRoute",
            "t1",
            "",
            &format!("{s1}, {entry}"),
            to_host,
        )],
        vec![
            policy(&format!(
                "targetRefs: [{{kind: Service, name: s1}}], {by_map}"
            )),
            policy(&format!(
                "targetRefs: [{{kind: Service, name: s2, sectionName: m}}], {by_map}"
            )),
            policy(&format!(
                "targetRefs: [{{group: networking.istio.io, kind: ServiceEntry, name: e1}}], {by_map}"
            )),
        ],
        vec![
            map("ca.crt: nonsense"),
            map("ca.crt: more"),
            map("other: x"),
        ],
        vec![
            rule(&format!("host: s1, {limit}")),
            rule(&format!("host: '*.b', {limit}")),
            rule(&format!("host: a.b, {limit}")),
        ],
    ]
}

/// VirtualServices and DestinationRules of one namespace.
pub(crate) fn guides_in(namespace: &str) -> Vec<Vec<String>> {
    let object = |kind: &str, name: &str, spec: &str| {
        format!(
            "{{apiVersion: networking.istio.io/v1, kind: {kind}, metadata: {{name: {name}, namespace: {namespace}}}, \
             spec: {{{spec}}}}}"
        )
    };
    let guide = |name: &str, spec: &str| object("VirtualService", name, spec);
    let rule = |name: &str, spec: &str| object("DestinationRule", name, spec);
    let to = |host: &str| format!("route: [{{destination: {{host: {host}}}}}]");
    let to_part = "route: [{destination: {host: s1, subset: one}}], mirror: {host: a.b}";
    let limit = "trafficPolicy: {connectionPool: {tcp: {maxConnections: 5}}}";
    vec![
        vec![
            guide("v1", &format!("hosts: [s1], http: [{{{to_part}}}]")),
            guide(
                "v1",
                &format!("hosts: ['*.b', s2], http: [{{{}}}]", to("c.d")),
            ),
            guide(
                "v1",
                &format!(
                    "hosts: ['*'], http: [{{{}}}, {{delegate: {{name: v2, namespace: x}}}}]",
                    to("s2")
                ),
            ),
            guide(
                "v1",
                &format!("hosts: [s1.x.svc.cluster.local], tcp: [{{{}}}]", to("s1")),
            ),
        ],
        vec![
            guide("v2", &format!("http: [{{{}}}]", to("s1"))),
            guide(
                "v2",
                &format!("hosts: [s2], exportTo: ['.'], http: [{{{to_part}}}]"),
            ),
            guide(
                "v2",
                &format!(
                    "hosts: [a.b], http: [{{match: [{{port: 80}}], {}}}]",
                    to("s2")
                ),
            ),
        ],
        vec![
            rule(
                "d8",
                &format!("host: s1, {limit}, subsets: [{{name: one}}]"),
            ),
            rule("d8", &format!("host: '*.cluster.local', {limit}")),
            rule("d8", "host: s2, subsets: [{name: one}]"),
        ],
        vec![
            rule(
                "d9",
                "host: s1.x.svc.cluster.local, subsets: [{name: one, labels: {v: '1'}}]",
            ),
            rule("d9", &format!("host: a.b, exportTo: ['.'], {limit}")),
        ],
    ]
}
