//! Pure. Filters of HTTP and gRPC routes.

use serde::Deserialize;

use super::reference::BackendRef;

/// Something that is done to a request or to its response. Which field counts, the type says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Filter {
    /// `RequestHeaderModifier`, `ResponseHeaderModifier`, `RequestMirror`, `RequestRedirect`, `URLRewrite`, `CORS`,
    /// `ExternalAuth` or `ExtensionRef`.
    pub r#type: String,
    /// Of `RequestHeaderModifier`.
    pub request_header_modifier: Option<HeaderModifier>,
    /// Of `ResponseHeaderModifier`.
    pub response_header_modifier: Option<HeaderModifier>,
    /// Of `RequestMirror`.
    pub request_mirror: Option<Box<Mirror>>,
    /// Of `RequestRedirect`.
    pub request_redirect: Option<Redirect>,
    /// Of `URLRewrite`.
    pub url_rewrite: Option<Rewrite>,
    /// Of `CORS`.
    pub cors: Option<Cors>,
    /// Of `ExtensionRef`.
    pub extension_ref: Option<ExtensionRef>,
}

/// Changes of headers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HeaderModifier {
    /// Replaced.
    pub set: Vec<Header>,
    /// Appended.
    pub add: Vec<Header>,
    /// Removed.
    pub remove: Vec<String>,
}

/// A header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Header {
    /// Its name; its case does not count.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A copy of requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Mirror {
    /// Where it goes.
    pub backend_ref: BackendRef,
    /// How many of a hundred; all when neither this nor `fraction` is there.
    pub percent: Option<u32>,
    /// The same as a fraction.
    pub fraction: Option<Fraction>,
}

/// A share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Fraction {
    /// Of the denominator.
    pub numerator: u32,
    /// Hundred unless said otherwise.
    pub denominator: u32,
}

impl Default for Fraction {
    fn default() -> Self {
        Self {
            numerator: 0,
            denominator: 100,
        }
    }
}

/// An answer that sends the client elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Redirect {
    /// `http` or `https`.
    pub scheme: Option<String>,
    /// Host.
    pub hostname: Option<String>,
    /// Path.
    pub path: Option<PathModifier>,
    /// Port.
    pub port: Option<u16>,
    /// Status; 302 when absent.
    pub status_code: Option<u16>,
}

/// Another host or path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Rewrite {
    /// Host.
    pub hostname: Option<String>,
    /// Path.
    pub path: Option<PathModifier>,
}

/// Another path. Which field counts, the type says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PathModifier {
    /// `ReplaceFullPath` or `ReplacePrefixMatch`.
    pub r#type: String,
    /// Of `ReplaceFullPath`.
    pub replace_full_path: Option<String>,
    /// Of `ReplacePrefixMatch`.
    pub replace_prefix_match: Option<String>,
}

/// Cross-origin rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Cors {
    /// Origins that may ask; `*` stands for any part.
    pub allow_origins: Vec<String>,
    /// Methods that may be used.
    pub allow_methods: Vec<String>,
    /// Request headers that may be sent.
    pub allow_headers: Vec<String>,
    /// Response headers that scripts may see.
    pub expose_headers: Vec<String>,
    /// Whether credentials may be sent.
    pub allow_credentials: Option<bool>,
    /// Seconds for which the answer may be kept; 5 when absent.
    pub max_age: Option<u32>,
}

/// A filter of somebody else's kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ExtensionRef {
    /// Its API group.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}
