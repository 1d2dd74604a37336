//! The one table of reasons: every way a connection can end, whose fault it is, whether to retry and
//! what each listener is told. Pure.

/// Whose fault an ending is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nobody's: it ended as it should.
    Nobody,
    /// The client's, or the application's that opened the connection.
    Downstream,
    /// The destination's, or something on the way to it.
    Upstream,
    /// This proxy's.
    Us,
    /// A policy's: somebody decided that it must not be.
    Policy,
    /// The configuration's: what the user asked for cannot work, or has not arrived.
    Config,
}

/// One row: fault, may it be retried, Istio's response flag, CONNECT status, log word.
type Row = (Fault, bool, &'static str, u16, &'static str);

/// Declares the enum and its rows side by side, so that no variant can lack one.
macro_rules! reasons {
    ($( $(#[doc = $doc:literal])+ $name:ident = ($fault:ident, $retry:literal, $flag:literal, $status:literal, $word:literal) ),+ $(,)?) => {
        /// Every way a connection or request can end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $( $(#[doc = $doc])+ $name ),+ }

        impl Reason {
            /// All reasons, in table order.
            pub const ALL: &'static [Reason] = &[ $( Reason::$name ),+ ];

            const fn row(self) -> Row {
                match self { $( Reason::$name => (Fault::$fault, $retry, $flag, $status, $word) ),+ }
            }

            /// What it means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $( Reason::$name => concat!($($doc),+) ),+ }
            }
        }
    };
}

reasons! {
    /// Both sides finished.
    Complete = (Nobody, false, "-", 200, "complete"),
    /// The client reset its connection.
    ClientReset = (Downstream, false, "-", 200, "client_reset"),
    /// The destination reset its connection.
    DestinationReset = (Upstream, false, "-", 200, "destination_reset"),
    /// A tunnel under the connection broke.
    TunnelLost = (Upstream, true, "CONNECT", 503, "tunnel_lost"),
    /// The proxy shut down or the pod left the mesh before the connection was over.
    Drained = (Us, true, "-", 503, "drained"),
    /// An authorization policy refused it.
    PolicyDenied = (Policy, false, "DENY", 401, "policy_denied"),
    /// A policy changed and now refuses a live connection.
    PolicyChanged = (Policy, false, "DENY", 401, "policy_changed"),
    /// The workload names a policy that has not arrived within the time allowed.
    PolicyNotArrived = (Config, true, "DENY", 503, "policy_not_arrived"),
    /// A policy that may apply to the workload could not be read and has no earlier version.
    PolicyRejected = (Config, true, "DENY", 503, "policy_rejected"),
    /// The request was not a CONNECT.
    NotConnect = (Downstream, false, "-", 400, "not_connect"),
    /// The CONNECT authority could not be read.
    BadAuthority = (Downstream, false, "-", 400, "bad_authority"),
    /// The CONNECT authority names another address than the one that was dialled.
    AuthorityMismatch = (Downstream, false, "-", 400, "authority_mismatch"),
    /// A header of the CONNECT is malformed or too large.
    BadHeader = (Downstream, false, "-", 400, "bad_header"),
    /// The target is a port of the proxy itself.
    IllegalPort = (Downstream, false, "-", 503, "illegal_port"),
    /// The pod's own record has not arrived within the time allowed.
    WorkloadUnknown = (Config, true, "-", 503, "workload_unknown"),
    /// The named host is not a service or workload the proxy knows.
    HostUnknown = (Config, true, "-", 503, "host_unknown"),
    /// The service has no such port, or no endpoint serves it.
    PortUnknown = (Config, false, "-", 503, "port_unknown"),
    /// The service has no healthy endpoint.
    NoHealthyEndpoint = (Upstream, true, "-", 503, "no_healthy_endpoint"),
    /// The waypoint that is asked for has no ready instance or does not exist.
    WaypointUnavailable = (Config, true, "-", 503, "waypoint_unavailable"),
    /// The destination is on another network, which is not supported.
    OtherNetwork = (Config, false, "-", 503, "other_network"),
    /// A name the proxy asked the controller for was not answered within the time allowed.
    LookupTimeout = (Config, true, "-", 503, "lookup_timeout"),
    /// The destination's host name has no address, or no name server answered in time.
    NameNotResolved = (Upstream, true, "-", 503, "name_not_resolved"),
    /// The destination refused the TCP connection.
    ConnectRefused = (Upstream, true, "CONNECT", 503, "connect_refused"),
    /// The destination did not answer the TCP connection in time.
    ConnectTimeout = (Upstream, true, "CONNECT", 503, "connect_timeout"),
    /// The TCP connection failed otherwise.
    ConnectFailed = (Upstream, true, "CONNECT", 503, "connect_failed"),
    /// Port 15008 did not answer in time: a network policy probably blocks it.
    TunnelPortBlocked = (Upstream, true, "NETWORK_POLICY", 503, "tunnel_port_blocked"),
    /// TLS failed for another reason than the ones below.
    TlsFailed = (Upstream, true, "TLS_FAILURE", 503, "tls_failed"),
    /// What arrived on a TLS port is not TLS.
    NotTls = (Downstream, false, "TLS_FAILURE", 400, "not_tls"),
    /// The peer presented no certificate.
    NoCertificate = (Downstream, false, "TLS_FAILURE", 401, "no_certificate"),
    /// The peer's certificate has expired.
    CertificateExpired = (Upstream, true, "TLS_FAILURE", 503, "certificate_expired"),
    /// The peer's certificate is not valid yet.
    CertificateNotYetValid = (Upstream, true, "TLS_FAILURE", 503, "certificate_not_yet_valid"),
    /// The peer's certificate was issued by nobody we trust.
    UnknownIssuer = (Upstream, false, "TLS_FAILURE", 503, "unknown_issuer"),
    /// The peer's certificate may not be used for this side of a connection.
    WrongPurpose = (Upstream, false, "TLS_FAILURE", 503, "wrong_purpose"),
    /// The peer's certificate carries no identity of this mesh's shape.
    NoIdentity = (Upstream, false, "TLS_FAILURE", 503, "no_identity"),
    /// The peer belongs to another trust domain.
    WrongTrustDomain = (Upstream, false, "TLS_FAILURE", 503, "wrong_trust_domain"),
    /// The peer proved another identity than the destination's.
    WrongIdentity = (Upstream, false, "TLS_FAILURE", 503, "wrong_identity"),
    /// The handshake was not over in time.
    HandshakeTimeout = (Upstream, true, "TLS_FAILURE", 503, "handshake_timeout"),
    /// HTTP/2 could not be set up, or the peer broke its rules.
    Http2Failed = (Upstream, true, "H2_HANDSHAKE_FAILURE", 503, "http2_failed"),
    /// The other proxy answered the CONNECT with 401: its policy refuses us.
    RefusedByPeerPolicy = (Policy, false, "CONNECT", 401, "refused_by_peer_policy"),
    /// The other proxy answered the CONNECT with another status than 200 or 401.
    RefusedByPeer = (Upstream, true, "CONNECT", 503, "refused_by_peer"),
    /// The other proxy took the CONNECT and did not answer it in time.
    AnswerTimeout = (Upstream, true, "CONNECT", 503, "answer_timeout"),
    /// No certificate for the pod's identity could be had.
    NoOwnCertificate = (Us, true, "IDENTITY_ERROR", 503, "no_own_certificate"),
    /// A limit of this proxy (descriptors, memory, connections) was reached.
    Overloaded = (Us, true, "-", 503, "overloaded"),
    /// Reading or writing failed otherwise.
    IoFailed = (Us, true, "-", 503, "io_failed"),
}

impl Reason {
    /// Whose fault it is.
    pub const fn fault(self) -> Fault {
        self.row().0
    }

    /// Whether the same connection may be tried again with a chance.
    pub const fn may_retry(self) -> bool {
        self.row().1
    }

    /// Istio's `response_flags` label; a closed set. Source: docs/compat.md#response-flags.
    pub const fn istio_flag(self) -> &'static str {
        self.row().2
    }

    /// The CONNECT status a tunnel client is answered with. Source: docs/compat.md#inbound-status.
    pub const fn connect_status(self) -> u16 {
        self.row().3
    }

    /// The word in the `reason` field of logs and metrics; stable, lower case.
    pub const fn word(self) -> &'static str {
        self.row().4
    }

    /// Whether the flow ended as it should.
    pub fn is_success(self) -> bool {
        matches!(self, Reason::Complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// docs/compat.md#response-flags: this set stays closed.
    const FLAGS: [&str; 8] = [
        "-",
        "DENY",
        "CONNECT",
        "TLS_FAILURE",
        "H2_HANDSHAKE_FAILURE",
        "NETWORK_POLICY",
        "IDENTITY_ERROR",
        "CERT_REVOKED",
    ];

    #[test]
    fn every_flag_is_one_of_the_closed_set() {
        for reason in Reason::ALL {
            assert!(FLAGS.contains(&reason.istio_flag()), "{reason:?}");
        }
    }

    #[test]
    fn words_are_unique_and_lower_case() {
        let words: BTreeSet<_> = Reason::ALL.iter().map(|r| r.word()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
        assert!(words.iter().all(|w| {
            w.bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit())
        }));
    }

    #[test]
    fn statuses_are_those_of_the_contract() {
        assert!(
            Reason::ALL
                .iter()
                .all(|r| [200, 400, 401, 503].contains(&r.connect_status()))
        );
        assert_eq!(Reason::PolicyDenied.connect_status(), 401);
        assert_eq!(Reason::ConnectRefused.connect_status(), 503);
    }
}
