//! The L7 proxy: terminates tunnels, reads requests, routes, guards and repeats them.
//!
//! Table of contents, top-down: a module may use only modules declared below it.

#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod app;
pub mod dump;
pub mod follow;
pub mod picture;
pub mod workers;
pub mod tunnel;
pub mod tcp;
pub mod http;
pub mod provider;
pub mod call;
pub mod worker;
pub mod served;
pub mod authenticate;
pub mod authorize;
pub mod limit;
pub mod reply;
pub mod asked;
pub mod ending;
pub mod path;
pub mod routes;
pub mod destinations;
pub mod upstream;
pub mod egress;
pub mod filter;
pub mod matcher;
pub mod body;
pub mod messages;
pub mod balance;
pub mod observe;
pub mod bytes;
pub mod config;
