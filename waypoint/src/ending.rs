//! Pure. The one table of how requests end that no application answered: status, Istio's response flag,
//! detail word, body. Source: docs/compat.md#local-replies.

use std::borrow::Cow;

use http::StatusCode;

/// Whose fault an ending is.
pub use mesh::flow::Fault;

/// How a request ended that no application answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The service has routes, and none matched.
    NoRoute,
    /// The rule's reference leads nowhere, or it has no backend with weight.
    NoBackend,
    /// Routes of the service could not be read and have no earlier version.
    RoutesRejected,
    /// Nobody can take it.
    NoHealthyEndpoint,
    /// No connection: refused or unreachable.
    ConnectFailed,
    /// No connection in time.
    ConnectTimeout,
    /// The endpoint closed before it answered.
    Closed,
    /// The endpoint reset the stream before it answered.
    Reset,
    /// The endpoint's answer is not HTTP, or too large.
    UpstreamProtocol,
    /// All tries together took too long.
    Timeout,
    /// One try took too long.
    TryTimeout,
    /// The client's gRPC deadline is over.
    Deadline,
    /// Too many at once.
    Overflow,
    /// The client went away.
    ClientGone,
    /// HTTP/1.0.
    OldVersion,
    /// No host.
    NoHost,
    /// The path cannot be made uniform.
    BadPath,
    /// Two lengths that contradict each other.
    TwoLengths,
    /// A transfer coding that is not spoken.
    UnknownCoding,
    /// More header lines or bytes than allowed.
    HeadTooLarge,
    /// A body that is none: a chunk without a length, say.
    BadBody,
    /// CONNECT inside of a tunnel.
    Connect,
    /// An upgrade that is not offered.
    UpgradeRefused,
    /// A policy refused it.
    Denied,
    /// A policy of the target could not be read and has no earlier version.
    PolicyRejected,
    /// The token is wrong.
    Unauthenticated,
    /// The external authorization server refused it.
    ExternallyDenied,
    /// The external authorization server could not be asked.
    ExternalFailed,
    /// Its body is longer than an authorization server may be shown.
    BodyTooLarge,
    /// More than a limit allows.
    RateLimited,
    /// Broken on purpose.
    FaultAbort,
    /// A rule answered it.
    DirectReply,
    /// A rule redirected it.
    Redirect,
    /// A rule answered a cross-origin preflight.
    Preflight,
    /// This waypoint is shutting down.
    Drained,
}

/// Fault, status, flag, detail word.
type Row = (Fault, u16, &'static str, &'static str);

/// Beginning of what clients hear of a broken connection.
const RESET: &str = "upstream connect error or disconnect/reset before headers. ";

impl Ending {
    #[expect(clippy::too_many_lines, reason = "one table, a row each")]
    const fn row(self) -> Row {
        use Fault::{Config, Downstream, Nobody, Policy, Upstream, Us};
        match self {
            Self::NoRoute => (Config, 404, "NR", "route_not_found"),
            Self::NoBackend => (Config, 500, "-", "direct_response"),
            Self::RoutesRejected => (Config, 503, "NC", "cluster_not_found"),
            Self::NoHealthyEndpoint => (Upstream, 503, "UH", "no_healthy_upstream"),
            Self::ConnectFailed => (
                Upstream,
                503,
                "UF",
                "upstream_reset_before_response_started{remote_connection_failure}",
            ),
            Self::ConnectTimeout => (
                Upstream,
                503,
                "UF",
                "upstream_reset_before_response_started{connection_timeout}",
            ),
            Self::Closed => (
                Upstream,
                503,
                "UC",
                "upstream_reset_before_response_started{connection_termination}",
            ),
            Self::Reset => (
                Upstream,
                503,
                "UR",
                "upstream_reset_before_response_started{remote_reset}",
            ),
            Self::UpstreamProtocol => (
                Upstream,
                502,
                "UPE",
                "upstream_reset_before_response_started{protocol_error}",
            ),
            Self::Timeout => (Upstream, 504, "UT", "response_timeout"),
            Self::TryTimeout => (Upstream, 504, "UT", "upstream_per_try_timeout"),
            Self::Deadline => (Upstream, 504, "-", "max_duration_timeout"),
            Self::Overflow => (
                Upstream,
                503,
                "UO",
                "upstream_reset_before_response_started{overflow}",
            ),
            Self::ClientGone => (Downstream, 0, "DC", "downstream_remote_disconnect"),
            Self::OldVersion => (Downstream, 426, "DPE", "low_version"),
            Self::NoHost => (Downstream, 400, "-", "missing_host_header"),
            Self::BadPath => (Downstream, 400, "-", "path_normalization_failed"),
            Self::TwoLengths => (
                Downstream,
                400,
                "DPE",
                "http1.content_length_and_chunked_not_allowed",
            ),
            Self::UnknownCoding => (Downstream, 501, "DPE", "http1.invalid_transfer_encoding"),
            Self::HeadTooLarge => (Downstream, 431, "DPE", "http1.headers_too_large"),
            Self::BadBody => (Downstream, 400, "DPE", "http1.codec_error"),
            Self::Connect => (Config, 404, "NR", "route_not_found"),
            Self::UpgradeRefused => (Downstream, 403, "-", "upgrade_failed"),
            Self::Denied => (Policy, 403, "-", "rbac_access_denied_matched_policy"),
            Self::PolicyRejected => (Policy, 403, "-", "policy_rejected"),
            Self::Unauthenticated => (Policy, 401, "-", "jwt_authn_access_denied"),
            Self::ExternallyDenied => (Policy, 403, "UAEX", "ext_authz_denied"),
            Self::ExternalFailed => (Policy, 403, "UAEX", "ext_authz_error"),
            Self::BodyTooLarge => (Downstream, 413, "-", "request_payload_too_large"),
            Self::RateLimited => (Policy, 429, "RL", "local_rate_limited"),
            Self::FaultAbort => (Config, 503, "FI", "fault_filter_abort"),
            Self::DirectReply => (Nobody, 200, "-", "direct_response"),
            Self::Redirect => (Nobody, 302, "-", "direct_response"),
            Self::Preflight => (Nobody, 200, "-", "cors_preflight"),
            Self::Drained => (Us, 503, "DC", "downstream_local_disconnect"),
        }
    }

    /// Whose fault.
    pub const fn fault(self) -> Fault {
        self.row().0
    }

    /// Status, where nobody says another one.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().1).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// Istio's response flag.
    pub const fn flag(self) -> &'static str {
        self.row().2
    }

    /// The word for details of the answer.
    pub const fn details(self) -> &'static str {
        self.row().3
    }

    /// Whether nothing more on the connection can be trusted, so that it ends with the answer.
    pub const fn closes(self) -> bool {
        matches!(
            self,
            Self::OldVersion
                | Self::NoHost
                | Self::BadPath
                | Self::TwoLengths
                | Self::UnknownCoding
                | Self::HeadTooLarge
                | Self::BadBody
                | Self::Connect
        )
    }

    /// Whether it is an upstream's failure that comes with no answer of it.
    pub const fn is_reset(self) -> bool {
        matches!(
            self,
            Self::ConnectFailed
                | Self::ConnectTimeout
                | Self::Closed
                | Self::Reset
                | Self::UpstreamProtocol
                | Self::Overflow
        )
    }

    /// What the client reads. After retries it is told so.
    pub fn body(self, retried: bool) -> Cow<'static, str> {
        let reset = |reason: &str| {
            let how = match retried {
                true => "retried and the latest reset reason: ",
                false => "reset reason: ",
            };
            Cow::Owned(format!("{RESET}{how}{reason}"))
        };
        match self {
            Self::ConnectFailed => reset("remote connection failure"),
            Self::ConnectTimeout => reset("connection timeout"),
            Self::Closed => reset("connection termination"),
            Self::Reset => reset("remote reset"),
            Self::UpstreamProtocol => reset("protocol error"),
            Self::Overflow => reset("overflow"),
            Self::NoHealthyEndpoint => Cow::Borrowed("no healthy upstream"),
            Self::Timeout | Self::TryTimeout => Cow::Borrowed("upstream request timeout"),
            Self::Deadline => Cow::Borrowed("downstream duration timeout"),
            Self::Denied | Self::PolicyRejected => Cow::Borrowed("RBAC: access denied"),
            Self::BodyTooLarge => Cow::Borrowed("Payload Too Large"),
            Self::RateLimited => Cow::Borrowed("local_rate_limited"),
            Self::FaultAbort => Cow::Borrowed("fault filter abort"),
            Self::TwoLengths | Self::BadBody => Cow::Borrowed("Bad Request"),
            Self::UnknownCoding => Cow::Borrowed("Not Implemented"),
            Self::OldVersion => Cow::Borrowed("Upgrade Required"),
            Self::HeadTooLarge => Cow::Borrowed("Request Header Fields Too Large"),
            _ => Cow::Borrowed(""),
        }
    }
}

/// The gRPC status that an HTTP status of ours becomes.
pub fn grpc_status(status: StatusCode) -> u16 {
    match status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}
