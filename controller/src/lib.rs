//! Watches objects, translates them, serves them to the proxies, signs certificates.
//!
//! Table of contents, top-down: a module may use only modules declared below it.

#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod app;
pub mod pages;
pub mod config;
pub mod watch;
pub mod listen;
pub mod lead;
pub mod deploy;
pub mod index;
pub mod status;
pub mod publish;
pub mod ca;
pub mod resources;
pub mod problems;
pub mod translate;
pub mod shelf;
pub mod metrics;
