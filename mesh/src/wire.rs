//! Customs desk: the mesh's nouns to and from bytes of the public contract, both ways side by side.
//!
//! Nobody else touches generated resource types. Decoding never panics, whatever the bytes; one bad
//! resource is refused alone, and the error names it and its field. Source: contract, resource
//! messages and decode rules, docs/compat.md#workload-record, #service-record, #authorization-record.

pub mod address;
pub mod waypoint;
pub mod routes;
pub mod attached;
pub mod policy;
mod service;
mod workload;
mod destination;
mod retry;
mod change;
mod matches;
mod observe;
mod provider;
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
    /// What kind of resource: `workload`, `service`, `policy`, `address`, `routes`, `attached policy` or `waypoint`.
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
    /// An index that leads nowhere.
    #[error("index {index} is out of range, there are {count}")]
    Index {
        /// What it says.
        index: u32,
        /// How many there are.
        count: usize,
    },
    /// A status that is not three digits.
    #[error("{0} is not an HTTP status")]
    Status(u32),
    /// A time that is negative, or not in its one form.
    #[error("not a time of zero or more")]
    Duration,
    /// A share of nothing.
    #[error("denominator is 0")]
    Denominator,
    /// A number that this field cannot have.
    #[error("{0} is out of range")]
    Number(f64),
    /// A trust domain outside the SPIFFE alphabet.
    #[error(transparent)]
    TrustDomain(crate::identity::ParseError),
}
