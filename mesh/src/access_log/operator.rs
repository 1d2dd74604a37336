//! Pure. The `%OPERATOR%`s of formats: the closed list, and how one is read.

use super::format::Error;
use super::time::TimeFormat;

/// Declares values with their operators and whether they are numbers.
macro_rules! values {
    ($( $(#[doc = $doc:literal])+ $name:ident = ($word:literal, $number:literal) ),+ $(,)?) => {
        /// What an operator without argument stands for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Value { $( $(#[doc = $doc])+ $name ),+ }

        impl Value {
            /// All of them.
            pub const ALL: &'static [Value] = &[ $( Value::$name ),+ ];

            /// The operator, without percent signs.
            pub const fn word(self) -> &'static str {
                match self { $( Value::$name => $word ),+ }
            }

            /// Whether JSON has it as a number.
            pub const fn is_number(self) -> bool {
                match self { $( Value::$name => $number ),+ }
            }

            /// What it means.
            pub const fn meaning(self) -> &'static str {
                match self { $( Value::$name => concat!($($doc),+) ),+ }
            }
        }
    };
}

values! {
    /// Body bytes from the client.
    BytesReceived = ("BYTES_RECEIVED", true),
    /// Body bytes to the client.
    BytesSent = ("BYTES_SENT", true),
    /// Head bytes from the client.
    RequestHeadBytes = ("REQUEST_HEADERS_BYTES", true),
    /// Head bytes to the client.
    ResponseHeadBytes = ("RESPONSE_HEADERS_BYTES", true),
    /// Version of HTTP.
    Protocol = ("PROTOCOL", false),
    /// Status.
    ResponseCode = ("RESPONSE_CODE", true),
    /// Where the answer is from.
    ResponseCodeDetails = ("RESPONSE_CODE_DETAILS", false),
    /// Why a connection of opaque bytes ended as it should not; nothing for requests.
    ConnectionTerminationDetails = ("CONNECTION_TERMINATION_DETAILS", false),
    /// What was out of the ordinary.
    ResponseFlags = ("RESPONSE_FLAGS", false),
    /// Milliseconds from the head to the end of the answer.
    Duration = ("DURATION", true),
    /// Milliseconds until the first byte of the endpoint's answer.
    ResponseDuration = ("RESPONSE_DURATION", true),
    /// Address of the endpoint.
    UpstreamHost = ("UPSTREAM_HOST", false),
    /// The same.
    UpstreamRemoteAddress = ("UPSTREAM_REMOTE_ADDRESS", false),
    /// Destination.
    UpstreamCluster = ("UPSTREAM_CLUSTER", false),
    /// The same.
    UpstreamClusterRaw = ("UPSTREAM_CLUSTER_RAW", false),
    /// Our address of the connection to the endpoint.
    UpstreamLocalAddress = ("UPSTREAM_LOCAL_ADDRESS", false),
    /// Why the transport to the endpoint failed.
    UpstreamTransportFailureReason = ("UPSTREAM_TRANSPORT_FAILURE_REASON", false),
    /// Attempts.
    UpstreamRequestAttemptCount = ("UPSTREAM_REQUEST_ATTEMPT_COUNT", true),
    /// Address of the client.
    DownstreamRemoteAddress = ("DOWNSTREAM_REMOTE_ADDRESS", false),
    /// The same without port.
    DownstreamRemoteAddressWithoutPort = ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", false),
    /// Address of the client.
    DownstreamDirectRemoteAddress = ("DOWNSTREAM_DIRECT_REMOTE_ADDRESS", false),
    /// The same without port.
    DownstreamDirectRemoteAddressWithoutPort = ("DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", false),
    /// Address that the client dialled.
    DownstreamLocalAddress = ("DOWNSTREAM_LOCAL_ADDRESS", false),
    /// The same without port.
    DownstreamLocalAddressWithoutPort = ("DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", false),
    /// Its port.
    DownstreamLocalPort = ("DOWNSTREAM_LOCAL_PORT", true),
    /// SPIFFE id of the client.
    DownstreamPeerUriSan = ("DOWNSTREAM_PEER_URI_SAN", false),
    /// Server name of the client's TLS; nothing for what a waypoint reads as HTTP.
    RequestedServerName = ("REQUESTED_SERVER_NAME", false),
    /// Rule of the user's object.
    RouteName = ("ROUTE_NAME", false),
    /// gRPC status as a word.
    GrpcStatus = ("GRPC_STATUS", false),
    /// gRPC status as a number.
    GrpcStatusNumber = ("GRPC_STATUS_NUMBER", true),
    /// Id of the trace.
    TraceId = ("TRACE_ID", false),
    /// Host name of the waypoint.
    Hostname = ("HOSTNAME", false),
    /// Weft's finer reason.
    Reason = ("WEFT_REASON", false),
    /// Policies that decided.
    Policies = ("WEFT_POLICIES", false),
    /// Namespace and name of the client's workload.
    SourceWorkload = ("WEFT_SOURCE_WORKLOAD", false),
    /// Namespace and name of the endpoint's workload.
    DestinationWorkload = ("WEFT_DESTINATION_WORKLOAD", false),
}

/// What stands for a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operator {
    /// When the request began.
    StartTime(TimeFormat),
    /// A value that needs no argument.
    Value(Value),
    /// Header of the request.
    Request(Header),
    /// Header of the request, up to its first `?`.
    RequestWithoutQuery(Header),
    /// Header of the answer.
    Response(Header),
    /// Trailer of the answer.
    Trailer(Header),
    /// A variable of the environment, read when the format is.
    Environment(Box<str>),
}

/// A header, or the one that stands in for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The one that is looked for.
    pub first: HeaderSource,
    /// The one that is taken when that is absent.
    pub second: Option<HeaderSource>,
}

/// Where a header is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderSource {
    /// Not a header.
    Pseudo(Pseudo),
    /// By its number among the names that the format lists.
    Named(usize),
}

/// Parts of a request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pseudo {
    /// `:method`.
    Method,
    /// `:path`.
    Path,
    /// `:authority`.
    Authority,
    /// `:scheme`.
    Scheme,
    /// `:status`.
    Status,
}

/// An operator and how long its value may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What stands for the value.
    pub operator: Operator,
    /// Longest value in characters.
    pub limit: Option<usize>,
}

/// Names that formats ask for, in the order of their numbers.
pub(super) struct Names<'a> {
    /// Of headers of the request.
    pub(super) request: &'a mut Vec<Box<str>>,
    /// Of headers of the answer.
    pub(super) response: &'a mut Vec<Box<str>>,
    /// Of trailers of the answer.
    pub(super) trailers: &'a mut Vec<Box<str>>,
}

/// Reads what stands between two percent signs.
pub(super) fn read(text: &str, names: &mut Names<'_>) -> Result<Field, Error> {
    let (word, argument, limit) = split(text)?;
    let limit = match limit {
        None => None,
        Some(limit) => Some(
            limit
                .parse()
                .map_err(|_| bad(text, "its length is not a number"))?,
        ),
    };
    let required = || argument.ok_or_else(|| bad(text, "its argument is missing"));
    let operator = match word {
        "START_TIME" => Operator::StartTime(TimeFormat::parse(argument.unwrap_or_default())?),
        "REQ" => Operator::Request(header(text, required()?, names.request)?),
        "REQ_WITHOUT_QUERY" => {
            Operator::RequestWithoutQuery(header(text, required()?, names.request)?)
        }
        "RESP" => Operator::Response(header(text, required()?, names.response)?),
        "TRAILER" => Operator::Trailer(header(text, required()?, names.trailers)?),
        "ENVIRONMENT" => Operator::Environment(required()?.into()),
        _ => {
            let value = Value::ALL.iter().find(|value| value.word() == word);
            let value = value.ok_or_else(|| Error::Unknown(text.into()))?;
            // Istio's own JSON format asks for numbers by this argument.
            let is_number = *value == Value::GrpcStatus && argument == Some("NUMBER");
            match (is_number, argument) {
                (true, _) => Operator::Value(Value::GrpcStatusNumber),
                (false, None) => Operator::Value(*value),
                (false, Some(_)) => return Err(bad(text, "it takes no argument")),
            }
        }
    };
    Ok(Field { operator, limit })
}

pub(super) fn bad(operator: &str, why: &'static str) -> Error {
    Error::Argument {
        operator: operator.into(),
        why,
    }
}

/// Takes `WORD(argument):limit` apart.
fn split(text: &str) -> Result<(&str, Option<&str>, Option<&str>), Error> {
    let Some((word, rest)) = text.split_once('(') else {
        return Ok(match text.split_once(':') {
            Some((word, limit)) => (word, None, Some(limit)),
            None => (text, None, None),
        });
    };
    let (argument, rest) = rest
        .rsplit_once(')')
        .ok_or_else(|| bad(text, "its argument does not end"))?;
    match rest {
        "" => Ok((word, Some(argument), None)),
        rest => match rest.strip_prefix(':') {
            Some(limit) => Ok((word, Some(argument), Some(limit))),
            None => Err(bad(text, "something stands behind its argument")),
        },
    }
}

fn header(text: &str, argument: &str, names: &mut Vec<Box<str>>) -> Result<Header, Error> {
    let (first, second) = match argument.split_once('?') {
        Some((first, second)) => (first, Some(second)),
        None => (argument, None),
    };
    let mut source = |name: &str| -> Result<HeaderSource, Error> {
        let name = name.trim().to_ascii_lowercase();
        if let Some(pseudo) = name.strip_prefix(':') {
            return Ok(HeaderSource::Pseudo(match pseudo {
                "method" => Pseudo::Method,
                "path" => Pseudo::Path,
                "authority" => Pseudo::Authority,
                "scheme" => Pseudo::Scheme,
                "status" => Pseudo::Status,
                _ => return Err(bad(text, "there is no such pseudo header")),
            }));
        }
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(bad(text, "its argument is not the name of a header"));
        }
        let name = if name == "host" { ":authority" } else { &name };
        if name.starts_with(':') {
            return Ok(HeaderSource::Pseudo(Pseudo::Authority));
        }
        if let Some(known) = names.iter().position(|known| **known == *name) {
            return Ok(HeaderSource::Named(known));
        }
        names.push(name.into());
        Ok(HeaderSource::Named(names.len() - 1))
    };
    Ok(Header {
        first: source(first)?,
        second: second.map(source).transpose()?,
    })
}
