//! Pure. A rule's matches and actions as the kernel's expressions: small steps that work on registers.
//!
//! Every match loads what it looks at into register 1 and compares; no value is kept from one part to the next.

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::attribute::Attributes;
use super::super::rule::{Action, Address, AddressKind, Is, Match, Numbers, Part, Protocol};
use super::address_bytes;

/// The register that every match and action works on: 16 bytes.
const REGISTER: u32 = 1;
/// A second one, for the port of a translation. Registers 1 to 4 are 16 bytes each.
const SECOND: u32 = 2;

const META_MARK: u32 = 3;
const META_INPUT_NAME: u32 = 6;
const META_OUTPUT_NAME: u32 = 7;
const META_SOCKET_USER: u32 = 10;
const META_VERSION: u32 = 15;
const META_PROTOCOL: u32 = 16;
const CT_MARK: u32 = 3;
const CT_ZONE: u32 = 18;

/// The expressions of a rule, as the list that the kernel takes.
pub(super) fn rule(parts: &[Part]) -> Attributes {
    let mut list = Expressions(Attributes::new());
    for part in parts {
        match part {
            Part::When(condition) => list.condition(condition),
            Part::Then(action) => list.action(action),
        }
    }
    list.0
}

struct Expressions(Attributes);

impl Expressions {
    fn condition(&mut self, condition: &Match) {
        match condition {
            Match::Version(kind) => self.version(*kind),
            Match::Protocol(protocol) => self.protocol(*protocol),
            Match::InputInterface(is, name) => self.interface(META_INPUT_NAME, *is, name),
            Match::OutputInterface(is, name) => self.interface(META_OUTPUT_NAME, *is, name),
            Match::Network(which, is, network) => self.network(*which, *is, network),
            Match::InSet(which, is, kind, set) => {
                self.load_address(*which, *kind);
                let flags = u32::from(*is == Is::Not);
                let lookup = Attributes::new().text(1, set).number(2, REGISTER);
                self.push(
                    "lookup",
                    if flags == 0 {
                        lookup
                    } else {
                        lookup.number(5, flags)
                    },
                );
            }
            Match::DestinationPort(protocol, is, port) => self.port(*protocol, 2, *is, *port),
            Match::SourcePort(protocol, is, port) => self.port(*protocol, 0, *is, *port),
            Match::DestinationPorts(protocol, is, from, to) => {
                self.ports(*protocol, *is, *from, *to);
            }
            Match::Mark { is, value, mask } => {
                self.load_meta(META_MARK);
                self.masked(*is, *value, *mask);
            }
            Match::ConnectionMark { is, value, mask } => {
                self.load_connection(CT_MARK);
                self.masked(*is, *value, *mask);
            }
            Match::SocketUser(is, uid) => {
                self.load_meta(META_SOCKET_USER);
                self.compare(*is, &uid.to_ne_bytes());
            }
            Match::Number {
                numbers,
                modulus,
                value,
            } => self.number(*numbers, *modulus, *value),
            Match::DestinationIsLocal(local) => self.locality(*local),
        }
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Count => self.push("counter", Attributes::new()),
            Action::SetMark { value, mask } => {
                self.load_meta(META_MARK);
                self.bits(!mask, value & mask);
                self.push(
                    "meta",
                    Attributes::new().number(2, META_MARK).number(3, REGISTER),
                );
            }
            Action::SetConnectionMark { value, mask } => {
                self.load_connection(CT_MARK);
                self.bits(!mask, value & mask);
                self.push(
                    "ct",
                    Attributes::new().number(2, CT_MARK).number(4, REGISTER),
                );
            }
            Action::RestoreMark => {
                self.load_connection(CT_MARK);
                self.push(
                    "meta",
                    Attributes::new().number(2, META_MARK).number(3, REGISTER),
                );
            }
            Action::SetConnectionZone(zone) => {
                self.immediate(REGISTER, &zone.to_ne_bytes());
                self.push(
                    "ct",
                    Attributes::new().number(2, CT_ZONE).number(4, REGISTER),
                );
            }
            Action::Redirect(port) => {
                self.immediate(REGISTER, &port.to_be_bytes());
                self.push("redir", Attributes::new().number(1, REGISTER));
            }
            Action::DestinationNat(address, port) => self.translate(1, *address, *port),
            Action::SourceNat(address) => self.translate(0, *address, None),
            Action::Masquerade => self.push("masq", Attributes::new()),
            Action::Accept => self.verdict(1, None),
            Action::Drop => self.verdict(0, None),
            Action::Return => self.verdict(-5, None),
            Action::Jump(chain) => self.verdict(-3, Some(chain)),
        }
    }

    fn push(&mut self, name: &str, inner: Attributes) {
        let expression = Attributes::new().text(1, name).nested(2, inner);
        self.0 = std::mem::take(&mut self.0).nested(1, expression);
    }

    fn load_meta(&mut self, key: u32) {
        self.push("meta", Attributes::new().number(1, REGISTER).number(2, key));
    }

    fn load_connection(&mut self, key: u32) {
        self.push("ct", Attributes::new().number(1, REGISTER).number(2, key));
    }

    fn version(&mut self, kind: AddressKind) {
        self.load_meta(META_VERSION);
        self.compare(Is::Equal, &[version_number(kind)]);
    }

    fn protocol(&mut self, protocol: Protocol) {
        self.load_meta(META_PROTOCOL);
        let number = match protocol {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        };
        self.compare(Is::Equal, &[number]);
    }

    fn ports(&mut self, protocol: Protocol, is: Is, from: u16, to: u16) {
        self.load_port(protocol, 2);
        let range = Attributes::new()
            .number(1, REGISTER)
            .number(2, u32::from(is == Is::Not))
            .nested(3, data(&from.to_be_bytes()))
            .nested(4, data(&to.to_be_bytes()));
        self.push("range", range);
    }

    fn number(&mut self, numbers: Numbers, modulus: u32, value: u32) {
        let kind = match numbers {
            Numbers::InTurn => 0,
            Numbers::Random => 1,
        };
        let inner = Attributes::new().number(1, REGISTER).number(2, modulus);
        self.push("numgen", inner.number(3, kind).number(4, 0));
        self.compare(Is::Equal, &value.to_ne_bytes());
    }

    fn locality(&mut self, local: bool) {
        const RESULT_TYPE: u32 = 3;
        const OF_DESTINATION: u32 = 2;
        const LOCAL: u32 = 2;
        let inner = Attributes::new().number(1, REGISTER);
        self.push(
            "fib",
            inner.number(2, RESULT_TYPE).number(3, OF_DESTINATION),
        );
        let is = if local { Is::Equal } else { Is::Not };
        self.compare(is, &LOCAL.to_ne_bytes());
    }

    fn interface(&mut self, key: u32, is: Is, name: &str) {
        self.load_meta(key);
        let mut padded = name.as_bytes().to_vec();
        padded.resize(16, 0);
        self.compare(is, &padded);
    }

    fn network(&mut self, which: Address, is: Is, network: &IpNet) {
        let kind = AddressKind::of(&network.network());
        self.load_address(which, kind);
        let length = match kind {
            AddressKind::V4 => 4,
            AddressKind::V6 => 16,
        };
        if network.prefix_len() < network.max_prefix_len() {
            let zeroes = vec![0; address_bytes(network.netmask()).len()];
            self.bitwise(length, &address_bytes(network.netmask()), &zeroes);
        }
        self.compare(is, &address_bytes(network.network()));
    }

    /// Checks the IP version and loads one of the header's addresses.
    fn load_address(&mut self, which: Address, kind: AddressKind) {
        self.version(kind);
        const NETWORK_HEADER: u32 = 1;
        let (offset, length) = match (kind, which) {
            (AddressKind::V4, Address::Source) => (12, 4),
            (AddressKind::V4, Address::Destination) => (16, 4),
            (AddressKind::V6, Address::Source) => (8, 16),
            (AddressKind::V6, Address::Destination) => (24, 16),
        };
        self.load_payload(NETWORK_HEADER, offset, length);
    }

    /// Checks the protocol and loads one of the header's ports.
    fn load_port(&mut self, protocol: Protocol, offset: u32) {
        self.protocol(protocol);
        const TRANSPORT_HEADER: u32 = 2;
        self.load_payload(TRANSPORT_HEADER, offset, 2);
    }

    fn port(&mut self, protocol: Protocol, offset: u32, is: Is, port: u16) {
        self.load_port(protocol, offset);
        self.compare(is, &port.to_be_bytes());
    }

    fn load_payload(&mut self, base: u32, offset: u32, length: u32) {
        let inner = Attributes::new().number(1, REGISTER).number(2, base);
        self.push("payload", inner.number(3, offset).number(4, length));
    }

    fn masked(&mut self, is: Is, value: u32, mask: u32) {
        if mask != u32::MAX {
            self.bits(mask, 0);
        }
        self.compare(is, &(value & mask).to_ne_bytes());
    }

    /// Register = (register and `keep`) xor `flip`.
    fn bits(&mut self, keep: u32, flip: u32) {
        self.bitwise(4, &keep.to_ne_bytes(), &flip.to_ne_bytes());
    }

    fn bitwise(&mut self, length: u32, mask: &[u8], xor: &[u8]) {
        let inner = Attributes::new()
            .number(1, REGISTER)
            .number(2, REGISTER)
            .number(3, length);
        self.push("bitwise", inner.nested(4, data(mask)).nested(5, data(xor)));
    }

    fn compare(&mut self, is: Is, value: &[u8]) {
        let operator = u32::from(is == Is::Not);
        let inner = Attributes::new().number(1, REGISTER).number(2, operator);
        self.push("cmp", inner.nested(3, data(value)));
    }

    fn immediate(&mut self, register: u32, value: &[u8]) {
        self.push(
            "immediate",
            Attributes::new().number(1, register).nested(2, data(value)),
        );
    }

    fn translate(&mut self, kind: u32, address: IpAddr, port: Option<u16>) {
        self.version(AddressKind::of(&address));
        self.immediate(REGISTER, &address_bytes(address));
        let family = u32::from(version_number(AddressKind::of(&address)));
        let mut inner = Attributes::new()
            .number(1, kind)
            .number(2, family)
            .number(3, REGISTER);
        if let Some(port) = port {
            self.immediate(SECOND, &port.to_be_bytes());
            inner = inner.number(5, SECOND);
        }
        self.push("nat", inner);
    }

    fn verdict(&mut self, code: i32, chain: Option<&str>) {
        let mut verdict = Attributes::new().bytes(1, &code.to_be_bytes());
        if let Some(chain) = chain {
            verdict = verdict.text(2, chain);
        }
        let inner = Attributes::new()
            .number(1, 0)
            .nested(2, Attributes::new().nested(2, verdict));
        self.push("immediate", inner);
    }
}

/// The number that netfilter knows an IP version by.
fn version_number(kind: AddressKind) -> u8 {
    match kind {
        AddressKind::V4 => 2,
        AddressKind::V6 => 10,
    }
}

fn data(value: &[u8]) -> Attributes {
    Attributes::new().bytes(1, value)
}
