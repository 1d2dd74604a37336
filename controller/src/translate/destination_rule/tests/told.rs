//! What the owner hears, with the field.

use super::{rules, told, with_policy};
use crate::translate::destination_rule::is_rejected;
use crate::translate::rule::Rule;

/// A policy, and what is said of which field of it.
const UNHONOURED: &[(&str, Rule, &str)] = &[
    (
        "{loadBalancer: {simple: PASSTHROUGH}}",
        Rule::NotAtWaypoint,
        "loadBalancer.simple",
    ),
    (
        "{loadBalancer: {simple: RANDOM, warmup: {duration: 1s}}}",
        Rule::WithoutEffect,
        "loadBalancer.warmup",
    ),
    (
        "{loadBalancer: {localityLbSetting: {failoverPriority: [a]}}}",
        Rule::WithoutEffect,
        "loadBalancer.localityLbSetting",
    ),
    (
        "{connectionPool: {tcp: {tcpKeepalive: {probes: 1}}}}",
        Rule::NotHonoured,
        "connectionPool.tcp.tcpKeepalive",
    ),
    (
        "{connectionPool: {tcp: {maxConnectionDuration: 1h}}}",
        Rule::NotHonoured,
        "connectionPool.tcp.maxConnectionDuration",
    ),
    (
        "{connectionPool: {http: {http2KeepAlive: {interval: 1s}}}}",
        Rule::NotHonoured,
        "connectionPool.http.http2KeepAlive",
    ),
    (
        "{outlierDetection: {consecutive5xxErrors: 0}}",
        Rule::WithoutEffect,
        "outlierDetection",
    ),
    ("{tls: {mode: DISABLE}}", Rule::NotAtWaypoint, "tls.mode"),
    (
        "{tls: {mode: ISTIO_MUTUAL}}",
        Rule::NotAtWaypoint,
        "tls.mode",
    ),
    (
        "{tls: {mode: SIMPLE, credentialName: s}}",
        Rule::TlsNotUsable,
        "tls.credentialName",
    ),
    (
        "{tls: {mode: SIMPLE, caCrl: /c}}",
        Rule::TlsNotUsable,
        "tls.caCrl",
    ),
    ("{tunnel: {targetHost: a}}", Rule::NotHonoured, "tunnel"),
    (
        "{retryBudget: {budgetInterval: 1s}}",
        Rule::NotHonoured,
        "retryBudget.budgetInterval",
    ),
    (
        "{portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}",
        Rule::NotAtWaypoint,
        "portLevelSettings[0].tls.mode",
    ),
];

/// A policy, and the field that rejects it.
const REJECTED: &[(&str, &str)] = &[
    (
        "{loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}}",
        "loadBalancer",
    ),
    (
        "{loadBalancer: {consistentHash: {}}}",
        "loadBalancer.consistentHash",
    ),
    (
        "{loadBalancer: {consistentHash: {useSourceIp: false}}}",
        "loadBalancer.consistentHash",
    ),
    (
        "{loadBalancer: {consistentHash: {httpHeaderName: ''}}}",
        "loadBalancer.consistentHash",
    ),
    (
        "{loadBalancer: {consistentHash: {useSourceIp: true, httpHeaderName: a}}}",
        "loadBalancer.consistentHash",
    ),
    (
        "{loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {}, maglev: {}}}}",
        "loadBalancer.consistentHash",
    ),
    (
        "{loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 100}}}}",
        "loadBalancer.consistentHash.maglev.tableSize",
    ),
    (
        "{loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 8388609}}}}",
        "loadBalancer.consistentHash.ringHash.minimumRingSize",
    ),
    (
        "{loadBalancer: {warmup: {}}}",
        "loadBalancer.warmup.duration",
    ),
    (
        "{loadBalancer: {warmup: {duration: 1s, aggression: 0.5}}}",
        "loadBalancer.warmup.aggression",
    ),
    (
        "{loadBalancer: {warmup: {duration: 1s, minimumPercent: 101}}}",
        "loadBalancer.warmup.minimumPercent",
    ),
    (
        "{outlierDetection: {}, loadBalancer: {localityLbSetting: {failoverPriority: [a], failover: [{from: a, to: b}]}}}",
        "loadBalancer.localityLbSetting",
    ),
    (
        "{loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {b: 99}}]}}}",
        "loadBalancer.localityLbSetting.distribute[0].to",
    ),
    (
        "{outlierDetection: {}, loadBalancer: {localityLbSetting: {failover: [{from: a, to: a}]}}}",
        "loadBalancer.localityLbSetting.failover[0]",
    ),
    (
        "{connectionPool: {tcp: {maxConnections: -1}}}",
        "connectionPool.tcp.maxConnections",
    ),
    (
        "{connectionPool: {tcp: {connectTimeout: 0s}}}",
        "connectionPool.tcp.connectTimeout",
    ),
    (
        "{connectionPool: {http: {useClientProtocol: true, h2UpgradePolicy: UPGRADE}}}",
        "connectionPool.http.useClientProtocol",
    ),
    (
        "{outlierDetection: {interval: 0s}}",
        "outlierDetection.interval",
    ),
    (
        "{outlierDetection: {maxEjectionPercent: 101}}",
        "outlierDetection.maxEjectionPercent",
    ),
    (
        "{outlierDetection: {consecutiveLocalOriginFailures: 1}}",
        "outlierDetection.consecutiveLocalOriginFailures",
    ),
    ("{tls: {mode: MUTUAL, clientCertificate: /c}}", "tls"),
    ("{retryBudget: {percent: 101}}", "retryBudget.percent"),
    ("{portLevelSettings: [{}]}", "portLevelSettings[0].port"),
    (
        "{portLevelSettings: [{port: {number: 1}}, {port: {number: 1}}]}",
        "portLevelSettings[1].port.number",
    ),
];

#[test]
fn what_waypoints_do_not_honour_is_said_with_its_field() {
    let policy = "spec.trafficPolicy";
    for (written, rule, field) in UNHONOURED {
        let one = with_policy(written);
        let expected = (*rule, format!("{policy}.{field}"));
        assert_eq!(told(&one), [expected], "{written}");
        assert!(!is_rejected(&one), "{written}");
    }
}

#[test]
fn what_cannot_be_rejects_the_rule() {
    for (written, field) in REJECTED {
        let one = with_policy(written);
        let expected = (Rule::InvalidValue, format!("spec.trafficPolicy.{field}"));
        assert_eq!(told(&one), [expected], "{written}");
        assert!(is_rejected(&one), "{written}");
    }
}

#[test]
fn hosts_parts_and_selectors_are_looked_at_too() {
    for (spec, rule, field) in [
        ("{}", Rule::InvalidValue, "host"),
        ("{host: a.*.b}", Rule::InvalidValue, "host"),
        (
            "{host: a, subsets: [{}]}",
            Rule::InvalidValue,
            "subsets[0].name",
        ),
        (
            "{host: a, subsets: [{name: x}, {name: x}]}",
            Rule::InvalidValue,
            "subsets[1].name",
        ),
        (
            "{host: a, subsets: [{name: x, trafficPolicy: {tls: {mode: DISABLE}}}]}",
            Rule::NotAtWaypoint,
            "subsets[0].trafficPolicy.tls.mode",
        ),
        (
            "{host: a, workloadSelector: {matchLabels: {a: b}}}",
            Rule::NotAtWaypoint,
            "workloadSelector",
        ),
    ] {
        let text = format!("metadata: {{name: r, namespace: shop}}\nspec: {spec}");
        let one = rules(&text).remove(0);
        assert_eq!(told(&one), [(rule, format!("spec.{field}"))], "{spec}");
    }
}
