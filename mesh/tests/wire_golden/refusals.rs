//! What is refused, and what the error says.

use mesh::wire::{address, policy};

use crate::hex;

#[track_caller]
fn address_error(bytes: &str) -> String {
    address::decode(&hex(bytes)).unwrap_err().to_string()
}

#[track_caller]
fn policy_error(bytes: &str) -> String {
    policy::decode(&hex(bytes)).unwrap_err().to_string()
}

#[test]
fn an_address_of_another_length() {
    assert_eq!(
        address_error("0a 0b a201 03 612f62 1a 03 010203"),
        "workload \"a/b\": addresses: 3 bytes are not an address"
    );
}

#[test]
fn the_legacy_tunnel() {
    assert_eq!(
        address_error("0a 08 a201 03 612f62 28 02"),
        "workload \"a/b\": tunnel_protocol: LEGACY_ISTIO_MTLS is not supported"
    );
}

#[test]
fn values_of_a_newer_version_that_must_not_be_guessed() {
    for (bytes, expected) in [
        (
            "0a 08 a201 03 612f62 28 03",
            "workload \"a/b\": tunnel_protocol: value 3 is unknown",
        ),
        (
            "0a 09 a201 03 612f62 8801 02",
            "workload \"a/b\": status: value 2 is unknown",
        ),
        (
            "0a 09 a201 03 612f62 c801 02",
            "workload \"a/b\": network_mode: value 2 is unknown",
        ),
        (
            "12 0a 12 01 6e 1a 01 68 42 02 10 04",
            "service \"n/h\": load_balancing.mode: value 4 is unknown",
        ),
        (
            "12 0a 12 01 6e 1a 01 68 42 02 18 02",
            "service \"n/h\": load_balancing.health_policy: value 2 is unknown",
        ),
        (
            "12 0b 12 01 6e 1a 01 68 42 03 0a 01 00",
            "service \"n/h\": load_balancing.routing_preference: value 0 is unknown",
        ),
        (
            "12 0b 12 01 6e 1a 01 68 42 03 0a 01 07",
            "service \"n/h\": load_balancing.routing_preference: value 7 is unknown",
        ),
        (
            "12 08 12 01 6e 1a 01 68 48 04",
            "service \"n/h\": ip_families: value 4 is unknown",
        ),
    ] {
        assert_eq!(address_error(bytes), expected);
    }
    assert_eq!(
        policy_error("0a 01 70 12 01 6e 18 03"),
        "policy \"n/p\": scope: value 3 is unknown"
    );
    assert_eq!(
        policy_error("0a 01 70 12 01 6e 20 02"),
        "policy \"n/p\": action: value 2 is unknown"
    );
}

#[test]
fn records_without_a_key() {
    assert_eq!(address_error(""), "address \"\": type: missing");
    assert_eq!(address_error("0a 00"), "workload \"\": uid: missing");
    assert_eq!(
        address_error("12 00"),
        "service \"/\": hostname: \"/\" is not namespace/name"
    );
    assert_eq!(
        policy_error("0a 01 70"),
        "policy \"/p\": name: \"/p\" is not namespace/name"
    );
}

#[test]
fn names_of_the_wrong_shape() {
    assert_eq!(
        address_error("0a 0a a201 03 612f62 8201 01 70"),
        "workload \"a/b\": authorization_policies: \"p\" is not namespace/name"
    );
    assert_eq!(
        address_error("0a 0c a201 03 612f62 b201 03 0a 01 73"),
        "workload \"a/b\": services: \"s\" is not namespace/name"
    );
    assert!(
        address_error("0a 09 a201 03 612f62 32 01 54")
            .starts_with("workload \"a/b\": trust_domain: trust domain is")
    );
}

#[test]
fn ports_and_prefixes_out_of_range() {
    assert_eq!(
        address_error("12 0c 12 01 6e 1a 01 68 2a 04 08 808004"),
        "service \"n/h\": ports.service_port: port 65536 is out of range"
    );
    // addresses = 4: 10.0.0.0 with length 33
    assert_eq!(
        address_error("12 10 12 01 6e 1a 01 68 22 08 12 04 0a000000 18 21"),
        "service \"n/h\": addresses: prefix length 33 is out of range"
    );
    // rules > clauses > matches > source_ips = 5: 10.0.0.0 with length 33
    assert_eq!(
        policy_error("0a 01 70 12 01 6e 2a 0e 0a 0c 12 0a 2a 08 0a 04 0a000000 10 21"),
        "policy \"n/p\": source_ips: prefix length 33 is out of range"
    );
    // an IPv4-mapped range shorter than the mapping itself
    assert_eq!(
        policy_error(
            "0a 01 70 12 01 6e 2a 1a 0a 18 12 16 2a 14
             0a 10 00000000000000000000ffff0a000000 10 08"
        ),
        "policy \"n/p\": source_ips: prefix length 8 is out of range"
    );
}

#[test]
fn a_gateway_that_leads_nowhere() {
    assert_eq!(
        address_error("0a 08 a201 03 612f62 42 00"),
        "workload \"a/b\": waypoint: missing"
    );
    // weighted_waypoints = 13 without destination
    assert_eq!(
        address_error("12 08 12 01 6e 1a 01 68 6a 00"),
        "service \"n/h\": weighted_waypoints.destination: missing"
    );
}

#[test]
fn a_pattern_of_an_unknown_sort() {
    // rules > clauses > matches > principals = 3: empty
    assert_eq!(
        policy_error("0a 01 70 12 01 6e 2a 06 0a 04 12 02 1a 00"),
        "policy \"n/p\": principals: missing"
    );
}

#[test]
fn bytes_that_are_no_message() {
    assert!(address_error("0a 05 01").starts_with("address \"\": bytes: malformed bytes ("));
    assert!(policy_error("ff").starts_with("policy \"\": bytes: malformed bytes ("));
}
