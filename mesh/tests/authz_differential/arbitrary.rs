//! Pure. Random small meshes, from a seed: a workload, policies made for it or beside it, connections to it.
//!
//! Policies are made from a connection: most values match it, some miss by one letter, bit or name.
//! So rules that must all hold do hold often, and those that fail do so for a single reason.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use mesh::identity::{Identity, TrustDomain};
use mesh::model::{
    Action, Clause, IpRange, Match, Policy, PolicyScope, Rule, ServiceAccountMatch, StringMatch,
};
use mesh::names::NamespacedName;

const NAMESPACES: [&str; 4] = ["a", "ab", "ba", "shop"];
const ACCOUNTS: [&str; 4] = ["x", "xy", "yx", "web"];
const TRUST_DOMAINS: [&str; 2] = ["cluster.local", "local"];
const PORTS: [u16; 4] = [80, 8080, 443, 0];
/// Name of no policy: what a workload lists and nobody has sent.
const NOBODY: &str = "nobody";

/// SplitMix64: small, quick without optimisation, and the same everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn in_a_hundred(&mut self, times: u64) -> bool {
        self.next() % 100 < times
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }
}

/// A connection, owned.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) identity: Option<Identity>,
    pub(crate) source_ip: IpAddr,
    pub(crate) destination_ip: IpAddr,
    pub(crate) destination_port: u16,
}

/// The destination and everything said of it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) namespace: &'static str,
    pub(crate) listed: Vec<NamespacedName>,
    pub(crate) policies: Vec<Policy>,
    pub(crate) connections: Vec<Connection>,
}

pub(crate) const POLICIES: usize = 4;
pub(crate) const CONNECTIONS: usize = 4;

pub(crate) fn world(dice: &mut Dice) -> World {
    let namespace = dice.one_of(&NAMESPACES);
    let main = connection(dice);
    let mut policies: Vec<Policy> = Vec::with_capacity(POLICIES);
    let mut listed = Vec::new();
    for number in 0..POLICIES {
        let policy = policy(dice, number, namespace, &main);
        let is_listed = match policy.scope {
            PolicyScope::WorkloadSelector => dice.in_a_hundred(75),
            PolicyScope::Global | PolicyScope::Namespace => dice.in_a_hundred(5),
        };
        if is_listed {
            listed.push(policy.key.clone());
        }
        policies.push(policy);
    }
    if dice.in_a_hundred(5) {
        listed.push(NamespacedName::new(namespace, NOBODY));
    }
    let mut connections = vec![main];
    while connections.len() < CONNECTIONS {
        let mut other = connections[0].clone();
        disturb(dice, &mut other);
        connections.push(other);
    }
    World {
        namespace,
        listed,
        policies,
        connections,
    }
}

fn connection(dice: &mut Dice) -> Connection {
    let identity = dice.in_a_hundred(85).then(|| identity(dice));
    let is_v6 = dice.in_a_hundred(20);
    Connection {
        identity,
        source_ip: address(dice, is_v6),
        destination_ip: address(dice, is_v6),
        destination_port: dice.one_of(&PORTS),
    }
}

fn identity(dice: &mut Dice) -> Identity {
    let domain = TrustDomain::parse(dice.one_of(&TRUST_DOMAINS)).unwrap();
    Identity::new(domain, dice.one_of(&NAMESPACES), dice.one_of(&ACCOUNTS))
}

fn address(dice: &mut Dice, is_v6: bool) -> IpAddr {
    let (subnet, host) = (dice.below(2) as u8, dice.below(4) as u8);
    if is_v6 {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, subnet.into(), host.into()).into()
    } else {
        Ipv4Addr::new(10, 0, subnet, host).into()
    }
}

/// Changes one thing, sometimes nothing.
fn disturb(dice: &mut Dice, it: &mut Connection) {
    match dice.below(7) {
        0 => it.identity = None,
        1 => it.identity = Some(identity(dice)),
        2 => {
            if let Some(identity) = &mut it.identity {
                identity.namespace = dice.one_of(&NAMESPACES).into();
            }
        }
        3 => it.source_ip = address(dice, it.source_ip.is_ipv6()),
        4 => it.destination_ip = address(dice, it.source_ip.is_ipv6()),
        5 => it.destination_port = dice.one_of(&PORTS),
        _ => {}
    }
}

fn policy(dice: &mut Dice, number: usize, here: &'static str, main: &Connection) -> Policy {
    let scope = match dice.below(10) {
        0..=2 => PolicyScope::Global,
        3..=6 => PolicyScope::Namespace,
        _ => PolicyScope::WorkloadSelector,
    };
    let namespace = match dice.in_a_hundred(75) {
        true => here,
        false => dice.one_of(&NAMESPACES),
    };
    let action = match dice.in_a_hundred(35) {
        true => Action::Deny,
        false => Action::Allow,
    };
    let mut rules = Vec::new();
    for _ in 0..some(dice, 8) {
        rules.push(rule(dice, action, main));
    }
    Policy {
        key: NamespacedName::new(namespace, ["p0", "p1", "p2", "p3"][number]),
        scope,
        action,
        rules,
        dry_run: dice.in_a_hundred(20),
        origin: None,
    }
}

/// None (that often in a hundred), one or two.
fn some(dice: &mut Dice, none: u64) -> usize {
    if dice.in_a_hundred(none) {
        0
    } else {
        1 + usize::from(dice.in_a_hundred(30))
    }
}

fn rule(dice: &mut Dice, action: Action, main: &Connection) -> Rule {
    // A DENY without clauses ends everything: rare, so that other rows are reached.
    let none = if action == Action::Deny { 2 } else { 5 };
    let mut clauses = Vec::new();
    for _ in 0..some(dice, none) {
        let mut matches = Vec::new();
        for _ in 0..some(dice, 4) {
            matches.push(one_match(dice, main));
        }
        clauses.push(Clause { matches });
    }
    Rule { clauses }
}

fn one_match(dice: &mut Dice, main: &Connection) -> Match {
    let mut it = Match::default();
    if dice.in_a_hundred(4) {
        return it;
    }
    for _ in 0..1 + dice.below(3) {
        // A positive value that matches, or a negative one that does not, is the common case.
        let negative = dice.in_a_hundred(35);
        let near = dice.in_a_hundred(if negative { 25 } else { 78 });
        for _ in 0..1 + usize::from(dice.in_a_hundred(25)) {
            set_field(dice, &mut it, negative, near, main);
        }
    }
    it
}

/// Adds one value to one field; `near` wants one that matches `main`.
fn set_field(dice: &mut Dice, it: &mut Match, negative: bool, near: bool, main: &Connection) {
    let pick = |negative: bool| usize::from(negative);
    match dice.below(6) {
        0 => {
            let text = match (&main.identity, near) {
                (Some(identity), true) => Arc::clone(&identity.namespace),
                (None, true) => "".into(),
                (_, false) => dice.one_of(&NAMESPACES).into(),
            };
            let value = pattern(dice, &text, near);
            [&mut it.namespaces, &mut it.not_namespaces][pick(negative)].push(value);
        }
        1 => {
            let identity = match (&main.identity, near) {
                (Some(identity), true) => identity.clone(),
                _ => identity(dice),
            };
            let text = identity.to_string().replace("spiffe://", "");
            let value = pattern(dice, &text, near);
            [&mut it.principals, &mut it.not_principals][pick(negative)].push(value);
        }
        2 => {
            let mut identity = match (&main.identity, near) {
                (Some(identity), true) => identity.clone(),
                _ => identity(dice),
            };
            if dice.in_a_hundred(10) {
                identity.namespace = dice.one_of(&NAMESPACES).into();
            }
            let value = ServiceAccountMatch {
                namespace: identity.namespace,
                service_account: identity.service_account,
            };
            [&mut it.service_accounts, &mut it.not_service_accounts][pick(negative)].push(value);
        }
        3 => {
            let value = range(dice, main.source_ip, near);
            [&mut it.source_ips, &mut it.not_source_ips][pick(negative)].push(value);
        }
        4 => {
            let value = range(dice, main.destination_ip, near);
            [&mut it.destination_ips, &mut it.not_destination_ips][pick(negative)].push(value);
        }
        _ => {
            let value = match near {
                true => main.destination_port,
                false => dice.one_of(&PORTS),
            };
            [&mut it.destination_ports, &mut it.not_destination_ports][pick(negative)].push(value);
        }
    }
}

/// A pattern made of `text`; far ones are longer than it by a letter, half of the time.
fn pattern(dice: &mut Dice, text: &str, near: bool) -> StringMatch {
    let cut = dice.below(text.len() + 1);
    let is_off = !near && dice.in_a_hundred(50);
    match dice.below(8) {
        0 => StringMatch::Presence,
        1..=2 => StringMatch::Prefix(match is_off {
            true => format!("{text}/").into(),
            false => text[..cut].into(),
        }),
        3..=4 => StringMatch::Suffix(match is_off {
            true => format!("/{text}").into(),
            false => text[cut..].into(),
        }),
        // Prefixes and suffixes of a text are not equal to it.
        _ => StringMatch::Exact(match is_off {
            true => text[..cut].into(),
            false => text.into(),
        }),
    }
}

fn range(dice: &mut Dice, around: IpAddr, near: bool) -> IpRange {
    let bits = if around.is_ipv6() { 128 } else { 32 };
    let prefix = dice.one_of(&[0, 8, bits - 16, bits - 8, bits - 2, bits - 1, bits]);
    let address = match near {
        true => around,
        // Now and then of the other family.
        false => {
            let is_v6 = around.is_ipv6() != dice.in_a_hundred(10);
            address(dice, is_v6)
        }
    };
    let most = if address.is_ipv6() { 128 } else { 32 };
    IpRange {
        address,
        prefix: prefix.min(most),
    }
}
