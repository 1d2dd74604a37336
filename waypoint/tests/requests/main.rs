//! Requests through a waypoint in this process: real tunnels over loopback, a certificate authority in
//! memory, applications and routes that each test draws itself.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod app;
mod client;
mod plain;
mod world;

mod balancing;
mod bodies;
mod egress;
mod forwarding;
mod hygiene;
mod noise;
mod observed;
mod opaque;
mod origination;
mod resilience;
mod routing;
