//! Pure. What captured frames say: TCP segments, the bytes of each direction, and TLS hellos in them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Number of TLS 1.3 in `supported_versions`.
pub const TLS_1_3: u16 = 0x0304;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;
const ALPN: u16 = 16;

/// One TCP segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'f> {
    /// Who sent it.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// Sequence number of its first byte.
    pub sequence: u32,
    /// Whether it opens a connection (SYN).
    pub is_syn: bool,
    /// What it carries.
    pub payload: &'f [u8],
}

/// The TCP segment in an Ethernet frame, if it is one (no fragments, no IPv6 extension headers).
pub fn segment(frame: &[u8]) -> Option<Segment<'_>> {
    let packet = frame.get(14..)?;
    let (source, destination, transport): (IpAddr, IpAddr, &[u8]) = match number(frame, 12)? {
        0x0800 => {
            let header = usize::from(packet.first()? & 0x0f) * 4;
            let total = usize::from(number(packet, 2)?);
            let is_fragment = number(packet, 6)? & 0x3fff != 0;
            if *packet.get(9)? != 6 || is_fragment {
                return None;
            }
            let address = |at: usize| Some(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?));
            // A segment that an offload has yet to cut says length 0.
            let end = if total == 0 { packet.len() } else { total };
            (
                address(12)?.into(),
                address(16)?.into(),
                packet.get(header..end)?,
            )
        }
        0x86dd => {
            if *packet.get(6)? != 6 {
                return None;
            }
            let length = usize::from(number(packet, 4)?);
            let end = if length == 0 {
                packet.len()
            } else {
                40 + length
            };
            let address = |at: usize| Some(Ipv6Addr::from(*packet.get(at..)?.first_chunk::<16>()?));
            (
                address(8)?.into(),
                address(24)?.into(),
                packet.get(40..end)?,
            )
        }
        _ => return None,
    };
    let header = usize::from(transport.get(12)? >> 4) * 4;
    Some(Segment {
        source: SocketAddr::new(source, number(transport, 0)?),
        destination: SocketAddr::new(destination, number(transport, 2)?),
        sequence: u32::from_be_bytes(*transport.get(4..)?.first_chunk()?),
        is_syn: transport.get(13)? & 0x02 != 0,
        payload: transport.get(header..)?,
    })
}

/// The bytes of each direction (source, destination), in order, each byte once. What was not seen is left out.
pub fn streams<'f>(
    frames: impl IntoIterator<Item = &'f [u8]>,
) -> BTreeMap<(SocketAddr, SocketAddr), Vec<u8>> {
    let mut segments: BTreeMap<(SocketAddr, SocketAddr), Vec<Segment<'f>>> = BTreeMap::new();
    for segment in frames.into_iter().filter_map(segment) {
        segments
            .entry((segment.source, segment.destination))
            .or_default()
            .push(segment);
    }
    segments
        .into_iter()
        .map(|(direction, segments)| (direction, joined(&segments)))
        .collect()
}

fn joined(segments: &[Segment<'_>]) -> Vec<u8> {
    // Sequence numbers wrap around, so they are counted from the first one seen.
    let first = segments.first().map_or(0, |segment| segment.sequence);
    let mut in_order: Vec<(i32, &[u8])> = segments
        .iter()
        .filter(|segment| !segment.payload.is_empty())
        .map(|segment| {
            (
                segment.sequence.wrapping_sub(first).cast_signed(),
                segment.payload,
            )
        })
        .collect();
    in_order.sort_by_key(|(at, _)| *at);
    let mut bytes = Vec::new();
    let mut next: Option<i64> = None;
    for (at, payload) in in_order {
        let (at, length) = (
            i64::from(at),
            i64::try_from(payload.len()).unwrap_or(i64::MAX),
        );
        let seen = next.map_or(0, |next| (next - at).clamp(0, length));
        bytes.extend(
            payload
                .get(usize::try_from(seen).unwrap_or_default()..)
                .unwrap_or_default(),
        );
        next = Some(next.unwrap_or(at).max(at + length));
    }
    bytes
}

/// What a client offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHello {
    /// `supported_versions`.
    pub versions: Vec<u16>,
    /// Groups it sent a key share for.
    pub groups: Vec<u16>,
    /// Protocols it offers (ALPN).
    pub protocols: Vec<String>,
}

/// What a server chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerHello {
    /// The version in `supported_versions`.
    pub version: Option<u16>,
    /// The group of its key share.
    pub group: Option<u16>,
}

/// The ClientHello at the start of a stream.
pub fn client_hello(stream: &[u8]) -> Option<ClientHello> {
    let message = handshake(stream, CLIENT_HELLO)?;
    let mut rest = Bytes(message.get(34..)?);
    rest.block(1)?; // session id
    rest.block(2)?; // cipher suites
    rest.block(1)?; // compression
    let mut hello = ClientHello {
        versions: Vec::new(),
        groups: Vec::new(),
        protocols: Vec::new(),
    };
    for (kind, body) in extensions(rest.block(2)?) {
        let mut body = Bytes(body);
        match kind {
            SUPPORTED_VERSIONS => {
                let mut list = Bytes(body.block(1)?);
                while let Some(version) = list.number() {
                    hello.versions.push(version);
                }
            }
            KEY_SHARE => {
                let mut list = Bytes(body.block(2)?);
                while let Some(group) = list.number() {
                    list.block(2)?;
                    hello.groups.push(group);
                }
            }
            ALPN => {
                let mut list = Bytes(body.block(2)?);
                while let Some(name) = list.block(1) {
                    hello
                        .protocols
                        .push(String::from_utf8_lossy(name).into_owned());
                }
            }
            _ => {}
        }
    }
    Some(hello)
}

/// The ServerHello at the start of a stream.
pub fn server_hello(stream: &[u8]) -> Option<ServerHello> {
    let message = handshake(stream, SERVER_HELLO)?;
    let mut rest = Bytes(message.get(34..)?);
    rest.block(1)?; // session id
    rest.take(3)?; // cipher suite, compression
    let mut hello = ServerHello {
        version: None,
        group: None,
    };
    for (kind, body) in extensions(rest.block(2)?) {
        match kind {
            SUPPORTED_VERSIONS => hello.version = number(body, 0),
            KEY_SHARE => hello.group = number(body, 0),
            _ => {}
        }
    }
    Some(hello)
}

/// The name of a group, as its specification has it.
pub fn group_name(group: u16) -> &'static str {
    match group {
        0x0017 => "secp256r1",
        0x0018 => "secp384r1",
        0x001d => "x25519",
        0x11ec => "X25519MLKEM768",
        _ => "unknown",
    }
}

/// The body of the first handshake message, over as many records as it takes, when it is of this kind.
fn handshake(stream: &[u8], kind: u8) -> Option<Vec<u8>> {
    let mut records = Bytes(stream);
    let mut message = Vec::new();
    loop {
        let header = records.take(3)?;
        if header.first() != Some(&HANDSHAKE) || header.get(1) != Some(&3) {
            return None;
        }
        message.extend(records.block(2)?);
        let length = match message.first_chunk::<4>() {
            Some([first, ..]) if *first != kind => return None,
            Some([_, high, middle, low]) => u32::from_be_bytes([0, *high, *middle, *low]),
            None => continue,
        };
        if let Some(body) = message.get(4..4 + usize::try_from(length).ok()?) {
            return Some(body.to_vec());
        }
    }
}

fn extensions(block: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = Bytes(block);
    std::iter::from_fn(move || Some((rest.number()?, rest.block(2)?)))
}

/// Bytes read from the front.
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        number(self.take(2)?, 0)
    }

    /// A block with its length, of one or two bytes, before it.
    fn block(&mut self, length_bytes: usize) -> Option<&'b [u8]> {
        let length = self
            .take(length_bytes)?
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        self.take(length)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests;
