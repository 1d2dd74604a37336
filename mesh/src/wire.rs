//! Customs desk: the mesh's nouns to and from bytes of the public contract, both ways side by side.
//!
//! Nobody else touches generated resource types. Decoding never panics, whatever the bytes; one bad
//! resource is refused alone, and the error names it and its field. Source: contract, resource
//! messages and decode rules, docs/compat.md#workload-record, #service-record, #authorization-record.

pub mod address;
pub mod policy;
pub mod routes;
pub mod attached;
pub mod waypoint;
mod service;
mod workload;
mod field;

use crate::model::{Policy, Service, Workload};

/// A decoded resource: what the picture of the mesh is updated with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// From an Address resource.
    Workload(Box<Workload>),
    /// From an Address resource.
    Service(Box<Service>),
    /// From an Authorization resource.
    Policy(Box<Policy>),
}

/// Why one resource was refused. Prints as one line that names resource, field and problem.
#[derive(Debug, thiserror::Error)]
#[error("{kind} {name:?}: {field}: {problem}")]
pub struct Error {
    /// What kind of resource: `workload`, `service`, `policy` or `address`.
    pub kind: &'static str,
    /// Its key as far as it could be read; empty when not even that.
    pub name: Box<str>,
    /// Field of the public message.
    pub field: &'static str,
    /// What is wrong with it.
    #[source]
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The bytes are not a message of this type.
    #[error("malformed bytes ({0})")]
    Malformed(prost::DecodeError),
    /// A field that must be there is not.
    #[error("missing")]
    Missing,
    /// An address is neither 4 nor 16 bytes long.
    #[error("{0} bytes are not an address")]
    AddressLength(usize),
    /// A prefix is longer than its address.
    #[error("prefix length {0} is out of range")]
    PrefixLength(u32),
    /// A port is above 65535.
    #[error("port {0} is out of range")]
    Port(u32),
    /// A value of an enum that this version does not know and must not guess.
    #[error("value {0} is unknown")]
    UnknownValue(i32),
    /// A tunnel protocol that node proxies do not speak.
    #[error("LEGACY_ISTIO_MTLS is not supported")]
    LegacyTunnel,
    /// A name that is not `namespace/name`.
    #[error("{0:?} is not namespace/name")]
    Name(Box<str>),
    /// A trust domain outside the SPIFFE alphabet.
    #[error(transparent)]
    TrustDomain(crate::identity::ParseError),
}
