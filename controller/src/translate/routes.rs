//! Pure. Routes of the Gateway API to the routes of a service that a waypoint serves. Source: docs/compat.md#routes.
//!
//! A service's routes are one piece ([`of_service`]): what all routes that are attached to it come to, with the order
//! of precedence worked out. What the owner of one route should know, and what its status says, is worked out per
//! route ([`report`]).

pub mod report;
pub mod attach;
mod assemble;
mod read;
mod grpc;
mod http;
mod opaque;
mod rule;
mod filters;
mod limits;
mod backends;
mod headers;
mod parts;
pub mod destinations;
mod entry;
mod precedence;
pub mod notes;

use mesh::model::destination::{Reach, Subset, TrafficPolicy};
use mesh::names::NamespacedHostname;

pub use assemble::{Family, assemble};
pub use attach::of_service;
pub use objects::gateway_api::Written;

/// A service that routes can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The mesh's name of it.
    pub key: NamespacedHostname,
    /// Its ports that a mesh carries.
    pub ports: Vec<u16>,
}

/// What routes are translated against: the services there are, and how requests to them are spread.
pub trait Surroundings {
    /// A Kubernetes service; `None` when there is none, or it is only a name for something else.
    fn service(&self, namespace: &str, name: &str) -> Option<Known>;

    /// The service that a host name means to routes of a namespace.
    fn host(&self, host: &str, namespace: &str) -> Option<Known>;

    /// How requests to a port of a service, or of a part of it, are spread and held back. The part is `None` when nobody
    /// has defined it.
    fn policy_of(
        &self,
        service: &NamespacedHostname,
        port: u16,
        subset: Option<&str>,
    ) -> (Option<Subset>, TrafficPolicy);

    /// Where connections to a service go.
    fn reach(&self, service: &NamespacedHostname) -> Reach;
}

#[cfg(test)]
mod tests;
