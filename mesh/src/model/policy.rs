//! Authorization policies: conditions on connections, which node proxies and waypoints evaluate, and on requests,
//! which waypoints do.

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
    /// Conditions that only a waypoint can evaluate; `None` for none.
    pub request: Option<Box<RequestMatch>>,
}

impl Match {
    /// Whether it has no condition at all; it never matches then.
    pub fn is_empty(&self) -> bool {
        // Named one by one, so that a new field cannot be forgotten here.
        let Self {
            namespaces,
            not_namespaces,
            principals,
            not_principals,
            service_accounts,
            not_service_accounts,
            source_ips,
            not_source_ips,
            destination_ips,
            not_destination_ips,
            destination_ports,
            not_destination_ports,
            request,
        } = self;
        let request = request.as_deref();
        namespaces.is_empty()
            && not_namespaces.is_empty()
            && principals.is_empty()
            && not_principals.is_empty()
            && service_accounts.is_empty()
            && not_service_accounts.is_empty()
            && source_ips.is_empty()
            && not_source_ips.is_empty()
            && destination_ips.is_empty()
            && not_destination_ips.is_empty()
            && destination_ports.is_empty()
            && not_destination_ports.is_empty()
            && request.is_none_or(|it| *it == RequestMatch::default())
    }
}

/// Conditions that only a waypoint can evaluate, as AND-ed and OR-ed as those of [`Match`].
/// Source: docs/compat.md#request-authorization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RequestMatch {
    /// Trust domain of the peer's identity.
    pub trust_domains: Vec<StringMatch>,
    /// Its negation.
    pub not_trust_domains: Vec<StringMatch>,
    /// Address of the client as proxies in front say.
    pub remote_ips: Vec<IpRange>,
    /// Its negation.
    pub not_remote_ips: Vec<IpRange>,
    /// Server name of the TLS connection.
    pub server_names: Vec<StringMatch>,
    /// Its negation.
    pub not_server_names: Vec<StringMatch>,
    /// Host of the request, with a port if one was sent; case does not count.
    pub hosts: Vec<StringMatch>,
    /// Its negation.
    pub not_hosts: Vec<StringMatch>,
    /// Method.
    pub methods: Vec<StringMatch>,
    /// Its negation.
    pub not_methods: Vec<StringMatch>,
    /// Path, without query.
    pub paths: Vec<PathPattern>,
    /// Its negation.
    pub not_paths: Vec<PathPattern>,
    /// `iss/sub` of a verified token.
    pub request_principals: Vec<StringMatch>,
    /// Its negation.
    pub not_request_principals: Vec<StringMatch>,
    /// Headers, by lower-case name; each must hold. The lines of a repeated header count one by one.
    pub headers: Vec<NamedPatterns>,
    /// Claims of a verified token; each must hold.
    pub claims: Vec<ClaimPatterns>,
}

/// A pattern over a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// As any text.
    Text(StringMatch),
    /// With `{*}` for one element and, once and as the last operator, `{**}` for anything. Begins
    /// with `/`.
    Template(Arc<str>),
}

/// Patterns over one of many texts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamedPatterns {
    /// Which.
    pub name: Arc<str>,
    /// Some of these must match; empty for any, also none.
    pub values: Vec<StringMatch>,
    /// None of these may match.
    pub not_values: Vec<StringMatch>,
}

/// Patterns over a claim: a text, or a list that has it as a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimPatterns {
    /// Names from the outermost claim inwards; never empty.
    pub path: Vec<Arc<str>>,
    /// Some of these must match; empty for any, also none.
    pub values: Vec<StringMatch>,
    /// None of these may match.
    pub not_values: Vec<StringMatch>,
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
