//! Pure. Which address everything in a sandbox has; numbers are all that varies.
//!
//! Nodes `172.31.0.0/24` and `fd00:31::/64` (control plane `.1`, node N `.(10+N)`), pods of node N `10.244.N.0/24` and
//! `fd00:244:N::/64` (`.1` is the node), services `10.96.0.0/16` and `fd00:96::/112` (cluster DNS `.10`).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Where the control plane's programs listen.
pub const CONTROL_PLANE_V4: Ipv4Addr = Ipv4Addr::new(172, 31, 0, 1);
/// The same for IPv6.
pub const CONTROL_PLANE_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x31, 0, 0, 0, 0, 0, 1);
/// Cluster address of DNS.
pub const DNS_V4: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// Where the DNS responder really listens (control plane).
pub const DNS_PORT: u16 = 53;

/// Prefix length of the network between nodes, IPv4.
pub const NODE_PREFIX_V4: u8 = 24;
/// Prefix length of the network between nodes, IPv6.
pub const NODE_PREFIX_V6: u8 = 64;

/// Addresses of one node. Nodes count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeAddresses {
    /// The node's number.
    pub number: u16,
}

impl NodeAddresses {
    /// On the network between nodes.
    pub fn internal_v4(self) -> Ipv4Addr {
        Ipv4Addr::new(
            172,
            31,
            0,
            u8::try_from(10 + self.number).unwrap_or(u8::MAX),
        )
    }
    /// On the network between nodes.
    pub fn internal_v6(self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0x31, 0, 0, 0, 0, 0, 10 + self.number)
    }
    /// All pods of the node.
    pub fn pods_v4(self) -> Ipv4Net {
        Ipv4Net::new_assert(self.pod_v4(0), 24)
    }
    /// All pods of the node.
    pub fn pods_v6(self) -> Ipv6Net {
        Ipv6Net::new_assert(self.pod_v6(0), 64)
    }
    /// The node as its pods see it: their gateway.
    pub fn gateway_v4(self) -> Ipv4Addr {
        self.pod_v4(1)
    }
    /// The node as its pods see it: their gateway.
    pub fn gateway_v6(self) -> Ipv6Addr {
        self.pod_v6(1)
    }
    /// Address of the pod with number `slot` (2 to 254).
    pub fn pod_v4(self, slot: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 244, u8::try_from(self.number).unwrap_or(u8::MAX), slot)
    }
    /// The number of the pod with this IPv4 address; `None` for what is no pod's address of this node.
    pub fn pod_slot(self, address: &str) -> Option<u8> {
        let address: Ipv4Addr = address.parse().ok()?;
        let [.., slot] = address.octets();
        ((2..=254).contains(&slot) && self.pod_v4(slot) == address).then_some(slot)
    }
    /// Address of the pod with number `slot` (2 to 254).
    pub fn pod_v6(self, slot: u8) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0x244, self.number, 0, 0, 0, 0, slot.into())
    }
}

/// The next pod number of a node after `last` that is not `taken`, around in a circle: an address that was given back
/// rests for as long as possible, since somebody may still believe in its old owner. `None` when all 253 are taken.
pub fn free_slot(taken: &BTreeSet<u8>, last: u8) -> Option<u8> {
    let later = last.saturating_add(1).max(2)..=254;
    later
        .chain(2..=last.min(254))
        .find(|slot| !taken.contains(slot))
}

/// The first free cluster address of the family of `wanted`, starting after the ones kept for the cluster itself.
pub fn free_service_v4(taken: &BTreeSet<IpAddr>) -> Option<Ipv4Addr> {
    (256..=u16::MAX - 1)
        .map(service_v4)
        .find(|address| !taken.contains(&IpAddr::V4(*address)))
}

/// The same for IPv6.
pub fn free_service_v6(taken: &BTreeSet<IpAddr>) -> Option<Ipv6Addr> {
    (256..=u16::MAX - 1)
        .map(|number| Ipv6Addr::new(0xfd00, 0x96, 0, 0, 0, 0, 0, number))
        .find(|address| !taken.contains(&IpAddr::V6(*address)))
}

/// Whether `address` may be asked for in `spec.clusterIP`.
pub fn is_service_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(v4.octets(), [10, 96, _, _]),
        IpAddr::V6(v6) => matches!(v6.segments(), [0xfd00, 0x96, 0, 0, 0, 0, 0, _]),
    }
}

fn service_v4(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, 96, high, low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_around_before_one_is_given_again() {
        assert_eq!(free_slot(&BTreeSet::new(), 0), Some(2));
        assert_eq!(free_slot(&BTreeSet::from([2, 4]), 2), Some(3));
        assert_eq!(free_slot(&BTreeSet::from([4]), 3), Some(5));
        assert_eq!(free_slot(&BTreeSet::from([2]), 254), Some(3));
        assert_eq!(free_slot(&(2..=254).collect(), 7), None);
    }

    #[test]
    fn keeps_cluster_addresses_apart_from_those_in_use() {
        let first: IpAddr = "10.96.1.0".parse().unwrap();
        assert_eq!(
            free_service_v4(&BTreeSet::new()).map(IpAddr::V4),
            Some(first)
        );
        assert_eq!(
            free_service_v4(&BTreeSet::from([first])),
            Some(Ipv4Addr::new(10, 96, 1, 1))
        );
        assert!(is_service_address(first));
        assert!(!is_service_address("10.97.0.1".parse().unwrap()));
    }

    #[test]
    fn a_node_and_its_pods_share_a_prefix() {
        let node = NodeAddresses { number: 7 };
        assert!(node.pods_v4().contains(&node.gateway_v4()));
        assert!(node.pods_v6().contains(&node.pod_v6(9)));
        assert_eq!(node.pod_slot("10.244.7.9"), Some(9));
        for other in [
            "10.244.6.9",
            "10.244.7.1",
            "10.244.7.255",
            "fd00::9",
            "nine",
        ] {
            assert_eq!(node.pod_slot(other), None, "{other}");
        }
    }
}
