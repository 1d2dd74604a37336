//! Messages and paths of the gRPC services byte by byte, written out by hand from the contract's field numbers
//! (docs/compat.md#delta-discovery, docs/compat.md#certificate-service). Resources themselves: `mesh/tests/wire_golden`.
//!
//! A field's key is number × 8 + wire type (0 varint, 2 length-delimited).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Debug;

use prost::Message;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use proto::{auth, discovery};

/// Bytes of hexadecimal text; what stands behind `#` is for people.
fn bytes(text: &str) -> Vec<u8> {
    let code = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let digits: Vec<char> = code
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect();
    let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
    pairs
        .map(|pair| u8::from_str_radix(&pair, 16).unwrap())
        .collect()
}

/// Both ways: what we send is that, and that is what we understand.
fn is<M: Message + Default + PartialEq + Debug>(message: &M, golden: &str) {
    let golden = bytes(golden);
    assert_eq!(message.encode_to_vec(), golden, "{message:?}");
    assert_eq!(&M::decode(&*golden).unwrap(), message);
}

fn one_text(name: &str, value: &str) -> Struct {
    let kind = Some(Kind::StringValue(value.to_owned()));
    Struct {
        fields: BTreeMap::from([(name.to_owned(), Value { kind })]),
    }
}

#[test]
fn a_discovery_request() {
    let request = discovery::DeltaDiscoveryRequest {
        node: Some(discovery::Node {
            id: "i".to_owned(),
            cluster: "c".to_owned(),
            metadata: Some(one_text("K", "v")),
            build_version: "b".to_owned(),
        }),
        type_url: "t".to_owned(),
        resource_names_subscribe: vec!["*".to_owned(), "s".to_owned()],
        resource_names_unsubscribe: vec!["u".to_owned()],
        initial_resource_versions: BTreeMap::from([("a".to_owned(), "1".to_owned())]),
        response_nonce: "n".to_owned(),
        error_detail: Some(discovery::Status {
            code: 13,
            message: "no".to_owned(),
            details: Vec::new(),
        }),
    };
    is(
        &request,
        "0a 15                       # node = 1
           0a 01 69                  #   id = 1: i
           12 01 63                  #   cluster = 2: c
           1a 0a                     #   metadata = 3
             0a 08                   #     fields = 1
               0a 01 4b              #       key = 1: K
               12 03                 #       value = 2
                 1a 01 76            #         string_value = 3: v
           2a 01 62                  #   build version = 5: b
         12 01 74                    # type_url = 2: t
         1a 01 2a 1a 01 73           # resource_names_subscribe = 3: *, s
         22 01 75                    # resource_names_unsubscribe = 4: u
         2a 06 0a 01 61 12 01 31     # initial_resource_versions = 5: a = 1
         32 01 6e                    # response_nonce = 6: n
         3a 06                       # error_detail = 7
           08 0d                     #   code = 1: 13
           12 02 6e 6f               #   message = 2: no",
    );
}

#[test]
fn a_discovery_response() {
    let response = discovery::DeltaDiscoveryResponse {
        system_version_info: "v".to_owned(),
        resources: vec![discovery::Resource {
            version: "1".to_owned(),
            resource: Some(discovery::Payload {
                type_url: "t".to_owned(),
                value: vec![0, 0xff].into(),
            }),
            name: "n".to_owned(),
            aliases: vec!["a".to_owned()],
        }],
        type_url: "t".to_owned(),
        nonce: "o".to_owned(),
        removed_resources: vec!["g".to_owned()],
    };
    is(
        &response,
        "0a 01 76                    # system_version_info = 1: v
         12 12                       # resources = 2
           0a 01 31                  #   version = 1: 1
           12 07                     #   resource = 2
             0a 01 74                #     type_url = 1: t
             12 02 00 ff             #     value = 2
           1a 01 6e                  #   name = 3: n
           22 01 61                  #   aliases = 4: a
         22 01 74                    # type_url = 4: t
         2a 01 6f                    # nonce = 5: o
         32 01 67                    # removed_resources = 6: g",
    );
}

#[test]
fn a_certificate_request_and_its_answer() {
    let request = auth::IstioCertificateRequest {
        csr: "c".to_owned(),
        validity_duration: 86_400,
        metadata: Some(one_text("I", "s")),
    };
    is(
        &request,
        "0a 01 63                    # csr = 1: c
         18 80 a3 05                 # validity_duration = 3: 86400
         22 0a                       # metadata = 4
           0a 08 0a 01 49 12 03 1a 01 73",
    );
    let response = auth::IstioCertificateResponse {
        cert_chain: vec!["leaf".to_owned(), "root".to_owned()],
    };
    is(
        &response,
        "0a 04 6c 65 61 66           # cert_chain = 1: leaf
         0a 04 72 6f 6f 74           # cert_chain = 1: root",
    );
}

#[test]
fn services_have_the_names_that_others_call() {
    use auth::istio_certificate_service_server as certificates;
    use discovery::aggregated_discovery_service_server as aggregated;
    assert_eq!(
        aggregated::SERVICE_NAME,
        "envoy.service.discovery.v3.AggregatedDiscoveryService"
    );
    assert_eq!(
        certificates::SERVICE_NAME,
        "istio.v1.auth.IstioCertificateService"
    );
}
