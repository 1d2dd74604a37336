//! What several Telemetry objects and MeshConfig come to at a waypoint, and what is said of bad ones.

#![expect(
    clippy::too_many_lines,
    reason = "a table is as long as its rows are many"
)]

use std::sync::Arc;

use mesh::model::observe::TagValue;
use mesh::model::provider::ProviderHost;
use objects::raw;

use super::check::{Situation, findings};
use super::*;
use crate::translate::attachment::Place;
use crate::translate::mesh_config;
use crate::translate::rule::Rule;

const MESH: &str = "
accessLogFile: /dev/stdout
accessLogEncoding: JSON
defaultConfig: {tracing: {sampling: 5}}
defaultProviders: {tracing: [otel]}
extensionProviders:
- {name: otel, opentelemetry: {service: collector.observe.svc.cluster.local, port: 4317}}
- {name: b3, zipkin: {service: 10.0.0.7, port: 4317}}
- {name: outside, opentelemetry: {service: otel.example.org, port: 4317}}
- {name: short, envoyFileAccessLog: {path: /dev/stdout, logFormat: {text: '%RESPONSE_CODE%'}}}
- {name: fields, envoyFileAccessLog: {path: /dev/stdout, logFormat: {labels: {code: '%RESPONSE_CODE%'}}}}
";

fn cluster(mesh: &str) -> Cluster {
    let (config, _) = mesh_config::parse(mesh).unwrap();
    Cluster {
        id: "Kubernetes".into(),
        domain: "cluster.local".into(),
        network: "".into(),
        trust_domain: config.trust_domain.clone(),
        root_namespace: "root".into(),
        authorizers: Arc::default(),
        entry_visibility: None,
        traffic: Arc::clone(&config.traffic),
        observing: Arc::clone(&config.observing),
    }
}

/// An object of a namespace; `day` makes it older or younger than others.
fn object(namespace: &str, name: &str, day: u8, spec: &str) -> Telemetry {
    let text = format!(
        "metadata: {{namespace: {namespace}, name: {name}, creationTimestamp: '2026-01-{day:02}T00:00:00Z'}}\nspec: {spec}\n"
    );
    let documents = raw::parse(text.as_bytes()).unwrap();
    serde_json::from_value(documents[0].value().clone()).unwrap()
}

fn at_waypoint(mesh: &str, all: &[Telemetry]) -> observe::Telemetry {
    let gateway = NamespacedName::new("shop", "waypoint");
    let waypoint = Waypoint {
        gateway: &gateway,
        class: "istio-waypoint",
    };
    for_waypoint(&cluster(mesh), &waypoint, all, &|_| None)
}

/// Format and filter of the log of a waypoint that follows these.
fn log_of(mesh: &str, specs: &[(&str, &str)]) -> Option<(bool, String, String)> {
    let all: Vec<Telemetry> = specs
        .iter()
        .map(|(namespace, spec)| object(namespace, "t", 1, spec))
        .collect();
    let log = at_waypoint(mesh, &all).access_log?;
    Some((log.json, log.format.to_string(), log.filter.to_string()))
}

#[test]
fn logs_are_inherited_replaced_filtered_and_switched_off() {
    let standard = |filter: &str| Some((true, String::new(), filter.to_owned()));
    let short = |filter: &str| Some((false, "%RESPONSE_CODE%".to_owned(), filter.to_owned()));
    let errors = "{accessLogging: [{filter: {expression: response.code >= 400}}]}";
    for (mesh, specs, expected) in [
        ("", vec![], None),
        (MESH, vec![], standard("")),
        (
            "",
            vec![("root", "{accessLogging: [{providers: [{name: envoy}]}]}")],
            Some((false, String::new(), String::new())),
        ),
        (
            MESH,
            vec![("root", errors)],
            standard("response.code >= 400"),
        ),
        (
            MESH,
            vec![
                ("root", errors),
                ("shop", "{accessLogging: [{disabled: true}]}"),
            ],
            None,
        ),
        (
            MESH,
            vec![
                ("root", "{accessLogging: [{disabled: true}]}"),
                ("shop", "{accessLogging: [{}]}"),
            ],
            standard(""),
        ),
        (
            MESH,
            vec![("shop", "{accessLogging: [{providers: [{name: short}]}]}")],
            short(""),
        ),
        (
            MESH,
            vec![
                ("root", "{accessLogging: [{providers: [{name: short}]}]}"),
                ("shop", errors),
            ],
            short("response.code >= 400"),
        ),
        (
            MESH,
            vec![("shop", "{accessLogging: [{providers: [{name: fields}]}]}")],
            Some((
                true,
                "{\"code\":\"%RESPONSE_CODE%\"}".to_owned(),
                String::new(),
            )),
        ),
        // Not ours: the client's side, another namespace, chosen workloads, an unreadable filter.
        (
            MESH,
            vec![(
                "shop",
                "{accessLogging: [{match: {mode: CLIENT}, disabled: true}]}",
            )],
            standard(""),
        ),
        (
            MESH,
            vec![("other", "{accessLogging: [{disabled: true}]}")],
            standard(""),
        ),
        (
            MESH,
            vec![(
                "shop",
                "{selector: {matchLabels: {a: b}}, accessLogging: [{disabled: true}]}",
            )],
            standard(""),
        ),
        (
            MESH,
            vec![(
                "shop",
                "{accessLogging: [{filter: {expression: 'wasm.x == 1'}}]}",
            )],
            standard(""),
        ),
    ] {
        assert_eq!(log_of(mesh, &specs), expected, "{specs:?}");
    }
}

#[test]
fn traces_go_to_the_provider_that_is_nearest() {
    let of = |mesh: &str, specs: &[(&str, &str)]| {
        let all: Vec<Telemetry> = specs
            .iter()
            .map(|(namespace, spec)| object(namespace, "t", 1, spec))
            .collect();
        at_waypoint(mesh, &all).tracing
    };
    assert_eq!(of("", &[]), None);
    assert_eq!(of(&format!("{MESH}enableTracing: false\n"), &[]), None);
    let mesh = of(MESH, &[]).unwrap();
    let key = NamespacedHostname::new("observe", "collector.observe.svc.cluster.local");
    assert_eq!(mesh.collector.host, ProviderHost::Service(key));
    assert_eq!(
        (&*mesh.provider, mesh.sampling, mesh.b3),
        ("otel", 500, false)
    );
    assert!(mesh.reports && mesh.propagates && mesh.istio_tags && mesh.tags.is_empty());
    let own = of(
        MESH,
        &[
            (
                "root",
                "{tracing: [{randomSamplingPercentage: 100, customTags: {a: {literal: {value: '1'}}}}]}",
            ),
            (
                "shop",
                "{tracing: [{providers: [{name: b3}], disableSpanReporting: true, enableIstioTags: false, disableContextPropagation: true, \
                 customTags: {h: {header: {name: X-User, defaultValue: none}}, e: {environment: {name: E}}}}]}",
            ),
        ],
    );
    let own = own.unwrap();
    assert_eq!((&*own.provider, own.sampling, own.b3), ("b3", 10_000, true));
    assert_eq!(
        own.collector.host,
        ProviderHost::Address("10.0.0.7".parse().unwrap())
    );
    assert!(!own.reports && !own.propagates && !own.istio_tags);
    let tags = [
        ("e".into(), TagValue::Environment("E".into(), "".into())),
        ("h".into(), TagValue::Header("x-user".into(), "none".into())),
    ];
    assert_eq!(own.tags, tags);
    let outside = of(
        MESH,
        &[("shop", "{tracing: [{providers: [{name: outside}]}]}")],
    );
    let name = ProviderHost::Name("otel.example.org".into());
    assert_eq!(outside.unwrap().collector.host, name);
    let unknown = of(
        MESH,
        &[("shop", "{tracing: [{providers: [{name: nobody}]}]}")],
    );
    assert_eq!(unknown, None);
    // 1 % where nobody says.
    let plain = of(
        "defaultProviders: {tracing: [o]}\nextensionProviders: [{name: o, opentelemetry: {service: o, port: 1}}]\n",
        &[],
    );
    assert_eq!(plain.unwrap().sampling, 100);
}

#[test]
fn metrics_are_changed_one_by_one() {
    let of = |specs: &[(&str, &str)]| {
        let all: Vec<Telemetry> = specs
            .iter()
            .map(|(namespace, spec)| object(namespace, "t", 1, spec))
            .collect();
        let changes = at_waypoint(MESH, &all).metrics.into_iter();
        changes
            .map(|it| {
                let labels = it.labels.iter().map(|(name, value)| match value {
                    Some(value) => format!("{name}={value}"),
                    None => format!("-{name}"),
                });
                let labels: Vec<String> = labels.collect();
                format!("{} {} {}", it.metric, it.disabled, labels.join(","))
            })
            .collect::<Vec<_>>()
    };
    assert!(of(&[]).is_empty());
    let count = "{metrics: [{overrides: [{match: {metric: REQUEST_COUNT}, tagOverrides: {a: {operation: REMOVE}, b: {value: \"'x'\"}, c: {value: request.host}}}]}]}";
    assert_eq!(of(&[("root", count)]), ["requests_total false -a,b=x"]);
    let all_off = "{metrics: [{overrides: [{disabled: true}, {match: {metric: REQUEST_COUNT}, disabled: false}]}]}";
    let off = of(&[("root", count), ("shop", all_off)]);
    assert_eq!(off.len(), 10);
    assert!(
        off.contains(&"requests_total false -a,b=x".to_owned()),
        "{off:?}"
    );
    assert!(off.contains(&"request_bytes true ".to_owned()));
    let client = "{metrics: [{overrides: [{match: {mode: CLIENT}, disabled: true}]}]}";
    assert!(of(&[("shop", client)]).is_empty());
}

#[test]
fn a_service_has_its_own_settings_on_top_of_its_waypoints() {
    let gateway = NamespacedName::new("shop", "waypoint");
    let waypoint = Waypoint {
        gateway: &gateway,
        class: "istio-waypoint",
    };
    let share = |percent: u8| format!("tracing: [{{randomSamplingPercentage: {percent}}}]");
    let target = |kind: &str, name: &str| format!("targetRefs: [{{kind: {kind}, name: {name}}}]");
    let all = [
        object(
            "root",
            "class",
            1,
            &format!(
                "{{{}, {}}}",
                target("GatewayClass", "istio-waypoint"),
                share(10)
            ),
        ),
        object(
            "shop",
            "gateway",
            2,
            &format!("{{{}, {}}}", target("Gateway", "waypoint"), share(20)),
        ),
        object(
            "shop",
            "second",
            3,
            &format!("{{{}, {}}}", target("Gateway", "waypoint"), share(30)),
        ),
        object(
            "shop",
            "other",
            1,
            &format!("{{{}, {}}}", target("Gateway", "other"), share(40)),
        ),
        object(
            "shop",
            "service",
            1,
            &format!("{{{}, {}}}", target("Service", "web"), share(50)),
        ),
    ];
    let cluster = cluster(MESH);
    let whole = for_waypoint(&cluster, &waypoint, &all, &|_| None);
    assert_eq!(whole.tracing.unwrap().sampling, 2_000);
    let names: Vec<&str> = whole.origins.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["class", "gateway"]);
    let of = |kind, name| {
        let service = Target {
            kind,
            namespace: "shop",
            name,
        };
        for_service(&cluster, &waypoint, service, &all, &|_| None)
    };
    assert_eq!(
        of("Service", "web").unwrap().tracing.unwrap().sampling,
        5_000
    );
    assert_eq!(of("Service", "api"), None);
    assert_eq!(of("ServiceEntry", "web"), None);
    let beside: Vec<&Telemetry> = all.iter().collect();
    assert_eq!(older(&all[2], &beside), Some("gateway"));
    assert_eq!(older(&all[1], &beside), None);
}

#[test]
fn what_is_not_honoured_is_named_by_its_field() {
    let observing = cluster(MESH).observing;
    let said = |spec: &str| {
        let object = object("shop", "t", 1, spec);
        let places = object.spec.targets().map(|_| Place::Missing).collect();
        let situation = Situation {
            root: "root",
            observing: &observing,
            older: None,
            places,
        };
        let findings = findings(&object, &situation).into_iter();
        findings
            .map(|it| (it.rule, it.path.to_string()))
            .collect::<Vec<_>>()
    };
    let one = |rule, path: &str| vec![(rule, path.to_owned())];
    for (spec, expected) in [
        (
            "{tracing: [{providers: [{name: otel}], randomSamplingPercentage: 0.5}]}",
            vec![],
        ),
        (
            "{metrics: [{providers: [{name: prometheus}]}], accessLogging: [{providers: [{name: envoy}]}]}",
            vec![],
        ),
        (
            "{selector: {matchLabels: {a: b}}}",
            one(Rule::NotHonoured, "spec.selector"),
        ),
        (
            "{targetRefs: [{kind: Pod, name: x}]}",
            one(Rule::InvalidValue, "spec.targetRefs[0].kind"),
        ),
        (
            "{targetRef: {kind: Service, name: x}}",
            one(Rule::PolicyWithoutWaypoint, "spec.targetRef"),
        ),
        (
            "{tracing: [{providers: [{name: nobody}]}]}",
            one(Rule::UnknownProvider, "spec.tracing[0].providers[0].name"),
        ),
        (
            "{tracing: [{providers: [{name: short}]}]}",
            one(Rule::UnknownProvider, "spec.tracing[0].providers[0].name"),
        ),
        (
            "{tracing: [{providers: [{name: otel}, {name: b3}]}]}",
            one(Rule::NotHonoured, "spec.tracing[0].providers[1].name"),
        ),
        (
            "{tracing: [{match: {mode: CLIENT}}]}",
            one(Rule::NotHonoured, "spec.tracing[0].match.mode"),
        ),
        (
            "{tracing: [{randomSamplingPercentage: 101}]}",
            one(
                Rule::InvalidValue,
                "spec.tracing[0].randomSamplingPercentage",
            ),
        ),
        (
            "{tracing: [{useRequestIdForTraceSampling: false}]}",
            one(
                Rule::NotHonoured,
                "spec.tracing[0].useRequestIdForTraceSampling",
            ),
        ),
        (
            "{tracing: [{customTags: {a: {}}}]}",
            one(Rule::InvalidValue, "spec.tracing[0].customTags.a"),
        ),
        (
            "{tracing: [{customTags: {a: {formatter: {value: x}}}}]}",
            one(Rule::NotHonoured, "spec.tracing[0].customTags.a.formatter"),
        ),
        (
            "{metrics: [{reportingInterval: 5s}]}",
            one(Rule::NotHonoured, "spec.metrics[0].reportingInterval"),
        ),
        (
            "{metrics: [{overrides: [{match: {customMetric: x}}]}]}",
            one(
                Rule::NotHonoured,
                "spec.metrics[0].overrides[0].match.customMetric",
            ),
        ),
        (
            "{metrics: [{overrides: [{match: {metric: X}}]}]}",
            one(
                Rule::InvalidValue,
                "spec.metrics[0].overrides[0].match.metric",
            ),
        ),
        (
            "{metrics: [{overrides: [{tagOverrides: {a: {value: request.host}}}]}]}",
            one(
                Rule::NotHonoured,
                "spec.metrics[0].overrides[0].tagOverrides.a.value",
            ),
        ),
        (
            "{accessLogging: [{filter: {expression: x.y}}]}",
            one(Rule::NotHonoured, "spec.accessLogging[0].filter.expression"),
        ),
    ] {
        assert_eq!(said(spec), expected, "{spec}");
    }
}

#[test]
fn mesh_config_says_what_it_cannot_do() {
    let text = "
accessLogFile: /tmp/x
accessLogFormat: '%NO%'
defaultProviders: {tracing: [nobody]}
extensionProviders:
- {name: a, opentelemetry: {service: '', port: 1}}
- {name: b, zipkin: {service: z, port: 9411}}
- {name: c, envoyFileAccessLog: {path: /tmp/y, logFormat: {labels: {a: '%NO%'}}}}
- {name: d, skywalking: {service: z, port: 1}}
";
    let (_, findings) = mesh_config::parse(text).unwrap();
    let reasons: Vec<&str> = findings.iter().map(|it| it.reason.as_str()).collect();
    for expected in [
        "accessLogFormat: operator %NO% is not supported; the standard format stands",
        "accessLogFile is \"/tmp/x\": lines go to standard output",
        "defaultProviders.tracing names \"nobody\"",
        "extensionProviders \"a\": a collector has a service and a port",
        "extensionProviders \"b\": spans are sent to a zipkin provider over OTLP/gRPC",
        "extensionProviders \"c\": envoyFileAccessLog.path is \"/tmp/y\"",
        "extensionProviders \"c\": envoyFileAccessLog.logFormat: operator %NO%",
        "setting extensionProviders[3].skywalking in line 9",
    ] {
        assert!(
            reasons.iter().any(|it| it.starts_with(expected)),
            "{expected}: {reasons:#?}"
        );
    }
    assert_eq!(reasons.len(), 8, "{reasons:#?}");
}
