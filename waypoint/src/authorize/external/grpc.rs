//! Pure. The question as a gRPC call `envoy.service.auth.v3.Authorization/Check`, and the answer to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ::bytes::{BufMut as _, Bytes, BytesMut};
use ::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};
use ::http::{Method, StatusCode, Version};
use http_body_util::Full;
use prost::Message as _;
use proto::external_auth as pb;

use crate::asked::Asked;

use super::additions::How;
use super::names::is_touchable;
use super::{Additions, Answer, Decision, Error, Request, Said, protocol, target};

/// Path of the method.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
/// Says whether the body in a question is only its beginning.
const PARTIAL_BODY: &str = "x-envoy-auth-partial-body";

/// The call.
pub(super) fn question(
    request: Request<'_>,
    asked: &Asked,
    pack_as_bytes: bool,
) -> Result<::http::Request<Full<Bytes>>, Error> {
    call(&message(request, asked, pack_as_bytes))
}

/// The call about a connection of opaque bytes: who calls whom.
pub(super) fn question_of_connection(
    request: &Request<'_>,
) -> Result<::http::Request<Full<Bytes>>, Error> {
    call(&of_peers(request, None))
}

fn call(message: &pb::CheckRequest) -> Result<::http::Request<Full<Bytes>>, Error> {
    let mut frame = BytesMut::with_capacity(5 + message.encoded_len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len()).unwrap_or(u32::MAX));
    frame.put_slice(&message.encode_to_vec());
    ::http::Request::builder()
        .version(Version::HTTP_2)
        .method(Method::POST)
        .uri(CHECK)
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .body(Full::new(frame.freeze()))
        .map_err(Error::Question)
}

fn message(mut request: Request<'_>, asked: &Asked, pack_as_bytes: bool) -> pb::CheckRequest {
    use pb::attribute_context as attributes;
    let path = target(asked);
    let mut headers = headers(&asked.headers);
    for (name, value) in [
        (":method", asked.method.as_str()),
        (":path", &*path),
        (":authority", asked.host()),
        (":scheme", asked.scheme()),
    ] {
        headers.insert(name.to_owned(), value.to_owned());
    }
    let (body, raw_body) = match request.body.take() {
        None => (String::new(), Bytes::new()),
        Some(part) => {
            headers.insert(PARTIAL_BODY.to_owned(), part.is_partial.to_string());
            match pack_as_bytes {
                true => (String::new(), part.bytes),
                false => (
                    String::from_utf8_lossy(&part.bytes).into_owned(),
                    Bytes::new(),
                ),
            }
        }
    };
    let http = attributes::HttpRequest {
        id: headers.get("x-request-id").cloned().unwrap_or_default(),
        method: asked.method.to_string(),
        headers,
        path,
        host: asked.host().to_owned(),
        scheme: asked.scheme().to_owned(),
        size: request
            .length
            .and_then(|it| i64::try_from(it).ok())
            .unwrap_or(-1),
        protocol: protocol(asked.version).to_owned(),
        body,
        raw_body,
    };
    of_peers(&request, Some(http))
}

fn of_peers(
    request: &Request<'_>,
    http: Option<pb::attribute_context::HttpRequest>,
) -> pb::CheckRequest {
    let principal = request.source_identity.map(|it| it.to_string());
    pb::CheckRequest {
        attributes: Some(pb::AttributeContext {
            source: Some(peer(request.source, principal.unwrap_or_default())),
            destination: Some(peer(request.destination, String::new())),
            request: Some(pb::attribute_context::Request {
                time: Some(request.time.into()),
                http,
            }),
            context_extensions: BTreeMap::new(),
        }),
    }
}

fn peer(address: SocketAddr, principal: String) -> pb::attribute_context::Peer {
    use pb::socket_address::PortSpecifier;
    let socket = pb::SocketAddress {
        address: address.ip().to_string(),
        port_specifier: Some(PortSpecifier::PortValue(address.port().into())),
    };
    pb::attribute_context::Peer {
        address: Some(pb::Address {
            address: Some(pb::address::Address::SocketAddress(socket)),
        }),
        principal,
    }
}

/// By name; repeated ones joined by commas.
fn headers(all: &HeaderMap) -> BTreeMap<String, String> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in all {
        let value = String::from_utf8_lossy(value.as_bytes());
        let joined = headers.entry(name.to_string());
        joined
            .and_modify(|it| {
                it.push(',');
                it.push_str(&value);
            })
            .or_insert_with(|| value.to_string());
    }
    headers
}

/// What the answer says.
pub(super) fn decision(answer: Answer) -> Result<Decision, Error> {
    if answer.head.status != StatusCode::OK {
        return Err(Error::Status(answer.head.status));
    }
    // Without a body the status stands in the head.
    let status = [&answer.trailers, &answer.head.headers];
    let status = status.iter().find_map(|it| it.get("grpc-status"));
    let status = status.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
    match status.as_deref() {
        Some("0") => {}
        other => return Err(Error::Grpc(other.unwrap_or("missing").to_owned())),
    }
    let response = pb::CheckResponse::decode(unframed(&answer.body)?);
    let response = response.map_err(|error| Error::Message(error.into()))?;
    let code = response.status.map(|it| it.code).unwrap_or_default();
    use pb::check_response::HttpResponse::{DeniedResponse, OkResponse};
    Ok(match (code, response.http_response) {
        (0, Some(OkResponse(ok))) => Decision::Admitted(additions(ok)),
        // An answer that contradicts itself admits nobody.
        (_, Some(DeniedResponse(denied))) => Decision::Refused(refused(denied)),
        (0, None) => Decision::Admitted(Additions::default()),
        (_, Some(OkResponse(_)) | None) => {
            Decision::Refused(refused(pb::DeniedHttpResponse::default()))
        }
    })
}

/// The one message of a body.
fn unframed(body: &Bytes) -> Result<Bytes, Error> {
    let bad = || Error::Message("not one uncompressed gRPC message".into());
    let (head, message) = body.split_at_checked(5).ok_or_else(bad)?;
    let (flag, length) = head.split_first().ok_or_else(bad)?;
    let length: [u8; 4] = length.try_into().map_err(|_| bad())?;
    let is_whole = usize::try_from(u32::from_be_bytes(length)).is_ok_and(|it| it == message.len());
    if *flag != 0 || !is_whole {
        return Err(bad());
    }
    Ok(body.slice(5..))
}

fn additions(ok: pb::OkHttpResponse) -> Additions {
    let names = ok.headers_to_remove.iter();
    let is_plain = |text: &str| !text.contains(['&', '#', ' ']) && text.is_ascii();
    let query = ok
        .query_parameters_to_set
        .into_iter()
        .map(|it| (it.key, it.value));
    Additions {
        request: ok.headers.into_iter().filter_map(header).collect(),
        removed: names.filter_map(|it| it.parse().ok()).collect(),
        response: ok
            .response_headers_to_add
            .into_iter()
            .filter_map(header)
            .collect(),
        query: query
            .filter(|(key, value)| is_plain(key) && is_plain(value))
            .collect(),
        query_removed: ok.query_parameters_to_remove,
    }
}

fn refused(denied: pb::DeniedHttpResponse) -> Said {
    let code = denied.status.map(|it| it.code).unwrap_or_default();
    let status = u16::try_from(code)
        .ok()
        .and_then(|it| StatusCode::from_u16(it).ok());
    let status = status.filter(|it| !it.is_informational());
    let mut headers = HeaderMap::new();
    for (name, value, how) in denied.headers.into_iter().filter_map(header) {
        match how {
            How::Append => {
                headers.append(name, value);
            }
            _ => {
                headers.insert(name, value);
            }
        }
    }
    Said {
        status: status.unwrap_or(StatusCode::FORBIDDEN),
        headers,
        body: denied.body.into(),
    }
}

/// A header that an answer may set; others are left out.
fn header(option: pb::HeaderValueOption) -> Option<(HeaderName, HeaderValue, How)> {
    use pb::header_value_option::HeaderAppendAction as Action;
    let header = option.header?;
    let name: HeaderName = header.key.parse().ok().filter(is_touchable)?;
    let value = match header.raw_value.is_empty() {
        true => HeaderValue::try_from(header.value),
        false => HeaderValue::from_maybe_shared(header.raw_value),
    };
    let how = match (option.append, Action::try_from(option.append_action)) {
        (Some(true), _) => How::Append,
        (_, Ok(Action::AddIfAbsent)) => How::IfAbsent,
        (_, Ok(Action::OverwriteIfExists)) => How::IfPresent,
        _ => How::Set,
    };
    Some((name, value.ok()?, how))
}
