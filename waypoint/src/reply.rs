//! Answers of our own: the only map from endings to what a client hears, in the words of HTTP or gRPC.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, SERVER};
use http::{HeaderMap, Response, StatusCode};

use crate::ending::{Ending, grpc_status};

/// What `server` says, as Istio's users expect it.
pub const SERVER_NAME: HeaderValue = HeaderValue::from_static("istio-envoy");

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const OVERLOADED: HeaderName = HeaderName::from_static("x-envoy-overloaded");

/// An answer of our own.
#[derive(Debug)]
pub struct Reply {
    /// How the request ended.
    pub ending: Ending,
    /// Status, when not the ending's.
    pub status: Option<StatusCode>,
    /// Body, when not the ending's.
    pub body: Option<Bytes>,
    /// Further headers.
    pub headers: HeaderMap,
    /// gRPC status, when not the one that follows from the status.
    pub grpc: Option<u16>,
    /// Whether it was tried more than once.
    pub retried: bool,
    /// What the log says of it, when not the ending's word.
    pub details: Option<String>,
}

impl From<Ending> for Reply {
    fn from(ending: Ending) -> Self {
        Self {
            ending,
            status: None,
            body: None,
            headers: HeaderMap::new(),
            grpc: None,
            retried: false,
            details: None,
        }
    }
}

impl Reply {
    /// The same with another status.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// The same with another body.
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The status that an HTTP client sees.
    pub fn status(&self) -> StatusCode {
        self.status.unwrap_or_else(|| self.ending.status())
    }

    /// The answer; for a gRPC call it is trailers alone, with what the body would have said.
    pub fn write(self, is_grpc: bool, is_head: bool) -> Response<Bytes> {
        let status = self.status();
        let body = match self.body {
            Some(body) => body,
            None => match self.ending.body(self.retried) {
                std::borrow::Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
                std::borrow::Cow::Owned(text) => Bytes::from(text),
            },
        };
        let mut headers = self.headers;
        headers.insert(SERVER, SERVER_NAME);
        if self.ending == Ending::Overflow {
            headers.insert(OVERLOADED, HeaderValue::from_static("true"));
        }
        let mut response = if is_grpc {
            let code = self.grpc.unwrap_or_else(|| grpc_status(status));
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert(GRPC_STATUS, HeaderValue::from(code));
            if let Some(message) = grpc_message(&body) {
                headers.insert(GRPC_MESSAGE, message);
            }
            Response::new(Bytes::new())
        } else {
            if !body.is_empty() {
                headers
                    .entry(CONTENT_TYPE)
                    .or_insert(HeaderValue::from_static("text/plain"));
                // HTTP/1 says by itself that nothing comes; HTTP/2 needs no word for it
                headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            }
            let body = if is_head { Bytes::new() } else { body };
            let mut response = Response::new(body);
            *response.status_mut() = status;
            response
        };
        *response.headers_mut() = headers;
        response
    }
}

/// Text as `grpc-message` wants it: printable ASCII, the rest in percent escapes.
fn grpc_message(body: &[u8]) -> Option<HeaderValue> {
    if body.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(body.len());
    for byte in body {
        match byte {
            b'%' | 0..=0x1f | 0x7f..=0xff => out.push_str(&format!("%{byte:02X}")),
            plain => out.push(char::from(*plain)),
        }
    }
    HeaderValue::from_str(&out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grpc_caller_hears_trailers_alone() {
        let response = Reply::from(Ending::Timeout).write(true, false);
        assert_eq!(response.status(), 200);
        let headers = response.headers();
        assert_eq!(headers["grpc-status"], "14");
        assert_eq!(headers["grpc-message"], "upstream request timeout");
        assert_eq!(headers["content-type"], "application/grpc");
    }

    #[test]
    fn an_http_caller_hears_status_and_text() {
        let response = Reply::from(Ending::Overflow).write(false, false);
        assert_eq!(response.status(), 503);
        let headers = response.headers();
        assert_eq!(headers["x-envoy-overloaded"], "true");
        assert_eq!(headers["server"], "istio-envoy");
        assert_eq!(headers["content-length"], "81");
        let response = Reply::from(Ending::NoRoute).write(false, false);
        assert_eq!(
            (response.status(), response.headers().get(CONTENT_TYPE)),
            (StatusCode::NOT_FOUND, None)
        );
    }

    #[test]
    fn messages_are_escaped() {
        assert_eq!(
            grpc_message("50%\u{e4}\n".as_bytes()).unwrap(),
            "50%25%C3%A4%0A"
        );
    }
}
