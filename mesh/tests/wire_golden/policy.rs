//! Authorization resources byte by byte, from the contract's field numbers.

use mesh::model::{
    Action, Clause, IpRange, Match, Origin, Policy, PolicyScope, Rule, ServiceAccountMatch,
    StringMatch,
};
use mesh::names::NamespacedName;
use mesh::wire::policy;

use crate::hex;

const POLICY: &str = "
0a 01 70                                                   # name = 1: p
12 01 6e                                                   # namespace = 2: n
18 02                                                      # scope = 3: 2 (WORKLOAD_SELECTOR)
20 01                                                      # action = 4: 1 (DENY)
2a 69                                                      # rules = 5
  0a 65                                                    #   clauses = 1
    12 63                                                  #     matches = 2
      0a 03                                                #       namespaces = 1
        0a 01 61                                           #         exact = 1: a
      12 03                                                #       not_namespaces = 2
        12 01 62                                           #         prefix = 2: b
      1a 07                                                #       principals = 3
        1a 05 2f73612f63                                   #         suffix = 3: /sa/c
      22 02                                                #       not_principals = 4
        22 00                                              #         presence = 4
      2a 08                                                #       source_ips = 5
        0a 04 0a000000                                     #         address = 1 (10.0.0.0)
        10 08                                              #         length = 2: 8
      32 08                                                #       not_source_ips = 6
        0a 04 0a010000                                     #         address = 1 (10.1.0.0)
        10 10                                              #         length = 2: 16
      3a 14                                                #       destination_ips = 7
        0a 10 fd000000000000000000000000000000             #         address = 1 (fd00::)
        10 08                                              #         length = 2: 8
      42 08                                                #       not_destination_ips = 8
        0a 04 0a000001                                     #         address = 1 (10.0.0.1)
        10 20                                              #         length = 2: 32
      4a 03 50903f                                         #       destination_ports = 9 (packed: 80, 8080)
      52 01 5a                                             #       not_destination_ports = 10 (packed: 90)
      5a 06                                                #       service_accounts = 11
        0a 01 64                                           #         namespace = 1: d
        12 01 65                                           #         serviceAccount = 2: e
      62 06                                                #       not_service_accounts = 12
        0a 01 66                                           #         namespace = 1: f
        12 01 67                                           #         serviceAccount = 2: g
  0a 00                                                    #   clauses = 1
2a 00                                                      # rules = 5
30 01                                                      # dry_run = 6: 1
3a 59                                                      # extensions = 7
  0a 0f 776566742e6465762f6f726967696e                     #   name = 1: weft.dev/origin
  12 46                                                    #   config = 2
    0a 27 747970652e676f6f676c65617069732e636f6d2f776566742e6d6573682e
    76312e4f726967696e                                     #     type_url = 1: type.googleapis.com/weft.mesh.v1.Origin
    12 1b                                                  #     value = 2
      0a 13 417574686f72697a6174696f6e506f6c696379         #       kind = 1: AuthorizationPolicy
      12 01 6e                                             #       namespace = 2: n
      1a 01 70                                             #       name = 3: p
";

fn range(address: &str, prefix: u8) -> Vec<IpRange> {
    vec![IpRange {
        address: address.parse().unwrap(),
        prefix,
    }]
}

fn account(namespace: &str, service_account: &str) -> Vec<ServiceAccountMatch> {
    vec![ServiceAccountMatch {
        namespace: namespace.into(),
        service_account: service_account.into(),
    }]
}

fn value() -> Policy {
    let every_field = Match {
        namespaces: vec![StringMatch::Exact("a".into())],
        not_namespaces: vec![StringMatch::Prefix("b".into())],
        principals: vec![StringMatch::Suffix("/sa/c".into())],
        not_principals: vec![StringMatch::Presence],
        service_accounts: account("d", "e"),
        not_service_accounts: account("f", "g"),
        source_ips: range("10.0.0.0", 8),
        not_source_ips: range("10.1.0.0", 16),
        destination_ips: range("fd00::", 8),
        not_destination_ips: range("10.0.0.1", 32),
        destination_ports: vec![80, 8080],
        not_destination_ports: vec![90],
        request: None,
    };
    Policy {
        key: NamespacedName::new("n", "p"),
        scope: PolicyScope::WorkloadSelector,
        action: Action::Deny,
        rules: vec![
            Rule {
                clauses: vec![
                    Clause {
                        matches: vec![every_field],
                    },
                    Clause::default(),
                ],
            },
            Rule::default(),
        ],
        dry_run: true,
        origin: Some(Origin::object("AuthorizationPolicy", "n", "p")),
    }
}

#[test]
fn reads_a_policy_with_every_field() {
    assert_eq!(policy::decode(&hex(POLICY)).unwrap(), value());
}

#[test]
fn writes_a_policy_with_every_field() {
    assert_eq!(policy::encode(&value()), hex(POLICY));
}

#[test]
fn ports_may_come_one_by_one_instead_of_packed() {
    // destination_ports = 9 as two varints
    let bytes = hex("0a 01 70 12 01 6e 2a 09 0a 07 12 05 48 50 48 903f");
    let read = policy::decode(&bytes).unwrap();
    assert_eq!(
        read.rules[0].clauses[0].matches[0].destination_ports,
        [80, 8080]
    );
}
