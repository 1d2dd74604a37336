//! Authorization policies as node proxies and waypoints evaluate them at L4.

use std::net::IpAddr;
use std::sync::Arc;

use super::Origin;
use crate::names::NamespacedName;

/// What a matching policy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Admits; once any ALLOW policy applies, what none admits is refused.
    Allow,
    /// Refuses.
    Deny,
}

/// Which workloads a policy applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicyScope {
    /// All.
    Global,
    /// Those of its namespace.
    Namespace,
    /// Those that name it in their record.
    WorkloadSelector,
}

/// Which workloads a policy that could not be read may apply to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Any.
    Mesh,
    /// Those of a namespace.
    Namespace(Arc<str>),
    /// Those that name it in their record.
    Named,
}

/// A pattern over text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StringMatch {
    /// Equal.
    Exact(Arc<str>),
    /// Starts with.
    Prefix(Arc<str>),
    /// Ends with.
    Suffix(Arc<str>),
    /// Anything that is there at all.
    Presence,
}

/// An address range in CIDR terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IpRange {
    /// Any address of the range.
    pub address: IpAddr,
    /// Prefix length, at most 32 or 128.
    pub prefix: u8,
}

/// A service account of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceAccountMatch {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Service account.
    pub service_account: Arc<str>,
}

/// Conditions on one connection. Fields are AND-ed, values of one field OR-ed; every `not_` field
/// must fail. A match without any field never matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Match {
    /// Namespace of the peer's identity.
    pub namespaces: Vec<StringMatch>,
    /// Its negation.
    pub not_namespaces: Vec<StringMatch>,
    /// Peer identity without `spiffe://`.
    pub principals: Vec<StringMatch>,
    /// Its negation.
    pub not_principals: Vec<StringMatch>,
    /// Service account of the peer's identity.
    pub service_accounts: Vec<ServiceAccountMatch>,
    /// Its negation.
    pub not_service_accounts: Vec<ServiceAccountMatch>,
    /// TCP peer address.
    pub source_ips: Vec<IpRange>,
    /// Its negation.
    pub not_source_ips: Vec<IpRange>,
    /// Address the application is reached at.
    pub destination_ips: Vec<IpRange>,
    /// Its negation.
    pub not_destination_ips: Vec<IpRange>,
    /// Port the application is reached at.
    pub destination_ports: Vec<u16>,
    /// Its negation.
    pub not_destination_ports: Vec<u16>,
}

/// Alternatives: matches when any of its matches does, or when it has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Clause {
    /// OR-ed.
    pub matches: Vec<Match>,
}

/// All clauses must match; a rule without clauses matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rule {
    /// AND-ed.
    pub clauses: Vec<Clause>,
}

/// One authorization policy. Source: docs/compat.md#authorization-record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Namespace and name; the resource name on the wire.
    pub key: NamespacedName,
    /// Which workloads it applies to.
    pub scope: PolicyScope,
    /// What it does.
    pub action: Action,
    /// OR-ed; a policy without rules never matches.
    pub rules: Vec<Rule>,
    /// Report only, do not enforce.
    pub dry_run: bool,
    /// The user's object behind it, when the sender said.
    pub origin: Option<Origin>,
}
