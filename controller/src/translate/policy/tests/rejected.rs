//! Values that cannot be.

use super::{found, read, shown};

#[test]
fn a_value_that_cannot_be_is_named_with_its_place_and_rejects_the_policy() {
    let source = |fields: &str| format!("[{{from: [{{source: {{{fields}}}}}]}}]");
    let operation = |fields: &str| format!("[{{to: [{{operation: {{{fields}}}}}]}}]");
    let when = |fields: &str| format!("[{{when: [{{{fields}}}]}}]");
    let at_source = |rest: &str| format!("spec.rules[0].from[0].source{rest}");
    for (rules, path) in [
        (
            source("ipBlocks: [10.0.0.1, nonsense]"),
            at_source(".ipBlocks[1]"),
        ),
        (source("ipBlocks: [10.0.0.0/33]"), at_source(".ipBlocks[0]")),
        (
            source("notIpBlocks: ['::/129']"),
            at_source(".notIpBlocks[0]"),
        ),
        (source("ipBlocks: ['10.0.0.0/']"), at_source(".ipBlocks[0]")),
        (
            source("ipBlocks: ['::ffff:10.0.0.0/90']"),
            at_source(".ipBlocks[0]"),
        ),
        (source("principals: ['a*b']"), at_source(".principals[0]")),
        (source("principals: ['*a*']"), at_source(".principals[0]")),
        (source("principals: ['']"), at_source(".principals[0]")),
        (
            source("principals: ['spiffe://td/ns/a/sa/b']"),
            at_source(".principals[0]"),
        ),
        (source("principals: []"), at_source(".principals")),
        (
            source("notNamespaces: ['**']"),
            at_source(".notNamespaces[0]"),
        ),
        (
            source("serviceAccounts: [a/b/c]"),
            at_source(".serviceAccounts[0]"),
        ),
        (
            source("serviceAccounts: ['a/*']"),
            at_source(".serviceAccounts[0]"),
        ),
        (
            source("serviceAccounts: [/a]"),
            at_source(".serviceAccounts[0]"),
        ),
        (
            source("trustDomains: ['*td']"),
            at_source(".trustDomains[0]"),
        ),
        (
            source("trustDomains: [td/ns]"),
            at_source(".trustDomains[0]"),
        ),
        (
            source("trustDomains: [td], principals: ['*/sa/a']"),
            at_source(".trustDomains"),
        ),
        (source(""), at_source("")),
        (
            operation("ports: ['0']"),
            "spec.rules[0].to[0].operation.ports[0]".to_owned(),
        ),
        (
            operation("ports: ['80', '65536']"),
            "spec.rules[0].to[0].operation.ports[1]".to_owned(),
        ),
        (
            operation("notPorts: [http]"),
            "spec.rules[0].to[0].operation.notPorts[0]".to_owned(),
        ),
        (
            operation("ports: ['+80']"),
            "spec.rules[0].to[0].operation.ports[0]".to_owned(),
        ),
        (operation(""), "spec.rules[0].to[0].operation".to_owned()),
        (
            when("key: source.ip, values: [x]"),
            "spec.rules[0].when[0].values[0]".to_owned(),
        ),
        (
            when("key: destination.port, notValues: ['-1']"),
            "spec.rules[0].when[0].notValues[0]".to_owned(),
        ),
        (when("key: source.ip"), "spec.rules[0].when[0]".to_owned()),
        (
            when("key: source.colour, values: [x]"),
            "spec.rules[0].when[0].key".to_owned(),
        ),
        ("[{from: []}]".to_owned(), "spec.rules[0].from".to_owned()),
        ("[{to: []}]".to_owned(), "spec.rules[0].to".to_owned()),
    ] {
        // Without an earlier version it admits nobody, or refuses everybody.
        for (action, expected) in [("ALLOW", ""), ("DENY", "all")] {
            let translated = read("n", "", &format!("action: {action}, rules: {rules}"));
            assert!(translated.is_rejected, "{rules}");
            let named = format!("invalid-value {path}");
            assert!(
                found(&translated).contains(&named),
                "{rules}: {:?}",
                found(&translated)
            );
            let expected = format!("{action} namespace: {expected}");
            let is_half_read = rules.contains("*/sa/a") && action == "DENY";
            assert!(
                shown(translated.policy.as_ref()) == expected || is_half_read,
                "{rules}"
            );
        }
    }
    let both = read(
        "n",
        "",
        "selector: {matchLabels: {a: b}}, targetRefs: [{kind: Service, name: s}]",
    );
    assert_eq!(found(&both), ["invalid-value spec.selector"]);
    for (namespace, target, field) in [
        ("n", "kind: Pod, name: p", "kind"),
        ("n", "kind: Service, group: apps, name: p", "group"),
        ("n", "kind: Gateway, name: p", "group"),
        (
            "n",
            "kind: GatewayClass, group: gateway.networking.k8s.io, name: p",
            "kind",
        ),
        ("n", "kind: Service, name: p, namespace: m", "namespace"),
    ] {
        let spec = format!(
            "targetRefs: [{{kind: Service, group: core, name: s, namespace: n}}, {{{target}}}]"
        );
        let expected = format!("invalid-value spec.targetRefs[1].{field}");
        assert_eq!(found(&read(namespace, "", &spec)), [expected], "{target}");
    }
    let class = "targetRefs: [{kind: GatewayClass, group: gateway.networking.k8s.io, name: istio-waypoint}]";
    assert!(found(&read(super::ROOT, "", class)).is_empty());
}

#[test]
fn a_field_that_nobody_reads_never_widens_what_is_admitted() {
    for (spec, allow, deny) in [
        (
            "rules: [{from: [{source: {namespaces: [a], principal: [x]}}]}]",
            "",
            "(ns =a)",
        ),
        ("rules: [{to: [{operation: {port: ['80']}}]}]", "", "all"),
        (
            "rules: [{form: [{source: {namespaces: [a]}}]}, {}]",
            "all",
            "all; all",
        ),
        (
            "rules: [{when: [{key: source.ip, values: [10.0.0.1], value: x}]}]",
            "",
            "(src 10.0.0.1/32)",
        ),
    ] {
        for (action, expected) in [("ALLOW", allow), ("DENY", deny)] {
            let translated = read("n", "", &format!("action: {action}, {spec}"));
            assert_eq!(
                shown(translated.policy.as_ref()),
                format!("{action} namespace: {expected}"),
                "{spec}"
            );
            assert!(!translated.is_rejected, "{spec}");
        }
    }
    // Whom it is for cannot be guessed.
    let spec = "selector: {matchExpressions: [{key: app, operator: Exists}]}, rules: [{}]";
    let unclear = read("n", "", spec);
    assert!(unclear.is_rejected);
    assert_eq!(
        found(&unclear),
        ["invalid-value spec.selector.matchExpressions"]
    );
}
