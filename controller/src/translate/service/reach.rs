//! Pure. Whether a service has anybody behind it, and behind each of its ports.

use objects::istio::WorkloadEntry;
use objects::kubernetes::service::ServicePort;
use objects::kubernetes::{EndpointSlice, IntOrString, Pod, Protocol, Service};
use objects::raw::Path;

use crate::translate::rule::Rule;
use crate::translate::{Finding, membership, workload};

/// Who may be behind a service: everything of its namespace, and the slices that name it.
pub struct Around<'a> {
    /// The pods of the namespace; no more of them are looked at than it takes.
    pub pods: Box<dyn Iterator<Item = &'a Pod> + 'a>,
    /// Its workload entries.
    pub entries: Box<dyn Iterator<Item = &'a WorkloadEntry> + 'a>,
    /// Slices that name the service.
    pub slices: Vec<&'a EndpointSlice>,
}

/// What the service's owner should know.
pub fn findings(service: &Service, around: Around<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = not_carried(service);
    if service.spec.selector.is_empty() {
        by_hand(service, &around.slices, &mut findings);
    } else {
        selected(service, around, &mut findings);
    }
    findings
}

fn port_field(index: usize, key: &str) -> Path {
    Path::of_keys(&["spec", "ports"]).at(index).key(key)
}

/// Ports that are not TCP and have no namesake that is.
fn not_carried(service: &Service) -> Vec<Finding> {
    let is_tcp = |number: u16| membership::service_ports(service).any(|port| port.port == number);
    let ports = service.spec.ports.iter().enumerate();
    let others = ports.filter(|(_, port)| port.protocol != Protocol::Tcp && !is_tcp(port.port));
    others
        .map(|(index, port)| Finding {
            rule: Rule::NotCarried,
            path: port_field(index, "protocol"),
            reason: format!("port {} is not TCP, which is all a mesh carries", port.port),
        })
        .collect()
}

fn selected(service: &Service, around: Around<'_>, findings: &mut Vec<Finding>) {
    let is_member = |pod: &&Pod| {
        membership::selects(service, &pod.metadata.labels) && workload::is_in_mesh(pod)
    };
    let chosen = |entry: &&WorkloadEntry| membership::selects(service, &entry.labels());
    let mut pods = around.pods.filter(is_member).peekable();
    let mut entries = around.entries.filter(chosen).peekable();
    if pods.peek().is_none() && entries.peek().is_none() {
        let reason = "no pod and no workload entry of the namespace has these labels";
        findings.push(Finding::new(
            Rule::SelectsNothing,
            &["spec", "selector"],
            reason,
        ));
        return;
    }
    let named = |(index, port): (usize, &'_ ServicePort)| match &port.target_port {
        Some(IntOrString::Name(name)) if port.protocol == Protocol::Tcp => {
            Some((index, port.clone(), name.clone()))
        }
        _ => None,
    };
    let mut wanted: Vec<_> = service
        .spec
        .ports
        .iter()
        .enumerate()
        .filter_map(named)
        .collect();
    for pod in pods {
        if wanted.is_empty() {
            return;
        }
        wanted.retain(|(_, port, _)| membership::target_on_pod(port, pod).is_none());
    }
    for entry in entries {
        wanted.retain(|(_, _, name)| !entry.spec.ports.contains_key(name));
    }
    findings.extend(wanted.into_iter().map(|(index, port, name)| Finding {
        rule: Rule::PortWithoutEndpoint,
        path: port_field(index, "targetPort"),
        reason: format!(
            "nothing it selects has a port named {name:?}: port {} leads nowhere",
            port.port
        ),
    }));
}

fn by_hand(service: &Service, slices: &[&EndpointSlice], findings: &mut Vec<Finding>) {
    if slices.is_empty() {
        let reason = "no selector, and no endpoint slice that names it";
        findings.push(Finding::new(Rule::SelectsNothing, &["spec"], reason));
        return;
    }
    let ports = service.spec.ports.iter().enumerate();
    for (index, port) in ports.filter(|(_, port)| port.protocol == Protocol::Tcp) {
        let has = |slice: &&EndpointSlice| {
            let mut pairs = membership::of_slice_ports(service, &slice.ports);
            pairs.any(|pair| pair.service_port == port.port)
        };
        if !slices.iter().any(has) {
            findings.push(Finding {
                rule: Rule::PortWithoutEndpoint,
                path: port_field(index, "name"),
                reason: format!(
                    "no endpoint slice has a port named {:?}: port {} leads nowhere",
                    port.name, port.port
                ),
            });
        }
    }
}
