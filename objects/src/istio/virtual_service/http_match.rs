//! Pure. `http[].match[]` of a VirtualService: conditions on a request.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::istio::string_match::StringMatch;
use crate::labels::Labels;

/// Conditions on a request; all must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpMatch {
    /// What it is called.
    pub name: String,
    /// Path without query.
    pub uri: Option<StringMatch>,
    /// `http` or `https`.
    pub scheme: Option<StringMatch>,
    /// Method.
    pub method: Option<StringMatch>,
    /// Host.
    pub authority: Option<StringMatch>,
    /// Headers; without a text, they only must be there.
    pub headers: BTreeMap<String, StringMatch>,
    /// Port of the service; any when 0.
    pub port: u32,
    /// Labels of the client.
    pub source_labels: Labels,
    /// Gateways that it holds for, instead of the object's.
    pub gateways: Vec<String>,
    /// Query parameters.
    pub query_params: BTreeMap<String, StringMatch>,
    /// Whether the case of the path does not count.
    pub ignore_uri_case: bool,
    /// Headers of which none may be like this.
    pub without_headers: BTreeMap<String, StringMatch>,
    /// Namespace of the client.
    pub source_namespace: String,
}
