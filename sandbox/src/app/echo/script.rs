//! Pure. What a scripted client is told, and what it tells afterwards; both travel as JSON.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What is spoken with the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Speech {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 over plain TCP, known beforehand.
    Http2,
}

/// The same request some times, over one connection or over several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Where, and what for: `http://reviews/7`.
    pub url: String,
    /// Method.
    pub method: String,
    /// Headers, as they are sent. One called `host` stands against the URL's.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Body.
    #[serde(default)]
    pub body: String,
    /// Messages of a gRPC request, instead of a body.
    #[serde(default)]
    pub messages: Vec<String>,
    /// What is spoken.
    #[serde(default)]
    pub speech: Speech,
    /// How often.
    pub times: u32,
    /// How many at once; each has a connection of its own.
    pub side_by_side: u32,
    /// Whether every request gets a new connection.
    #[serde(default)]
    pub is_new_each_time: bool,
    /// Where to connect instead of the URL's host.
    #[serde(default)]
    pub connect_to: Option<SocketAddr>,
}

impl Ask {
    /// One GET.
    #[must_use]
    pub fn get(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            method: "GET".to_owned(),
            headers: Vec::new(),
            body: String::new(),
            messages: Vec::new(),
            speech: Speech::Http1,
            times: 1,
            side_by_side: 1,
            is_new_each_time: false,
            connect_to: None,
        }
    }

    /// One call of the built-in gRPC service, with one message.
    #[must_use]
    pub fn call(url: &str, message: &str) -> Self {
        let mut ask = Self::get(url)
            .with("content-type", "application/grpc")
            .with("te", "trailers");
        (ask.method, ask.speech) = ("POST".to_owned(), Speech::Http2);
        ask.messages.push(message.to_owned());
        ask
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same so many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }
}

/// What came of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Status; 0 when there was no answer.
    pub status: u16,
    /// Headers, names in lower case; several values are joined with `, `.
    pub headers: BTreeMap<String, String>,
    /// Body; empty for gRPC.
    pub body: String,
    /// Messages of a gRPC answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<String>,
    /// Trailers, as the headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub trailers: BTreeMap<String, String>,
    /// From asking to the end of the answer, milliseconds.
    pub milliseconds: u64,
    /// Why there is no answer, or only a part of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Answer {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// How a gRPC call ended: in a trailer, or in a header when there was nothing else.
    #[must_use]
    pub fn grpc_status(&self) -> Option<u32> {
        let status = self.trailers.get("grpc-status");
        status.or(self.headers.get("grpc-status"))?.parse().ok()
    }
}
