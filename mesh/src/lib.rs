//! What the proxies and the controller must agree on.
//!
//! Table of contents, top-down: a module may use only modules declared below it.

#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod admin;
pub mod xds;
pub mod hbone;
pub mod cert;
pub mod zds;
pub mod tls;
pub mod authz;
pub mod state;
pub mod wire;
pub mod relay;
pub mod net;
pub mod proxy_protocol;
pub mod flow;
pub mod access_log;
pub mod telemetry;
pub mod lifecycle;
pub mod settings;
pub mod model;
pub mod identity;
pub mod names;
