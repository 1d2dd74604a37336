//! Pure. A record as a line. Source: docs/compat.md#request-log.

use crate::observe::record::Protocol;
use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use mesh::access_log::{
    Field, Form, Header, HeaderSource, Operator, Piece, Pseudo, TimeFormat, TimePart, Value,
};
use time::OffsetDateTime;

use super::{AccessLog, Captured, text};
use crate::observe::record::{Party, Record};

/// Which message a header is looked for in.
#[derive(Clone, Copy)]
enum Message {
    Request,
    Response,
    Trailers,
}

impl AccessLog {
    /// Appends the line about `record`, its end included.
    pub fn encode(&self, record: &Record, line: &mut Vec<u8>) {
        for piece in &self.format.pieces {
            match piece {
                Piece::Literal(text) => line.extend_from_slice(text.as_bytes()),
                Piece::Value(field, form) => self.field(record, field, *form, line),
            }
        }
    }

    fn field(&self, record: &Record, field: &Field, form: Form, line: &mut Vec<u8>) {
        let mut value = Scratch::default();
        let is_there = match &field.operator {
            Operator::StartTime(format) => start_time(format, record.start, &mut value.0),
            Operator::Value(which) => self.value(record, *which, &mut value.0),
            Operator::Request(header) => find(record, header, Message::Request, &mut value.0),
            Operator::RequestWithoutQuery(header) => {
                let found = find(record, header, Message::Request, &mut value.0);
                if let Some(at) = value.0.iter().position(|byte| *byte == b'?') {
                    value.0.truncate(at);
                }
                found
            }
            Operator::Response(header) => find(record, header, Message::Response, &mut value.0),
            Operator::Trailer(header) => find(record, header, Message::Trailers, &mut value.0),
            Operator::Environment(name) => match self.variable(name) {
                Some(found) => put(&mut value.0, found.as_bytes()),
                None => false,
            },
        };
        let bytes = match field.limit {
            Some(limit) => text::cut(&value.0, limit),
            None => &value.0,
        };
        let is_number = field.limit.is_none()
            && matches!(&field.operator, Operator::Value(value) if value.is_number());
        match form {
            Form::Text if is_there => text::plain(bytes, line),
            Form::JsonPart if is_there => text::json(bytes, line),
            Form::Text | Form::JsonPart => line.push(b'-'),
            Form::JsonValue if !is_there => line.extend_from_slice(b"null"),
            Form::JsonValue if is_number => line.extend_from_slice(bytes),
            Form::JsonValue => {
                line.push(b'"');
                text::json(bytes, line);
                line.push(b'"');
            }
        }
    }

    /// Appends a value; whether there is one.
    fn value(&self, record: &Record, which: Value, into: &mut Vec<u8>) -> bool {
        let (asked, answered, sent) = (&record.asked, &record.answered, &record.sent);
        match which {
            Value::BytesReceived => number(into, asked.size.body),
            Value::BytesSent => number(into, answered.size.body),
            Value::RequestHeadBytes => number(into, asked.size.head),
            Value::ResponseHeadBytes => number(into, answered.size.head),
            Value::Protocol => some(into, asked.protocol.word()),
            Value::ResponseCode => number(into, u64::from(answered.status)),
            Value::ResponseCodeDetails => !is_opaque(record) && some(into, &answered.details),
            Value::ConnectionTerminationDetails => {
                is_opaque(record) && some(into, &answered.details)
            }
            Value::ResponseFlags => print(into, &answered.flags),
            Value::Duration => number(into, milliseconds(record.duration)),
            Value::ResponseDuration => sent.time.is_some_and(|it| number(into, milliseconds(it))),
            Value::UpstreamHost | Value::UpstreamRemoteAddress => address(into, sent.host),
            Value::UpstreamCluster | Value::UpstreamClusterRaw => some(into, &sent.cluster),
            Value::UpstreamLocalAddress => address(into, sent.local),
            Value::UpstreamTransportFailureReason => some(into, &sent.failure),
            Value::UpstreamRequestAttemptCount => number(into, u64::from(sent.attempts)),
            Value::RouteName => match &record.route {
                Some(route) => print(into, route),
                None => !is_opaque(record) && put(into, b"default"),
            },
            Value::GrpcStatus => grpc(record).is_some_and(|status| match grpc_word(status) {
                Some(word) => put(into, word.as_bytes()),
                None => number(into, u64::from(status)),
            }),
            Value::GrpcStatusNumber => {
                grpc(record).is_some_and(|status| number(into, u64::from(status)))
            }
            Value::TraceId => record.trace.is_some_and(|trace| {
                let _ = write!(into, "{trace:032x}");
                true
            }),
            Value::Hostname => some(into, &self.hostname),
            Value::Reason => some(into, answered.reason),
            Value::Policies => {
                for (at, policy) in record.policies.iter().enumerate() {
                    if at > 0 {
                        into.push(b',');
                    }
                    into.extend_from_slice(policy.as_bytes());
                }
                !record.policies.is_empty()
            }
            Value::SourceWorkload => workload(into, &record.source),
            Value::DestinationWorkload => workload(into, &record.destination),
            other => client_value(record, other, into),
        }
    }
}

/// Values about the client's connection.
fn client_value(record: &Record, which: Value, into: &mut Vec<u8>) -> bool {
    match which {
        Value::DownstreamRemoteAddress | Value::DownstreamDirectRemoteAddress => {
            address(into, record.source_address)
        }
        Value::DownstreamRemoteAddressWithoutPort
        | Value::DownstreamDirectRemoteAddressWithoutPort => host(into, record.source_address),
        Value::DownstreamLocalAddress => address(into, record.local_address),
        Value::DownstreamLocalAddressWithoutPort => host(into, record.local_address),
        Value::DownstreamLocalPort => {
            let port = record.local_address.map(|it| it.port());
            port.is_some_and(|port| number(into, u64::from(port)))
        }
        Value::DownstreamPeerUriSan => some(into, &record.source.principal),
        Value::RequestedServerName => {
            let name = record.server_name.as_deref();
            name.is_some_and(|name| some(into, name))
        }
        _ => false,
    }
}

/// Room for one value, kept out of the line until it is escaped.
struct Scratch(Vec<u8>);

impl Default for Scratch {
    fn default() -> Self {
        Self(Vec::with_capacity(64))
    }
}

fn put(into: &mut Vec<u8>, value: &[u8]) -> bool {
    into.extend_from_slice(value);
    true
}

fn some(into: &mut Vec<u8>, value: &str) -> bool {
    put(into, value.as_bytes()) && !value.is_empty()
}

fn print(into: &mut Vec<u8>, value: &dyn std::fmt::Display) -> bool {
    // Writing to a vector cannot fail.
    let _ = write!(into, "{value}");
    true
}

fn number(into: &mut Vec<u8>, value: u64) -> bool {
    print(into, &value)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn address(into: &mut Vec<u8>, address: Option<SocketAddr>) -> bool {
    address.is_some_and(|address| print(into, &address))
}

fn host(into: &mut Vec<u8>, address: Option<SocketAddr>) -> bool {
    address.is_some_and(|address| print(into, &address.ip()))
}

fn workload(into: &mut Vec<u8>, party: &Party) -> bool {
    if party.workload.is_empty() {
        return false;
    }
    into.extend_from_slice(party.namespace.as_bytes());
    into.push(b'/');
    put(into, party.workload.as_bytes())
}

fn find(record: &Record, header: &Header, message: Message, into: &mut Vec<u8>) -> bool {
    source(record, header.first, message, into)
        || header
            .second
            .is_some_and(|second| source(record, second, message, into))
}

fn source(record: &Record, source: HeaderSource, message: Message, into: &mut Vec<u8>) -> bool {
    let number = match source {
        HeaderSource::Pseudo(pseudo) => return pseudo_header(record, pseudo, into),
        HeaderSource::Named(number) => number,
    };
    let captured: &Captured = match message {
        Message::Request => &record.asked.captured,
        Message::Response => &record.answered.captured,
        Message::Trailers => &record.answered.captured_trailers,
    };
    let value = captured.get(number);
    value.is_some_and(|value| put(into, value.as_bytes()))
}

/// Whether nothing was read as a request.
fn is_opaque(record: &Record) -> bool {
    record.asked.protocol == Protocol::Opaque
}

fn pseudo_header(record: &Record, pseudo: Pseudo, into: &mut Vec<u8>) -> bool {
    let asked = &record.asked;
    if is_opaque(record) {
        return false;
    }
    match pseudo {
        Pseudo::Method => put(into, asked.method.as_str().as_bytes()),
        Pseudo::Path => {
            let path = asked.path.as_ref();
            path.is_some_and(|path| put(into, path.as_str().as_bytes()))
        }
        Pseudo::Authority => {
            let authority = asked.authority.as_ref();
            authority.is_some_and(|it| put(into, it.as_bytes()))
        }
        Pseudo::Scheme => put(into, b"http"),
        Pseudo::Status => number(into, u64::from(record.answered.status)),
    }
}

fn start_time(format: &TimeFormat, start: SystemTime, into: &mut Vec<u8>) -> bool {
    let at = OffsetDateTime::from(start);
    for part in &format.0 {
        // Writing to a vector cannot fail.
        let _ = match part {
            TimePart::Literal(text) => into.write_all(text.as_bytes()),
            TimePart::Year => write!(into, "{:04}", at.year()),
            TimePart::Month => write!(into, "{:02}", u8::from(at.month())),
            TimePart::Day => write!(into, "{:02}", at.day()),
            TimePart::Hour => write!(into, "{:02}", at.hour()),
            TimePart::Minute => write!(into, "{:02}", at.minute()),
            TimePart::Second => write!(into, "{:02}", at.second()),
            TimePart::Epoch => write!(into, "{}", at.unix_timestamp()),
            TimePart::Fraction(digits) => {
                let digits = usize::from((*digits).min(9));
                let all = format!("{:09}", at.nanosecond());
                into.write_all(all.as_bytes().get(..digits).unwrap_or_default())
            }
        };
    }
    true
}

fn grpc(record: &Record) -> Option<u16> {
    record.answered.grpc_status.filter(|_| record.asked.is_grpc)
}

/// gRPC's words for its statuses. Source: gRPC, "Status codes and their use".
const fn grpc_word(status: u16) -> Option<&'static str> {
    Some(match status {
        0 => "OK",
        1 => "Canceled",
        2 => "Unknown",
        3 => "InvalidArgument",
        4 => "DeadlineExceeded",
        5 => "NotFound",
        6 => "AlreadyExists",
        7 => "PermissionDenied",
        8 => "ResourceExhausted",
        9 => "FailedPrecondition",
        10 => "Aborted",
        11 => "OutOfRange",
        12 => "Unimplemented",
        13 => "Internal",
        14 => "Unavailable",
        15 => "DataLoss",
        16 => "Unauthenticated",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
