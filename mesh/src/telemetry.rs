//! Logs and metrics, set up the same way in every program.

pub mod log;
pub mod metrics;
pub mod plain;
pub mod privilege;
pub mod process;
mod report;

pub use report::report;
