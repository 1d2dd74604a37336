//! Pure. Policies with their rules as the public dump writes them.

use mesh::model::{
    Action, IpRange, Match, Policy, PolicyScope, Reach, ServiceAccountMatch, StringMatch,
};
use serde_json::{Map, Value, json};

use super::records::add;

/// A policy that could not be read, and whom it may apply to.
pub(super) fn rejected((name, reach): (&str, &Reach)) -> Value {
    let (scope, namespace) = match reach {
        Reach::Mesh => ("Global", None),
        Reach::Namespace(namespace) => ("Namespace", Some(&**namespace)),
        Reach::Named => ("WorkloadSelector", None),
    };
    json!({ "name": name, "scope": scope, "namespace": namespace })
}

/// A policy: its rules, in each the clauses, in each the matches.
pub(super) fn policy(policy: &Policy) -> Value {
    let rules: Vec<Vec<Vec<Value>>> = policy
        .rules
        .iter()
        .map(|rule| {
            let clauses = rule.clauses.iter();
            clauses
                .map(|clause| clause.matches.iter().map(conditions).collect())
                .collect()
        })
        .collect();
    let mut shown = json!({
        "name": &*policy.key.name,
        "namespace": &*policy.key.namespace,
        "scope": match policy.scope {
            PolicyScope::Global => "Global",
            PolicyScope::Namespace => "Namespace",
            PolicyScope::WorkloadSelector => "WorkloadSelector",
        },
        "action": match policy.action {
            Action::Allow => "Allow",
            Action::Deny => "Deny",
        },
        "rules": rules,
        "dryRun": policy.dry_run,
    });
    let origin = policy.origin.as_ref().map(|o| json!(o.to_string()));
    add(&mut shown, [("origin", origin)]);
    shown
}

/// One match; a field without values is left out.
fn conditions(conditions: &Match) -> Value {
    let it = conditions;
    let fields = [
        ("namespaces", texts(&it.namespaces)),
        ("notNamespaces", texts(&it.not_namespaces)),
        ("principals", texts(&it.principals)),
        ("notPrincipals", texts(&it.not_principals)),
        ("sourceIps", ranges(&it.source_ips)),
        ("notSourceIps", ranges(&it.not_source_ips)),
        ("destinationIps", ranges(&it.destination_ips)),
        ("notDestinationIps", ranges(&it.not_destination_ips)),
        ("destinationPorts", ports(&it.destination_ports)),
        ("notDestinationPorts", ports(&it.not_destination_ports)),
        ("serviceAccounts", accounts(&it.service_accounts)),
        ("notServiceAccounts", accounts(&it.not_service_accounts)),
    ];
    let used = fields.into_iter().filter(|(_, values)| !values.is_empty());
    let shown: Map<String, Value> = used
        .map(|(name, values)| (name.to_owned(), Value::Array(values)))
        .collect();
    Value::Object(shown)
}

fn texts(patterns: &[StringMatch]) -> Vec<Value> {
    let one = |pattern: &StringMatch| match pattern {
        StringMatch::Exact(text) => json!({ "Exact": &**text }),
        StringMatch::Prefix(text) => json!({ "Prefix": &**text }),
        StringMatch::Suffix(text) => json!({ "Suffix": &**text }),
        StringMatch::Presence => json!({ "Presence": {} }),
    };
    patterns.iter().map(one).collect()
}

fn ranges(ranges: &[IpRange]) -> Vec<Value> {
    let one = |range: &IpRange| format!("{}/{}", range.address, range.prefix).into();
    ranges.iter().map(one).collect()
}

fn ports(ports: &[u16]) -> Vec<Value> {
    ports.iter().map(|port| Value::from(*port)).collect()
}

fn accounts(accounts: &[ServiceAccountMatch]) -> Vec<Value> {
    let one = |it: &ServiceAccountMatch| json!({ "namespace": &*it.namespace, "serviceAccount": &*it.service_account });
    accounts.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use mesh::model::{Clause, Rule};
    use mesh::names::NamespacedName;

    use super::*;

    #[test]
    fn rules_have_the_public_shape() {
        let conditions = Match {
            principals: vec![StringMatch::Exact("cluster.local/ns/a/sa/b".into())],
            not_namespaces: vec![StringMatch::Prefix("x".into()), StringMatch::Presence],
            source_ips: vec![IpRange {
                address: "10.0.0.0".parse().unwrap(),
                prefix: 8,
            }],
            destination_ports: vec![80],
            service_accounts: vec![ServiceAccountMatch {
                namespace: "n".into(),
                service_account: "s".into(),
            }],
            ..Match::default()
        };
        let shown = policy(&Policy {
            key: NamespacedName::new("shop", "only-b"),
            scope: PolicyScope::Namespace,
            action: Action::Allow,
            rules: vec![Rule {
                clauses: vec![Clause {
                    matches: vec![conditions],
                }],
            }],
            dry_run: false,
            origin: None,
        });
        let expected = json!({
            "name": "only-b", "namespace": "shop", "scope": "Namespace", "action": "Allow",
            "rules": [[[{
                "notNamespaces": [{"Prefix": "x"}, {"Presence": {}}],
                "principals": [{"Exact": "cluster.local/ns/a/sa/b"}],
                "sourceIps": ["10.0.0.0/8"],
                "destinationPorts": [80],
                "serviceAccounts": [{"namespace": "n", "serviceAccount": "s"}],
            }]]],
            "dryRun": false,
        });
        assert_eq!(shown, expected);
    }
}
