//! Pure. What routes refer to: the parents they are attached to, and the backends they send to.

use serde::Deserialize;

use super::filter::Filter;

/// What a route is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ParentRef {
    /// Its API group; empty for the legacy group.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace; the route's own when absent.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// A listener of a gateway.
    pub section_name: Option<String>,
    /// One of its ports; all of them when absent.
    pub port: Option<u16>,
}

impl Default for ParentRef {
    fn default() -> Self {
        Self {
            group: "gateway.networking.k8s.io".to_owned(),
            kind: "Gateway".to_owned(),
            namespace: None,
            name: String::new(),
            section_name: None,
            port: None,
        }
    }
}

/// Where a share of the traffic goes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BackendRef {
    /// Its API group; empty for the legacy group.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace; the route's own when absent.
    pub namespace: Option<String>,
    /// Its name; the host name of kind `Hostname`.
    pub name: String,
    /// Its port.
    pub port: Option<u16>,
    /// Its share of all weights.
    pub weight: u32,
    /// What is done to requests that go there. Only of HTTP and gRPC routes.
    pub filters: Vec<Filter>,
}

impl Default for BackendRef {
    fn default() -> Self {
        Self {
            group: String::new(),
            kind: "Service".to_owned(),
            namespace: None,
            name: String::new(),
            port: None,
            weight: 1,
            filters: Vec::new(),
        }
    }
}
