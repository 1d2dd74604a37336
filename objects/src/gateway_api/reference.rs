//! Pure. What routes refer to: the parents they are attached to, and the backends they send to.

use serde::Deserialize;

use super::filter::Filter;
use crate::kinds::{Key, Kind};

/// API group of Istio's networking kinds.
pub const ISTIO: &str = "networking.istio.io";

/// The service or service entry that a reference means; `None` for everything else.
#[must_use]
pub fn object(group: &str, kind: &str, namespace: &str, name: &str) -> Option<Key> {
    let kind = match (group, kind) {
        ("", "Service") => Kind::Service,
        (ISTIO, "ServiceEntry") => Kind::ServiceEntry,
        _ => return None,
    };
    Some(Key::new(kind, namespace, name))
}

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

impl ParentRef {
    /// The service or service entry that it means in a route of `namespace`; `None` for what is not the mesh's, gateways
    /// above all.
    #[must_use]
    pub fn object(&self, namespace: &str) -> Option<Key> {
        let namespace = self.namespace.as_deref().unwrap_or(namespace);
        object(&self.group, &self.kind, namespace, &self.name)
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
