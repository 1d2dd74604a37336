//! Pure. Traces that are sent to the built-in server over OTLP: it keeps the last of them, and tells on `/spans`.
//!
//! Source: `ExportTraceServiceRequest` of the OpenTelemetry protocol 1; only the fields that are told are read.

use std::collections::VecDeque;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// Where traces are sent to.
pub(super) const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Most spans that are kept.
const MOST: usize = 10_000;
/// What these numbers are called in the protocol: lists, then fields of a span.
const RESOURCE_SPANS: u64 = 1;
const SCOPE_SPANS: u64 = 2;
const SPANS: u64 = 2;
const TRACE_ID: u64 = 1;
const SPAN_ID: u64 = 2;
const PARENT_SPAN_ID: u64 = 4;
const NAME: u64 = 5;
const KIND: u64 = 6;

/// A span, as far as it is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The trace, in hexadecimal digits.
    pub trace: String,
    /// The span, in hexadecimal digits.
    pub span: String,
    /// The span that it is part of; empty for the first.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// 2 is a server's, 3 is a client's.
    pub kind: u64,
}

/// The last spans.
#[derive(Debug, Default)]
pub(super) struct Spans(VecDeque<Span>);

impl Spans {
    /// Takes those of a request (without gRPC's framing); what is no such request has none.
    pub(super) fn take(&mut self, request: &[u8]) {
        for resource in messages(request, RESOURCE_SPANS) {
            for scope in messages(resource, SCOPE_SPANS) {
                self.0.extend(messages(scope, SPANS).map(span));
            }
        }
        let surplus = self.0.len().saturating_sub(MOST);
        self.0.drain(..surplus);
    }

    /// All of them, oldest first.
    pub(super) fn all(&self) -> &VecDeque<Span> {
        &self.0
    }
}

fn span(message: &[u8]) -> Span {
    let mut span = Span::default();
    for (number, value) in Fields(message) {
        match (number, value) {
            (TRACE_ID, Value::Bytes(id)) => span.trace = hexadecimal(id),
            (SPAN_ID, Value::Bytes(id)) => span.span = hexadecimal(id),
            (PARENT_SPAN_ID, Value::Bytes(id)) => span.parent = hexadecimal(id),
            (NAME, Value::Bytes(name)) => span.name = String::from_utf8_lossy(name).into_owned(),
            (KIND, Value::Number(kind)) => span.kind = kind,
            _ => {}
        }
    }
    span
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The messages in a repeated field.
fn messages(message: &[u8], wanted: u64) -> impl Iterator<Item = &[u8]> {
    Fields(message).filter_map(move |(number, value)| match value {
        Value::Bytes(bytes) if number == wanted => Some(bytes),
        _ => None,
    })
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// The fields of a protobuf message, as far as it can be read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self, length: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.bytes(8).map(|_| Value::Other)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.bytes(length)?)
            }
            5 => self.bytes(4).map(|_| Value::Other)?,
            _ => return None,
        };
        Some((tag >> 3, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).unwrap();
        assert!(length < 0x80, "a length of one byte");
        [&[number << 3 | 2, length], bytes].concat()
    }

    fn request() -> Vec<u8> {
        let mut span = field(1, &[0xab; 16]);
        span.extend(field(2, &[1; 8]));
        span.extend(field(5, b"books:80/*"));
        span.extend([6 << 3, 2]);
        span.extend([7 << 3 | 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        let other = field(1, b"what made it");
        let scope = [field(2, &span), field(2, &span)].concat();
        field(1, &[other, field(2, &scope)].concat())
    }

    #[test]
    fn spans_are_read_with_their_names_and_ids() {
        let mut spans = Spans::default();
        spans.take(&request());
        assert_eq!(spans.all().len(), 2);
        let span = &spans.all()[0];
        assert_eq!(span.trace, "ab".repeat(16));
        assert_eq!(
            (span.span.as_str(), span.parent.as_str()),
            ("0101010101010101", "")
        );
        assert_eq!((span.name.as_str(), span.kind), ("books:80/*", 2));
    }

    #[test]
    fn half_a_request_is_no_more_than_its_beginning() {
        let whole = request();
        for length in 0..whole.len() {
            let mut spans = Spans::default();
            spans.take(&whole[..length]);
            assert!(spans.all().len() <= 2);
        }
        let mut spans = Spans::default();
        for _ in 0..MOST {
            spans.take(&whole);
        }
        assert_eq!(spans.all().len(), MOST);
    }
}
