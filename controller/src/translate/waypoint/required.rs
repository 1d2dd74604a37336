//! Pure. Pods that take connections from their waypoint only: the label on a service or a namespace, and the DENY
//! policy that it becomes. Source: docs/compat.md#waypoint-required.
//!
//! A DENY, because no other policy can widen it.

use mesh::identity::TrustDomain;
use mesh::model::{Action, Clause, Match, Origin, Policy, PolicyScope, Rule, StringMatch};
use mesh::names::NamespacedName;
use objects::meta::Metadata;

use super::bind::Gateways;
use crate::translate::Finding;
use crate::translate::rule;

/// `true` asks for it; on a service `false` stands against its namespace's.
pub const REQUIRED: &str = "weft.dev/waypoint-required";
/// Ports, separated by commas, that stay open to everybody.
pub const EXEMPT: &str = "weft.dev/waypoint-required-exempt-ports";
/// Service account of a waypoint, when it is not named like the gateway.
pub(super) const ACCOUNT: &str = "gateway.istio.io/service-account";

/// What a label asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Required {
    /// Ports of the pods that stay open.
    pub exempt: Vec<u16>,
}

/// Whether a service wants its pods to be reached through its waypoint only, as it says itself or else its namespace.
pub fn of_service(service: &Metadata, namespace: Option<&Metadata>) -> Option<Required> {
    let own = service.labels.get(REQUIRED);
    match (own, namespace) {
        (Some("true"), _) => {}
        (Some(_), _) => return None,
        (None, namespace) => {
            of_namespace(namespace?)?;
        }
    }
    let ports = service.annotations.get(EXEMPT);
    let ports = ports.or_else(|| namespace?.annotations.get(EXEMPT));
    Some(Required {
        exempt: ports.map(|it| read(it).0).unwrap_or_default(),
    })
}

/// The same of a namespace's pods that no service selects.
pub fn of_namespace(namespace: &Metadata) -> Option<Required> {
    let ports = namespace.annotations.get(EXEMPT);
    (namespace.labels.get(REQUIRED) == Some("true")).then(|| Required {
        exempt: ports.map(|it| read(it).0).unwrap_or_default(),
    })
}

/// What of a service or a namespace decides who is closed. While this stays the same, no other object changes with it.
pub fn facts(metadata: Option<&Metadata>) -> [Option<&str>; 2] {
    let metadata = metadata.map(|it| (&it.labels, &it.annotations));
    [
        metadata.and_then(|(labels, _)| labels.get(REQUIRED)),
        metadata.and_then(|(_, annotations)| annotations.get(EXEMPT)),
    ]
}

/// What in the label and the annotation cannot be read.
pub fn findings(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(word) = metadata.labels.get(REQUIRED)
        && !["true", "false"].contains(&word)
    {
        let reason = format!("{word:?} is neither true nor false: pods can be reached directly");
        let path = ["metadata", "labels", REQUIRED];
        findings.push(Finding::new(rule::Rule::InvalidValue, &path, reason));
    }
    let ports = metadata.annotations.get(EXEMPT).map(read);
    for bad in ports.map(|it| it.1).unwrap_or_default() {
        let reason = format!("{bad:?} is not a port: it is not exempted");
        let path = ["metadata", "annotations", EXEMPT];
        findings.push(Finding::new(rule::Rule::InvalidValue, &path, reason));
    }
    findings
}

/// Good ports, and what is none.
fn read(text: &str) -> (Vec<u16>, Vec<&str>) {
    let words = text.split(',').map(str::trim).filter(|it| !it.is_empty());
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for word in words {
        match word.parse() {
            Ok(port @ 1..) => good.push(port),
            _ => bad.push(word),
        }
    }
    good.sort_unstable();
    good.dedup();
    (good, bad)
}

/// The policy's name: of a service's pods, or of those that no service of a namespace selects. No object can have it.
pub fn policy_name(namespace: &str, service: Option<&str>) -> NamespacedName {
    let name = match service {
        Some(service) => format!("weft_waypoint_required_{service}"),
        None => "weft_waypoint_required".to_owned(),
    };
    NamespacedName::new(namespace, name)
}

/// Who speaks for these waypoints, without `spiffe://`.
pub fn principals(
    trust_domain: &TrustDomain,
    waypoints: &[NamespacedName],
    gateways: &dyn Gateways,
) -> Vec<StringMatch> {
    let one = |name: &NamespacedName| {
        let gateway = gateways
            .find(name)
            .map(|it| &it.gateway.metadata.annotations);
        let account = gateway.and_then(|it| it.get(ACCOUNT)).unwrap_or(&name.name);
        let principal = format!("{trust_domain}/ns/{}/sa/{account}", name.namespace);
        StringMatch::Exact(principal.into())
    };
    waypoints.iter().map(one).collect()
}

/// Refuses everybody but these; without any of them, everybody.
pub fn policy(
    key: NamespacedName,
    required: &Required,
    principals: Vec<StringMatch>,
    origin: Origin,
) -> Policy {
    let condition = Match {
        not_principals: principals,
        not_destination_ports: required.exempt.clone(),
        ..Match::default()
    };
    // A rule without clauses is about everything, a match without conditions about nothing.
    let clauses = match condition.is_empty() {
        true => Vec::new(),
        false => vec![Clause {
            matches: vec![condition],
        }],
    };
    Policy {
        key,
        scope: PolicyScope::WorkloadSelector,
        action: Action::Deny,
        rules: vec![Rule { clauses }],
        dry_run: false,
        origin: Some(origin),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use mesh::authz::{Facts, Verdict, decide};
    use mesh::identity::Identity;
    use objects::labels::Labels;

    use super::*;

    fn metadata(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Metadata {
        Metadata {
            labels: labels.iter().copied().collect(),
            annotations: annotations.iter().copied().collect::<Labels>(),
            ..Metadata::default()
        }
    }

    #[test]
    fn a_services_word_stands_against_its_namespaces() {
        let (yes, no) = (
            metadata(&[(REQUIRED, "true")], &[]),
            metadata(&[(REQUIRED, "false")], &[]),
        );
        let silent = metadata(&[], &[]);
        for (service, namespace, expected) in [
            (&yes, None, true),
            (&silent, None, false),
            (&silent, Some(&yes), true),
            (&no, Some(&yes), false),
            (&yes, Some(&no), true),
            (&silent, Some(&no), false),
        ] {
            assert_eq!(of_service(service, namespace).is_some(), expected);
        }
        let exempt = [(EXEMPT, "9090, x,15020,0")];
        let namespace = metadata(&[(REQUIRED, "true")], &exempt);
        let required = of_service(&silent, Some(&namespace)).unwrap();
        assert_eq!(required.exempt, [9090, 15020]);
        assert_eq!(findings(&namespace).len(), 2);
    }

    #[test]
    fn only_the_waypoint_passes_and_exempt_ports_stay_open() {
        let principal = StringMatch::Exact("cluster.local/ns/n/sa/gate".into());
        let passes = |principals: &[StringMatch], exempt: &[u16], account: Option<&str>, port| {
            let required = Required {
                exempt: exempt.to_vec(),
            };
            let key = policy_name("n", Some("s"));
            let origin = Origin::object("Service", "n", "s");
            let policy = policy(key, &required, principals.to_vec(), origin);
            let id = account.map(|it| format!("spiffe://cluster.local/ns/n/sa/{it}"));
            let identity = id.map(|it| Identity::parse(&it).unwrap());
            let address = IpAddr::from([10, 0, 0, 1]);
            let facts = Facts {
                source_identity: identity.as_ref(),
                source_ip: address,
                destination_ip: address,
                destination_port: port,
                request: None,
            };
            matches!(decide(&facts, [&policy]), Verdict::Allowed(_))
        };
        let gate = std::slice::from_ref(&principal);
        assert!(passes(gate, &[], Some("gate"), 80));
        assert!(!passes(gate, &[], Some("web"), 80));
        assert!(!passes(gate, &[], None, 80));
        assert!(passes(gate, &[9090], Some("web"), 9090));
        assert!(!passes(gate, &[9090], Some("web"), 80));
        // Required, and none bound.
        assert!(!passes(&[], &[], Some("gate"), 80));
        assert!(!passes(&[], &[9090], None, 80));
        assert!(passes(&[], &[9090], None, 9090));
    }
}
