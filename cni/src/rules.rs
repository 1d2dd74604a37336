//! Pure. The redirection inside a pod: settings -> nftables rulesets, a routing rule and its table
//! (contract: redirection, docs/compat.md#redirection).
//!
//! What leaves the pod goes to port 15001 of its own namespace, what arrives goes to 15006 unless it is already
//! tunnelled to 15008; ztunnel listens there. ztunnel's own packets carry a mark and pass. Where ztunnel connects to
//! the application from the client's own address, the replies are led back to the loopback by a connection mark and
//! a routing table. Traffic of the node's probe address is never touched.

pub mod apply;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::nft::{
    Action, Address, AddressKind, Chain, Hook, Is, Kind, Match, Protocol, Rule, Ruleset, Table,
};

/// The mark on every packet that ztunnel sends itself.
pub const ZTUNNEL_MARK: u32 = 0x539;
/// The mark on connections that ztunnel makes to the application from the client's address.
pub const REPLY_MARK: u32 = 0x111;
/// The bits that the two marks live in.
pub const MARK_MASK: u32 = 0xfff;
/// The routing table that leads replies back to the loopback.
pub const ROUTE_TABLE: u32 = 100;
/// The place of the routing rule that leads there.
pub const ROUTE_RULE_PRIORITY: u32 = 32764;
/// Where ztunnel takes what the pod sends.
pub const OUTBOUND_PORT: u16 = 15001;
/// Where ztunnel takes what arrives in plain text.
pub const INBOUND_PORT: u16 = 15006;
/// Where tunnels arrive; never redirected.
pub const TUNNEL_PORT: u16 = 15008;
/// Where ztunnel answers DNS.
pub const DNS_PORT: u16 = 15053;
/// The conntrack zone of ztunnel's own DNS queries.
pub const DNS_ZONE: u16 = 1;

const NAT_TABLE: &str = "istio-ambient-nat";
const MANGLE_TABLE: &str = "istio-ambient-mangle";
const RAW_TABLE: &str = "istio-ambient-raw";
const PREROUTING: &str = "prerouting";
const OUTPUT: &str = "output";

/// What is the same for all pods of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The address that the node's own connections to pods come from.
    pub probe_address_v4: Ipv4Addr,
    /// The same for IPv6.
    pub probe_address_v6: Ipv6Addr,
    /// Whether IPv6 traffic is captured.
    pub ipv6: bool,
    /// Whether DNS is captured for pods that do not say otherwise.
    pub dns_capture: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            probe_address_v4: Ipv4Addr::new(169, 254, 7, 127),
            probe_address_v6: Ipv6Addr::new(
                0xfd16, 0x9254, 0x7127, 0x1337, 0xffff, 0xffff, 0xffff, 0xffff,
            ),
            ipv6: true,
            dns_capture: false,
        }
    }
}

/// What one pod asks for by its annotations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodSettings {
    /// What arrives is not captured (tunnels still work): `ambient.istio.io/bypass-inbound-capture`.
    pub bypass_inbound_capture: bool,
    /// What arrives by these interfaces is treated as sent by the pod: `istio.io/reroute-virtual-interfaces`.
    pub reroute_interfaces: Vec<String>,
    /// Overrides [`Settings::dns_capture`]: `ambient.istio.io/dns-capture`.
    pub dns_capture: Option<bool>,
}

/// Everything that redirection puts into a pod's namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirection {
    /// The tables, in the order in which packets meet them. A table without chains is to be absent.
    pub rulesets: Vec<Ruleset>,
    /// The IP versions for which the routing rule and table are needed.
    pub routes: Vec<AddressKind>,
}

/// The redirection of one pod.
#[must_use]
pub fn redirection(settings: &Settings, pod: &PodSettings) -> Redirection {
    let mut versions = vec![Version::v4(settings)];
    if settings.ipv6 {
        versions.push(Version::v6(settings));
    }
    let dns = pod.dns_capture.unwrap_or(settings.dns_capture);
    Redirection {
        rulesets: vec![raw(dns), mangle(), nat(&versions, pod, dns)],
        routes: versions.iter().map(|version| version.kind).collect(),
    }
}

/// The tables that redirection may have left behind.
#[must_use]
pub fn tables() -> [Table; 3] {
    [RAW_TABLE, MANGLE_TABLE, NAT_TABLE].map(Table::inet)
}

/// The constants of one IP version.
struct Version {
    kind: AddressKind,
    name: &'static str,
    probe: IpNet,
    loopback: IpNet,
}

impl Version {
    fn v4(settings: &Settings) -> Self {
        Version {
            kind: AddressKind::V4,
            name: "ipv4",
            probe: IpNet::from(IpAddr::V4(settings.probe_address_v4)),
            loopback: IpNet::from(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        }
    }

    fn v6(settings: &Settings) -> Self {
        Version {
            kind: AddressKind::V6,
            name: "ipv6",
            probe: IpNet::from(IpAddr::V6(settings.probe_address_v6)),
            loopback: IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        }
    }

    fn rule(&self, comment: &str) -> Rule {
        Rule::new(format!("{}: {comment}", self.name))
    }

    fn is_probe(&self, which: Address) -> Match {
        Match::Network(which, Is::Equal, self.probe)
    }

    fn leaves_the_pod(&self) -> Match {
        Match::Network(Address::Destination, Is::Not, self.loopback)
    }
}

fn is_tcp() -> Match {
    Match::Protocol(Protocol::Tcp)
}

fn is_from_ztunnel(is: Is) -> Match {
    Match::Mark {
        is,
        value: ZTUNNEL_MARK,
        mask: MARK_MASK,
    }
}

fn nat(versions: &[Version], pod: &PodSettings, dns: bool) -> Ruleset {
    const PRIORITY: i32 = -100;
    let mut prerouting = Chain::base(PREROUTING, Kind::Nat, Hook::Prerouting, PRIORITY);
    let mut output = Chain::base(OUTPUT, Kind::Nat, Hook::Output, PRIORITY);
    for version in versions {
        prerouting = prerouting.with_all(rerouted(version, &pod.reroute_interfaces));
        if !pod.bypass_inbound_capture {
            prerouting = prerouting.with_all(arriving(version));
        }
        output = output.with_all(leaving(version, dns));
    }
    Ruleset::new(Table::inet(NAT_TABLE))
        .with_chain(prerouting)
        .with_chain(output)
}

/// What comes from virtual machines or nested pods behind this one counts as sent by it.
fn rerouted(version: &Version, interfaces: &[String]) -> Vec<Rule> {
    let of = |name: &String| {
        let comes_by = Match::InputInterface(Is::Equal, name.clone());
        let capture = version
            .rule(&format!("{name} is captured as outbound"))
            .when(comes_by.clone())
            .when(Match::Version(version.kind))
            .when(is_tcp())
            .then(Action::Redirect(OUTBOUND_PORT));
        let rest = version
            .rule(&format!("{name} is captured no further"))
            .when(comes_by)
            .when(Match::Version(version.kind))
            .then(Action::Return);
        [capture, rest]
    };
    interfaces.iter().flat_map(of).collect()
}

fn arriving(version: &Version) -> Vec<Rule> {
    let probes = version
        .rule("probes of the node pass")
        .when(version.is_probe(Address::Source))
        .when(is_tcp())
        .then(Action::Accept);
    let plain = version
        .rule("plain text goes to ztunnel")
        .when(version.leaves_the_pod())
        .when(Match::DestinationPort(Protocol::Tcp, Is::Not, TUNNEL_PORT))
        .when(is_from_ztunnel(Is::Not))
        .then(Action::Redirect(INBOUND_PORT));
    vec![probes, plain]
}

fn leaving(version: &Version, dns: bool) -> Vec<Rule> {
    let mut rules = vec![
        version
            .rule("answers to probes pass")
            .when(version.is_probe(Address::Destination))
            .when(is_tcp())
            .then(Action::Accept),
    ];
    if dns {
        rules.extend(dns_queries(version));
    }
    rules.extend([
        version
            .rule("ztunnel's connections from client addresses pass")
            .when(Match::Version(version.kind))
            .when(is_tcp())
            .when(Match::Mark {
                is: Is::Equal,
                value: REPLY_MARK,
                mask: MARK_MASK,
            })
            .then(Action::Accept),
        version
            .rule("the pod calling its own address passes")
            .when(version.leaves_the_pod())
            .when(Match::OutputInterface(Is::Equal, "lo".into()))
            .then(Action::Accept),
        version
            .rule("everything else goes to ztunnel")
            .when(version.leaves_the_pod())
            .when(is_tcp())
            .when(is_from_ztunnel(Is::Not))
            .then(Action::Redirect(OUTBOUND_PORT)),
    ]);
    rules
}

fn dns_queries(version: &Version) -> [Rule; 2] {
    let udp = version
        .rule("DNS over UDP goes to ztunnel")
        .when(Match::Version(version.kind))
        .when(Match::DestinationPort(Protocol::Udp, Is::Equal, 53))
        .when(Match::OutputInterface(Is::Not, "lo".into()))
        .when(is_from_ztunnel(Is::Not))
        .then(Action::Redirect(DNS_PORT));
    let tcp = version
        .rule("DNS over TCP goes to ztunnel")
        .when(version.leaves_the_pod())
        .when(Match::DestinationPort(Protocol::Tcp, Is::Equal, 53))
        .when(is_from_ztunnel(Is::Not))
        .then(Action::Redirect(DNS_PORT));
    [udp, tcp]
}

fn mangle() -> Ruleset {
    const PRIORITY: i32 = -150;
    let remember = Rule::new("connections of ztunnel are remembered")
        .when(is_from_ztunnel(Is::Equal))
        .then(Action::SetConnectionMark {
            value: REPLY_MARK,
            mask: MARK_MASK,
        });
    let lead_back = Rule::new("replies to ztunnel's connections are led back to it")
        .when(Match::ConnectionMark {
            is: Is::Equal,
            value: REPLY_MARK,
            mask: MARK_MASK,
        })
        .then(Action::RestoreMark);
    Ruleset::new(Table::inet(MANGLE_TABLE))
        .with_chain(
            Chain::base(PREROUTING, Kind::Filter, Hook::Prerouting, PRIORITY).with(remember),
        )
        .with_chain(Chain::base(OUTPUT, Kind::Route, Hook::Output, PRIORITY).with(lead_back))
}

/// ztunnel's own DNS queries must not share conntrack entries with those that were redirected to it.
fn raw(dns: bool) -> Ruleset {
    const PRIORITY: i32 = -300;
    let ruleset = Ruleset::new(Table::inet(RAW_TABLE));
    if !dns {
        return ruleset;
    }
    let queries = Rule::new("ztunnel's own DNS queries are tracked apart")
        .when(Match::DestinationPort(Protocol::Udp, Is::Equal, 53))
        .when(is_from_ztunnel(Is::Equal))
        .then(Action::SetConnectionZone(DNS_ZONE));
    let answers = Rule::new("answers to ztunnel's DNS queries are tracked with them")
        .when(Match::SourcePort(Protocol::Udp, Is::Equal, 53))
        .when(is_from_ztunnel(Is::Not))
        .then(Action::SetConnectionZone(DNS_ZONE));
    ruleset
        .with_chain(Chain::base(OUTPUT, Kind::Filter, Hook::Output, PRIORITY).with(queries))
        .with_chain(Chain::base(PREROUTING, Kind::Filter, Hook::Prerouting, PRIORITY).with(answers))
}

#[cfg(test)]
mod tests;
