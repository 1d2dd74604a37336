//! Routes of the services that a waypoint serves: matches, what is done, to whom.
//!
//! The controller brings every family of objects into this one form, with the order of precedence
//! already worked out: the first entry that matches wins. Source: docs/compat.md#routes.

use std::sync::Arc;
use std::time::Duration;

use super::Origin;
use super::destination::Destination;
use super::observe::Telemetry;
use crate::names::NamespacedHostname;

/// All routes of one bound service; one resource, so that precedence changes at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRoutes {
    /// The bound service; the resource name on the wire.
    pub key: NamespacedHostname,
    /// Ports with routes. Traffic of other ports goes to the service's own endpoints.
    pub ports: Vec<PortRoutes>,
    /// Destinations that rules name by index.
    pub destinations: Vec<Destination>,
    /// Index of the service itself among the destinations, by port; for ports without routes.
    pub own: Vec<(u16, u32)>,
    /// Telemetry of this service, when not the waypoint's.
    pub telemetry: Option<Telemetry>,
}

/// Routes of one port. With several of one port, that of the client's namespace goes first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortRoutes {
    /// Port of the service.
    pub port: u16,
    /// Only for clients of this namespace (a consumer route); empty for all.
    pub client_namespace: Arc<str>,
    /// HTTP routes in order; what none matches is answered with 404.
    pub http: Vec<HttpEntry>,
    /// What their entries do.
    pub rules: Vec<HttpRule>,
    /// TLS routes in order, by server name.
    pub tls: Vec<TlsRule>,
    /// TCP routes in order.
    pub tcp: Vec<TcpRule>,
}

/// One alternative of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpEntry {
    /// Conditions; all must hold.
    pub matches: HttpMatch,
    /// Index into [`PortRoutes::rules`].
    pub rule: u32,
}

/// Conditions on a request; all must hold, absent ones do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpMatch {
    /// Path, without query.
    pub path: Option<PathMatch>,
    /// Whether the case of the path does not count; not for regular expressions.
    pub ignore_path_case: bool,
    /// Method.
    pub method: Option<TextMatch>,
    /// `http` or `https`.
    pub scheme: Option<TextMatch>,
    /// Host header or `:authority`.
    pub authority: Option<TextMatch>,
    /// Headers, by lower-case name.
    pub headers: Vec<NamedMatch>,
    /// Query parameters.
    pub query: Vec<NamedMatch>,
    /// Claims of a verified token, by path with `\u{1f}` between its parts.
    pub claims: Vec<NamedMatch>,
}

/// Condition on a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathMatch {
    /// Equal.
    Exact(Arc<str>),
    /// Equal, or longer by whole elements. Without trailing slash; the root is empty.
    Elements(Arc<str>),
    /// Begins with.
    Prefix(Arc<str>),
    /// Matches as a whole.
    Regex(Arc<str>),
}

/// Condition on a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TextMatch {
    /// Equal.
    Exact(Arc<str>),
    /// Begins with.
    Prefix(Arc<str>),
    /// Matches as a whole.
    Regex(Arc<str>),
    /// Is there.
    Present,
}

/// Condition on one of many.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamedMatch {
    /// Which.
    pub name: Arc<str>,
    /// Condition on its value.
    pub value: TextMatch,
    /// Whether the condition must not hold.
    pub negated: bool,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRule {
    /// The rule of the user's object.
    pub origin: Origin,
    /// What is done at the end.
    pub action: HttpAction,
    /// Changes of the request's headers.
    pub request_headers: HeaderChanges,
    /// Changes of the response's headers.
    pub response_headers: HeaderChanges,
    /// Changes of host and path.
    pub rewrite: Rewrite,
    /// Copies sent elsewhere.
    pub mirrors: Vec<Mirror>,
    /// Cross-origin rules.
    pub cors: Option<Cors>,
    /// Broken on purpose.
    pub fault: Fault,
    /// How long all tries together may take; `None` for ever.
    pub timeout: Option<Duration>,
    /// Retries; `None` as the waypoint says.
    pub retry: Option<Retry>,
    /// Keeps a client with its endpoint.
    pub session: Option<SessionPersistence>,
}

/// What is done with a request at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpAction {
    /// It is sent on. Without any weight it is answered with 500.
    Forward(Vec<Backend>),
    /// It is answered with a redirect.
    Redirect(Redirect),
    /// It is answered.
    Reply {
        /// Status.
        status: u16,
        /// Body.
        body: Arc<str>,
    },
}

/// One of several destinations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its share, relative to the sum of all weights.
    pub weight: u32,
    /// Index into [`ServiceRoutes::destinations`]; `None` where the user's reference leads nowhere:
    /// that share is answered with 500.
    pub destination: Option<u32>,
    /// Changes of the request's headers, after the rule's. A `host` that is set is the request's new
    /// host, after [`HttpRule::rewrite`].
    pub request_headers: HeaderChanges,
    /// Changes of the response's headers, before the rule's.
    pub response_headers: HeaderChanges,
}

/// Changes of headers, in this order: remove, set, add. Names are lower-case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderChanges {
    /// Removed.
    pub remove: Vec<Arc<str>>,
    /// Replaced.
    pub set: Vec<(Arc<str>, Arc<str>)>,
    /// Appended.
    pub add: Vec<(Arc<str>, Arc<str>)>,
}

/// Changes of host and path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// New host; empty keeps it.
    pub host: Arc<str>,
    /// New path.
    pub path: Option<PathRewrite>,
}

/// A new path; the query is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathRewrite {
    /// Instead of the whole.
    Full(Arc<str>),
    /// Instead of what a [`PathMatch::Elements`] matched; elements stay whole.
    Elements {
        /// The matched prefix.
        prefix: Arc<str>,
        /// What stands instead.
        replacement: Arc<str>,
    },
    /// Instead of what a [`PathMatch::Prefix`] matched, letter by letter.
    Prefix {
        /// The matched prefix.
        prefix: Arc<str>,
        /// What stands instead.
        replacement: Arc<str>,
    },
    /// Everything that matches the expression; `\1` stands for its first group.
    Regex {
        /// The expression.
        regex: Arc<str>,
        /// What stands instead.
        replacement: Arc<str>,
    },
}

/// A redirect; absent parts are the request's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirect {
    /// `http` or `https`.
    pub scheme: Option<Arc<str>>,
    /// Host.
    pub host: Option<Arc<str>>,
    /// Path.
    pub path: Option<PathRewrite>,
    /// Port, and what stands for it when there is none.
    pub port: RedirectPort,
    /// Status: 301, 302, 303, 307, 308.
    pub status: u16,
}

/// Port of a redirect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RedirectPort {
    /// Well-known port of an explicit scheme, else the request's: Gateway API.
    #[default]
    FromScheme,
    /// That of the request: VirtualService with `derivePort: FROM_REQUEST_PORT`.
    FromRequest,
    /// None is added: a given host stands as it is written, that of the request keeps its port, except a
    /// well-known one when the scheme changes. VirtualService without a port.
    AsHost,
    /// This one.
    Fixed(u16),
}

/// A share of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fraction {
    /// Of `denominator`.
    pub numerator: u32,
    /// Never 0.
    pub denominator: u32,
}

/// A copy sent elsewhere, whose answer is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Index into [`ServiceRoutes::destinations`].
    pub destination: u32,
    /// Share of requests that are copied.
    pub share: Fraction,
}

/// Cross-origin rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Origins that may ask.
    pub origins: Vec<OriginMatch>,
    /// Methods; `*` reflects.
    pub methods: Vec<Arc<str>>,
    /// Request headers; `*` reflects.
    pub headers: Vec<Arc<str>>,
    /// Response headers that scripts may see.
    pub expose: Vec<Arc<str>>,
    /// Whether credentials may be sent.
    pub credentials: bool,
    /// How long a preflight's answer may be kept; `None` leaves the header out.
    pub max_age: Option<Duration>,
    /// Whether preflights of other origins are answered here (200, without rules) instead of sent on.
    pub answer_unmatched: bool,
}

/// An origin that may ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OriginMatch {
    /// By text.
    Text(TextMatch),
    /// With a `*` for any part: `https://*.example.com`, or `*` for all.
    Wildcard(Arc<str>),
}

/// Broken on purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Delay of a share.
    pub delay: Option<(Duration, Fraction)>,
    /// Refusal of a share.
    pub abort: Option<(Abort, Fraction)>,
}

/// How a broken request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Abort {
    /// With this HTTP status.
    Http(u16),
    /// With this gRPC status.
    Grpc(u16),
}

/// When a request is tried again. Source: docs/compat.md#retries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// Tries after the first; 0 never.
    pub attempts: u32,
    /// What is tried again.
    pub on: RetryOn,
    /// Status codes that are tried again.
    pub codes: Vec<u16>,
    /// How long one try may take; `None` as long as all.
    pub per_try_timeout: Option<Duration>,
    /// Base of the back-off; each wait is random up to `base * (2^n - 1)`, at most ten times the
    /// base. Default 25 ms.
    pub backoff: Option<Duration>,
    /// Whether the wait is at least the base (Gateway API) instead of random from zero.
    pub backoff_is_minimum: bool,
    /// Whether endpoints that were tried may be chosen again at once.
    pub same_endpoint: bool,
    /// Whether farther places are tried too.
    pub remote_localities: bool,
}

/// What is tried again; each as the public contract has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the contract's list of conditions, each by itself"
)]
pub struct RetryOn {
    /// Any 5xx, or no answer.
    pub any_5xx: bool,
    /// 502, 503, 504, or no answer.
    pub gateway_error: bool,
    /// No answer: closed, reset, a try that took too long.
    pub reset: bool,
    /// The same, before anything was sent.
    pub reset_before_request: bool,
    /// No connection.
    pub connect_failure: bool,
    /// HTTP/2 `REFUSED_STREAM`.
    pub refused_stream: bool,
    /// 409.
    pub retriable_4xx: bool,
    /// Answers with the header `x-envoy-ratelimited`.
    pub rate_limited: bool,
    /// gRPC status 1 in headers.
    pub cancelled: bool,
    /// gRPC status 4 in headers.
    pub deadline_exceeded: bool,
    /// gRPC status 13 in headers.
    pub internal: bool,
    /// gRPC status 8 in headers.
    pub resource_exhausted: bool,
    /// gRPC status 14 in headers.
    pub unavailable: bool,
}

/// Keeps a client with its endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPersistence {
    /// How the client says which.
    pub by: SessionBy,
    /// How long a session may last; `None` without end.
    pub absolute_timeout: Option<Duration>,
}

/// How a client says which session it is in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SessionBy {
    /// A cookie.
    Cookie {
        /// Name.
        name: Arc<str>,
        /// Path.
        path: Arc<str>,
        /// Whether browsers keep it beyond their session.
        permanent: bool,
    },
    /// A header.
    Header(Arc<str>),
}

/// A route by server name of TLS that is not terminated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsRule {
    /// The rule of the user's object.
    pub origin: Origin,
    /// Server names; `*.` stands for one or more labels; empty for any.
    pub server_names: Vec<Arc<str>>,
    /// Where it goes; without any weight it is refused.
    pub backends: Vec<Backend>,
}

/// A route of opaque bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpRule {
    /// The rule of the user's object.
    pub origin: Origin,
    /// Where it goes; without any weight it is refused.
    pub backends: Vec<Backend>,
}
