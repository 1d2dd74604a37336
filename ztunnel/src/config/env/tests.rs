//! Settings as tables: defaults of the contract, derived values, and every bad value at once.

use super::*;

fn with(values: &[(&str, &str)]) -> Result<Config, BadSettings> {
    read(Reader::from_values(values.iter().copied()), 16)
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
fn worker_threads_are_a_number_or_a_share_of_the_cores() {
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
        ("TRUST_DOMAIN", "Not A Domain"),
        ("INSTANCE_IP", "x"),
        ("XDS_ADDRESS", "http://plain:15010"),
        ("XDS_ON_DEMAND", "maybe"),
        ("CA_ROOT_CA", "SYSTEM"),
        ("ISTIO_METAJSON_X", "{"),
        ("SECRET_TTL", "long"),
        ("PACKET_MARK", "-"),
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
