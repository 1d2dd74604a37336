//! Pure. The PROXY header in front of the bytes for an application that wants to know who calls, and whom.
//! Source: the PROXY protocol's own text, sections 2.1 and 2.2, and docs/compat.md#application-tunnel.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::identity::Identity;

/// What every header begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, a proxied connection.
const PROXIED: u8 = 0x21;
/// TCP over IPv4, and over IPv6.
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
/// Type of the value that holds the caller's identity.
const IDENTITY: u8 = 0xd0;

/// The header of version 1, a line of text. Of two families, IPv4 is written as IPv6.
pub fn version1(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let (from, to) = (source.port(), destination.port());
    let line = match (source.ip(), destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            format!("PROXY TCP4 {source} {destination} {from} {to}\r\n")
        }
        (source, destination) => {
            let (source, destination) = (six(source), six(destination));
            format!("PROXY TCP6 {source} {destination} {from} {to}\r\n")
        }
    };
    line.into_bytes()
}

/// The header of version 2 of a connection from `source` to `destination`, whose caller proved `identity`, where that is to
/// be said. Of two families, IPv4 is written as IPv6.
pub fn version2(
    source: SocketAddr,
    destination: SocketAddr,
    identity: Option<&Identity>,
) -> Vec<u8> {
    let (family, mut body) = match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (TCP4, [from.octets(), to.octets()].concat()),
        (from, to) => (TCP6, [six(from).octets(), six(to).octets()].concat()),
    };
    body.extend(source.port().to_be_bytes());
    body.extend(destination.port().to_be_bytes());
    if let Some(identity) = identity.map(ToString::to_string) {
        body.push(IDENTITY);
        body.extend(length(identity.len()));
        body.extend(identity.into_bytes());
    }
    let mut header = SIGNATURE.to_vec();
    header.extend([PROXIED, family]);
    header.extend(length(body.len()));
    header.extend(body);
    header
}

/// A certificate's name is far shorter than what fits.
fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

fn six(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(source: &str, destination: &str) -> Vec<u8> {
        let identity = Identity::parse("spiffe://a/ns/b/sa/c").unwrap();
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        version2(source, destination, Some(&identity))
    }

    /// Written out by hand.
    #[test]
    fn the_bytes_are_those_of_the_contract() {
        let mut expected = vec![
            0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54,
            0x0a, // signature
            0x21, 0x11, 0x00, 35, // version 2, PROXY; TCP over IPv4; 12 + 3 + 20 bytes follow
            10, 0, 0, 1, 10, 96, 0, 9, // from, to
            0x12, 0x67, 0x00, 0x50, // 4711, 80
            0xd0, 0x00, 20, // the identity and its length
        ];
        expected.extend(b"spiffe://a/ns/b/sa/c");
        assert_eq!(of("10.0.0.1:4711", "10.96.0.9:80"), expected);
    }

    #[test]
    fn version_1_is_a_line() {
        let of = |source: &str, destination: &str| {
            let header = version1(source.parse().unwrap(), destination.parse().unwrap());
            String::from_utf8(header).unwrap()
        };
        let four = of("10.0.0.1:4711", "10.96.0.9:80");
        assert_eq!(four, "PROXY TCP4 10.0.0.1 10.96.0.9 4711 80\r\n");
        let mixed = of("10.0.0.1:1", "[fd00::2]:2");
        assert_eq!(mixed, "PROXY TCP6 ::ffff:10.0.0.1 fd00::2 1 2\r\n");
    }

    #[test]
    fn ipv6_and_mixed_families_are_written_as_ipv6() {
        let six = of("[fd00::1]:1", "[fd00::2]:2");
        assert_eq!(six[12..16], [0x21, 0x21, 0, 36 + 23]);
        assert_eq!(six[16..18], [0xfd, 0]);
        assert_eq!(six[48..52], [0, 1, 0, 2]);
        let mixed = of("10.0.0.1:1", "[fd00::2]:2");
        let mapped = [[0; 10].as_slice(), &[0xff, 0xff, 10, 0, 0, 1]].concat();
        assert_eq!(mixed[13], 0x21);
        assert_eq!(mixed[16..32], mapped);
    }
}
