//! What is logged, counted and traced of requests.
//!
//! A request fills a [`record::Record`] on its way; at its end the record is counted, written as a
//! line and told as spans, each only where it is wanted.

pub mod access_log;
pub mod metrics;
pub mod record;
