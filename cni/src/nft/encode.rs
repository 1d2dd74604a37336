//! Pure. Commands as nftables messages: tables, chains, sets and elements; rules are in `encode/expression`.

mod expression;

use std::net::IpAddr;

use super::attribute::Attributes;
use super::command::Command;
use super::rule::{AddressKind, Chain, Element, Family, Hook, Kind, Rule, Ruleset, Set, Table};

/// One message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// What it is about, for errors.
    pub(super) subject: String,
    /// The nftables message type.
    pub(super) kind: u8,
    /// Netlink flags beside `NLM_F_REQUEST`.
    pub(super) flags: u16,
    /// The table's family.
    pub(super) family: u8,
    /// The encoded attributes.
    pub(super) attributes: Vec<u8>,
}

const NEW_TABLE: u8 = 0;
const DELETE_TABLE: u8 = 2;
const NEW_CHAIN: u8 = 3;
const NEW_RULE: u8 = 6;
const DELETE_RULE: u8 = 8;
const NEW_SET: u8 = 9;
const NEW_ELEMENT: u8 = 12;
const DELETE_ELEMENT: u8 = 14;

const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;

/// Longest comment that surely fits beside its header into the kernel's 256 bytes of user data.
const COMMENT: usize = 120;

/// So many elements of a set go into one message, which keeps it below the 64 KiB of an attribute.
const ELEMENTS: usize = 200;

/// All messages of a batch, in order.
pub(super) fn encode(commands: &[Command]) -> Vec<Message> {
    let mut messages = Vec::new();
    for command in commands {
        match command {
            Command::Replace(ruleset) => replace(ruleset, &mut messages),
            Command::Remove(table) => remove(table, &mut messages),
            Command::Append { table, chain, rule } => messages.push(append(table, chain, rule)),
            Command::Flush { table, chain } => messages.push(flush(table, chain)),
            Command::AddElements {
                table,
                set,
                elements,
            } => {
                messages.extend(element_messages(NEW_ELEMENT, table, set, elements));
            }
            Command::RemoveElements {
                table,
                set,
                elements,
            } => {
                // Adding first makes removal idempotent: the kernel refuses to remove what is not there.
                messages.extend(element_messages(NEW_ELEMENT, table, set, elements));
                messages.extend(element_messages(DELETE_ELEMENT, table, set, elements));
            }
            Command::FlushSet { table, set } => messages.push(flush_set(table, set)),
        }
    }
    messages
}

/// The expressions of a rule, as the kernel takes them.
pub(super) fn expressions(rule: &Rule) -> Vec<u8> {
    expression::rule(&rule.parts).into_bytes()
}

/// A rule's comment as far as the kernel keeps it.
pub(super) fn comment_of(rule: &Rule) -> &str {
    cut(&rule.comment)
}

/// The number that netfilter knows a table's family by.
pub(super) fn family_number(family: Family) -> u8 {
    match family {
        Family::Inet => 1,
        Family::Ip => 2,
        Family::Ip6 => 10,
    }
}

fn message(table: &Table, kind: u8, flags: u16, subject: String, inner: Attributes) -> Message {
    let family = family_number(table.family);
    Message {
        subject,
        kind,
        flags,
        family,
        attributes: inner.into_bytes(),
    }
}

fn replace(ruleset: &Ruleset, messages: &mut Vec<Message>) {
    let table = &ruleset.table;
    remove(table, messages);
    messages.push(new_table(table));
    for (id, set) in (1..).zip(&ruleset.sets) {
        messages.push(new_set(table, set, id));
    }
    messages.extend(ruleset.chains.iter().map(|chain| new_chain(table, chain)));
    for set in &ruleset.sets {
        messages.extend(element_messages(
            NEW_ELEMENT,
            table,
            &set.name,
            &set.elements,
        ));
    }
    for chain in &ruleset.chains {
        messages.extend(
            chain
                .rules
                .iter()
                .map(|rule| append(table, &chain.name, rule)),
        );
    }
}

fn remove(table: &Table, messages: &mut Vec<Message>) {
    // Creating first makes removal idempotent: the kernel refuses to remove what is not there.
    messages.push(new_table(table));
    let inner = Attributes::new().text(1, &table.name);
    messages.push(message(
        table,
        DELETE_TABLE,
        0,
        format!("removal of table {table}"),
        inner,
    ));
}

fn new_table(table: &Table) -> Message {
    let inner = Attributes::new().text(1, &table.name).number(2, 0);
    message(table, NEW_TABLE, CREATE, format!("table {table}"), inner)
}

fn new_chain(table: &Table, chain: &Chain) -> Message {
    let mut inner = Attributes::new().text(1, &table.name).text(3, &chain.name);
    if let Some(base) = chain.base {
        let hook = match base.hook {
            Hook::Prerouting => 0,
            Hook::Input => 1,
            Hook::Forward => 2,
            Hook::Output => 3,
            Hook::Postrouting => 4,
        };
        let kind = match base.kind {
            Kind::Filter => "filter",
            Kind::Nat => "nat",
            Kind::Route => "route",
        };
        let priority = Attributes::new()
            .number(1, hook)
            .bytes(2, &base.priority.to_be_bytes());
        const POLICY_ACCEPT: u32 = 1;
        inner = inner
            .nested(4, priority)
            .number(5, POLICY_ACCEPT)
            .text(7, kind);
    }
    let subject = format!("chain {} of table {table}", chain.name);
    message(table, NEW_CHAIN, CREATE, subject, inner)
}

fn new_set(table: &Table, set: &Set, id: u32) -> Message {
    // The numbers by which the nft program knows address types; only listings need them.
    let (kind, length) = match set.kind {
        AddressKind::V4 => (7, 4),
        AddressKind::V6 => (8, 16),
    };
    let inner = Attributes::new()
        .text(1, &table.name)
        .text(2, &set.name)
        .number(3, 0)
        .number(4, kind)
        .number(5, length)
        .number(10, id);
    message(
        table,
        NEW_SET,
        CREATE,
        format!("set {} of table {table}", set.name),
        inner,
    )
}

fn append(table: &Table, chain: &str, rule: &Rule) -> Message {
    let mut inner = Attributes::new()
        .text(1, &table.name)
        .text(2, chain)
        .nested(4, expression::rule(&rule.parts));
    if !rule.comment.is_empty() {
        inner = inner.bytes(7, &comment(&rule.comment));
    }
    let subject = format!(
        "rule \"{}\" in chain {chain} of table {table}",
        rule.comment
    );
    message(table, NEW_RULE, CREATE | APPEND, subject, inner)
}

fn flush(table: &Table, chain: &str) -> Message {
    let inner = Attributes::new().text(1, &table.name).text(2, chain);
    message(
        table,
        DELETE_RULE,
        0,
        format!("flush of chain {chain} of table {table}"),
        inner,
    )
}

fn flush_set(table: &Table, set: &str) -> Message {
    let inner = Attributes::new().text(1, &table.name).text(2, set);
    message(
        table,
        DELETE_ELEMENT,
        0,
        format!("flush of set {set} of table {table}"),
        inner,
    )
}

fn element_messages(kind: u8, table: &Table, set: &str, elements: &[Element]) -> Vec<Message> {
    elements
        .chunks(ELEMENTS)
        .map(|elements| element_message(kind, table, set, elements))
        .collect()
}

fn element_message(kind: u8, table: &Table, set: &str, elements: &[Element]) -> Message {
    let mut list = Attributes::new();
    for element in elements {
        let key = Attributes::new().bytes(1, &address_bytes(element.address));
        let mut inner = Attributes::new().nested(1, key);
        if kind == NEW_ELEMENT && !element.comment.is_empty() {
            inner = inner.bytes(6, &comment(&element.comment));
        }
        list = list.nested(1, inner);
    }
    let addresses: Vec<String> = elements.iter().map(|e| e.address.to_string()).collect();
    let subject = format!(
        "elements {} of set {set} of table {table}",
        addresses.join(" ")
    );
    let inner = Attributes::new()
        .text(1, &table.name)
        .text(2, set)
        .nested(3, list);
    message(
        table,
        kind,
        if kind == NEW_ELEMENT { CREATE } else { 0 },
        subject,
        inner,
    )
}

fn address_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// User data as the nft program writes comments: type 0, length, text with a closing zero.
fn comment(text: &str) -> Vec<u8> {
    let text = cut(text);
    let length = u8::try_from(text.len() + 1).unwrap_or(u8::MAX);
    [&[0, length][..], text.as_bytes(), &[0]].concat()
}

fn cut(comment: &str) -> &str {
    let mut end = comment.len().min(COMMENT);
    while !comment.is_char_boundary(end) {
        end -= 1;
    }
    comment.get(..end).unwrap_or_default()
}
