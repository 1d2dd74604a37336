//! The node's own rules: what the kubelet sends to a pod comes from one well-known address, so that the pod's
//! redirection can let it pass (contract: host rules, docs/compat.md#host-rules).
//!
//! A set per IP version holds the pods' addresses. The kernel does not know programs, only users: every connection of
//! the kubelet's user from the node's own sockets counts as the kubelet's.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

use crate::nft::{
    self, Action, Address, AddressKind, Chain, Command, Element, Hook, Is, Kind, Match, Protocol,
    Rule, Ruleset, Set, Table, compare, dump,
};
use crate::rules::Settings;

const TABLE: &str = "istio-ambient-nat";
const SET_V4: &str = "istio-inpod-probes-v4";
const SET_V6: &str = "istio-inpod-probes-v6";

/// The whole table, with the addresses of these pods: address, and the uid of its pod.
#[must_use]
pub fn ruleset(settings: &Settings, kubelet_user: u32, pods: &[Element]) -> Ruleset {
    const PRIORITY: i32 = 100;
    let mut ruleset = Ruleset::new(Table::inet(TABLE));
    let mut chain = Chain::base("postrouting", Kind::Nat, Hook::Postrouting, PRIORITY);
    let probe_addresses: [IpAddr; 2] = [
        settings.probe_address_v4.into(),
        settings.probe_address_v6.into(),
    ];
    for probe_address in probe_addresses {
        let kind = AddressKind::of(&probe_address);
        if kind == AddressKind::V6 && !settings.ipv6 {
            continue;
        }
        chain = chain.with(
            Rule::new(format!("the kubelet reaches pods as {probe_address}"))
                .when(Match::SocketUser(Is::Equal, kubelet_user))
                .when(Match::Protocol(Protocol::Tcp))
                .when(Match::InSet(
                    Address::Destination,
                    Is::Equal,
                    kind,
                    set(kind).into(),
                ))
                .then(Action::SourceNat(probe_address)),
        );
        ruleset.sets.push(Set {
            name: set(kind).into(),
            kind,
            elements: of_kind(pods, kind),
        });
    }
    ruleset.with_chain(chain)
}

/// Makes the table in the calling thread's namespace exactly the given one (see [`ruleset`]).
///
/// # Errors
/// When the kernel refuses.
pub fn install(ruleset: Ruleset) -> Result<(), nft::Error> {
    nft::apply(&[Command::Replace(ruleset)])
}

/// Lets the kubelet reach these addresses, for the pods that they are of now. The table must be there.
///
/// # Errors
/// When the kernel refuses.
pub fn add_pod(settings: &Settings, elements: &[Element]) -> Result<(), nft::Error> {
    // An address that is there already would keep the uid of the pod that had it before.
    let mut commands = per_set(settings, elements, remove_elements);
    commands.extend(per_set(settings, elements, add_elements));
    nft::apply(&commands)
}

/// Takes these addresses out again; fine when they are not there. The table must be there.
///
/// # Errors
/// When the kernel refuses.
pub fn remove_pod(settings: &Settings, elements: &[Element]) -> Result<(), nft::Error> {
    nft::apply(&per_set(settings, elements, remove_elements))
}

/// Whether the table in the calling thread's namespace is exactly the given one (see [`ruleset`]).
///
/// # Errors
/// When the kernel cannot be asked.
pub fn is_installed(ruleset: &Ruleset) -> io::Result<bool> {
    let rules = dump::rules(&ruleset.table)?;
    if !compare::is_installed(ruleset, rules.as_deref()) {
        return Ok(false);
    }
    for set in &ruleset.sets {
        let held = dump::elements(&ruleset.table, &set.name)?;
        if held.map(addresses) != Some(addresses(set.elements.clone())) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The tables of the node's own rules.
#[must_use]
pub fn tables() -> [Table; 1] {
    [Table::inet(TABLE)]
}

/// Takes the whole table away; fine when it is not there.
///
/// # Errors
/// When the kernel refuses.
pub fn remove() -> Result<(), nft::Error> {
    nft::apply(&[Command::Remove(Table::inet(TABLE))])
}

/// The addresses that the kubelet reaches pods at now, with the uids of their pods; `None` when there is no table.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn pods() -> io::Result<Option<Vec<Element>>> {
    let mut all = None;
    for set in [SET_V4, SET_V6] {
        if let Some(elements) = dump::elements(&Table::inet(TABLE), set)? {
            all.get_or_insert_with(Vec::new).extend(elements);
        }
    }
    Ok(all)
}

fn add_elements(set: String, elements: Vec<Element>) -> Command {
    let table = Table::inet(TABLE);
    Command::AddElements {
        table,
        set,
        elements,
    }
}

fn remove_elements(set: String, elements: Vec<Element>) -> Command {
    let table = Table::inet(TABLE);
    Command::RemoveElements {
        table,
        set,
        elements,
    }
}

/// What counts of a set: comments are for people.
fn addresses(elements: Vec<Element>) -> BTreeSet<IpAddr> {
    elements
        .into_iter()
        .map(|element| element.address)
        .collect()
}

fn set(kind: AddressKind) -> &'static str {
    match kind {
        AddressKind::V4 => SET_V4,
        AddressKind::V6 => SET_V6,
    }
}

fn of_kind(elements: &[Element], kind: AddressKind) -> Vec<Element> {
    elements
        .iter()
        .filter(|e| AddressKind::of(&e.address) == kind)
        .cloned()
        .collect()
}

fn per_set(
    settings: &Settings,
    elements: &[Element],
    command: fn(String, Vec<Element>) -> Command,
) -> Vec<Command> {
    let mut kinds = vec![AddressKind::V4];
    if settings.ipv6 {
        kinds.push(AddressKind::V6);
    }
    kinds
        .into_iter()
        .map(|kind| (kind, of_kind(elements, kind)))
        .filter(|(_, elements)| !elements.is_empty())
        .map(|(kind, elements)| command(set(kind).into(), elements))
        .collect()
}
