//! The stand-in for kube-proxy: destination NAT from service addresses to ready endpoints, in every node's namespace.
//!
//! Traffic of pods passes the node's prerouting, the node's own programs its output; both go through one chain.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use cni::nft::{
    Action, Address, Chain, Command, Hook, Is, Kind as ChainKind, Match, Numbers, Protocol, Rule,
    Ruleset, Table,
};
use objects::kinds::Kind;
use objects::kubernetes::{EndpointSlice, Protocol as ServiceProtocol, Service, ServicePort};

use crate::cluster::{Cluster, View};
use crate::network::namespace::Namespace;

const TABLE: &str = "weft-services";
const SERVICES: &str = "services";
/// Destination NAT priority: before the mesh's own host rules look at the packet.
const PRIORITY: i32 = -110;
/// Source NAT priority, as everywhere.
const SOURCE_PRIORITY: i32 = 100;

/// Keeps the rules of every node in line with the picture.
pub(crate) async fn run(cluster: Cluster, nodes: Vec<Namespace>) {
    let mut views = cluster.watch();
    let mut applied: Option<Ruleset> = None;
    loop {
        let wanted = ruleset(&views.borrow_and_update());
        if applied.as_ref() != Some(&wanted) {
            for node in &nodes {
                let command = [Command::Replace(wanted.clone())];
                let outcome = node.run(|| cni::nft::apply(&command));
                if let Ok(Err(error)) = outcome {
                    let error = mesh::telemetry::report(&error);
                    tracing::error!(node = %node.path().display(), %error, "cannot set service addresses");
                }
            }
            applied = Some(wanted);
        }
        if views.changed().await.is_err() {
            return;
        }
    }
}

/// All service addresses as one table.
fn ruleset(view: &View) -> Ruleset {
    let mut chain = Chain::regular(SERVICES);
    for service in view.services() {
        let slices: Vec<&EndpointSlice> = slices_of(view, service).collect();
        for address in service.addresses() {
            for port in &service.spec.ports {
                chain = chain.with_all(rules(service, address, port, &slices));
            }
        }
    }
    let entry = |name: &str, hook| {
        Chain::base(name, ChainKind::Nat, hook, PRIORITY)
            .with(Rule::new("service addresses").then(Action::Jump(SERVICES.to_owned())))
    };
    Ruleset::new(Table::inet(TABLE))
        .with_chain(chain)
        .with_chain(hairpin(view))
        .with_chain(entry("prerouting", Hook::Prerouting))
        .with_chain(entry("output", Hook::Output))
}

/// A pod that reaches itself through a service would answer itself directly, and not know the answer: let the node ask.
fn hairpin(view: &View) -> Chain {
    let addresses: BTreeSet<IpAddr> = view
        .of(Kind::EndpointSlice)
        .filter_map(|object| object.endpoint_slice())
        .flat_map(|slice| &slice.endpoints)
        .flat_map(|endpoint| &endpoint.addresses)
        .filter_map(|text| text.parse().ok())
        .collect();
    let rule = |address: IpAddr| {
        Rule::new("a pod and itself")
            .when(Match::Network(Address::Source, Is::Equal, address.into()))
            .when(Match::Network(
                Address::Destination,
                Is::Equal,
                address.into(),
            ))
            .then(Action::Masquerade)
    };
    Chain::base(
        "postrouting",
        ChainKind::Nat,
        Hook::Postrouting,
        SOURCE_PRIORITY,
    )
    .with_all(addresses.into_iter().map(rule))
}

fn slices_of<'v>(view: &'v View, service: &'v Service) -> impl Iterator<Item = &'v EndpointSlice> {
    view.of(Kind::EndpointSlice)
        .filter_map(|object| object.endpoint_slice())
        .filter(|slice| slice.metadata.namespace == service.metadata.namespace)
        .filter(|slice| slice.service_name() == Some(&service.metadata.name))
}

/// One rule per endpoint of one port at one address; the n-th of them takes one in (number - n) of what comes so far.
fn rules(
    service: &Service,
    address: IpAddr,
    port: &ServicePort,
    slices: &[&EndpointSlice],
) -> Vec<Rule> {
    let protocol = match port.protocol {
        ServiceProtocol::Tcp => Protocol::Tcp,
        ServiceProtocol::Udp => Protocol::Udp,
        ServiceProtocol::Sctp => return Vec::new(),
    };
    let endpoints = endpoints(address, port, slices);
    let count = u32::try_from(endpoints.len()).unwrap_or(u32::MAX);
    let name = format!(
        "{}/{}:{}",
        service.metadata.namespace, service.metadata.name, port.port
    );
    endpoints
        .into_iter()
        .zip((1..=count).rev())
        .map(|((target, target_port), left)| {
            let mut rule = Rule::new(name.clone())
                .when(Match::Network(
                    Address::Destination,
                    Is::Equal,
                    address.into(),
                ))
                .when(Match::DestinationPort(protocol, Is::Equal, port.port));
            if left > 1 {
                let numbers = Numbers::Random;
                rule = rule.when(Match::Number {
                    numbers,
                    modulus: left,
                    value: 0,
                });
            }
            rule.then(Action::DestinationNat(target, Some(target_port)))
        })
        .collect()
}

/// Ready endpoints of the address's family, each once, sorted.
fn endpoints(address: IpAddr, port: &ServicePort, slices: &[&EndpointSlice]) -> Vec<(IpAddr, u16)> {
    let mut found = BTreeMap::new();
    for slice in slices {
        let number = slice
            .ports
            .iter()
            .find(|one| one.name == port.name && one.protocol == port.protocol)
            .and_then(|one| one.port);
        let Some(number) = number else { continue };
        for endpoint in slice
            .endpoints
            .iter()
            .filter(|one| one.conditions.is_ready())
        {
            let addresses = endpoint
                .addresses
                .iter()
                .filter_map(|text| text.parse::<IpAddr>().ok());
            for target in addresses.filter(|target| target.is_ipv6() == address.is_ipv6()) {
                found.insert(target, number);
            }
        }
    }
    found.into_iter().collect()
}
