//! Every reason of the one table, provoked with real connections: what the log says, what the metrics
//! count, and what the other end sees on the wire.
//!
//! [`cases_of`] is a match over all reasons without a wildcard: a new reason does not compile before it
//! has its cases.

use std::net::SocketAddr;

use mesh::flow::{Direction, Reason};
pub(crate) use outbound::plain_web;
use tracing::Level;

use crate::logged::{self, Line};
use crate::peer::Wire;
use crate::proxy::{Proxy, wait_until};
use crate::world::World;

mod handshakes;
mod inbound;
mod live;
mod outbound;

/// One way to come by a reason.
pub(crate) struct Case {
    /// At which door, and so by which proxy: pod one's outbound, pod two's inbound.
    door: Direction,
    /// How much the proxy knew of it.
    known: Known,
    /// What the other end sees: the client at the outbound door, the other proxy at the inbound one.
    wire: fn() -> Wire,
    /// Makes it happen.
    provoke: fn() -> Scene,
}

/// How far a connection had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Nothing was known of either end: a warning, counted as failed.
    Nothing,
    /// It never carried a byte: an error, counted as failed.
    Ends,
    /// It was open: counted as opened and closed.
    Open,
}

/// What has happened.
struct Scene {
    world: World,
    /// Where the connection came from.
    source: SocketAddr,
    /// What the other end has seen.
    saw: Wire,
}

impl Case {
    /// What the test is called.
    pub(crate) fn name(&self, reason: Reason) -> String {
        format!(
            "{}_ends_with_{}_told_everywhere",
            self.door.word(),
            reason.word()
        )
    }

    /// Provokes the reason and checks everything that is promised of it.
    pub(crate) fn check(&self, reason: Reason) {
        let Scene { world, source, saw } = (self.provoke)();
        let proxy = match self.door {
            Direction::Outbound => &world.one,
            Direction::Inbound => &world.two,
        };
        assert_eq!(saw, (self.wire)(), "on the wire");
        if let Wire::Status(status) = saw {
            assert_eq!(status, reason.connect_status(), "status on the wire");
        }
        self.check_line(reason, source);
        self.check_metrics(reason, proxy);
    }

    fn check_line(&self, reason: Reason, source: SocketAddr) {
        let ends = || logged::ends(self.door, source);
        wait_until(&format!("an end of {source} is logged"), || {
            !ends().is_empty()
        });
        let lines = ends();
        let [line] = lines.as_slice() else {
            panic!("more than one line: {lines:?}");
        };
        let (level, message) = match (reason.is_success(), self.known) {
            (true, _) => (Level::INFO, "connection complete"),
            (false, Known::Nothing) => (Level::WARN, "connection failed"),
            (false, Known::Ends | Known::Open) => (Level::ERROR, "connection complete"),
        };
        assert_eq!(
            (line.level, line.get("message")),
            (level, message),
            "{line:?}"
        );
        let (word, has_error) = match reason.is_success() {
            true => ("", false),
            false => (reason.word(), true),
        };
        assert_eq!(line.get("reason"), word, "{line:?}");
        assert_eq!(!line.get("error").is_empty(), has_error, "{line:?}");
        // A policy's refusal names the rule of the user's object.
        let by_policy = [Reason::PolicyDenied, Reason::PolicyChanged].contains(&reason);
        let origin = if by_policy {
            "AuthorizationPolicy shop/nobody rule 0"
        } else {
            ""
        };
        assert_eq!(line.get("origin"), origin, "{line:?}");
        check_fields(self.known, line);
    }

    fn check_metrics(&self, reason: Reason, proxy: &Proxy) {
        let direction = format!("direction=\"{}\"", self.door.word());
        let word = format!("reason=\"{}\"", reason.word());
        proxy.wait_for_metric("weft_ztunnel_flows_ended_total", &[&direction, &word], 1);
        let reporter = match self.door {
            Direction::Outbound => "{reporter=\"source\"",
            Direction::Inbound => "{reporter=\"destination\"",
        };
        let flag = format!("response_flags=\"{}\"", reason.istio_flag());
        let (counted, other) = match self.known {
            Known::Open => ("closed", "failed"),
            Known::Nothing | Known::Ends => ("failed", "closed"),
        };
        let counted = format!("istio_tcp_connections_{counted}_total");
        let other = format!("istio_tcp_connections_{other}_total");
        proxy.wait_for_metric(&counted, &[reporter, &flag], 1);
        let page = proxy.page();
        let mut lines = page.lines();
        let wrong = lines.find(|line| line.starts_with(&other) && line.contains(reporter));
        assert_eq!(wrong, None, "it is counted as {counted}");
    }
}

/// What is not known of a connection is left out of its line, and what is known is there.
fn check_fields(known: Known, line: &Line) {
    let has = |name: &str| !line.get(name).is_empty();
    match known {
        Known::Nothing => {
            let allowed = [
                "message",
                "src.addr",
                "dst.addr",
                "direction",
                "error",
                "reason",
                "origin",
            ];
            let extra = line.fields.keys().find(|name| !allowed.contains(name));
            assert_eq!(extra, None, "{line:?}");
        }
        Known::Ends | Known::Open => {
            assert!(has("src.workload") || has("dst.workload"), "{line:?}");
            assert!(
                has("bytes_sent") && has("bytes_recv") && has("duration"),
                "{line:?}"
            );
        }
    }
}

/// How each reason is come by.
pub(crate) fn cases_of(reason: Reason) -> &'static [Case] {
    match reason {
        Reason::Complete => live::COMPLETE,
        Reason::ClientReset => live::CLIENT_RESET,
        Reason::DestinationReset => live::DESTINATION_RESET,
        Reason::TunnelLost => live::TUNNEL_LOST,
        Reason::Drained => live::DRAINED,
        Reason::PolicyDenied => inbound::POLICY_DENIED,
        Reason::PolicyChanged => live::POLICY_CHANGED,
        Reason::PolicyNotArrived => inbound::POLICY_NOT_ARRIVED,
        Reason::PolicyRejected => inbound::POLICY_REJECTED,
        Reason::NotConnect => inbound::NOT_CONNECT,
        Reason::BadAuthority => inbound::BAD_AUTHORITY,
        Reason::AuthorityMismatch => inbound::AUTHORITY_MISMATCH,
        Reason::BadHeader => outbound::BAD_HEADER,
        Reason::IllegalPort => inbound::ILLEGAL_PORT,
        Reason::WorkloadUnknown => outbound::WORKLOAD_UNKNOWN,
        Reason::HostUnknown => inbound::HOST_UNKNOWN,
        Reason::PortUnknown => inbound::PORT_UNKNOWN,
        Reason::NoHealthyEndpoint => outbound::NO_HEALTHY_ENDPOINT,
        Reason::WaypointUnavailable => outbound::WAYPOINT_UNAVAILABLE,
        Reason::OtherNetwork => outbound::OTHER_NETWORK,
        Reason::LookupTimeout => outbound::LOOKUP_TIMEOUT,
        Reason::NameNotResolved => outbound::NAME_NOT_RESOLVED,
        Reason::ConnectRefused => inbound::CONNECT_REFUSED,
        Reason::ConnectTimeout => outbound::CONNECT_TIMEOUT,
        Reason::ConnectFailed => outbound::CONNECT_FAILED,
        Reason::TunnelPortBlocked => outbound::TUNNEL_PORT_BLOCKED,
        Reason::TlsFailed => handshakes::TLS_FAILED,
        Reason::NotTls => handshakes::NOT_TLS,
        Reason::NoCertificate => handshakes::NO_CERTIFICATE,
        Reason::CertificateExpired => handshakes::EXPIRED,
        Reason::CertificateNotYetValid => handshakes::NOT_YET_VALID,
        Reason::UnknownIssuer => handshakes::UNKNOWN_ISSUER,
        Reason::WrongPurpose => handshakes::WRONG_PURPOSE,
        Reason::NoIdentity => handshakes::NO_IDENTITY,
        Reason::WrongTrustDomain => handshakes::WRONG_TRUST_DOMAIN,
        Reason::WrongIdentity => handshakes::WRONG_IDENTITY,
        Reason::HandshakeTimeout => handshakes::TIMEOUT,
        Reason::Http2Failed => handshakes::HTTP2_FAILED,
        Reason::RefusedByPeerPolicy => outbound::REFUSED_BY_PEER_POLICY,
        Reason::RefusedByPeer => outbound::REFUSED_BY_PEER,
        Reason::AnswerTimeout => outbound::ANSWER_TIMEOUT,
        Reason::NoOwnCertificate => outbound::NO_OWN_CERTIFICATE,
        Reason::Overloaded => outbound::OVERLOADED,
        Reason::IoFailed => live::IO_FAILED,
    }
}
