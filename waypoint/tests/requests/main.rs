//! Requests through a waypoint in this process: real tunnels over loopback, a certificate authority in
//! memory, applications and routes that each test draws itself.

mod app;
mod client;
mod world;

mod balancing;
mod forwarding;
mod hygiene;
mod observed;
mod resilience;
mod routing;
