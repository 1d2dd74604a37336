//! Encodings against bytes written out by hand from the kernel's header (little endian machines); what the kernel
//! makes of them is asked in `tests/namespaces`.

use super::command::Command;
use super::encode::encode;
use super::rule::{Action, Chain, Element, Hook, Is, Kind, Match, Protocol, Rule, Ruleset, Table};

/// Every attribute starts with its length, little endian, and its type; 0x80 marks nested ones.
#[test]
fn a_rule_has_the_bytes_of_the_kernels_header() {
    let rule = Rule::new("c")
        .when(Match::Protocol(Protocol::Tcp))
        .then(Action::Redirect(15001));
    let (table, chain) = (Table::inet("t"), "o".to_owned());
    let messages = encode(&[Command::Append { table, chain, rule }]);
    let [message] = &messages[..] else {
        panic!("one message")
    };
    assert_eq!((message.kind, message.flags, message.family), (6, 0xc00, 1));
    let expected: Vec<u8> = [
        &[6, 0, 1, 0, b't', 0, 0, 0][..],
        &[6, 0, 2, 0, b'o', 0, 0, 0],
        &[156, 0, 4, 0x80],
        // meta: load l4proto (16) into register 1
        &[
            36, 0, 1, 0x80, 9, 0, 1, 0, b'm', b'e', b't', b'a', 0, 0, 0, 0,
        ],
        &[
            20, 0, 2, 0x80, 8, 0, 1, 0, 0, 0, 0, 1, 8, 0, 2, 0, 0, 0, 0, 16,
        ],
        // cmp: register 1 equal to 6
        &[44, 0, 1, 0x80, 8, 0, 1, 0, b'c', b'm', b'p', 0],
        &[
            32, 0, 2, 0x80, 8, 0, 1, 0, 0, 0, 0, 1, 8, 0, 2, 0, 0, 0, 0, 0,
        ],
        &[12, 0, 3, 0x80, 5, 0, 1, 0, 6, 0, 0, 0],
        // immediate: 15001 in network order into register 1
        &[
            44, 0, 1, 0x80, 14, 0, 1, 0, b'i', b'm', b'm', b'e', b'd', b'i', b'a', b't', b'e',
        ],
        &[
            0, 0, 0, 24, 0, 2, 0x80, 8, 0, 1, 0, 0, 0, 0, 1, 12, 0, 2, 0x80,
        ],
        &[6, 0, 1, 0, 0x3a, 0x99, 0, 0],
        // redir: port in register 1
        &[
            28, 0, 1, 0x80, 10, 0, 1, 0, b'r', b'e', b'd', b'i', b'r', 0, 0, 0,
        ],
        &[12, 0, 2, 0x80, 8, 0, 1, 0, 0, 0, 0, 1],
        // comment: type 0, length 2, text
        &[8, 0, 7, 0, 0, 2, b'c', 0],
    ]
    .concat();
    assert_eq!(message.attributes, expected);
}

#[test]
fn replacing_a_table_makes_sets_before_chains_and_chains_before_rules() {
    let jump = Rule::new("jump").then(Action::Jump("later".into()));
    let ruleset = Ruleset::new(Table::inet("t"))
        .with_chain(Chain::base("output", Kind::Nat, Hook::Output, -100).with(jump))
        .with_chain(Chain::regular("later"))
        .with_set("s", super::AddressKind::V4);
    let kinds: Vec<u8> = encode(&[Command::Replace(ruleset)])
        .iter()
        .map(|m| m.kind)
        .collect();
    assert_eq!(
        kinds,
        [0, 2, 0, 9, 3, 3, 6],
        "add, delete, add table; set; chains; rule"
    );
}

#[test]
fn long_comments_are_cut_and_many_elements_are_spread_over_messages() {
    let rule = Rule::new("é".repeat(200)).when(Match::Mark {
        is: Is::Equal,
        value: 1,
        mask: 1,
    });
    let (table, chain) = (Table::inet("t"), "c".to_owned());
    let messages = encode(&[Command::Append {
        table: table.clone(),
        chain,
        rule,
    }]);
    assert!(messages[0].attributes.ends_with(&[0xc3, 0xa9, 0, 0]));
    let element = Element::new("10.0.0.1".parse().unwrap(), "x".repeat(500));
    let elements = vec![element; 401];
    let add = Command::AddElements {
        table,
        set: "s".into(),
        elements,
    };
    let messages = encode(&[add]);
    assert_eq!(messages.len(), 3);
    assert!(
        messages
            .iter()
            .all(|message| message.attributes.len() < 0xffff)
    );
}
