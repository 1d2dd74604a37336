//! CNI plugin, node agent, redirection rules.
//!
//! Table of contents, top-down: a module may use only modules declared below it.

pub mod app;
pub mod pages;
pub mod plugin;
pub mod agent;
pub mod metrics;
pub mod config;
pub mod add_event;
pub mod host;
pub mod rules;
pub mod notices;
pub mod netns;
pub mod nft;

pub use app::{run_agent, run_plugin};
