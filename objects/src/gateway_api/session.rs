//! Pure. Session persistence, in both shapes that it has had.

use serde::Deserialize;

/// Keeps a client with its endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SessionPersistence {
    /// `Cookie` (also when absent) or `Header`.
    pub r#type: Option<String>,
    /// Name of cookie or header, in the older shape.
    pub session_name: Option<String>,
    /// How long a session may last.
    pub absolute_timeout: Option<String>,
    /// The cookie, in the older shape.
    pub cookie_config: Option<CookieConfig>,
    /// The cookie.
    pub cookie: Option<Cookie>,
    /// The header.
    pub header: Option<HeaderName>,
}

/// How long a cookie is kept, in the older shape.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CookieConfig {
    /// `Session` (also when absent) or `Permanent`.
    pub lifetime_type: Option<String>,
}

/// A cookie.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Cookie {
    /// Its name.
    pub name: Option<String>,
    /// Its path; `/` when absent.
    pub path: Option<String>,
    /// `Session` (also when absent) or `Permanent`.
    pub lifetime_type: Option<String>,
}

/// A header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HeaderName {
    /// Its name.
    pub name: Option<String>,
}
