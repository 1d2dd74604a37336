//! What tests of several crates need: certificates and in-memory connections. Not part of any program.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must stop")]

pub mod fuzz;
pub mod pipe;
pub mod ca;
