//! Policies that are attached to what a waypoint serves: who may ask, with which token, how often.

use std::sync::Arc;
use std::time::Duration;

use super::Origin;
use super::http::{HttpMatch, TextMatch};
use super::policy::Rule;
use crate::names::{NamespacedHostname, NamespacedName};

/// A policy of one user's object. Its resource name is `kind/namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedPolicy {
    /// The object.
    pub origin: Origin,
    /// What it holds for; any of them.
    pub targets: Vec<Target>,
    /// What it says.
    pub body: PolicyBody,
}

impl AttachedPolicy {
    /// Its resource name, `kind/namespace/name`.
    pub fn resource_name(&self) -> String {
        let Origin {
            kind,
            namespace,
            name,
            ..
        } = &self.origin;
        format!("{kind}/{namespace}/{name}")
    }
}

/// What a policy holds for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Everything that a waypoint serves.
    Gateway(NamespacedName),
    /// A service.
    Service(NamespacedHostname),
    /// Requests that a rule of this object matched; with an empty rule all of its rules.
    Route(Origin),
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyBody {
    /// Who may ask.
    Authorization(RequestAuthorization),
    /// Which tokens count.
    Authentication(Vec<JwtRule>),
    /// How often.
    RateLimit(Vec<RateLimit>),
}

/// Who may ask, as waypoints evaluate it. Source: docs/compat.md#request-authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestAuthorization {
    /// What it does.
    pub action: RequestAction,
    /// OR-ed; without rules it never matches.
    pub rules: Vec<Rule>,
    /// Report only, do not enforce.
    pub dry_run: bool,
}

/// What a matching policy does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RequestAction {
    /// Admits; once any ALLOW policy applies, what none admits is refused.
    Allow,
    /// Refuses.
    Deny,
    /// Marks the request in the log.
    Audit,
    /// Asks this external authorization server.
    Custom(Arc<str>),
}

/// Which tokens of one issuer count. Source: docs/compat.md#jwt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtRule {
    /// `iss`.
    pub issuer: Arc<str>,
    /// `aud`, any of them; empty for any, also none.
    pub audiences: Vec<Arc<str>>,
    /// Keys.
    pub keys: JwtKeys,
    /// Headers it may be in, with the prefix before it.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// Query parameters it may be in.
    pub params: Vec<Arc<str>>,
    /// Cookies it may be in.
    pub cookies: Vec<Arc<str>>,
    /// Header that its payload is sent on in; empty for none.
    pub payload_header: Arc<str>,
    /// Headers that claims are sent on in: header, path of the claim (parts separated by `.`).
    pub claim_headers: Vec<(Arc<str>, Arc<str>)>,
    /// Whether the token itself is sent on.
    pub forward: bool,
    /// How long fetching keys may take. Default 5 s.
    pub fetch_timeout: Duration,
    /// Claims, beside `scope` and `permission`, that are lists separated by spaces.
    pub space_delimited: Vec<Arc<str>>,
}

/// Keys of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwtKeys {
    /// A JSON key set.
    Inline(Arc<str>),
    /// Fetched from here.
    Url(Arc<str>),
    /// Fetched from where the issuer's discovery document says.
    Discovery,
}

/// A limit of requests, by a bucket that fills at a constant rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Name in logs and metrics.
    pub name: Arc<str>,
    /// Requests it counts; all conditions of one alternative must hold, none counts all.
    pub matches: Vec<HttpMatch>,
    /// Only these callers' identities; empty for all.
    pub principals: Vec<TextMatch>,
    /// What has a bucket of its own per value; empty has one for all.
    pub by: Vec<LimitBy>,
    /// Requests per period.
    pub requests: u32,
    /// The period.
    pub per: Duration,
    /// Requests at once at most; 0 as many as per period.
    pub burst: u32,
}

/// What has a bucket of its own per value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LimitBy {
    /// Value of a request header.
    Header(Arc<str>),
    /// Value of a query parameter.
    Query(Arc<str>),
    /// Identity of the caller.
    Principal,
    /// Address of the caller.
    SourceIp,
    /// A claim of the token, by path with `\u{1f}` between its parts.
    Claim(Arc<str>),
}
