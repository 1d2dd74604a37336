//! The node proxy: captures the traffic of enrolled pods inside their own network namespaces.
//!
//! Table of contents, top-down: a module may use only modules declared below it.

pub mod app;
pub mod picture;
pub mod dump;
pub mod pods;
pub mod workers;
pub mod identities;
pub mod pod_proxy;
pub mod outbound;
pub mod inbound;
pub mod carry;
pub mod pod;
pub mod places;
pub mod connections;
pub mod record;
pub mod dial;
pub mod resolver;
pub mod netns;
pub mod metrics;
#[cfg(test)]
mod drawn;
pub mod config;
