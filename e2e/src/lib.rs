//! What journeys and benches share; nothing depends on this crate.

pub mod bench;
