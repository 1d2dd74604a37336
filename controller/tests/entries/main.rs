//! Service entries and workload entries in, resources, findings and statuses out: every row of the contract.

#![expect(clippy::too_many_lines, reason = "tables are long")]

mod findings;
mod hosts;
#[path = "../world/look.rs"]
mod look;
mod records;
#[path = "../world/yaml.rs"]
mod yaml;

pub(crate) const PORTS: &str = "ports: [{number: 80, name: p, protocol: TCP}]";

pub(crate) const MACHINE: &str = "Kubernetes/networking.istio.io/WorkloadEntry/n/w";

/// Labels, annotations and the specification of a service entry `e` in `n`.
pub(crate) fn entry(metadata: &str, spec: &str) -> String {
    let comma = if metadata.is_empty() { "" } else { ", " };
    format!(
        "{{apiVersion: networking.istio.io/v1beta1, kind: ServiceEntry, \
         metadata: {{name: e, namespace: n{comma}{metadata}}}, spec: {{{spec}}}}}"
    )
}

/// A workload entry `w` in `n`.
pub(crate) fn machine(metadata: &str, spec: &str) -> String {
    let comma = if metadata.is_empty() { "" } else { ", " };
    format!(
        "{{apiVersion: networking.istio.io/v1alpha3, kind: WorkloadEntry, \
         metadata: {{name: w, namespace: n{comma}{metadata}}}, spec: {{address: 192.0.2.7, {spec}}}}}"
    )
}

/// A service entry of one host, created in a second of its own.
pub(crate) fn rival(namespace: &str, name: &str, second: u8, host: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: {name}, \
         namespace: {namespace}, creationTimestamp: '2026-01-01T00:00:{second:02}Z'}}, \
         spec: {{hosts: [{host}], {PORTS}, resolution: STATIC}}}}"
    )
}
