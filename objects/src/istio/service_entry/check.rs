//! Pure. What of a service entry cannot be meant, as Istio's admission would refuse it.

use std::collections::BTreeSet;

use super::{EntryPort, Resolution, ServiceEntrySpec, host};
use crate::istio::{Refused, Subnet};
use crate::raw::Path;

/// Protocols that can be declared, in capitals.
const PROTOCOLS: &[&str] = &[
    "HTTP",
    "HTTPS",
    "HTTP2",
    "GRPC",
    "GRPC-WEB",
    "TCP",
    "TLS",
    "UDP",
    "MONGO",
    "REDIS",
    "MYSQL",
    "HTTP_PROXY",
    "HBONE",
];

pub(super) fn all(spec: &ServiceEntrySpec) -> Result<(), Refused> {
    hosts(spec)?;
    addresses(spec)?;
    ports(&spec.ports)?;
    endpoints(spec)
}

fn hosts(spec: &ServiceEntrySpec) -> Result<(), Refused> {
    let field = || Path::of_keys(&["spec", "hosts"]);
    if spec.hosts.is_empty() {
        return Err(Refused::new(
            field(),
            "a service entry has at least one host",
        ));
    }
    let mut seen = BTreeSet::new();
    for (index, host) in spec.hosts.iter().enumerate() {
        if let Some(complaint) = host::complaint(host) {
            return Err(Refused::new(
                field().at(index),
                format!("`{host}`: {complaint}"),
            ));
        }
        if !seen.insert(host) {
            return Err(Refused::new(
                field().at(index),
                format!("`{host}` is there twice"),
            ));
        }
        if host::is_wildcard(host) && is_resolved(spec) && spec.endpoints.is_empty() {
            let reason = format!("`{host}` cannot be resolved: it is not one host");
            return Err(Refused::new(field().at(index), reason));
        }
    }
    Ok(())
}

/// Whether names are resolved to find endpoints.
fn is_resolved(spec: &ServiceEntrySpec) -> bool {
    matches!(spec.resolution, Resolution::Dns | Resolution::DnsRoundRobin)
}

fn addresses(spec: &ServiceEntrySpec) -> Result<(), Refused> {
    for (index, text) in spec.addresses.iter().enumerate() {
        let refused =
            |reason| Refused::new(Path::of_keys(&["spec", "addresses"]).at(index), reason);
        let Some(subnet) = Subnet::parse(text) else {
            return Err(refused(format!(
                "`{text}` is no address and no range of them"
            )));
        };
        let may_be_range = matches!(spec.resolution, Resolution::None | Resolution::Static);
        if subnet.length.is_some() && !may_be_range {
            return Err(refused(
                "a range of addresses goes with resolution NONE or STATIC only".to_owned(),
            ));
        }
    }
    Ok(())
}

fn ports(ports: &[EntryPort]) -> Result<(), Refused> {
    let (mut numbers, mut names) = (BTreeSet::new(), BTreeSet::new());
    for (index, port) in ports.iter().enumerate() {
        let refused = |key: &str, reason: String| {
            let path = Path::of_keys(&["spec", "ports"]).at(index).key(key);
            Err(Refused::new(path, reason))
        };
        if port.number == 0 {
            return refused("number", "a port is a number from 1 to 65535".to_owned());
        }
        if port.name.is_empty() {
            return refused("name", "every port has a name".to_owned());
        }
        let protocol = port.protocol.to_ascii_uppercase();
        if !protocol.is_empty() && !PROTOCOLS.contains(&protocol.as_str()) {
            let known = PROTOCOLS.join(", ");
            return refused(
                "protocol",
                format!("`{}` is none of {known}", port.protocol),
            );
        }
        if !numbers.insert(port.number) {
            return refused("number", format!("{} is there twice", port.number));
        }
        if !names.insert(&port.name) {
            return refused("name", format!("`{}` is there twice", port.name));
        }
    }
    Ok(())
}

fn endpoints(spec: &ServiceEntrySpec) -> Result<(), Refused> {
    let field = || Path::of_keys(&["spec", "endpoints"]);
    if spec.endpoints.is_empty() {
        return Ok(());
    }
    if spec.workload_selector.is_some() {
        let path = Path::of_keys(&["spec", "workloadSelector"]);
        return Err(Refused::new(
            path,
            "either endpoints or a selector for them, not both",
        ));
    }
    if spec.resolution == Resolution::None {
        let reason = "with resolution NONE the dialled address is the endpoint: none can be given";
        return Err(Refused::new(field(), reason));
    }
    if spec.resolution == Resolution::DnsRoundRobin && spec.endpoints.len() > 1 {
        let reason = "at most one endpoint with resolution DNS_ROUND_ROBIN";
        return Err(Refused::new(field().at(1), reason));
    }
    for (index, endpoint) in spec.endpoints.iter().enumerate() {
        let at = field().at(index);
        endpoint.check(&at)?;
        if spec.resolution == Resolution::Static && !endpoint.hostname().is_empty() {
            let reason = "with resolution STATIC an endpoint has an address, not a host name";
            return Err(Refused::new(at.key("address"), reason));
        }
        let is_declared = |name: &String| spec.ports.iter().any(|port| port.name == *name);
        if let Some(name) = endpoint.ports.keys().find(|name| !is_declared(name)) {
            let path = at.key("ports").key(name);
            return Err(Refused::new(
                path,
                "the service entry has no port of this name",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
