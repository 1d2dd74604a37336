//! Pure. What the owner of a service entry should know.

use objects::istio::{Resolution, ServiceEntry};
use objects::raw::Path;

use super::{Context, Standing};
use crate::translate::rule::Rule;
use crate::translate::service::balancing;
use crate::translate::visibility::Seen;
use crate::translate::{Finding, unhonoured};

pub(super) fn all(context: &Context<'_>, entry: &ServiceEntry) -> Vec<Finding> {
    let mut findings = unhonoured::findings(&entry.metadata);
    findings.extend(balancing::nearness(None, &entry.metadata, context.namespace).1);
    if context.seen == Seen::ByNobody {
        let reason =
            "serviceEntryVisibility of MeshConfig hides it from everybody: it has no effect";
        findings.push(Finding::new(
            Rule::Hidden,
            &["metadata", "namespace"],
            reason,
        ));
        return findings;
    }
    taken(context, entry, &mut findings);
    unseen(context, entry, &mut findings);
    unreached(context, entry, &mut findings);
    if entry
        .spec
        .export_to
        .iter()
        .any(|namespace| namespace != "*")
    {
        let reason = "node proxies and waypoints do not honour it: it is seen as \
                      serviceEntryVisibility of MeshConfig says";
        findings.push(Finding::new(
            Rule::NotHonoured,
            &["spec", "exportTo"],
            reason,
        ));
    }
    findings
}

/// Hosts that another object has.
fn taken(context: &Context<'_>, entry: &ServiceEntry, findings: &mut Vec<Finding>) {
    let hosts = entry.spec.hosts.iter().zip(context.standing).enumerate();
    for (index, (host, standing)) in hosts {
        if let Standing::Taken { by } = standing {
            findings.push(Finding {
                rule: Rule::DuplicateHost,
                path: Path::of_keys(&["spec", "hosts"]).at(index),
                reason: format!(
                    "{host} is {by} already, in the same namespace: this one has no effect"
                ),
            });
        }
    }
}

/// Hosts and ports that no connection is recognised by.
fn unseen(context: &Context<'_>, entry: &ServiceEntry, findings: &mut Vec<Finding>) {
    let spec = &entry.spec;
    if spec.addresses.is_empty() {
        let needs = entry.wants_addresses();
        for (index, host) in spec.hosts.iter().enumerate() {
            let mut given = context.given.iter();
            if needs && given.any(|it| it.host == *host && !it.addresses.is_empty()) {
                continue;
            }
            let why = match (spec.resolution, needs) {
                (Resolution::None, _) => "none is given with resolution NONE",
                (_, false) => "its label networking.istio.io/enable-autoallocate-ip refuses one",
                (_, true) if objects::istio::host::is_wildcard(host) => "wildcards are given none",
                (_, true) => "none is left to give",
            };
            findings.push(Finding {
                rule: Rule::NoAddress,
                path: Path::of_keys(&["spec", "hosts"]).at(index),
                reason: format!(
                    "{host} has no address, and {why}: connections are not recognised as its"
                ),
            });
        }
    }
    if spec.ports.is_empty() {
        let reason = "without ports no connection is taken";
        findings.push(Finding::new(Rule::NoPort, &["spec", "ports"], reason));
    }
    for (index, port) in spec
        .ports
        .iter()
        .enumerate()
        .filter(|(_, port)| port.is_udp())
    {
        findings.push(Finding {
            rule: Rule::NotCarried,
            path: Path::of_keys(&["spec", "ports"]).at(index).key("protocol"),
            reason: format!("port {} is UDP, which a mesh does not carry", port.number),
        });
    }
}

/// Nobody to connect to.
fn unreached(context: &Context<'_>, entry: &ServiceEntry, findings: &mut Vec<Finding>) {
    let spec = &entry.spec;
    if spec.workload_selector.is_some() {
        if !context.selects_something {
            let reason = "no pod and no workload entry of the namespace has these labels";
            let path = &["spec", "workloadSelector"];
            findings.push(Finding::new(Rule::SelectsNothing, path, reason));
        }
    } else if spec.resolution == Resolution::Static && spec.endpoints.is_empty() {
        let reason = "resolution STATIC without endpoints and without a selector for them";
        findings.push(Finding::new(Rule::SelectsNothing, &["spec"], reason));
    }
}
