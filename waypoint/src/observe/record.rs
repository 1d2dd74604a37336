//! Pure. A finished request as logs, metrics and spans tell it: plain values, shared and never copied as text.

pub mod flags;
pub mod party;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};
use mesh::model::Origin;

pub use flags::{Flag, Flags};
pub use party::{Party, Served};

use super::access_log::Captured;

/// Version of HTTP that the client spoke.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
    /// HTTP/2.
    Http2,
    /// None: a connection of opaque bytes.
    Opaque,
}

impl Protocol {
    /// As access logs name it.
    pub const fn word(self) -> &'static str {
        match self {
            Protocol::Http10 => "HTTP/1.0",
            Protocol::Http11 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2",
            Protocol::Opaque => "",
        }
    }
}

/// Bytes of one direction at the client's side, as they were on the wire or would be in HTTP/1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Of head and trailers.
    pub head: u64,
    /// Of the body.
    pub body: u64,
    /// gRPC messages in it; 0 for what is not gRPC.
    pub messages: u64,
}

impl Size {
    /// Head and body.
    pub const fn total(self) -> u64 {
        self.head.saturating_add(self.body)
    }

    /// What the fields of a head take in HTTP/1: a colon, a space and a line end each.
    pub fn of_fields(fields: &HeaderMap) -> u64 {
        let length = |(name, value): (&http::HeaderName, &HeaderValue)| {
            name.as_str().len() + value.len() + 4
        };
        fields.iter().map(|field| length(field) as u64).sum()
    }
}

/// What the client asked.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Method.
    pub method: Method,
    /// Path and query as they arrived.
    pub path: Option<PathAndQuery>,
    /// `:authority` or `host`.
    pub authority: Option<HeaderValue>,
    /// `user-agent`.
    pub user_agent: Option<HeaderValue>,
    /// `x-request-id`, the client's or ours.
    pub id: Option<HeaderValue>,
    /// Version of HTTP.
    pub protocol: Protocol,
    /// Whether it is gRPC, by its content type.
    pub is_grpc: bool,
    /// Bytes.
    pub size: Size,
    /// Headers that the log's format names; see [`Captured`].
    pub captured: Captured,
}

/// What the client got.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    /// Status; 0 when the client went away before there was one.
    pub status: u16,
    /// gRPC status from trailers or head.
    pub grpc_status: Option<u16>,
    /// What was out of the ordinary, in Envoy's flags.
    pub flags: Flags,
    /// Envoy's word for where the answer is from, such as `via_upstream` or `route_not_found`.
    pub details: Cow<'static, str>,
    /// Weft's finer reason; empty when nothing went wrong.
    pub reason: &'static str,
    /// Bytes.
    pub size: Size,
    /// Headers that the log's format names.
    pub captured: Captured,
    /// Trailers that the log's format names.
    pub captured_trailers: Captured,
}

/// Where it was sent on.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Endpoint of the last attempt.
    pub host: Option<SocketAddr>,
    /// Our address of that connection.
    pub local: Option<SocketAddr>,
    /// Name of the destination in Istio's form, `outbound|PORT|SUBSET|HOST`.
    pub cluster: Arc<str>,
    /// Attempts made; 0 when it was answered here.
    pub attempts: u32,
    /// From the request's end until the first byte of the answer.
    pub time: Option<Duration>,
    /// Why the transport of the last attempt failed; empty when it did not.
    pub failure: Arc<str>,
}

/// One request from its head to its end.
#[derive(Clone, Debug)]
pub struct Record {
    /// When its head was read, on the wall.
    pub start: SystemTime,
    /// The same on a clock that never goes back.
    pub began: Instant,
    /// From there to the last byte of the answer.
    pub duration: Duration,
    /// What the client asked.
    pub asked: Asked,
    /// What it got.
    pub answered: Answered,
    /// Where it was sent on.
    pub sent: Sent,
    /// Who asked.
    pub source: Arc<Party>,
    /// Its address.
    pub source_address: Option<SocketAddr>,
    /// Server name that the client's own TLS asks for; of opaque connections only.
    pub server_name: Option<Box<str>>,
    /// Address and port that it dialled.
    pub local_address: Option<SocketAddr>,
    /// Who answered, when it was a workload.
    pub destination: Arc<Party>,
    /// The service that was asked.
    pub service: Arc<Served>,
    /// The rule that it took, as the user's object names it.
    pub route: Option<Arc<Origin>>,
    /// Policies that decided, as `namespace/name`.
    pub policies: Vec<Arc<str>>,
    /// Id of its trace, when there is one.
    pub trace: Option<u128>,
}

impl Record {
    /// A request whose head was just read.
    pub fn new(
        start: SystemTime,
        began: Instant,
        source: Arc<Party>,
        service: Arc<Served>,
    ) -> Self {
        Self {
            start,
            began,
            duration: Duration::ZERO,
            asked: Asked::default(),
            answered: Answered::default(),
            sent: Sent::default(),
            source,
            source_address: None,
            server_name: None,
            local_address: None,
            destination: Arc::default(),
            service,
            route: None,
            policies: Vec::new(),
            trace: None,
        }
    }

    /// When it ended.
    pub fn ended(&self) -> Instant {
        self.began.checked_add(self.duration).unwrap_or(self.began)
    }
}
