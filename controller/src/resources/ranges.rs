//! Pure. Names of resources by the ranges of addresses they stand for.
//!
//! Found by an address inside: one probe per length of prefix that there is on its network.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

use super::Name;

/// `<network>/<address>`, read. Source: docs/compat.md#resource-names.
pub fn read_address(name: &str) -> Option<(&str, IpAddr)> {
    let (network, address) = name.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    Some((network, address.to_canonical()))
}

/// `<network>/<address>/<prefix>`, read. Source: docs/compat.md#resource-names.
pub fn read_range(alias: &str) -> Option<(&str, IpNet)> {
    let (rest, length) = alias.rsplit_once('/')?;
    let length = length.parse().ok()?;
    let (network, address) = read_address(rest)?;
    Some((network, IpNet::new(address, length).ok()?.trunc()))
}

/// Network and range to names.
#[derive(Debug, Default)]
pub(super) struct Ranges(HashMap<Name, Network>);

#[derive(Debug, Default)]
struct Network {
    names: HashMap<IpNet, BTreeSet<Name>>,
    /// How many ranges there are of a length, by family and length.
    lengths: BTreeMap<(bool, u8), usize>,
}

fn length_of(range: IpNet) -> (bool, u8) {
    (matches!(range, IpNet::V6(_)), range.prefix_len())
}

impl Ranges {
    /// Puts `name` under `alias` if that is a range.
    pub(super) fn add(&mut self, alias: &str, name: &Name) {
        let Some((network, range)) = read_range(alias) else {
            return;
        };
        if !self.0.contains_key(network) {
            self.0.insert(network.into(), Network::default());
        }
        let Some(Network { names, lengths }) = self.0.get_mut(network) else {
            return;
        };
        let names = names.entry(range).or_insert_with(|| {
            *lengths.entry(length_of(range)).or_default() += 1;
            BTreeSet::new()
        });
        names.insert(Name::clone(name));
    }

    /// Takes `name` away from `alias`.
    pub(super) fn remove(&mut self, alias: &str, name: &Name) {
        let Some((network, range)) = read_range(alias) else {
            return;
        };
        let Some(Network { names, lengths }) = self.0.get_mut(network) else {
            return;
        };
        let Some(named) = names.get_mut(&range) else {
            return;
        };
        named.remove(name);
        if !named.is_empty() {
            return;
        }
        names.remove(&range);
        if let Some(count) = lengths.get_mut(&length_of(range)) {
            *count -= 1;
            if *count == 0 {
                lengths.remove(&length_of(range));
            }
        }
        if names.is_empty() {
            self.0.remove(network);
        }
    }

    /// Names under the ranges that hold the address `asked` names, the longest prefix first; none
    /// when it names no address.
    pub(super) fn holding(&self, asked: &str) -> impl Iterator<Item = &Name> {
        let address = (!self.0.is_empty()).then(|| read_address(asked)).flatten();
        let found = address.and_then(|(network, address)| Some((self.0.get(network)?, address)));
        found.into_iter().flat_map(|(network, address)| {
            let family = (address.is_ipv6(), 0)..=(address.is_ipv6(), u8::MAX);
            let lengths = network.lengths.range(family).rev();
            lengths
                .filter_map(move |((_, length), _)| IpNet::new(address, *length).ok())
                .filter_map(|range| network.names.get(&range.trunc()))
                .flatten()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_and_ranges_and_nothing_else() {
        for (name, address, range) in [
            ("/10.0.0.1", Some(("", "10.0.0.1")), None),
            ("far/fd00::1", Some(("far", "fd00::1")), None),
            ("/::ffff:10.0.0.1", Some(("", "10.0.0.1")), None),
            ("/10.1.2.3/8", None, Some(("", "10.0.0.0/8"))),
            ("far/fd00::1/64", None, Some(("far", "fd00::/64"))),
            ("/10.1.2.3/33", None, None),
            ("/10.1.2.3/", None, None),
            ("Kubernetes//Pod/ns/10.0.0.1", None, None),
            ("shop/web.shop.svc", None, None),
            ("", None, None),
        ] {
            let found = read_address(name).map(|(network, it)| (network, it.to_string()));
            let address = address.map(|(network, it)| (network, it.to_owned()));
            assert_eq!(found, address, "{name}");
            let found = read_range(name).map(|(network, it)| (network, it.to_string()));
            let range = range.map(|(network, it)| (network, it.to_owned()));
            assert_eq!(found, range, "{name}");
        }
    }

    #[test]
    fn finds_every_range_around_an_address_the_longest_first_until_it_is_gone() {
        let mut ranges = Ranges::default();
        let all = [
            ("/10.0.0.0/8", "wide"),
            ("/10.1.0.0/16", "narrow"),
            // Written from within: the same range.
            ("/10.1.2.3/16", "other"),
            ("/10.1.2.0/33", "none"),
            ("/10.1.2.3", "exact"),
            ("/0.0.0.0/0", "all"),
            ("far/10.1.0.0/16", "far"),
            ("/fd00::/8", "six"),
            ("/::/0", "all-six"),
        ];
        for (alias, name) in all {
            ranges.add(alias, &name.into());
            ranges.add(alias, &name.into());
        }
        let found = |ranges: &Ranges, asked: &str| {
            let names: Vec<&str> = ranges.holding(asked).map(|it| &**it).collect();
            names.join(" ")
        };
        for (asked, expected) in [
            ("/10.1.2.3", "narrow other wide all"),
            ("/10.2.0.0", "wide all"),
            ("/11.0.0.0", "all"),
            ("/fd00::1", "six all-six"),
            ("/fe80::1", "all-six"),
            ("far/10.1.2.3", "far"),
            ("far/10.2.0.0", ""),
            ("/10.1.0.0/16", ""),
            ("ns/host", ""),
        ] {
            assert_eq!(found(&ranges, asked), expected, "{asked}");
        }
        ranges.remove("/10.1.0.0/16", &"narrow".into());
        ranges.remove("/10.0.0.0/8", &"nobody".into());
        assert_eq!(found(&ranges, "/10.1.2.3"), "other wide all");
        for (alias, name) in all {
            ranges.remove(alias, &name.into());
        }
        assert!(ranges.0.is_empty());
    }
}
