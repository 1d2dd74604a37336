//! Which endpoint of a destination takes a request, whether it is tried again, and how much is held
//! back.
//!
//! A [`Cluster`] is what lives as long as a destination is in use; everything it decides is decided by
//! pure files below it, with time and random numbers as arguments.

pub use choose::NoEndpoint;
pub use cluster::{Cluster, Counts, Picked, Question};
pub use endpoint::{EndpointId, EndpointSpec, Labels, is_in_subset};
pub use limits::{ConnectionPermit, Overflow, PendingPermit, RequestPermit, RetryPermit};
pub use locality::Place;
pub use outlier::{LocalFailure, Outcome};

pub mod retry;
pub mod session;
pub mod hash;
mod cluster;
mod choose;
mod table;
mod outlier;
mod warmup;
mod limits;
mod locality;
mod maglev;
mod ring;
mod shares;
mod endpoint;
pub mod cookie;
