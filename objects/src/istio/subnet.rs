//! Pure. An address or a range of addresses, as `10.0.0.1` or `10.0.0.0/8`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One address, or a range when there is a prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet {
    /// The address, or the first one of the range; never an IPv4-mapped one.
    pub address: IpAddr,
    /// The prefix length, when one is written.
    pub length: Option<u8>,
}

impl Subnet {
    /// Reads it; `None` when it is neither. Bits behind the prefix do not count.
    #[must_use]
    pub fn parse(text: &str) -> Option<Subnet> {
        let Some((address, length)) = text.split_once('/') else {
            let address: IpAddr = text.parse().ok()?;
            return Some(Subnet {
                address: address.to_canonical(),
                length: None,
            });
        };
        let (address, length): (IpAddr, u8) = (address.parse().ok()?, length.parse().ok()?);
        let address = match address {
            IpAddr::V4(address) if length <= 32 => {
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask_v4(length)))
            }
            IpAddr::V6(address) if length <= 128 => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask_v6(length)))
            }
            _ => return None,
        };
        Some(Subnet {
            address,
            length: Some(length),
        })
    }

    /// Whether the address is this one or in this range.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = mask_v4(self.length.unwrap_or(32));
                own.to_bits() == other.to_bits() & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = mask_v6(self.length.unwrap_or(128));
                own.to_bits() == other.to_bits() & mask
            }
            _ => false,
        }
    }
}

fn mask_v4(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

fn mask_v6(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Subnet;

    #[test]
    fn reads_addresses_and_ranges() {
        for (text, address, length) in [
            ("10.0.0.1", "10.0.0.1", None),
            ("10.1.2.3/8", "10.0.0.0", Some(8)),
            ("0.0.0.0/0", "0.0.0.0", Some(0)),
            ("2001:db8::1/32", "2001:db8::", Some(32)),
            ("::ffff:10.0.0.1", "10.0.0.1", None),
        ] {
            let subnet = Subnet::parse(text).unwrap();
            assert_eq!(
                (subnet.address.to_string().as_str(), subnet.length),
                (address, length)
            );
        }
        for text in ["", "a", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0/8"] {
            assert_eq!(Subnet::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_range_holds_its_addresses_and_no_others() {
        for (subnet, address, expected) in [
            ("10.0.0.0/8", "10.9.9.9", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("::/0", "10.0.0.1", false),
            ("2001:2::/48", "2001:2::5", true),
        ] {
            let subnet = Subnet::parse(subnet).unwrap();
            assert_eq!(subnet.contains(address.parse().unwrap()), expected);
        }
    }
}
