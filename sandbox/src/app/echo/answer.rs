//! How one request is answered: with what was seen of it, as it asks for, over HTTP or gRPC.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode, Version};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::counts::Counts;
use super::message;
use super::spans::{EXPORT, Spans};
use super::upgrade;
use super::wish::{self, Wish};

/// Longest request body that is read, bytes; a longer one is counted as far as this.
const LONGEST_BODY: usize = 64 << 20;
/// Where a server tells how many requests it saw; asking is not counted.
const COUNTS: &str = "/counts";
/// Where it tells which spans were sent to it.
const SPANS: &str = "/spans";
/// What gRPC requests and answers are.
const GRPC: &str = "application/grpc";

/// What a server saw of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Name of the pod that answered (`POD_NAME`).
    pub pod: String,
    /// Its version (`VERSION`).
    pub version: String,
    /// Who asked, as the server's socket has it.
    pub peer: SocketAddr,
    /// The server's own end.
    pub local: SocketAddr,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub protocol: String,
    /// Method.
    pub method: String,
    /// The host that was asked for: the header, or the authority of HTTP/2.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// Headers, names in lower case; several values are joined with `, `.
    pub headers: BTreeMap<String, String>,
    /// Trailers, in the same way.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub trailers: BTreeMap<String, String>,
    /// Length of the body, bytes.
    pub body: usize,
    /// Texts of a gRPC request's messages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<String>,
}

/// A server: who it is, what it does unless asked otherwise, what it counted.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) pod: String,
    pub(super) version: String,
    /// Status of answers for which the request asks none.
    pub(super) status: Option<StatusCode>,
    /// Delay of such answers.
    pub(super) delay: Option<Duration>,
    pub(super) counts: RefCell<Counts>,
    pub(super) spans: RefCell<Spans>,
}

/// A body with or without trailers.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

impl Server {
    /// What was counted or kept, where the path asks for that.
    fn kept(&self, path: &str) -> Option<String> {
        let text = match path {
            COUNTS => serde_json::to_string(self.counts.borrow().all()),
            SPANS => serde_json::to_string(self.spans.borrow().all()),
            _ => return None,
        };
        Some(text.unwrap_or_default())
    }

    /// Answers one request of a connection between these two.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> Result<Response<Body>, Infallible> {
        let path = path_of(&request);
        if let Some(text) = self.kept(&path) {
            return Ok(json(text, Vec::new()));
        }
        let before = self.counts.borrow_mut().count(&path);
        let wish = wish::read(&path, request.headers());
        if let Some(delay) = wish.delay.or(self.delay) {
            sleep(delay).await;
        }
        if before < u64::from(wish.fail_first) {
            let mut answer = json(String::new(), Vec::new());
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            return Ok(answer);
        }
        if let Some(answer) = upgrade::accept(&request) {
            upgrade::echo(request);
            return Ok(answer.map(|()| Full::default().boxed_unsync()));
        }
        let is_grpc = is_grpc(request.headers());
        let (head, body) = request.into_parts();
        let body = Limited::new(body, LONGEST_BODY).collect().await.ok();
        let trailers = body.as_ref().and_then(|body| body.trailers().cloned());
        let body = body.map(|body| body.to_bytes());
        if path == EXPORT {
            let body = body.unwrap_or_default();
            for request in message::messages(&body).unwrap_or_default() {
                self.spans.borrow_mut().take(request);
            }
            return Ok(grpc("", &wish));
        }
        let seen = Seen {
            pod: self.pod.clone(),
            version: self.version.clone(),
            peer,
            local,
            protocol: format!("{:?}", head.version),
            method: head.method.to_string(),
            host: host(&head),
            path,
            headers: words(&head.headers),
            trailers: trailers.as_ref().map(words).unwrap_or_default(),
            body: body.as_ref().map_or(LONGEST_BODY, Bytes::len),
            messages: match (is_grpc, &body) {
                (true, Some(body)) => message::texts(body).unwrap_or_default(),
                _ => Vec::new(),
            },
        };
        let text = serde_json::to_string(&seen).unwrap_or_default();
        let mut answer = match is_grpc {
            true => grpc(&text, &wish),
            false => json(text, wish.trailers),
        };
        if let Some(status) = wish.status.or(self.status).filter(|_| !is_grpc) {
            *answer.status_mut() = status;
        }
        answer.headers_mut().extend(wish.headers);
        Ok(answer)
    }
}

fn path_of(request: &Request<Incoming>) -> String {
    let uri = request.uri();
    let path = uri.path_and_query().map(ToString::to_string);
    path.unwrap_or_else(|| uri.to_string())
}

fn host(head: &hyper::http::request::Parts) -> String {
    let authority = head.uri.authority().map(ToString::to_string);
    let header = || head.headers.get(header::HOST)?.to_str().ok();
    authority.unwrap_or_else(|| header().unwrap_or_default().to_owned())
}

/// Whether these headers are a gRPC request's or answer's.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(GRPC.as_bytes()))
}

/// Headers as a map of text.
pub(super) fn words(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut words: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        words
            .entry(name.as_str().to_owned())
            .and_modify(|before| {
                before.push_str(", ");
                before.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    words
}

fn json(mut text: String, trailers: Vec<(HeaderName, HeaderValue)>) -> Response<Body> {
    text.push('\n');
    let names: Vec<&str> = trailers.iter().map(|(name, _)| name.as_str()).collect();
    // HTTP/1.1 sends only trailers that were announced.
    let announced = HeaderValue::try_from(names.join(", ")).ok();
    let body = Full::new(Bytes::from(text));
    let body = match trailers.is_empty() {
        true => body.boxed_unsync(),
        false => with_trailers(body, trailers.into_iter().collect()),
    };
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if let Some(announced) = announced.filter(|names| !names.is_empty()) {
        headers.insert(header::TRAILER, announced);
    }
    answer
}

/// As many messages as are asked for, each with what was seen; then the status.
fn grpc(text: &str, wish: &Wish) -> Response<Body> {
    let is_good = wish.grpc_status == 0;
    let count = if is_good {
        wish.messages.unwrap_or(1)
    } else {
        0
    };
    let mut frames = Vec::new();
    for _ in 0..count {
        frames.extend(message::frame(text));
    }
    let mut trailers: HeaderMap = wish.trailers.iter().cloned().collect();
    trailers.insert("grpc-status", HeaderValue::from(wish.grpc_status));
    if !is_good {
        trailers.insert("grpc-message", HeaderValue::from_static("as asked for"));
    }
    let mut answer = Response::new(with_trailers(Full::new(Bytes::from(frames)), trailers));
    let kind = HeaderValue::from_static(GRPC);
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    *answer.version_mut() = Version::HTTP_2;
    answer
}

fn with_trailers(body: Full<Bytes>, trailers: HeaderMap) -> Body {
    let trailers = std::future::ready(Some(Ok(trailers)));
    body.with_trailers(trailers).boxed_unsync()
}
