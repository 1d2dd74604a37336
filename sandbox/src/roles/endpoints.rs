//! Pure. EndpointSlices of services with a selector: one per address family, ready pods and those that are not.

use std::collections::BTreeMap;
use std::net::IpAddr;

use objects::kinds::{Key, Kind};
use objects::kubernetes::endpoint_slice::SERVICE_NAME_LABEL;
use objects::kubernetes::{IntOrString, Pod, Service, ServicePort};
use objects::selector::contains_all;
use serde_json::{Value, json};

use crate::cluster::{View, Wanted, Words};

/// The slices of every service. A pod whose named port has another number gets a slice of its own kind, so slices are
/// told apart by family and port numbers.
pub(crate) fn plan(view: &View, _before: &Wanted) -> Wanted {
    let mut wanted = Wanted::new();
    for service in view
        .services()
        .filter(|service| !service.spec.selector.is_empty())
    {
        let mut groups: BTreeMap<(bool, Vec<Option<u16>>), Vec<Value>> = BTreeMap::new();
        for pod in view.pods().filter(|pod| is_behind(service, pod)) {
            let ports: Vec<Option<u16>> = service
                .spec
                .ports
                .iter()
                .map(|port| target(port, pod))
                .collect();
            for address in families(service, pod) {
                let group = groups
                    .entry((address.is_ipv6(), ports.clone()))
                    .or_default();
                group.push(endpoint(
                    pod,
                    address,
                    service.spec.publish_not_ready_addresses,
                ));
            }
        }
        for (number, ((is_v6, ports), endpoints)) in groups.into_iter().enumerate() {
            let (key, slice) = slice(service, number, is_v6, &ports, endpoints);
            wanted.insert(key, Words::Apply(slice));
        }
    }
    wanted
}

fn is_behind(service: &Service, pod: &Pod) -> bool {
    pod.metadata.namespace == service.metadata.namespace
        && contains_all(&pod.metadata.labels, &service.spec.selector)
        && !pod.has_ended()
}

/// The pod's addresses of the families that the service has (all of them for a headless one).
fn families(service: &Service, pod: &Pod) -> Vec<IpAddr> {
    let of_service = service.addresses();
    pod.addresses()
        .into_iter()
        .filter(|address| {
            of_service.is_empty()
                || of_service
                    .iter()
                    .any(|vip| vip.is_ipv6() == address.is_ipv6())
        })
        .collect()
}

/// The pod's number for a port of the service; none when it declares no port of that name.
fn target(port: &ServicePort, pod: &Pod) -> Option<u16> {
    let same = IntOrString::Number(port.port);
    pod.spec
        .port_number(port.target_port.as_ref().unwrap_or(&same), port.protocol)
}

fn endpoint(pod: &Pod, address: IpAddr, publish_always: bool) -> Value {
    let is_ready = pod.is_ready() && !pod.metadata.is_being_deleted();
    json!({
        "addresses": [address],
        "conditions": {
            "ready": is_ready || publish_always,
            "serving": pod.is_ready(),
            "terminating": pod.metadata.is_being_deleted(),
        },
        "nodeName": pod.spec.node_name,
        "targetRef": {
            "kind": "Pod",
            "namespace": pod.metadata.namespace,
            "name": pod.metadata.name,
            "uid": pod.metadata.uid,
        },
    })
}

fn slice(
    service: &Service,
    number: usize,
    is_v6: bool,
    ports: &[Option<u16>],
    endpoints: Vec<Value>,
) -> (Key, Value) {
    let meta = &service.metadata;
    let name = format!("{}-{number}", meta.name);
    let ports: Vec<Value> = service
        .spec
        .ports
        .iter()
        .zip(ports)
        .filter_map(|(port, number)| {
            Some(json!({
                "name": port.name,
                "port": (*number)?,
                "protocol": protocol(port),
                "appProtocol": port.app_protocol,
            }))
        })
        .collect();
    let document = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "namespace": meta.namespace,
            "labels": {
                SERVICE_NAME_LABEL: meta.name,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Service", "name": meta.name, "uid": meta.uid, "controller": true,
            }],
        },
        "addressType": if is_v6 { "IPv6" } else { "IPv4" },
        "endpoints": endpoints,
        "ports": ports,
    });
    (
        Key::new(Kind::EndpointSlice, &meta.namespace, &name),
        document,
    )
}

fn protocol(port: &ServicePort) -> &'static str {
    match port.protocol {
        objects::kubernetes::Protocol::Tcp => "TCP",
        objects::kubernetes::Protocol::Udp => "UDP",
        objects::kubernetes::Protocol::Sctp => "SCTP",
    }
}
