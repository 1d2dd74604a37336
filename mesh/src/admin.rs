//! A small HTTP/1.1 server for a program's admin pages, probes and metrics.
//!
//! Programs plug their pages in as [`Routes`]; there is no state here.

mod serve;
mod page;
pub mod standard;
mod accept;

pub use page::{Answer, Handler, Question, Routes, log_level_page, metrics_page, ready_page};
pub use serve::{serve, serve_unix};
