//! Settings as tables: defaults of the contract, derived values, and every bad value at once.

use super::*;
use mesh::settings::Secret;

fn with(values: &[(&str, &str)]) -> Result<Config, BadSettings> {
    let node = [("NODE_NAME", "node")];
    read(Reader::from_values(node.iter().chain(values).copied()), 16)
}

#[test]
fn defaults_are_those_of_the_contract() {
    let config = with(&[]).unwrap();
    assert_eq!(config.node.cluster, "Kubernetes");
    assert_eq!(config.doors.mark, 0x539);
    assert!(config.doors.is_own(15001) && config.doors.is_own(15006) && config.doors.is_own(15008));
    assert_eq!(config.doors.original_source, OriginalSource::Auto);
    assert_eq!(config.tunnels.max_streams, 100);
    assert_eq!(config.tunnels.unused_release, Duration::from_secs(300));
    assert_eq!(config.certificates.lifetime, Duration::from_secs(86_400));
    assert_eq!(config.drain_deadline, Duration::from_secs(5));
    assert_eq!(config.admin.admin.to_string(), "127.0.0.1:15000");
    assert_eq!(config.worker_threads, 4);
}

#[test]
fn worker_threads_are_a_number_or_a_share_of_the_cores_or_what_the_pod_gets() {
    for (values, expected) in [
        (&[("ZTUNNEL_WORKER_THREADS", "3")][..], 3),
        (&[("ZTUNNEL_WORKER_THREADS", "50%")], 8),
        (&[("ZTUNNEL_WORKER_THREADS", "1%")], 1),
        (&[("ZTUNNEL_CPU_LIMIT", "2")], 2),
        (
            &[
                ("ZTUNNEL_CPU_LIMIT", "8"),
                ("ZTUNNEL_WORKER_THREADS", "50%"),
            ],
            4,
        ),
        (&[("ZTUNNEL_RESOURCE_CPU_REQUEST", "3")], 3),
        (&[("ZTUNNEL_RESOURCE_CPU_REQUEST", "0")], 4),
        (
            &[
                ("ZTUNNEL_RESOURCE_CPU_LIMIT", "6"),
                ("ZTUNNEL_RESOURCE_CPU_REQUEST", "3"),
            ],
            6,
        ),
        (
            &[
                ("ZTUNNEL_RESOURCE_CPU_LIMIT", "6"),
                ("ZTUNNEL_WORKER_THREADS", "1"),
            ],
            1,
        ),
    ] {
        assert_eq!(with(values).unwrap().worker_threads, expected, "{values:?}");
    }
}

#[test]
fn the_drain_deadline_follows_the_grace_period_unless_it_is_set() {
    for (grace, deadline) in [("30", 25), ("11", 6), ("10", 9), ("1", 1), ("0", 1)] {
        let config = with(&[("TERMINATION_GRACE_PERIOD_SECONDS", grace)]).unwrap();
        assert_eq!(
            config.drain_deadline,
            Duration::from_secs(deadline),
            "{grace}"
        );
    }
    let both = [
        ("TERMINATION_GRACE_PERIOD_SECONDS", "30"),
        ("CONNECTION_TERMINATION_DEADLINE", "7s"),
    ];
    assert_eq!(with(&both).unwrap().drain_deadline, Duration::from_secs(7));
}

#[test]
fn the_certificate_service_is_the_discovery_server_unless_said_otherwise() {
    let config = with(&[("XDS_ADDRESS", "controller:15012")]).unwrap();
    assert_eq!(
        config.certificates.server.address.to_string(),
        "https://controller:15012"
    );
    let config = with(&[("CA_ADDRESS", "https://ca:1"), ("CA_HEADER_a", "b")]).unwrap();
    assert_eq!(
        config.certificates.server.address.to_string(),
        "https://ca:1"
    );
    assert_eq!(
        config.certificates.server.headers,
        [("a".to_owned(), Secret::new("b"))]
    );
}

#[test]
fn every_bad_value_is_reported_and_every_reported_name_is_in_the_list() {
    let bad = [
        ("NODE_NAME", ""),
        ("TRUST_DOMAIN", "Not A Domain"),
        ("INSTANCE_IP", "x"),
        ("INSTANCE_IPS", "10.0.0.1,"),
        ("AUTHZ_POLICY_INFO_LOGGING", "perhaps"),
        ("XDS_ADDRESS", "http://plain:15010"),
        ("XDS_ON_DEMAND", "maybe"),
        ("CA_ROOT_CA", "SYSTEM"),
        ("ISTIO_METAJSON_X", "{"),
        ("SECRET_TTL", "long"),
        ("PACKET_MARK", "-"),
        ("COMPLIANCE_POLICY", "fips"),
        ("HTTP2_FRAME_SIZE", "16383"),
        ("HTTP2_STREAM_WINDOW_SIZE", "0"),
        ("HTTP2_CONNECTION_WINDOW_SIZE", "2147483648"),
        ("POOL_MAX_STREAMS_PER_CONNECTION", "0"),
        ("POOL_UNUSED_RELEASE_TIMEOUT", "18446744073709551615s"),
        ("CONNECTION_TERMINATION_DEADLINE", "18446744073709551615s"),
        ("TERMINATION_GRACE_PERIOD_SECONDS", "18446744073709551615"),
        ("WEFT_HANDSHAKES_PER_POD", "0"),
        ("WEFT_WAITING_PER_POD", "0"),
        ("KEEPALIVE_ENABLED", "perhaps"),
        ("KEEPALIVE_TIME", "500ms"),
        ("KEEPALIVE_INTERVAL", "32768s"),
        ("KEEPALIVE_RETRIES", "128"),
        ("USER_TIMEOUT_ENABLED", "perhaps"),
        ("ZTUNNEL_CPU_LIMIT", "-1"),
        ("ZTUNNEL_RESOURCE_CPU_LIMIT", "1025"),
        ("ZTUNNEL_RESOURCE_CPU_REQUEST", "200m"),
        ("ENABLE_ORIG_SRC", "perhaps"),
        ("ZTUNNEL_WORKER_THREADS", "0"),
        ("WEFT_ADMIN_ADDRESS", "0.0.0.0:15000"),
        ("LOG_FORMAT", "xml"),
    ];
    let error = with(&bad).unwrap_err();
    for (name, _) in bad {
        let name = if name.starts_with("ISTIO_METAJSON") {
            "ISTIO_METAJSON_*"
        } else {
            name
        };
        assert!(
            error.problems.iter().any(|p| p.name == name),
            "{name} is not reported"
        );
    }
    for problem in error.problems {
        assert!(
            VARIABLES.iter().any(|(name, _, _)| *name == problem.name),
            "{}",
            problem.name
        );
    }
}

#[test]
fn a_compliance_policy_of_pqc_asks_for_post_quantum_key_exchange_only() {
    for (value, expected) in [
        ("", KeyExchange::Preferred),
        ("pqc", KeyExchange::PostQuantumOnly),
    ] {
        let config = with(&[("COMPLIANCE_POLICY", value)]).unwrap();
        assert_eq!(config.key_exchange, expected);
    }
}

#[test]
fn a_value_outside_of_its_range_is_told_the_range() {
    for (name, edges, outside, range) in [
        (
            "HTTP2_FRAME_SIZE",
            ["16384", "16777215"],
            ["16383", "16777216"],
            "from 16384 to 16777215",
        ),
        (
            "HTTP2_STREAM_WINDOW_SIZE",
            ["1", "2147483647"],
            ["0", "2147483648"],
            "from 1 to 2147483647",
        ),
        (
            "HTTP2_CONNECTION_WINDOW_SIZE",
            ["1", "2147483647"],
            ["0", "4294967296"],
            "from 1 to 2147483647",
        ),
        (
            "POOL_MAX_STREAMS_PER_CONNECTION",
            ["1", "2147483647"],
            ["0", "2147483648"],
            "from 1 to 2147483647",
        ),
        (
            "WEFT_HANDSHAKES_PER_POD",
            ["1", "65536"],
            ["0", "65537"],
            "from 1 to 65536",
        ),
        (
            "SECRET_TTL",
            ["1s", "87600h"],
            ["999ms", "87601h"],
            "from 1s to 87600h",
        ),
        (
            "KEEPALIVE_TIME",
            ["1s", "32767s"],
            ["999ms", "32768s"],
            "from 1s to 32767s",
        ),
    ] {
        for value in edges {
            assert!(with(&[(name, value)]).is_ok(), "{name}={value}");
        }
        for value in outside {
            let error = with(&[(name, value)]).unwrap_err().to_string();
            assert!(
                error.contains(name) && error.contains(range),
                "{name}={value}: {error}"
            );
        }
    }
}

#[test]
fn the_user_timeout_is_as_long_as_keep_alive_takes_to_give_up() {
    let keep_alive = |values: &[_]| with(values).unwrap().doors.keep_alive;
    assert_eq!(keep_alive(&[]), KeepAlive::default());
    let found = keep_alive(&[
        ("KEEPALIVE_ENABLED", "false"),
        ("KEEPALIVE_TIME", "10s"),
        ("KEEPALIVE_INTERVAL", "2s"),
        ("KEEPALIVE_RETRIES", "3"),
        ("USER_TIMEOUT_ENABLED", "true"),
    ]);
    assert!(!found.is_probed);
    assert_eq!(found.user_timeout, Some(Duration::from_secs(16)));
}

#[test]
fn what_is_not_supported_is_refused_unless_it_asks_for_nothing() {
    for (name, harmless, words) in unsupported::UNSUPPORTED {
        for value in ["", harmless.unwrap_or_default()] {
            assert!(with(&[(name, value)]).is_ok(), "{name}={value}");
        }
        let problems = with(&[(name, "dedicated")]).unwrap_err().problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].name, *name);
        assert!(problems[0].reason.contains(words), "{problems:?}");
        assert!(
            !VARIABLES.iter().any(|(known, ..)| known == name),
            "{name} is supported and not supported"
        );
    }
}
