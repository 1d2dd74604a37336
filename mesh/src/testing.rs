//! What tests of several crates need: certificates and in-memory connections. Not part of any program.

pub mod pipe;
pub mod ca;
