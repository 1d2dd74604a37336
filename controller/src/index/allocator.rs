//! Pure. Addresses for the hosts of service entries that have none. Source: docs/compat.md#service-record.
//!
//! The outcome follows from the entries alone: what their status remembers is kept, the oldest first, unless a user
//! has written that address somewhere; the rest get the first free address from a place that follows from their
//! name. So every controller comes to the same addresses, before it has written a word.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mesh::names::NamespacedName;
use objects::istio::{ServiceEntry, Subnet};
use twox_hash::XxHash64;

use super::hosts::{self, Age};
use crate::translate::service_entry::Given;

/// Addresses tried for one host before it goes without.
const MAX_PROBES: u64 = 1 << 20;

/// The ranges that addresses are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixes {
    /// IPv4.
    pub v4: Subnet,
    /// IPv6.
    pub v6: Subnet,
}

impl Default for Prefixes {
    fn default() -> Self {
        let range = |address, length| Subnet {
            address,
            length: Some(length),
        };
        Self {
            v4: range(IpAddr::V4(Ipv4Addr::new(240, 240, 0, 0)), 16),
            v6: range(IpAddr::V6(Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0)), 48),
        }
    }
}

/// What one service entry has to do with addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    /// Hosts that want addresses.
    hosts: Vec<String>,
    /// What its status says they have.
    remembered: Vec<(String, IpAddr)>,
    /// What its owner has written.
    written: Vec<Subnet>,
}

/// Which host has which address.
#[derive(Debug, Default)]
pub struct Allocator {
    prefixes: Prefixes,
    claims: BTreeMap<Age, Claim>,
    ages: HashMap<NamespacedName, Age>,
    given: HashMap<NamespacedName, Vec<Given>>,
    is_settled: bool,
}

impl Allocator {
    /// Nothing given yet.
    pub fn new(prefixes: Prefixes) -> Self {
        Self {
            prefixes,
            is_settled: true,
            ..Self::default()
        }
    }

    /// What an entry's hosts have, in the order of its hosts.
    pub fn given(&self, entry: &NamespacedName) -> &[Given] {
        self.given.get(entry).map_or(&[], Vec::as_slice)
    }

    /// Takes an entry's present form in; `None` when it is gone.
    pub fn follow(&mut self, name: &NamespacedName, entry: Option<&ServiceEntry>) {
        let claim = entry.map(|entry| (hosts::age_of(&entry.metadata), claim(entry)));
        let before = self.ages.remove(name);
        let before = before.and_then(|age| Some((age.clone(), self.claims.remove(&age)?)));
        self.is_settled &= match (&before, &claim) {
            (None, None) => true,
            (None, Some((_, one))) | (Some((_, one)), None) => one.is_idle(),
            (Some(before), Some(after)) => before == after || self.confirms(name, before, after),
        };
        if let Some((age, claim)) = claim {
            self.ages.insert(name.clone(), age.clone());
            self.claims.insert(age, claim);
        }
    }

    /// Whether all that is new is that the status now says what was given anyway.
    fn confirms(&self, name: &NamespacedName, before: &(Age, Claim), after: &(Age, Claim)) -> bool {
        let given = self.given(name).iter();
        let given: Vec<(&str, IpAddr)> = given
            .flat_map(|it| {
                it.addresses
                    .iter()
                    .map(move |address| (&*it.host, *address))
            })
            .collect();
        let remembered = after
            .1
            .remembered
            .iter()
            .map(|(host, address)| (&**host, *address));
        before.0 == after.0
            && before.1.hosts == after.1.hosts
            && before.1.written == after.1.written
            && remembered.eq(given)
    }

    /// Decides anew, if anything has changed; the entries whose hosts have other addresses than before.
    pub fn settle(&mut self) -> Vec<NamespacedName> {
        if self.is_settled {
            return Vec::new();
        }
        self.is_settled = true;
        let given = decide(&self.prefixes, &self.claims);
        let names = self.given.keys().chain(given.keys());
        let changed = names.filter(|name| self.given.get(*name) != given.get(*name));
        let mut changed: Vec<NamespacedName> = changed.cloned().collect();
        changed.sort_unstable();
        changed.dedup();
        self.given = given;
        changed
    }
}

impl Claim {
    /// Whether nothing follows from it for anybody.
    fn is_idle(&self) -> bool {
        self.hosts.is_empty() && self.written.is_empty()
    }
}

fn claim(entry: &ServiceEntry) -> Claim {
    let written = entry.spec.addresses.iter();
    let hosts: Vec<String> = match entry.wants_addresses() {
        true => entry.addressable_hosts().map(str::to_owned).collect(),
        false => Vec::new(),
    };
    let addresses = entry.status.addresses.iter();
    let remembered = addresses.filter_map(|it| Some((it.host.clone(), it.ip()?)));
    Claim {
        remembered: remembered
            .filter(|(host, _)| hosts.contains(host))
            .collect(),
        hosts,
        written: written.filter_map(|text| Subnet::parse(text)).collect(),
    }
}

/// Who has what, by entry.
fn decide(
    prefixes: &Prefixes,
    claims: &BTreeMap<Age, Claim>,
) -> HashMap<NamespacedName, Vec<Given>> {
    let mut taken = Taken::of_users(claims);
    let families = [prefixes.v4, prefixes.v6];
    let mut kept: BTreeMap<(&Age, &str, usize), IpAddr> = BTreeMap::new();
    for (age, claim) in claims {
        for (host, address) in &claim.remembered {
            let family = families.iter().position(|range| range.contains(*address));
            if let Some(family) = family
                && !kept.contains_key(&(age, &**host, family))
                && taken.take(*address)
            {
                kept.insert((age, host, family), *address);
            }
        }
    }
    let mut all = HashMap::new();
    for (age, claim) in claims.iter().filter(|(_, claim)| !claim.hosts.is_empty()) {
        let (_, namespace, name) = age;
        let of_host = |host: &String| {
            let addresses = families.iter().enumerate().filter_map(|(family, range)| {
                let kept = kept.get(&(age, &**host, family)).copied();
                kept.or_else(|| taken.first_free(*range, hash(namespace, name, host)))
            });
            Given {
                host: host.clone(),
                addresses: addresses.collect(),
            }
        };
        let given = claim.hosts.iter().map(of_host).collect();
        all.insert(NamespacedName::new(&**namespace, &**name), given);
    }
    all
}

/// Addresses that cannot be given.
struct Taken {
    addresses: HashSet<IpAddr>,
    ranges: Vec<Subnet>,
}

impl Taken {
    fn of_users(claims: &BTreeMap<Age, Claim>) -> Self {
        let written = claims.values().flat_map(|claim| &claim.written);
        let (ranges, single): (Vec<&Subnet>, Vec<&Subnet>) =
            written.partition(|subnet| subnet.length.is_some());
        Self {
            addresses: single.into_iter().map(|subnet| subnet.address).collect(),
            ranges: ranges.into_iter().copied().collect(),
        }
    }

    fn take(&mut self, address: IpAddr) -> bool {
        let is_written = self.ranges.iter().any(|range| range.contains(address));
        !is_written && self.addresses.insert(address)
    }

    /// Takes the first free address of a range, from a place on and around its end.
    fn first_free(&mut self, range: Subnet, place: u64) -> Option<IpAddr> {
        let usable = usable(range);
        let mut offsets = (0..usable.min(MAX_PROBES)).map(|step| {
            let from_start = (u128::from(place) + u128::from(step)) % u128::from(usable);
            from_start + 1
        });
        offsets.find_map(|offset| {
            let address = nth(range, offset);
            self.take(address).then_some(address)
        })
    }
}

/// How many addresses of a range can be given: not its first and not its last one.
fn usable(range: Subnet) -> u64 {
    let width = if range.address.is_ipv4() { 32 } else { 128 };
    let bits = width - u32::from(range.length.unwrap_or_default()).min(width);
    let all = 1_u64.checked_shl(bits).unwrap_or(u64::MAX);
    all.saturating_sub(2)
}

fn nth(range: Subnet, offset: u128) -> IpAddr {
    match range.address {
        IpAddr::V4(first) => {
            let offset = u32::try_from(offset).unwrap_or_default();
            IpAddr::V4(Ipv4Addr::from_bits(first.to_bits() | offset))
        }
        IpAddr::V6(first) => IpAddr::V6(Ipv6Addr::from_bits(first.to_bits() | offset)),
    }
}

fn hash(namespace: &str, name: &str, host: &str) -> u64 {
    XxHash64::oneshot(0, format!("{namespace}/{name}/{host}").as_bytes())
}

#[cfg(test)]
mod tests;
