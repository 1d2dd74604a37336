//! Pure. What a route of a VirtualService does with a request.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Destination, Percent};
use crate::istio::span::Span;
use crate::istio::string_match::StringMatch;

/// Changes of headers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Headers {
    /// Of the request.
    pub request: HeaderOperations,
    /// Of the response.
    pub response: HeaderOperations,
}

/// Changes of headers on one way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HeaderOperations {
    /// Replaced.
    pub set: BTreeMap<String, String>,
    /// Appended.
    pub add: BTreeMap<String, String>,
    /// Removed.
    pub remove: Vec<String>,
}

/// Sends the client elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Redirect {
    /// Instead of the whole path.
    pub uri: String,
    /// Instead of the host.
    pub authority: String,
    /// The port.
    pub port: Option<u32>,
    /// Where the port comes from.
    pub derive_port: Option<DerivePort>,
    /// `http` or `https`.
    pub scheme: String,
    /// Status; 301.
    pub redirect_code: u32,
}

/// Where the port of a redirect comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DerivePort {
    /// From the scheme.
    #[default]
    FromProtocolDefault,
    /// From the request.
    FromRequestPort,
}

/// Answers the client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct DirectResponse {
    /// Status.
    pub status: u32,
    /// What with.
    pub body: Option<Body>,
}

/// A body, as text or as base64.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Body {
    /// Text.
    pub string: Option<String>,
    /// Bytes in base64.
    pub bytes: Option<String>,
}

/// Changes of host and path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rewrite {
    /// Instead of the matched prefix, or of the whole path.
    pub uri: String,
    /// Instead of the host.
    pub authority: String,
    /// By an expression.
    pub uri_regex_rewrite: Option<RegexRewrite>,
}

/// A change of the path by an expression.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RegexRewrite {
    /// The expression.
    pub r#match: String,
    /// What stands instead; `\1` is its first group.
    pub rewrite: String,
}

/// When a request is tried again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Retries {
    /// Tries after the first.
    pub attempts: i32,
    /// How long one try may take.
    pub per_try_timeout: Option<Span>,
    /// Conditions and codes with commas between.
    pub retry_on: String,
    /// Whether farther places are tried too.
    pub retry_remote_localities: Option<bool>,
    /// Whether endpoints that were tried are left out; true.
    pub retry_ignore_previous_hosts: Option<bool>,
    /// Base of the waits; 25 ms.
    pub backoff: Option<Span>,
}

/// Broken on purpose.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Fault {
    /// Slow.
    pub delay: Option<Delay>,
    /// Refused.
    pub abort: Option<Abort>,
}

/// Slow on purpose.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Delay {
    /// How long.
    pub fixed_delay: Option<Span>,
    /// How many; none when absent.
    pub percentage: Option<Percent>,
    /// How many, older spelling in whole percent.
    pub percent: i32,
}

/// Refused on purpose.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Abort {
    /// With this HTTP status.
    pub http_status: Option<i32>,
    /// With this gRPC status, by its name.
    pub grpc_status: Option<String>,
    /// How many; none when absent.
    pub percentage: Option<Percent>,
}

/// A copy sent elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Mirror {
    /// Where.
    pub destination: Option<Destination>,
    /// Share of requests; all when absent.
    pub percentage: Option<Percent>,
}

/// Cross-origin rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Cors {
    /// Origins that may ask, older spelling.
    pub allow_origin: Vec<String>,
    /// Origins that may ask.
    pub allow_origins: Vec<StringMatch>,
    /// Methods.
    pub allow_methods: Vec<String>,
    /// Request headers.
    pub allow_headers: Vec<String>,
    /// Response headers that scripts may see.
    pub expose_headers: Vec<String>,
    /// How long a preflight's answer may be kept.
    pub max_age: Option<Span>,
    /// Whether credentials may be sent.
    pub allow_credentials: Option<bool>,
    /// What becomes of preflights of other origins.
    pub unmatched_preflights: Preflights,
}

/// What becomes of preflights of other origins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Preflights {
    /// As if nothing was said: sent on.
    #[default]
    Unspecified,
    /// Sent on.
    Forward,
    /// Answered without rules.
    Ignore,
}
