//! Pure. What a ruleset is made of: tables, chains, sets, and rules as lists of matches and actions.

use std::net::IpAddr;

use ipnet::IpNet;

/// Which packets a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4 only.
    Ip,
    /// IPv6 only.
    Ip6,
}

/// A table's full name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Table {
    /// Which packets it sees.
    pub family: Family,
    /// Its name, unique within the family.
    pub name: String,
}

/// A table with everything in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruleset {
    /// The table's name.
    pub table: Table,
    /// Its sets; they exist before any rule that looks into them.
    pub sets: Vec<Set>,
    /// Its chains; all of them exist before any rule that jumps.
    pub chains: Vec<Chain>,
}

/// A named set of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Its name, unique within the table.
    pub name: String,
    /// Which addresses it holds.
    pub kind: AddressKind,
    /// What it holds at first.
    pub elements: Vec<Element>,
}

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// One address in a set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Element {
    /// The address; of the set's kind.
    pub address: IpAddr,
    /// Why it is there, shown in listings; may be empty. Cut at 120 bytes.
    pub comment: String,
}

/// A chain of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its name, unique within the table.
    pub name: String,
    /// Where packets enter it; `None` for a chain that is only jumped to.
    pub base: Option<Base>,
    /// Its rules, first to last.
    pub rules: Vec<Rule>,
}

/// Where packets enter a base chain. Its policy is to accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// What the chain may do to packets.
    pub kind: Kind,
    /// At which point of a packet's way it stands.
    pub hook: Hook,
    /// Its place among the chains of that point; lower is earlier.
    pub priority: i32,
}

/// What a base chain may do to packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Look at them, mark them, drop them.
    Filter,
    /// Translate their addresses; sees only the first packet of a connection.
    Nat,
    /// As filter, and route anew when the mark has changed (output only).
    Route,
}

/// A point of a packet's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Before the routing decision, for what comes in.
    Prerouting,
    /// For what this host is the destination of.
    Input,
    /// For what is passed on.
    Forward,
    /// For what local sockets send.
    Output,
    /// After the routing decision, for everything that leaves.
    Postrouting,
}

/// One rule: its parts are tried in order, and the first match that fails ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What the rule is for; shown in listings and errors. Cut at 120 bytes.
    pub comment: String,
    /// Matches and actions, in order.
    pub parts: Vec<Part>,
}

/// A part of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Go on only if this holds.
    When(Match),
    /// Do this.
    Then(Action),
}

/// Whether a match asks for a value or for anything but it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    /// Equal, or a member.
    Equal,
    /// Anything else.
    Not,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// How `numgen` makes its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// At random.
    Random,
    /// One after the other.
    InTurn,
}

/// Which address of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
}

/// A condition on a packet. Where a match needs the packet to be of an IP family or of a transport protocol, it checks
/// that too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// It is IPv4 or IPv6.
    Version(AddressKind),
    /// Its transport protocol.
    Protocol(Protocol),
    /// The name of the interface that it came in by.
    InputInterface(Is, String),
    /// The name of the interface that it leaves by.
    OutputInterface(Is, String),
    /// An address in (or outside) a network; a packet of the other IP family never matches.
    Network(Address, Is, IpNet),
    /// An address in (or outside) a set of this kind; a packet of the other IP family never matches.
    InSet(Address, Is, AddressKind, String),
    /// The destination port.
    DestinationPort(Protocol, Is, u16),
    /// A destination port within these bounds, both included.
    DestinationPorts(Protocol, Is, u16, u16),
    /// The source port.
    SourcePort(Protocol, Is, u16),
    /// The packet's mark under a mask.
    Mark {
        /// Equal or not.
        is: Is,
        /// The value compared with.
        value: u32,
        /// Which bits of the mark are looked at.
        mask: u32,
    },
    /// The connection's mark under a mask.
    ConnectionMark {
        /// Equal or not.
        is: Is,
        /// The value compared with.
        value: u32,
        /// Which bits of the mark are looked at.
        mask: u32,
    },
    /// The user who owns the local socket that sends the packet; false for forwarded packets.
    SocketUser(Is, u32),
    /// The next number below `modulus` is `value`: how one rule of several is chosen.
    Number {
        /// How the numbers are made.
        numbers: Numbers,
        /// Numbers are below this.
        modulus: u32,
        /// The number that matches.
        value: u32,
    },
    /// A destination address (`true`: local to this host; `false`: not).
    DestinationIsLocal(bool),
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Count packets and bytes that come this far.
    Count,
    /// Set the packet's mark: bits of `mask` become those of `value`, others stay.
    SetMark {
        /// The new bits.
        value: u32,
        /// Which bits are set.
        mask: u32,
    },
    /// Set the connection's mark: bits of `mask` become those of `value`, others stay.
    SetConnectionMark {
        /// The new bits.
        value: u32,
        /// Which bits are set.
        mask: u32,
    },
    /// Copy the connection's mark to the packet.
    RestoreMark,
    /// Put the connection into a conntrack zone (only before conntrack: priority below -200).
    SetConnectionZone(u16),
    /// Send the connection to this port of this host.
    Redirect(u16),
    /// Send the connection to this address, and to this port where given.
    DestinationNat(IpAddr, Option<u16>),
    /// Let the connection come from this address.
    SourceNat(IpAddr),
    /// Let the connection come from the address of the interface that it leaves by.
    Masquerade,
    /// Stop, and let the packet pass this hook's chain.
    Accept,
    /// Stop, and drop the packet.
    Drop,
    /// Go back to the chain that jumped here, or to the policy.
    Return,
    /// Run another chain, then go on here.
    Jump(String),
}

impl Table {
    /// A table of both IP families.
    pub fn inet(name: impl Into<String>) -> Self {
        Table {
            family: Family::Inet,
            name: name.into(),
        }
    }
}

impl Ruleset {
    /// A table with nothing in it yet.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Ruleset {
            table,
            sets: Vec::new(),
            chains: Vec::new(),
        }
    }

    /// The same table with one chain more.
    #[must_use]
    pub fn with_chain(mut self, chain: Chain) -> Self {
        self.chains.push(chain);
        self
    }

    /// The same table with one set more.
    #[must_use]
    pub fn with_set(mut self, name: impl Into<String>, kind: AddressKind) -> Self {
        self.sets.push(Set {
            name: name.into(),
            kind,
            elements: Vec::new(),
        });
        self
    }
}

impl Chain {
    /// A chain that packets enter at a hook.
    pub fn base(name: impl Into<String>, kind: Kind, hook: Hook, priority: i32) -> Self {
        let base = Some(Base {
            kind,
            hook,
            priority,
        });
        Chain {
            name: name.into(),
            base,
            rules: Vec::new(),
        }
    }

    /// A chain that is only jumped to.
    pub fn regular(name: impl Into<String>) -> Self {
        Chain {
            name: name.into(),
            base: None,
            rules: Vec::new(),
        }
    }

    /// The same chain with one rule more at its end.
    #[must_use]
    pub fn with(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// The same chain with these rules more at its end.
    #[must_use]
    pub fn with_all(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.rules.extend(rules);
        self
    }
}

impl Rule {
    /// A rule without parts, which does nothing yet.
    pub fn new(comment: impl Into<String>) -> Self {
        Rule {
            comment: comment.into(),
            parts: Vec::new(),
        }
    }

    /// The same rule with one condition more.
    #[must_use]
    pub fn when(mut self, condition: Match) -> Self {
        self.parts.push(Part::When(condition));
        self
    }

    /// The same rule with one action more.
    #[must_use]
    pub fn then(mut self, action: Action) -> Self {
        self.parts.push(Part::Then(action));
        self
    }
}

impl AddressKind {
    /// The kind of this address.
    #[must_use]
    pub fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => AddressKind::V4,
            IpAddr::V6(_) => AddressKind::V6,
        }
    }
}

impl Element {
    /// An address with the reason why it is there.
    pub fn new(address: IpAddr, comment: impl Into<String>) -> Self {
        Element {
            address,
            comment: comment.into(),
        }
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let family = match self.family {
            Family::Inet => "inet",
            Family::Ip => "ip",
            Family::Ip6 => "ip6",
        };
        write!(f, "{family} {}", self.name)
    }
}
