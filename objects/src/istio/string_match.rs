//! Pure. StringMatch: how Istio's kinds compare a text.

use serde::Deserialize;

/// A condition on a text, as written; at most one field has a meaning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct StringMatch {
    /// Equal.
    pub exact: Option<String>,
    /// Begins with.
    pub prefix: Option<String>,
    /// Matches as a whole.
    pub regex: Option<String>,
}
