//! Pure. The `forwarded` and `traceparent` headers both ways.

use std::fmt;
use std::net::SocketAddr;

/// Longest `forwarded` header that is read or written.
pub const LIMIT: usize = 1024;

/// Who asked, and by which name (contract: docs/compat.md#hbone-connect).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The source application's address.
    pub source: SocketAddr,
    /// Hostname of the service that was addressed, if one was.
    pub host: Option<Box<str>>,
}

impl Forwarded {
    /// Reads `for="<ip:port>"` with an optional `;host=<name>`; `None` when it is anything else.
    pub fn parse(header: &[u8]) -> Option<Self> {
        if header.len() > LIMIT {
            return None;
        }
        let text = std::str::from_utf8(header).ok()?;
        // with several proxies in a row the first element is about the application
        let first = text.split(',').next()?;
        let (mut source, mut host) = (None, None);
        for pair in first.split(';') {
            let (key, value) = pair.split_once('=')?;
            let value = value.trim_matches(|it: char| it == '"' || it.is_whitespace());
            match key.trim() {
                key if key.eq_ignore_ascii_case("for") => source = Some(value.parse().ok()?),
                key if key.eq_ignore_ascii_case("host") => host = Some(value),
                _ => {}
            }
        }
        let host = host.filter(|host| !host.is_empty()).map(Into::into);
        Some(Self {
            source: source?,
            host,
        })
    }
}

impl fmt::Display for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "for=\"{}\"", self.source)?;
        if let Some(host) = &self.host {
            write!(f, ";host={host}")?;
        }
        Ok(())
    }
}

/// A W3C trace context, version 00.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traceparent {
    /// Trace id, not zero.
    pub trace_id: u128,
    /// Span id, not zero.
    pub span_id: u64,
    /// Trace flags; bit 0 says sampled.
    pub flags: u8,
}

impl Traceparent {
    /// A context with ids taken from `random`, not sampled: what starts at a captured connection.
    pub fn fresh(trace_id: u128, span_id: u64) -> Self {
        Self {
            trace_id: trace_id.max(1),
            span_id: span_id.max(1),
            flags: 0,
        }
    }

    /// Reads a header; `None` when it is not of version 00 or an id is zero.
    pub fn parse(header: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(header)
            .ok()
            .filter(|text| text.len() == 55)?;
        let mut parts = text.split('-');
        if parts.next()? != "00" {
            return None;
        }
        let trace_id = u128::from_str_radix(hex(parts.next()?, 32)?, 16).ok()?;
        let span_id = u64::from_str_radix(hex(parts.next()?, 16)?, 16).ok()?;
        let flags = u8::from_str_radix(hex(parts.next()?, 2)?, 16).ok()?;
        let is_whole = parts.next().is_none() && trace_id != 0 && span_id != 0;
        is_whole.then_some(Self {
            trace_id,
            span_id,
            flags,
        })
    }
}

fn hex(text: &str, length: usize) -> Option<&str> {
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (text.len() == length && text.bytes().all(is_hex)).then_some(text)
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id, self.span_id, self.flags
        )
    }
}
