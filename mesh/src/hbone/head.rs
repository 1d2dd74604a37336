//! Pure. The head of a CONNECT request both ways: where to, and what the caller says about itself.

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::header::{FORWARDED, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Version};

use super::{Baggage, Forwarded, Traceparent};

/// Longest authority: a DNS name of 253 bytes and a port.
pub const AUTHORITY_LIMIT: usize = 253 + 1 + 5;

const BAGGAGE: HeaderName = HeaderName::from_static("baggage");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const FORWARDED_NETWORK: HeaderName = HeaderName::from_static("x-forwarded-network");

/// Whom a tunnel is for (contract: docs/compat.md#hbone-connect).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Authority {
    /// An address, IPv6 in brackets.
    Ip(SocketAddr),
    /// A service's hostname and port.
    Host(Box<str>, u16),
}

/// A CONNECT request without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectHead {
    /// Whom it is for.
    pub authority: Authority,
    /// What the source workload says about itself.
    pub baggage: Option<Baggage>,
    /// The source application's address and the name it asked for.
    pub forwarded: Option<Forwarded>,
    /// Trace context.
    pub traceparent: Option<Traceparent>,
    /// Network of the source, on the inner request between networks.
    pub forwarded_network: Option<Box<str>>,
}

/// Why a request is not one of ours; the answer is 400 in every case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHead {
    /// Another method than CONNECT.
    #[error("method is {0}, not CONNECT")]
    Method(Method),
    /// CONNECT with `:protocol` is for something else (RFC 8441).
    #[error("extended CONNECT is not spoken here")]
    ExtendedConnect,
    /// No authority, or not `ip:port` or `host:port`.
    #[error("authority is not an address or hostname with a port")]
    Authority,
    /// A value that cannot stand in a header.
    #[error("{header} cannot be written as a header")]
    Unwritable {
        /// Which header.
        header: &'static str,
    },
}

impl Authority {
    /// Reads `<ip>:<port>`, `[<ipv6>]:<port>` or `<hostname>:<port>`; the port is not 0.
    ///
    /// # Errors
    /// [`BadHead::Authority`] for anything else, however long.
    pub fn parse(text: &str) -> Result<Self, BadHead> {
        if text.len() > AUTHORITY_LIMIT {
            return Err(BadHead::Authority);
        }
        let (host, port) = text.rsplit_once(':').ok_or(BadHead::Authority)?;
        let is_number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let port = port.parse().ok().filter(|port| is_number && *port != 0);
        let port: u16 = port.ok_or(BadHead::Authority)?;
        if let Some(inner) = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
        {
            let ip: Ipv6Addr = inner.parse().map_err(|_| BadHead::Authority)?;
            return Ok(Self::Ip(SocketAddr::new(ip.into(), port)));
        }
        match host.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => Ok(Self::Ip(SocketAddr::new(ip.into(), port))),
            Ok(IpAddr::V6(_)) => Err(BadHead::Authority),
            Err(_) if is_hostname(host) => Ok(Self::Host(host.to_ascii_lowercase().into(), port)),
            Err(_) => Err(BadHead::Authority),
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        match self {
            Self::Ip(address) => address.port(),
            Self::Host(_, port) => *port,
        }
    }
}

/// Labels of letters, digits, dashes and underscores; not all digits at the end, which would be a
/// mistyped IPv4 address.
fn is_hostname(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or_default();
    host.split('.').all(is_label) && !last.bytes().all(|b| b.is_ascii_digit())
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => {
                // an address without zone: `SocketAddr` prints one for link-local IPv6
                SocketAddr::new(address.ip(), address.port()).fmt(f)
            }
            Self::Host(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

impl ConnectHead {
    /// A head with nothing but its authority.
    pub fn new(authority: Authority) -> Self {
        Self {
            authority,
            baggage: None,
            forwarded: None,
            traceparent: None,
            forwarded_network: None,
        }
    }

    /// Reads a request. Optional headers that cannot be read count as absent: they serve telemetry.
    ///
    /// # Errors
    /// [`BadHead`] when it is not a CONNECT to somebody.
    pub fn read<B>(request: &Request<B>) -> Result<Self, BadHead> {
        if request.method() != Method::CONNECT {
            return Err(BadHead::Method(request.method().clone()));
        }
        if request.extensions().get::<h2::ext::Protocol>().is_some() {
            return Err(BadHead::ExtendedConnect);
        }
        let authority = request.uri().authority().ok_or(BadHead::Authority)?;
        let headers = request.headers();
        let bytes = |name| headers.get(name).map(HeaderValue::as_bytes);
        Ok(Self {
            authority: Authority::parse(authority.as_str())?,
            baggage: read_baggage(headers),
            forwarded: bytes(FORWARDED).and_then(Forwarded::parse),
            traceparent: bytes(TRACEPARENT).and_then(Traceparent::parse),
            forwarded_network: bytes(FORWARDED_NETWORK)
                .filter(|network| !network.is_empty() && network.len() <= 253)
                .and_then(|network| std::str::from_utf8(network).ok())
                .map(Into::into),
        })
    }

    /// The request as it goes over the wire: no scheme, no path.
    ///
    /// # Errors
    /// [`BadHead::Unwritable`] when a value holds what a header cannot, or is too long.
    pub fn write(&self) -> Result<Request<()>, BadHead> {
        let mut request = Request::new(());
        *request.method_mut() = Method::CONNECT;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self
            .authority
            .to_string()
            .parse()
            .map_err(|_| BadHead::Authority)?;
        let headers = request.headers_mut();
        if let Some(baggage) = &self.baggage {
            write_baggage(headers, baggage)?;
        }
        if let Some(forwarded) = &self.forwarded {
            let limit = super::forwarded::LIMIT;
            headers.insert(
                FORWARDED,
                value("forwarded", &forwarded.to_string(), limit)?,
            );
        }
        if let Some(traceparent) = &self.traceparent {
            headers.insert(
                TRACEPARENT,
                value("traceparent", &traceparent.to_string(), 55)?,
            );
        }
        if let Some(network) = &self.forwarded_network {
            headers.insert(
                FORWARDED_NETWORK,
                value("x-forwarded-network", network, 253)?,
            );
        }
        Ok(request)
    }
}

/// The `baggage` header of a request or an answer; `None` when there is none.
pub(super) fn read_baggage(headers: &HeaderMap) -> Option<Baggage> {
    headers
        .get(BAGGAGE)
        .map(|value| Baggage::parse(value.as_bytes()))
}

/// Adds a `baggage` header, unless the baggage is empty.
pub(super) fn write_baggage(headers: &mut HeaderMap, baggage: &Baggage) -> Result<(), BadHead> {
    let text = baggage.to_string();
    if !text.is_empty() {
        headers.insert(BAGGAGE, value("baggage", &text, super::baggage::LIMIT)?);
    }
    Ok(())
}

fn value(header: &'static str, text: &str, limit: usize) -> Result<HeaderValue, BadHead> {
    let unwritable = BadHead::Unwritable { header };
    if text.len() > limit {
        return Err(unwritable);
    }
    HeaderValue::from_str(text).map_err(|_| unwritable)
}
