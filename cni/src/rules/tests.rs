//! The shape of the rulesets against the contract's tables, rule by rule.

use super::{PodSettings, Settings, redirection};
use crate::nft::{AddressKind, Ruleset};

fn rules_of(ruleset: &Ruleset, chain: &str) -> Vec<String> {
    let chain = ruleset
        .chains
        .iter()
        .find(|candidate| candidate.name == chain)
        .unwrap();
    chain
        .rules
        .iter()
        .map(|rule| rule.comment.clone())
        .collect()
}

#[test]
fn a_plain_pod_gets_the_rules_of_the_contract_in_order_for_both_ip_versions() {
    let pod = redirection(&Settings::default(), &PodSettings::default());
    let [raw, mangle, nat] = &pod.rulesets[..] else {
        panic!("three tables")
    };
    assert!(raw.chains.is_empty(), "no DNS capture, no zones");
    assert_eq!(rules_of(mangle, "prerouting").len(), 1);
    assert_eq!(rules_of(mangle, "output").len(), 1);
    assert_eq!(
        rules_of(nat, "prerouting"),
        [
            "ipv4: probes of the node pass",
            "ipv4: plain text goes to ztunnel",
            "ipv6: probes of the node pass",
            "ipv6: plain text goes to ztunnel",
        ]
    );
    assert_eq!(
        rules_of(nat, "output")[..4],
        [
            "ipv4: answers to probes pass",
            "ipv4: ztunnel's connections from client addresses pass",
            "ipv4: the pod calling its own address passes",
            "ipv4: everything else goes to ztunnel",
        ]
    );
    assert_eq!(rules_of(nat, "output").len(), 8);
    assert_eq!(pod.routes, [AddressKind::V4, AddressKind::V6]);
}

#[test]
fn ipv6_is_left_alone_when_switched_off() {
    let settings = Settings {
        ipv6: false,
        ..Settings::default()
    };
    let pod = redirection(&settings, &PodSettings::default());
    assert_eq!(rules_of(&pod.rulesets[2], "output").len(), 4);
    assert_eq!(pod.routes, [AddressKind::V4]);
}

#[test]
fn bypassing_inbound_capture_keeps_outbound_and_the_way_back() {
    let pod = PodSettings {
        bypass_inbound_capture: true,
        ..PodSettings::default()
    };
    let pod = redirection(&Settings::default(), &pod);
    assert!(rules_of(&pod.rulesets[2], "prerouting").is_empty());
    assert_eq!(rules_of(&pod.rulesets[2], "output").len(), 8);
    assert_eq!(rules_of(&pod.rulesets[1], "output").len(), 1);
}

#[test]
fn dns_is_captured_where_node_or_pod_say_so_and_the_pod_has_the_last_word() {
    let on = Settings {
        dns_capture: true,
        ..Settings::default()
    };
    let asks = |dns_capture| PodSettings {
        dns_capture,
        ..PodSettings::default()
    };
    let captures = |settings: &Settings, pod| {
        let pod = redirection(settings, &asks(pod));
        let dns = rules_of(&pod.rulesets[2], "output")
            .iter()
            .any(|rule| rule.contains("DNS"));
        assert_eq!(
            dns,
            !pod.rulesets[0].chains.is_empty(),
            "zones belong to it"
        );
        dns
    };
    assert!(captures(&on, None));
    assert!(!captures(&on, Some(false)));
    assert!(captures(&Settings::default(), Some(true)));
}

#[test]
fn rerouted_interfaces_come_first() {
    let pod = PodSettings {
        reroute_interfaces: vec!["vm0".into()],
        ..PodSettings::default()
    };
    let pod = redirection(&Settings::default(), &pod);
    assert_eq!(
        rules_of(&pod.rulesets[2], "prerouting")[..2],
        [
            "ipv4: vm0 is captured as outbound",
            "ipv4: vm0 is captured no further"
        ]
    );
}
