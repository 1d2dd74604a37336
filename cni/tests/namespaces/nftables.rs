//! What the kernel makes of our encoding.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni::nft::{
    self, Action, Address, AddressKind, Chain, Command, Element, Hook, Is, Kind, Match, Numbers,
    Protocol, Rule, Ruleset, Table, dump,
};
use libtest_mimic::Trial;

use crate::trial;
use crate::world::{Namespace, Pod, accept};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "nftables::every_match_and_action_is_accepted",
            every_expression,
        ),
        trial(
            "nftables::an_error_names_the_rule_and_nothing_is_applied",
            errors,
        ),
        trial("nftables::sets_hold_many_addresses_with_comments", sets),
        trial(
            "nftables::a_service_address_is_spread_over_its_endpoints",
            service_address,
        ),
        trial("nftables::large_batches_fit", large),
    ]
}

fn every_match() -> Vec<Match> {
    let network = |text: &str| text.parse().unwrap();
    vec![
        Match::Version(AddressKind::V6),
        Match::Protocol(Protocol::Udp),
        Match::InputInterface(Is::Not, "eth0".into()),
        Match::Network(Address::Source, Is::Equal, network("10.0.0.0/9")),
        Match::Network(Address::Destination, Is::Not, network("fd00::/65")),
        Match::InSet(Address::Source, Is::Not, AddressKind::V4, "some".into()),
        Match::DestinationPorts(Protocol::Tcp, Is::Equal, 30000, 32767),
        Match::SourcePort(Protocol::Udp, Is::Equal, 53),
        Match::Mark {
            is: Is::Equal,
            value: 7,
            mask: u32::MAX,
        },
        Match::ConnectionMark {
            is: Is::Not,
            value: 0x111,
            mask: 0xfff,
        },
        Match::SocketUser(Is::Equal, 0),
        Match::Number {
            numbers: Numbers::InTurn,
            modulus: 3,
            value: 2,
        },
        Match::DestinationIsLocal(true),
    ]
}

fn every_action() -> Vec<Action> {
    vec![
        Action::Count,
        Action::SetMark {
            value: 0x100,
            mask: 0xff00,
        },
        Action::SetConnectionMark { value: 1, mask: 1 },
        Action::RestoreMark,
        Action::SetConnectionZone(1),
        Action::Accept,
        Action::Drop,
        Action::Return,
        Action::Jump("other".into()),
    ]
}

fn every_expression() {
    let mut chain = Chain::base("output", Kind::Filter, Hook::Output, -300);
    for condition in every_match() {
        chain = chain.with(Rule::new(format!("{condition:?}")).when(condition));
    }
    for action in every_action() {
        chain = chain.with(Rule::new(format!("{action:?}")).then(action));
    }
    let comments: Vec<String> = chain
        .rules
        .iter()
        .map(|rule| rule.comment.clone())
        .collect();
    let ruleset = Ruleset::new(Table::inet("all"))
        .with_set("some", AddressKind::V4)
        .with_chain(Chain::regular("other").with(Rule::new("tells nothing")))
        .with_chain(chain);
    Namespace::new().run(|| {
        nft::apply(&[Command::Replace(ruleset)]).unwrap();
        let rules = dump::rules(&Table::inet("all")).unwrap().unwrap();
        let there: Vec<String> = rules
            .iter()
            .filter(|r| r.chain == "output")
            .map(|r| r.comment.clone())
            .collect();
        assert_eq!(there, comments);
        let counter = rules.iter().find(|rule| rule.comment == "Count").unwrap();
        assert_eq!(counter.expressions[0].0, "counter");
        nft::apply(&[Command::Flush {
            table: Table::inet("all"),
            chain: "output".into(),
        }])
        .unwrap();
        assert_eq!(dump::rules(&Table::inet("all")).unwrap().unwrap().len(), 1);
    });
}

fn errors() {
    let rule = Rule::new("leads nowhere").then(Action::Jump("absent".into()));
    let chain = Chain::base("output", Kind::Filter, Hook::Output, 0)
        .with(Rule::new("fine").then(Action::Count))
        .with(rule);
    let ruleset = Ruleset::new(Table::inet("broken")).with_chain(chain);
    Namespace::new().run(|| {
        let error = nft::apply(&[Command::Replace(ruleset)])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("rule \"leads nowhere\" in chain output"),
            "{error}"
        );
        assert_eq!(dump::rules(&Table::inet("broken")).unwrap(), None);
        let table = Table::inet("absent");
        let missing = Command::FlushSet {
            table,
            set: "s".into(),
        };
        let error = nft::apply(&[missing]).unwrap_err().to_string();
        assert!(
            error.contains("flush of set s of table inet absent"),
            "{error}"
        );
    });
}

fn sets() {
    let table = Table::inet("sets");
    let ruleset = Ruleset::new(table.clone()).with_set("pods", AddressKind::V4);
    let elements: Vec<Element> = (0..1000_u32)
        .map(|n| {
            Element::new(
                IpAddr::from((0x0a00_0000 + n).to_be_bytes()),
                format!("pod-{n}"),
            )
        })
        .collect();
    Namespace::new().run(|| {
        let add = Command::AddElements {
            table: table.clone(),
            set: "pods".into(),
            elements: elements.clone(),
        };
        nft::apply(&[Command::Replace(ruleset), add]).unwrap();
        let there = |table| -> BTreeSet<(IpAddr, String)> {
            let elements = dump::elements(table, "pods").unwrap().unwrap();
            elements
                .into_iter()
                .map(|e| (e.address, e.comment))
                .collect()
        };
        assert_eq!(there(&table).len(), 1000);
        assert!(there(&table).contains(&("10.0.3.231".parse().unwrap(), "pod-999".into())));
        let set = "pods".to_owned();
        nft::apply(&[Command::FlushSet {
            table: table.clone(),
            set,
        }])
        .unwrap();
        assert!(there(&table).is_empty());
    });
}

/// What the sandbox does in the place of kube-proxy.
fn service_address() {
    let world = Pod::new();
    let endpoints = ["10.1.0.2".parse::<IpAddr>().unwrap()];
    let ports = [8081, 8082];
    let servers = ports.map(|port| world.inside.listen(&format!("[::]:{port}")));
    let mut chain = Chain::base("output", Kind::Nat, Hook::Output, -100);
    for (port, left) in ports.iter().zip((1..=ports.len() as u32).rev()) {
        let service = "10.96.0.1/32".parse().unwrap();
        chain = chain.with(
            Rule::new(format!("endpoint {port}"))
                .when(Match::Network(Address::Destination, Is::Equal, service))
                .when(Match::DestinationPort(Protocol::Tcp, Is::Equal, 80))
                .when(Match::Number {
                    numbers: Numbers::InTurn,
                    modulus: left,
                    value: 0,
                })
                .then(Action::Count)
                .then(Action::DestinationNat(endpoints[0], Some(*port))),
        );
    }
    let masquerade = Chain::base("postrouting", Kind::Nat, Hook::Postrouting, 100)
        .with(Rule::new("masquerade").then(Action::Masquerade));
    let table = Table {
        family: nft::Family::Ip,
        name: "services".into(),
    };
    let ruleset = Ruleset::new(table).with_chain(chain).with_chain(masquerade);
    world
        .outside
        .run(|| nft::apply(&[Command::Replace(ruleset)]))
        .unwrap();
    world.outside.run(|| {
        crate::world::netlink(async |handle| {
            let route = rtnetlink::RouteMessageBuilder::<std::net::Ipv4Addr>::new()
                .destination_prefix("10.96.0.0".parse().unwrap(), 16)
                .gateway("10.1.0.2".parse().unwrap())
                .build();
            handle.route().add(route).execute().await.unwrap();
        });
    });
    for _ in 0..2 {
        for server in &servers {
            let _client = world
                .outside
                .dial(None, "10.96.0.1:80".parse().unwrap(), None);
            accept(server);
        }
    }
}

fn large() {
    let table = Table::inet("large");
    let mut chain = Chain::regular("many");
    for n in 0..5000_u16 {
        chain = chain.with(
            Rule::new(format!("rule {n}"))
                .when(Match::DestinationPort(Protocol::Tcp, Is::Equal, n))
                .then(Action::Return),
        );
    }
    let ruleset = Ruleset::new(table.clone()).with_chain(chain);
    Namespace::new().run(|| {
        nft::apply(&[Command::Replace(ruleset)]).unwrap();
        assert_eq!(dump::rules(&table).unwrap().unwrap().len(), 5000);
    });
}
