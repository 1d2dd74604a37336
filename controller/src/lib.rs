//! Watches objects, translates them, serves them to the proxies, signs certificates.
//!
//! Table of contents, top-down: a module may use only modules declared below it.

pub mod publish;
pub mod ca;
pub mod shelf;
pub mod resources;
