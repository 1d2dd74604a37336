//! Logs and metrics, set up the same way in every program.

pub mod log;
pub mod metrics;
mod report;

pub use report::report;
