//! What journeys and benches share; nothing depends on this crate.

pub mod bench;
pub mod world;
pub mod mint;
pub mod expect;
pub mod app;
pub mod api_server;
pub mod listener;
