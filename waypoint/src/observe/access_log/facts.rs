//! Pure. What filters of lines can ask of a record.

use std::net::SocketAddr;
use std::time::Duration;

use mesh::access_log::{Attribute, Facts, Term};

use super::{AccessLog, Captured};
use crate::observe::record::Record;

/// A record that is asked on behalf of one log, whose headers it has.
pub(super) struct Asked<'a> {
    pub(super) log: &'a AccessLog,
    pub(super) record: &'a Record,
}

fn text(value: &str) -> Option<Term<'_>> {
    (!value.is_empty()).then(|| Term::Text(value.into()))
}

fn bytes(value: &[u8]) -> Option<Term<'_>> {
    Some(Term::Text(String::from_utf8_lossy(value)))
}

fn number(value: impl TryInto<i64>) -> Option<Term<'static>> {
    Some(Term::Number(value.try_into().unwrap_or(i64::MAX)))
}

fn duration(value: Duration) -> Option<Term<'static>> {
    number(value.as_nanos())
}

fn address(value: Option<SocketAddr>) -> Option<Term<'static>> {
    value.map(|address| Term::Text(address.to_string().into()))
}

fn header<'a>(captured: &'a Captured, names: usize, at: usize) -> Option<Term<'a>> {
    bytes(captured.get(names + at)?.as_bytes())
}

impl Facts for Asked<'_> {
    fn get(&self, attribute: Attribute) -> Option<Term<'_>> {
        let (asked, answered) = (&self.record.asked, &self.record.answered);
        let path = asked.path.as_ref();
        match attribute {
            Attribute::Path => text(path?.as_str()),
            Attribute::UrlPath => text(path?.path()),
            Attribute::Query => text(path?.query()?),
            Attribute::Host => bytes(asked.authority.as_ref()?.as_bytes()),
            Attribute::Scheme => text("http"),
            Attribute::Method => text(asked.method.as_str()),
            Attribute::Protocol => text(asked.protocol.word()),
            Attribute::RequestSize => number(asked.size.body),
            Attribute::RequestTotalSize => number(asked.size.total()),
            Attribute::Duration => duration(self.record.duration),
            Attribute::RequestHeader(at) => {
                header(&asked.captured, self.log.format.request.len(), at)
            }
            Attribute::ResponseHeader(at) => {
                header(&answered.captured, self.log.format.response.len(), at)
            }
            Attribute::Code => number(answered.status),
            Attribute::CodeDetails => text(&answered.details),
            Attribute::GrpcStatus => number(answered.grpc_status.filter(|_| asked.is_grpc)?),
            Attribute::ResponseSize => number(answered.size.body),
            Attribute::ResponseTotalSize => number(answered.size.total()),
            Attribute::SourceAddress => address(self.record.source_address),
            Attribute::DestinationAddress => address(self.record.local_address),
            Attribute::DestinationPort => number(self.record.local_address?.port()),
            Attribute::UpstreamAddress => address(self.record.sent.host),
            Attribute::MutualTls => Some(Term::Bool(!self.record.source.principal.is_empty())),
            Attribute::Principal => text(&self.record.source.principal),
        }
    }
}
