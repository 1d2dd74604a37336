//! The `Address` resource: a workload or a service.

use bytes::Bytes;
use prost::Message;
use proto::workload::{self as pb, address::Type};

use super::{Error, Problem, Update, field, service, workload};
use crate::model::{Service, Workload};

/// Type URL of these resources.
pub const TYPE_URL: &str = proto::type_urls::ADDRESS;

/// Reads the bytes of one `istio.workload.Address`.
///
/// # Errors
/// Names resource, field and problem. Source of the rules: contract, decode rules and defaults,
/// docs/compat.md#workload-record.
pub fn decode(bytes: &[u8]) -> Result<Update, Error> {
    let nameless = field::Subject {
        kind: "address",
        name: "",
    };
    let message = pb::Address::decode(bytes)
        .map_err(|error| nameless.error("bytes", Problem::Malformed(error)))?;
    match message.r#type {
        Some(Type::Workload(message)) => {
            workload::decode(message).map(|workload| Update::Workload(Box::new(workload)))
        }
        Some(Type::Service(message)) => {
            service::decode(message).map(|service| Update::Service(Box::new(service)))
        }
        None => Err(nameless.error("type", Problem::Missing)),
    }
}

/// Bytes of the Address resource of a workload; equal values give equal bytes.
pub fn encode_workload(workload: &Workload) -> Bytes {
    encode(Type::Workload(workload::encode(workload)))
}

/// Bytes of the Address resource of a service; equal values give equal bytes.
pub fn encode_service(service: &Service) -> Bytes {
    encode(Type::Service(service::encode(service)))
}

fn encode(message: Type) -> Bytes {
    pb::Address {
        r#type: Some(message),
    }
    .encode_to_vec()
    .into()
}
