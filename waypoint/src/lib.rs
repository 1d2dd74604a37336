//! The L7 proxy: terminates tunnels, reads requests, routes, guards and repeats them.
//!
//! Table of contents, top-down: a module may use only modules declared below it.

pub mod app;
pub mod routes;
pub mod balance;
pub mod observe;
pub mod bytes;
pub mod config;
