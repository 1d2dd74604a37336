//! Pure. Addresses that a client asked for, by what ranges may hold them.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use crate::resources::{read_address, read_range};

type Name = Arc<str>;

/// Names `<network>/<ip>`, by network and in order of address.
#[derive(Debug, Default)]
pub(super) struct Addresses(HashMap<Name, BTreeMap<IpAddr, Name>>);

impl Addresses {
    /// Adds a name if it is an address.
    pub(super) fn add(&mut self, name: &Name) {
        let Some((network, address)) = read_address(name) else {
            return;
        };
        if let Some(of_network) = self.0.get_mut(network) {
            of_network.insert(address, Arc::clone(name));
        } else {
            let first = BTreeMap::from([(address, Arc::clone(name))]);
            self.0.insert(network.into(), first);
        }
    }

    /// Takes a name away.
    pub(super) fn remove(&mut self, name: &str) {
        let Some((network, address)) = read_address(name) else {
            return;
        };
        let Some(of_network) = self.0.get_mut(network) else {
            return;
        };
        of_network.remove(&address);
        if of_network.is_empty() {
            self.0.remove(network);
        }
    }

    /// Names inside the range `<network>/<ip>/<prefix>`; none when it is not a range.
    pub(super) fn inside(&self, range: &str) -> impl Iterator<Item = &Name> {
        let range = (!self.0.is_empty()).then(|| read_range(range)).flatten();
        let found = range.and_then(|(network, range)| Some((self.0.get(network)?, range)));
        found.into_iter().flat_map(|(of_network, range)| {
            let span = range.network()..=range.broadcast();
            of_network.range(span).map(|(_, name)| name)
        })
    }

    /// Whether there is one inside.
    pub(super) fn any_in(&self, range: &str) -> bool {
        self.inside(range).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_addresses_inside_a_range_of_their_network_until_they_are_left() {
        let mut addresses = Addresses::default();
        let all = [
            "/10.1.0.0",
            "/10.1.255.255",
            "/10.2.0.0",
            "/fd00::1",
            "far/10.1.0.1",
            "ns/host",
            "/10.0.0.0/8",
        ];
        for name in all {
            addresses.add(&name.into());
        }
        let found = |addresses: &Addresses, range: &str| {
            let names: Vec<&str> = addresses.inside(range).map(|it| &**it).collect();
            names.join(" ")
        };
        for (range, expected) in [
            ("/10.1.0.0/16", "/10.1.0.0 /10.1.255.255"),
            ("/10.1.2.3/16", "/10.1.0.0 /10.1.255.255"),
            ("/10.2.0.0/32", "/10.2.0.0"),
            ("/0.0.0.0/0", "/10.1.0.0 /10.1.255.255 /10.2.0.0"),
            ("/::/0", "/fd00::1"),
            ("far/10.0.0.0/8", "far/10.1.0.1"),
            ("near/10.0.0.0/8", ""),
            ("/11.0.0.0/8", ""),
            ("/10.1.0.0", ""),
        ] {
            assert_eq!(found(&addresses, range), expected, "{range}");
            assert_eq!(addresses.any_in(range), !expected.is_empty(), "{range}");
        }
        for name in all {
            addresses.remove(name);
        }
        assert!(addresses.0.is_empty());
    }
}
