//! Reads captured frames: TCP bytes per direction, and the TLS handshake in them. Pure.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// Most bytes kept of one direction of one connection.
const MOST: usize = 1 << 20;

/// Ethernet types.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// IP protocol number of TCP.
const TCP: u8 = 6;

/// TLS record and handshake types, extensions (RFC 8446).
const RECORD_HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;
const TLS13: u16 = 0x0304;

/// What a TLS 1.3 handshake shows to everybody on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handshake {
    /// Whether the ClientHello offers TLS 1.3.
    pub client_offers_tls13: bool,
    /// The group in the ServerHello's key share, once it is there.
    pub group: Option<u16>,
}

/// Everything that passed on one link, by direction of each connection, in the order of passing.
#[derive(Debug, Default)]
pub(super) struct Conversations {
    order: Vec<(SocketAddr, SocketAddr)>,
    bytes: HashMap<(SocketAddr, SocketAddr), Vec<u8>>,
}

impl Conversations {
    /// Adds a frame; what is not TCP is left out.
    pub(super) fn add(&mut self, frame: &[u8]) {
        let Some((from, to, payload)) = segment(frame) else { return };
        let flow = self.bytes.entry((from, to)).or_insert_with(|| {
            self.order.push((from, to));
            Vec::new()
        });
        let room = MOST.saturating_sub(flow.len()).min(payload.len());
        flow.extend_from_slice(payload.get(..room).unwrap_or_default());
    }

    /// Whether these bytes passed in one direction of one connection.
    pub(super) fn contains(&self, words: &[u8]) -> bool {
        self.bytes.values().any(|flow| flow.windows(words.len()).any(|w| w == words))
    }

    /// The first TLS handshake towards a port.
    pub(super) fn handshake_to(&self, port: u16) -> Option<Handshake> {
        self.order.iter().filter(|(_, to)| to.port() == port).find_map(|(from, to)| {
            let versions = hello(self.bytes.get(&(*from, *to))?, CLIENT_HELLO, SUPPORTED_VERSIONS)?;
            let offers = versions.get(1..)?.chunks(2).any(|v| v == TLS13.to_be_bytes());
            let answer = self.bytes.get(&(*to, *from));
            let share = answer.and_then(|bytes| hello(bytes, SERVER_HELLO, KEY_SHARE));
            let group = share.and_then(|mut share| share.number(2)).map(|n| n as u16);
            Some(Handshake { client_offers_tls13: offers, group })
        })
    }
}

/// The TCP segment in an Ethernet frame: from, to, payload.
fn segment(mut frame: &[u8]) -> Option<(SocketAddr, SocketAddr, &[u8])> {
    frame.skip(12)?;
    let kind = u16::try_from(frame.number(2)?).ok()?;
    let (from, to, mut rest): (IpAddr, IpAddr, &[u8]) = match kind {
        IPV4 => {
            let head = usize::from(frame.first()? & 0x0f) * 4;
            let total = usize::from(u16::from_be_bytes([*frame.get(2)?, *frame.get(3)?]));
            if *frame.get(9)? != TCP {
                return None;
            }
            let from: [u8; 4] = frame.get(12..16)?.try_into().ok()?;
            let to: [u8; 4] = frame.get(16..20)?.try_into().ok()?;
            // A total length of zero is how the kernel shows a segment above 64 KiB.
            let end = if total == 0 { frame.len() } else { total };
            (from.into(), to.into(), frame.get(head..end)?)
        }
        IPV6 => {
            let length = usize::from(u16::from_be_bytes([*frame.get(4)?, *frame.get(5)?]));
            if *frame.get(6)? != TCP {
                return None;
            }
            let from: [u8; 16] = frame.get(8..24)?.try_into().ok()?;
            let to: [u8; 16] = frame.get(24..40)?.try_into().ok()?;
            let end = if length == 0 { frame.len() } else { 40 + length };
            (from.into(), to.into(), frame.get(40..end)?)
        }
        _ => return None,
    };
    let head = usize::from(rest.get(12)? >> 4) * 4;
    let payload = rest.get(head..)?;
    let (source, destination) = (rest.number(2)?, rest.number(2)?);
    let port = |number: usize| u16::try_from(number).ok();
    Some((SocketAddr::new(from, port(source)?), SocketAddr::new(to, port(destination)?), payload))
}

/// An extension of the hello that opens a direction.
fn hello(records: &[u8], kind: u8, extension: u16) -> Option<&[u8]> {
    let mut rest = records;
    if rest.number(1)? != usize::from(RECORD_HANDSHAKE) {
        return None;
    }
    rest.skip(4)?; // version and length of the record; a hello fits one record
    if rest.number(1)? != usize::from(kind) {
        return None;
    }
    rest.skip(3 + 2 + 32)?; // length, legacy version, random
    let session = rest.number(1)?;
    rest.skip(session)?;
    if kind == CLIENT_HELLO {
        let suites = rest.number(2)?;
        rest.skip(suites)?;
        let compression = rest.number(1)?;
        rest.skip(compression)?;
    } else {
        rest.skip(2 + 1)?; // suite and compression
    }
    let length = rest.number(2)?;
    let mut extensions = rest.get(..length)?;
    while !extensions.is_empty() {
        let (found, length) = (extensions.number(2)?, extensions.number(2)?);
        let body = extensions.get(..length)?;
        if found == usize::from(extension) {
            return Some(body);
        }
        extensions.skip(length)?;
    }
    None
}

/// Reading from the front of bytes that may end too early.
trait Take {
    /// The next `bytes` bytes as a number, big endian.
    fn number(&mut self, bytes: usize) -> Option<usize>;
    /// Passes over bytes.
    fn skip(&mut self, bytes: usize) -> Option<()>;
}

impl Take for &[u8] {
    fn number(&mut self, bytes: usize) -> Option<usize> {
        let (head, rest) = self.split_at_checked(bytes)?;
        *self = rest;
        Some(head.iter().fold(0, |n, b| n << 8 | usize::from(*b)))
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        *self = self.get(bytes..)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An IPv4 frame with a TCP segment from 10.0.0.1:`from` to 10.0.0.2:`to`.
    fn frame(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 12];
        bytes.extend([0x08, 0x00, 0x45, 0]);
        bytes.extend((40 + payload.len() as u16).to_be_bytes());
        bytes.extend([0, 0, 0, 0, 64, TCP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        bytes.extend(from.to_be_bytes());
        bytes.extend(to.to_be_bytes());
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x18, 0, 0, 0, 0, 0, 0]);
        bytes.extend(payload);
        bytes
    }

    /// A hello with one extension.
    fn hello_bytes(kind: u8, extension: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![RECORD_HANDSHAKE, 3, 1, 0, 0, kind, 0, 0, 0, 3, 3];
        bytes.extend([7; 32]);
        bytes.push(0); // session
        match kind {
            CLIENT_HELLO => bytes.extend([0, 2, 0x13, 0x02, 1, 0]),
            _ => bytes.extend([0x13, 0x02, 0]),
        }
        bytes.extend((body.len() as u16 + 4).to_be_bytes());
        bytes.extend(extension.to_be_bytes());
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn words_are_found_across_segments_of_one_direction() {
        let mut seen = Conversations::default();
        seen.add(&frame(1000, 80, b"GET /sec"));
        seen.add(&frame(2000, 80, b"nothing"));
        seen.add(&frame(1000, 80, b"ret HTTP/1.1"));
        assert!(seen.contains(b"/secret"));
        assert!(!seen.contains(b"/other"));
    }

    #[test]
    fn reads_version_and_group_of_a_handshake_cut_anywhere() {
        let client = hello_bytes(CLIENT_HELLO, SUPPORTED_VERSIONS, &[4, 3, 4, 3, 3]);
        let server = hello_bytes(SERVER_HELLO, KEY_SHARE, &[0x11, 0xec, 0, 1, 9]);
        let mut seen = Conversations::default();
        let (head, tail) = client.split_at(20);
        seen.add(&frame(1000, 15008, head));
        seen.add(&frame(1000, 15008, tail));
        let half = Handshake { client_offers_tls13: true, group: None };
        assert_eq!(seen.handshake_to(15008), Some(half));
        let mut answer = frame(15008, 1000, &server);
        answer[26..34].copy_from_slice(&[10, 0, 0, 2, 10, 0, 0, 1]);
        seen.add(&answer);
        let whole = Handshake { client_offers_tls13: true, group: Some(0x11ec) };
        assert_eq!(seen.handshake_to(15008), Some(whole));
        assert_eq!(seen.handshake_to(443), None);
    }

    #[test]
    fn bytes_that_end_early_are_no_handshake() {
        let client = hello_bytes(CLIENT_HELLO, SUPPORTED_VERSIONS, &[2, 3, 4]);
        for length in 0..client.len() {
            let mut seen = Conversations::default();
            seen.add(&frame(1000, 15008, &client[..length]));
            assert_eq!(seen.handshake_to(15008), None, "{length}");
        }
        let whole = frame(1000, 80, b"abc");
        for length in 0..whole.len() {
            Conversations::default().add(&whole[..length]);
        }
    }
}
