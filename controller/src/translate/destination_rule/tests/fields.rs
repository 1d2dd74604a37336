//! What every field comes to.

use std::time::Duration;

use mesh::model::destination::{
    Balancing, HashKey, HashTable, Limits, LocalityPolicy, Outlier, RetryBudget, TlsOrigination,
    TlsRoots, Upgrade, Warmup,
};

use super::{World, policy, told, with_policy};

#[test]
fn endpoints_are_chosen_as_is_written() {
    let hash = |key, table| Balancing::Hash {
        keys: vec![key],
        table,
    };
    let cookie = |ttl| HashKey::Cookie {
        name: "c".into(),
        path: "/p".into(),
        ttl,
    };
    let ring = HashTable::Ring(1024);
    for (written, expected) in [
        ("{}", Balancing::LeastRequest),
        ("{simple: UNSPECIFIED}", Balancing::LeastRequest),
        ("{simple: LEAST_CONN}", Balancing::LeastRequest),
        ("{simple: LEAST_REQUEST}", Balancing::LeastRequest),
        ("{simple: ROUND_ROBIN}", Balancing::RoundRobin),
        ("{simple: RANDOM}", Balancing::Random),
        (
            "{consistentHash: {httpHeaderName: X-User}}",
            hash(HashKey::Header("x-user".into()), ring),
        ),
        (
            "{consistentHash: {httpCookie: {name: c, path: /p}}}",
            hash(cookie(None), ring),
        ),
        (
            "{consistentHash: {httpCookie: {name: c, path: /p, ttl: 0s}}}",
            hash(cookie(Some(Duration::ZERO)), ring),
        ),
        (
            "{consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 7}}}",
            hash(HashKey::SourceIp, HashTable::Ring(7)),
        ),
        (
            "{consistentHash: {useSourceIp: true, minimumRingSize: 8}}",
            hash(HashKey::SourceIp, HashTable::Ring(8)),
        ),
        (
            "{consistentHash: {httpQueryParameterName: Q, maglev: {}}}",
            hash(HashKey::Query("Q".into()), HashTable::Maglev(65_537)),
        ),
        (
            "{consistentHash: {httpQueryParameterName: Q, maglev: {tableSize: 101}}}",
            hash(HashKey::Query("Q".into()), HashTable::Maglev(101)),
        ),
    ] {
        let rule = with_policy(&format!("{{loadBalancer: {written}}}"));
        assert_eq!(told(&rule), [], "{written}");
        assert_eq!(policy(&rule).balancing, expected, "{written}");
    }
}

#[test]
fn warm_up_has_its_defaults() {
    let warm = |seconds, minimum_percent, aggression| {
        Some(Warmup {
            duration: Duration::from_secs(seconds),
            minimum_percent,
            aggression,
        })
    };
    for (written, expected) in [
        ("{warmup: {duration: 30s}}", warm(30, 10, 1.0)),
        (
            "{simple: ROUND_ROBIN, warmup: {duration: 30s, minimumPercent: 50, aggression: 1.5}}",
            warm(30, 50, 1.5),
        ),
        ("{warmupDurationSecs: 1m}", warm(60, 10, 1.0)),
        ("{simple: RANDOM, warmup: {duration: 30s}}", None),
    ] {
        let rule = with_policy(&format!("{{loadBalancer: {written}}}"));
        assert_eq!(policy(&rule).warmup, expected, "{written}");
    }
}

#[test]
fn nearness_counts_where_sick_endpoints_are_left_out_and_shares_always() {
    let on = LocalityPolicy {
        enabled: true,
        ..LocalityPolicy::default()
    };
    let off = LocalityPolicy::default();
    let failover = LocalityPolicy {
        failover: vec![("a".into(), "b".into())],
        ..on.clone()
    };
    let priority = LocalityPolicy {
        failover_priority: vec!["zone".into(), "x=y".into()],
        ..on.clone()
    };
    let mesh = "localityLbSetting: {failover: [{from: a, to: b}]}";
    let mesh_off = "localityLbSetting: {enabled: false}";
    for (written, mesh, expected) in [
        ("{}", "", &off),
        ("{outlierDetection: {}}", "", &on),
        ("{outlierDetection: {}}", mesh, &failover),
        ("{outlierDetection: {}}", mesh_off, &off),
        ("{}", mesh, &off),
        (
            "{outlierDetection: {}, loadBalancer: {localityLbSetting: {enabled: false}}}",
            mesh,
            &off,
        ),
        (
            "{outlierDetection: {}, loadBalancer: {localityLbSetting: {}}}",
            mesh,
            &on,
        ),
        (
            "{outlierDetection: {}, loadBalancer: {localityLbSetting: {failoverPriority: [zone, x=y]}}}",
            mesh_off,
            &priority,
        ),
    ] {
        let rules = [with_policy(written)];
        let world = World {
            rules: &rules,
            client: "shop",
            mesh,
        };
        assert_eq!(&world.of(80, None).1.locality, expected, "{written} {mesh}");
    }
    let shares = with_policy(
        "{loadBalancer: {localityLbSetting: {distribute: [{from: a/*, to: {a/b/*: 80, c: 20}}]}}}",
    );
    let locality = policy(&shares).locality;
    assert!(locality.enabled);
    assert_eq!(&*locality.distribute[0].from, "a/*");
    let to: Vec<_> = locality.distribute[0].to.iter().map(|it| it.1).collect();
    assert_eq!(to, [80, 20]);
}

#[test]
fn limits_are_off_unless_they_are_written() {
    let second = Some(Duration::from_secs(1));
    for (written, expected) in [
        ("{}", Limits::default()),
        (
            "{tcp: {maxConnections: 0}, http: {maxRetries: 0, maxRequestsPerConnection: 0}}",
            Limits::default(),
        ),
        (
            "{tcp: {maxConnections: 5, connectTimeout: 1s, idleTimeout: 0s}}",
            Limits {
                connections: 5,
                connect_timeout: second,
                tcp_idle_timeout: None,
                ..Limits::default()
            },
        ),
        (
            "{http: {http1MaxPendingRequests: 1, http2MaxRequests: 2, maxRequestsPerConnection: 3, \
              maxRetries: 4, idleTimeout: 1s, maxConcurrentStreams: 5}}",
            Limits {
                pending: 1,
                requests: 2,
                requests_per_connection: 3,
                retries: 4,
                idle_timeout: second,
                streams: 5,
                ..Limits::default()
            },
        ),
        (
            "{http: {idleTimeout: 0s, h2UpgradePolicy: UPGRADE}}",
            Limits {
                idle_timeout: None,
                upgrade: Upgrade::ToHttp2,
                ..Limits::default()
            },
        ),
        (
            "{http: {useClientProtocol: true}}",
            Limits {
                upgrade: Upgrade::AsClient,
                ..Limits::default()
            },
        ),
    ] {
        let rule = with_policy(&format!("{{connectionPool: {written}}}"));
        assert_eq!(told(&rule), [], "{written}");
        assert_eq!(policy(&rule).limits, expected, "{written}");
    }
}

#[test]
fn a_rule_says_more_than_the_mesh_about_http_2() {
    let rules = [with_policy(
        "{connectionPool: {http: {h2UpgradePolicy: DO_NOT_UPGRADE}}}",
    )];
    for (rules, expected) in [
        (&rules[..0], Upgrade::ToHttp2),
        (&rules[..], Upgrade::AsDeclared),
    ] {
        let world = World {
            rules,
            client: "shop",
            mesh: "h2UpgradePolicy: UPGRADE",
        };
        assert_eq!(world.of(80, None).1.limits.upgrade, expected);
    }
}

#[test]
fn endpoints_are_left_out_by_the_known_defaults() {
    let default = Outlier {
        consecutive_5xx: 5,
        consecutive_gateway: 0,
        split_local: false,
        consecutive_local: 5,
        interval: Duration::from_secs(10),
        base_ejection: Duration::from_secs(30),
        max_ejection_percent: 10,
        min_health_percent: 0,
    };
    for (written, expected) in [
        ("{}", default),
        (
            "{consecutive5xxErrors: 0, consecutiveGatewayErrors: 3, maxEjectionPercent: 0}",
            Outlier {
                consecutive_5xx: 0,
                consecutive_gateway: 3,
                ..default
            },
        ),
        (
            "{splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2, interval: 1s, \
              baseEjectionTime: 5m, maxEjectionPercent: 100, minHealthPercent: 50}",
            Outlier {
                split_local: true,
                consecutive_local: 2,
                interval: Duration::from_secs(1),
                base_ejection: Duration::from_secs(300),
                max_ejection_percent: 100,
                min_health_percent: 50,
                ..default
            },
        ),
    ] {
        let rule = with_policy(&format!("{{outlierDetection: {written}}}"));
        assert_eq!(told(&rule), [], "{written}");
        assert_eq!(policy(&rule).outlier, Some(expected), "{written}");
    }
    assert_eq!(policy(&with_policy("{}")).outlier, None);
}

#[test]
fn tls_is_spoken_as_is_written_and_never_less_safely() {
    let simple = TlsOrigination {
        sni: "".into(),
        subject_alt_names: Vec::new(),
        roots: TlsRoots::System,
        client: None,
        insecure_skip_verify: false,
    };
    for (written, expected) in [
        ("{mode: SIMPLE}", simple.clone()),
        ("{mode: SIMPLE, caCertificates: system}", simple.clone()),
        (
            "{mode: SIMPLE, sni: a.example, subjectAltNames: [b, c], caCertificates: /ca.pem}",
            TlsOrigination {
                sni: "a.example".into(),
                subject_alt_names: vec!["b".into(), "c".into()],
                roots: TlsRoots::File("/ca.pem".into()),
                ..simple.clone()
            },
        ),
        (
            "{mode: SIMPLE, insecureSkipVerify: true}",
            TlsOrigination {
                insecure_skip_verify: true,
                ..simple.clone()
            },
        ),
        (
            "{mode: MUTUAL, clientCertificate: /c.pem, privateKey: /k.pem}",
            TlsOrigination {
                client: Some(("/c.pem".into(), "/k.pem".into())),
                ..simple.clone()
            },
        ),
        (
            "{mode: MUTUAL, credentialName: secret, insecureSkipVerify: true}",
            TlsOrigination {
                roots: TlsRoots::Missing,
                ..simple.clone()
            },
        ),
        (
            "{mode: SIMPLE, caCertificates: /ca.pem, caCrl: /crl.pem}",
            TlsOrigination {
                roots: TlsRoots::Missing,
                ..simple.clone()
            },
        ),
    ] {
        let rule = with_policy(&format!("{{tls: {written}}}"));
        assert_eq!(policy(&rule).tls, Some(expected), "{written}");
    }
    for mode in ["DISABLE", "ISTIO_MUTUAL"] {
        let rule = with_policy(&format!("{{tls: {{mode: {mode}}}}}"));
        assert_eq!(policy(&rule).tls, None, "{mode}");
    }
}

#[test]
fn budgets_and_proxy_headers() {
    let budget = |percent_milli, min_concurrency| {
        Some(RetryBudget {
            percent_milli,
            min_concurrency,
        })
    };
    for (written, expected, version) in [
        ("{}", None, None),
        ("{retryBudget: {}}", budget(20_000, 3), None),
        (
            "{retryBudget: {percent: 0.5, minRetryConcurrency: 0}, proxyProtocol: {}}",
            budget(500, 0),
            Some(1),
        ),
        ("{proxyProtocol: {version: V2}}", None, Some(2)),
    ] {
        let policy = policy(&with_policy(written));
        assert_eq!(policy.retry_budget, expected, "{written}");
        assert_eq!(policy.proxy_protocol, version, "{written}");
    }
}
